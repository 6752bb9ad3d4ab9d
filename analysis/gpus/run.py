"""Which GPU carries how much chat, long context and reasoning, what stops it, and what does a token cost?"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import chart  # noqa: E402
from study import Study, digits  # noqa: E402

GPUS = ["A10G", "L4", "L40S", "A100-80GB-SXM", "H100-SXM-80GB", "H200-SXM-141GB"]
WORKLOADS = ["chat", "long-context", "reasoning"]


def cause(pressure):
    """What requests wait for at the lowest rate that is too much."""
    if pressure is None:
        return "device time"
    waits = {"seats": "seats", "kv_blocks": "KV blocks", "token_budget": "token budget"}
    if pressure["waiting"] < 0.02:
        return "step time"
    name = max(waits, key=lambda key: pressure[key])
    return f"{waits[name]} ({pressure['waiting'] * 100:.0f} % of the time)"


def row(study, scenario, gpu, capacities, costs):
    """One GPU under one workload; its ranges are kept for the figures."""
    change = ["--set", f"server.gpu={gpu}"]
    found = study.json("capacity", scenario, "--no-sensitivity", "--requests", "1500", "--resolution", "10%", *change,
                       ok=(0, 1))
    feasible, infeasible = found["feasible"], found["infeasible"]
    if feasible is None or infeasible is None:
        capacities.append(None)
        costs.append(None)
        return [gpu, "none", "-", "-", "-", "-", "-", found["ending"]]
    too_much = [trial for trial in found["trials"] if trial["x"] >= infeasible]
    # Without a trial above it is the bound by device time that fails.
    worst = min(too_much, key=lambda trial: trial["x"])["pressure"] if too_much else None
    best = min(found["trials"], key=lambda trial: abs(trial["x"] - feasible))
    at_capacity = study.json("run", scenario, "--replications", "5", *change, "--set",
                             f"workload.arrivals.rate_per_s={feasible}")
    tokens, usd, joules = (at_capacity.get(name) for name in
                           ("output_throughput", "usd_per_million_output_tokens", "joules_per_output_token"))

    def cell(estimate):
        return "-" if not estimate else f"{digits(estimate['mean'])} +- {digits(estimate['half_width'])}"

    capacities.append((feasible, None, infeasible))
    costs.append(None if not usd else (usd["mean"] - usd["half_width"], None, usd["mean"] + usd["half_width"]))
    return [gpu, f"{digits(feasible)} to {digits(infeasible)}", cell(tokens), f"{best['pressure']['running']:.1f}",
            f"{best['pressure']['kv_usage'] * 100:.0f} %", cell(usd), cell(joules), cause(worst)]


study = Study(__file__)
capacity, cost = {}, {}
for workload in WORKLOADS:
    study.heading(workload)
    study.table(
        ["GPU", "capacity (req/s)", "output tok/s there", "running", "KV in use", "USD per million output tokens",
         "J per output token, at most", "what binds"],
        [row(study, f"{workload}.toml", gpu, capacity.setdefault(workload, []), cost.setdefault(workload, [])) for gpu in GPUS],
    )
short = [gpu.split("-")[0] for gpu in GPUS]
chart.ranges(study.folder / "figures" / "capacity.svg", "Capacity: from the rate that holds to the rate that fails, 95 % confidence",
             "requests per second", short, list(capacity.items()), log=True)
chart.ranges(study.folder / "figures" / "cost.svg", "Cost at the rate that holds, 95 % intervals", "USD per million output tokens",
             short, list(cost.items()), log=True)

study.heading("Memory alone: an H100 with less of it")
study.text("An H100 with all of its KV blocks, with 8,000 of them, and with 1,900, about what an A10G has:")
rows = []
for workload in WORKLOADS:
    for blocks in ("as derived", 1_900, 8_000):
        changes = [] if blocks == "as derived" else ["--set", f"server.num_gpu_blocks={blocks}"]
        found = study.json("capacity", f"{workload}.toml", "--no-sensitivity", "--requests", "1500", "--resolution", "10%",
                           "--set", "server.gpu=H100-SXM-80GB", *changes, ok=(0, 1))
        low, high = found["feasible"], found["infeasible"]
        rows.append([workload, blocks, "none" if low is None or high is None else f"{digits(low)} to {digits(high)}"])
study.table(["workload", "KV blocks", "capacity (req/s)"], rows)
study.write()
