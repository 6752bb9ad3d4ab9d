"""Every engine of the zoo on one workload: goodput and p99 TTFT over load, fragmentation over the spread of output lengths."""

import pathlib
import resource
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import chart  # noqa: E402
from study import Study, figure  # noqa: E402

KV_TOKENS = 32_768


def kv(block_size):
    """A KV cache of so many tokens for everybody; one block is the null block."""
    return [f"server.block_size={block_size}", f"server.num_gpu_blocks={KV_TOKENS // block_size + 1}"]


# Name, engine, its own flags: 64 seats, or as many rows of 2,048 tokens as the KV cache holds. An engine joins the study with a
# line here.
ENGINES = [
    ("static", "static", [*kv(1), "server.static.batch_size=16"]),
    ("dynamic", "dynamic", [*kv(1), "server.dynamic.max_batch_size=16"]),
    ("reserve (loss)", "reserve", [*kv(1), "server.reserve.max_batch_size=64"]),
    ("orca", "orca", [*kv(1), "server.orca.max_batch_size=64"]),
    ("orca, 2^n oracle", "orca", [*kv(1), "server.orca.max_batch_size=64", 'server.orca.reservation="oracle_pow2"']),
    ("vllm-v0", "vllm-v0", [*kv(16), "server.vllm-v0.max_num_seqs=64"]),
    ("sarathi", "sarathi", [*kv(16), "server.sarathi.max_num_seqs=64"]),
    ("deepspeed-fastgen", "deepspeed-fastgen", [*kv(16), "server.deepspeed-fastgen.max_ragged_sequence_count=64"]),
    ("tensorrt-llm", "tensorrt-llm", [*kv(16), "server.tensorrt-llm.max_batch_size=64"]),
    ("sglang", "sglang", [*kv(1), "server.sglang.max_running_requests=64"]),
    ("tgi", "tgi", [*kv(16), "server.tgi.max_batch_size=64"]),
    ("llama-cpp", "llama-cpp", [*kv(1), "server.llama-cpp.parallel=16"]),
    ("vllm-v1", "vllm-v1", [*kv(16), "server.max_num_seqs=64", 'server.engine_version="0.22"', "server.enable_prefix_caching=false"]),
]
RATES = [0.05, 0.2, 0.5, 1, 2, 4, 6, 8, 10, 12, 14, 16]
# Mean 150 tokens; prompt and output together end at the longest sequence of 2048.
SPREADS = [
    ("0", '{ dist = "constant", tokens = 150 }'),
    ("0.5", '{ dist = "gamma", mean = 150, cv = 0.5 }'),
    ("1", '{ dist = "gamma", mean = 150, cv = 1.0 }'),
    ("1.5", '{ dist = "gamma", mean = 150, cv = 1.5 }'),
]
REPLICATIONS = 10

study = Study(__file__)


def point(engine, flags, rate, changes=()):
    """One engine at one load: arrivals at this rate for five minutes."""
    arrivals = f'workload.arrivals={{ process = "stages", stages = [{{ rate_per_s = {float(rate)}, duration_s = 300.0 }}] }}'
    changes = [arrivals, *flags, *changes]
    return study.sweep("chat.toml", f'server.engine="{engine}"', replications=REPLICATIONS, changes=changes)[0]


def spot(x, result, name, scale=1.0):
    """A point of a line, if the figure has a value."""
    estimate = result["figures"].get(name)
    if not estimate:
        return []
    half = estimate["half_width"]
    return [(x, estimate["mean"] * scale, None if half is None else half * scale)]


by_load = {name: [(rate, point(engine, flags, rate)) for rate in RATES] for name, engine, flags in ENGINES}

study.heading("Goodput: requests per second that kept TTFT 1000 ms and TPOT 50 ms, of those that arrived")
study.table(["arrivals (req/s)", *by_load],
            [[rate, *(figure(by_load[name][i][1], "slo_attainment", rate) for name in by_load)] for i, rate in enumerate(RATES)])
study.heading("p99 TTFT (ms)")
study.table(["arrivals (req/s)", *by_load],
            [[rate, *(figure(by_load[name][i][1], "p99_ttft_ms") for name in by_load)] for i, rate in enumerate(RATES)])
study.heading("Blocked (%), where anybody was")
blocked = [[name, rate, figure(p, "blocking_probability", 100)] for name, points in by_load.items() for rate, p in points
           if p["figures"]["blocking_probability"]["mean"] > 0]
study.table(["engine", "arrivals (req/s)", "blocked (%)"], blocked)
chart.lines(study.folder / "figures" / "goodput.svg", "Requests that kept both limits, 95 % intervals", "arrivals (req/s)", "kept TTFT 1000 ms and TPOT 50 ms (%)",
            [(name, [s for rate, p in points for s in spot(rate, p, "slo_attainment", 100)]) for name, points in by_load.items()], log_x=True)
chart.lines(study.folder / "figures" / "p99-ttft.svg", "p99 TTFT over load, 95 % intervals", "arrivals (req/s)", "p99 TTFT (ms)",
            [(name, [s for rate, p in points for s in spot(rate, p, "p99_ttft_ms")]) for name, points in by_load.items()], log=True, log_x=True)

spread = {}
for name, engine, flags in ENGINES:
    spread[name] = [(float(cv), point(engine, flags, 2, [f"workload.output_tokens={lengths}"])) for cv, lengths in SPREADS]
study.heading("Internal fragmentation over the spread of output lengths (%, mean 150 tokens, 2 req/s)")
study.table(["coefficient of variation", *spread],
            [[cv, *(figure(spread[name][i][1], "internal_fragmentation", 100) for name in spread)]
             for i, (cv, _) in enumerate(SPREADS)])
chart.lines(study.folder / "figures" / "fragmentation.svg", "Held KV without a token, 95 % intervals",
            "coefficient of variation of output lengths", "internal fragmentation (%)",
            [(name, [s for cv, p in points for s in spot(cv, p, "internal_fragmentation", 100)]) for name, points in spread.items()])

study.heading("Speed: simulated requests per CPU-second (user and system time of one run of 300,000 requests of the quick start, default flags)")
rows = []
for engine in dict.fromkeys(engine for _, engine, _ in ENGINES):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    flags = ["server.enable_prefix_caching=false"] if engine == "vllm-v1" else []
    changes = [word for change in [f'server.engine="{engine}"', *flags] for word in ("--set", change)]
    study.run("run", "speed.toml", "--quiet", *changes)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rows.append([engine, f"{300_000 / seconds:,.0f}"])
study.table(["engine", "requests per CPU-second"], rows)
study.write()
