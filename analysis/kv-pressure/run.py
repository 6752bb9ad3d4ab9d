"""How small may the KV cache be before requests wait for it, and before they lose it?"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from study import Study, figure  # noqa: E402

BLOCKS = [2_000, 1_200, 1_000, 900, 800, 700, 600, 500, 400]

study = Study(__file__)

study.heading("KV blocks at 8 requests/s")
points = study.sweep(
    "chat.toml",
    "server.num_gpu_blocks=" + ",".join(map(str, BLOCKS)),
    replications=10,
    figures=("p99_ttft_ms", "slo_attainment", "kv_cache_usage", "num_waiting"),
)
study.table(
    ["blocks", "verdict", "throughput (req/s)", "kept limits (%)", "p99 TTFT (ms)", "mean TPOT (ms)", "KV in use (%)",
     "waiting", "preemptions per 1,000 requests"],
    [
        [
            point["values"]["server.num_gpu_blocks"],
            point["status"],
            figure(point, "request_throughput"),
            figure(point, "slo_attainment", 100),
            figure(point, "p99_ttft_ms"),
            figure(point, "mean_tpot_ms"),
            figure(point, "kv_cache_usage", 100),
            figure(point, "num_waiting"),
            figure(point, "num_preemptions", 1 / 4),
        ]
        for point in points
    ],
)

study.heading("What the slowest 1 % are made of")
for blocks in (1_000, 800, 600):
    study.text(f"{blocks} blocks, the 40 requests of 4,000 with the longest TTFT, seed 0:")
    listing = study.run("explain", "chat.toml", "--worst", "40", "--set", f"server.num_gpu_blocks={blocks}")
    study.code(listing[listing.index("mean of these"):])

study.heading("A watermark: blocks that admissions leave free (700 blocks)")
points = study.sweep("chat.toml", "server.watermark=0.0,0.02,0.05,0.1,0.2", replications=10,
                     changes=["server.num_gpu_blocks=700", 'server.engine_version="0.32"'])
study.table(
    ["watermark", "verdict", "kept limits (%)", "p99 TTFT (ms)", "p99 TPOT (ms)", "preemptions per 1,000 requests"],
    [
        [point["values"]["server.watermark"], point["status"], figure(point, "slo_attainment", 100),
         figure(point, "p99_ttft_ms"), figure(point, "p99_tpot_ms"), figure(point, "num_preemptions", 1 / 4)]
        for point in points
    ],
)

study.heading("Fewer seats (700 blocks)")
points = study.sweep("chat.toml", "server.max_num_seqs=128,32,24,20,16,12", replications=10,
                     changes=["server.num_gpu_blocks=700"])
study.table(
    ["max_num_seqs", "verdict", "kept limits (%)", "p99 TTFT (ms)", "p99 TPOT (ms)", "preemptions per 1,000 requests"],
    [
        [point["values"]["server.max_num_seqs"], point["status"], figure(point, "slo_attainment", 100),
         figure(point, "p99_ttft_ms"), figure(point, "p99_tpot_ms"), figure(point, "num_preemptions", 1 / 4)]
        for point in points
    ],
)
study.write()
