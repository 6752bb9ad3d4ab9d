"""Planning for p99 TTFT <= 500 ms: the search with a confidence, and what five careless methods answer instead."""

import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import chart  # noqa: E402
from study import Study, digits  # noqa: E402

LIMIT_MS = 500.0
RATES = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
SEEDS = range(20)


# `--transient` asks for the figures of the run as it is: without it kendall refuses a p99 of an overloaded queue.


def naive(study, requests, seed, *changes):
    """The largest rate whose single run has p99 TTFT within the limit, going up until one has not."""
    largest = 0
    for rate in RATES:
        run = study.json("run", "chat.toml", "--transient", "--seed", str(seed), "--set", f"workload.requests={requests}", "--set",
                         f"workload.arrivals.rate_per_s={rate}", *changes)
        if run["p99_ttft_ms"] > LIMIT_MS:
            break
        largest = rate
    return largest


def spread(answers):
    """Range, median and number of answers."""
    return f"{min(answers)} to {max(answers)}, median {statistics.median(answers):g} ({len(answers)} seeds)"


study = Study(__file__)
found = study.json("capacity", "chat.toml", "--slo", f"p99(ttft)<={LIMIT_MS:.0f}ms", "--no-sensitivity", "--resolution", "5%")
low, high = found["feasible"], found["infeasible"]
study.heading("The capacity")
study.text(f"p99 TTFT <= {LIMIT_MS:.0f} ms holds at {digits(low)} req/s and fails at {digits(high)} req/s, with 95 % confidence in "
           f"both ends. {found['binding']}")

study.heading("What one run at a time answers")
study.text("Rates from 10 to 20 in steps of 1, one run at each, the last before the first whose p99 TTFT exceeds the limit:")
rows, ranges = [], []
for requests in (100, 300, 1_000, 10_000):
    answers = [naive(study, requests, seed) for seed in SEEDS]
    ranges.append((min(answers), statistics.median(answers), max(answers)))
    over = sum(answer > high for answer in answers)
    under = sum(answer < low - 1 for answer in answers)
    rows.append([f"{requests:,} requests a run", spread(answers), f"{over} of {len(answers)}", f"{under} of {len(answers)}"])
answers = []
for seed in SEEDS:
    largest = 0
    for rate in RATES:
        run = study.json("run", "chat.toml", "--transient", "--seed", str(seed), "--set", "workload.requests=1000", "--set",
                         f'workload.arrivals={{ process = "constant", rate_per_s = {rate} }}')
        if run["p99_ttft_ms"] > LIMIT_MS:
            break
        largest = rate
    answers.append(largest)
rows.append(["1,000 requests a run at equal distances", spread(answers), f"{sum(a > high for a in answers)} of {len(answers)}",
             f"{sum(a < low - 1 for a in answers)} of {len(answers)}"])
study.table(["method", "answers (req/s)", "above what fails", "more than 1 req/s below what holds"], rows)

ranges.append((min(answers), statistics.median(answers), max(answers)))
chart.ranges(study.folder / "figures" / "careless.svg", f"Answers of {len(SEEDS)} seeds: all of them, and the median", "largest rate (req/s)",
             ["100\nrequests", "300\nrequests", "1,000\nrequests", "10,000\nrequests", "1,000 at equal\ndistances"], [("", ranges)],
             band=(low, high, "kendall capacity: holds below, fails above"))

study.heading("What a closed loop answers")
rows = []
for clients in (16, 32, 48, 64):
    run = study.json("run", "chat.toml", "--replications", "5", "--set",
                     f'workload.arrivals={{ process = "closed_loop", concurrency = {clients} }}')
    cells = [run[name] for name in ("request_throughput", "p99_ttft_ms")]
    rows.append([clients, *(f"{digits(cell['mean'])} +- {digits(cell['half_width'])}" for cell in cells)])
study.table(["clients", "throughput (req/s)", "p99 TTFT (ms)"], rows)
study.write()
