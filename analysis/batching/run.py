"""Continuous against static batching over load; what the token budget and the seats trade; fragmentation."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from study import Study, figure  # noqa: E402

study = Study(__file__)

study.heading("Engines over load")
points = study.sweep("engines.toml", "workload.arrivals.rate_per_s=0.5,1,2,4,8,12", "server.engine=vllm-v1,orca,static",
                     replications=5, figures=("mean_e2el_ms",))
ENGINES = ["vllm-v1", "orca", "static"]
points.sort(key=lambda point: ENGINES.index(point["values"]["server.engine"]))
study.table(
    ["engine", "req/s", "verdict", "throughput (req/s)", "mean TTFT (ms)", "mean E2E (ms)", "running", "KV in use (%)",
     "empty slots of held KV (%)"],
    [[point["values"]["server.engine"], point["values"]["workload.arrivals.rate_per_s"], point["status"],
      figure(point, "request_throughput"), figure(point, "mean_ttft_ms"), figure(point, "mean_e2el_ms"),
      figure(point, "num_running"), figure(point, "kv_cache_usage", 100), figure(point, "internal_fragmentation", 100)]
     for point in points],
)

study.heading("The token budget (10 req/s)")
points = study.sweep("chat.toml", "server.max_num_batched_tokens=64,128,256,512,1024,2048,4096", replications=10,
                     figures=("p99_ttft_ms", "p99_tpot_ms"))
study.table(
    ["max_num_batched_tokens", "verdict", "kept limits (%)", "mean TTFT (ms)", "p99 TTFT (ms)", "p95 ITL (ms)", "p99 ITL (ms)",
     "p99 TPOT (ms)"],
    [[point["values"]["server.max_num_batched_tokens"], point["status"], figure(point, "slo_attainment", 100),
      figure(point, "mean_ttft_ms"), figure(point, "p99_ttft_ms"), figure(point, "p95_itl_ms"), figure(point, "p99_itl_ms"),
      figure(point, "p99_tpot_ms")] for point in points],
)

study.heading("Seats (12 req/s)")
points = study.sweep("chat.toml", "server.max_num_seqs=8,16,24,32,48,64,128", replications=10,
                     changes=["workload.arrivals.rate_per_s=12"])
study.table(
    ["max_num_seqs", "verdict", "throughput (req/s)", "kept limits (%)", "mean TTFT (ms)", "p99 TTFT (ms)", "p99 ITL (ms)",
     "mean TPOT (ms)", "running"],
    [[point["values"]["server.max_num_seqs"], point["status"], figure(point, "request_throughput"),
      figure(point, "slo_attainment", 100), figure(point, "mean_ttft_ms"), figure(point, "p99_ttft_ms"),
      figure(point, "p99_itl_ms"), figure(point, "mean_tpot_ms"), figure(point, "num_running")] for point in points],
)

study.heading("Fragmentation against the spread of output lengths (mean 150 tokens, prompts of 300)")
SPREADS = [
    ("equal", '{ dist = "constant", tokens = 150 }'),
    ("gamma, cv 0.5", '{ dist = "gamma", mean = 150, cv = 0.5 }'),
    ("exponential", '{ dist = "exponential", mean = 150 }'),
    ("gamma, cv 2", '{ dist = "gamma", mean = 150, cv = 2.0 }'),
]
rows = []
for name, lengths in SPREADS:
    for size in (16, 128):
        point = study.sweep("chat.toml", f"server.block_size={size}", replications=10,
                            changes=[f"workload.output_tokens={lengths}",
                                     'workload.prompt_tokens={ dist = "constant", tokens = 300 }'])[0]
        rows.append([name, size, figure(point, "internal_fragmentation", 100), figure(point, "num_running"),
                     figure(point, "kv_cache_usage", 100)])
study.table(["output lengths", "block size", "empty slots of held blocks (%)", "running", "KV in use (%)"], rows)
study.write()
