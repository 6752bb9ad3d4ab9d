"""Rules of admission in the simulator, at equal blocking and as a frontier of blocking and p99 TTFT.

A rule is a scenario of the engine `reserve` and the share of arrivals that are turned away by a coin: a thinned Poisson stream is
a Poisson stream, so thinning is a lower rate (and as much fewer requests). Blocking counts the coin's victims too.
"""

import pathlib
import tempfile

SCENARIO = """# One cell of the EE384S study's loss system.
[workload]
requests = {requests}
arrivals = {{ process = "poisson", rate_per_s = {rate} }}
prompt_tokens = {{ dist = "lognormal", median = 256, sigma = 0.55 }}
output_tokens = {{ dist = "lognormal", median = 128, sigma = 0.70 }}

[server]
engine = "reserve"
step_time = {{ model = "curve" }}
{order}

[server.reserve]
max_batch_size = {batch}
kv_tokens = {kv}
{door}

[slo]
goodput = {{ ttft_ms = {limit_ms} }}
"""

# Arrivals (req/s), largest batch, KV (tokens), limit on the time to first token (ms).
CELLS = [(3.0, 4, 16_384, 2_000), (5.0, 8, 8_192, 1_000)]
REQUESTS, REPLICATIONS, FEW = 40_000, 20, 4
# Cost of a rejection, in good requests, at which rules are compared at equal blocking.
COST = 0.25
# Points of the frontier: costs of a rejection, prices of the KV cache, shares that a coin turns away.
COSTS, PRICES, SHARES = [0, 0.1, 0.25, 0.5, 1, 2], [4, 6, 8, 12, 16], [0, 0.03, 0.06, 0.1, 0.15, 0.2]
FIGURES = ["mean_ttft_ms", "p99_ttft_ms", "request_goodput"]
RULES = ["decision process", "one-step rule", "FCFS, random rejection", "shortest first, random rej."]


class Cell:
    """One cell: runs rules in it."""

    def __init__(self, study, folder, cell):
        self.study, self.folder, self.cell = study, pathlib.Path(folder), cell

    def scenario(self, thin=0.0, table=None, order=None):
        rate, batch, kv, limit_ms = self.cell
        text = SCENARIO.format(
            requests=round(REQUESTS * (1 - thin)), rate=rate * (1 - thin), batch=batch, kv=kv, limit_ms=limit_ms,
            order=f'queue_order = "{order}"' if order else "",
            door=f'[server.admission]\npolicy_table = "{table}"' if table else "")
        path = self.folder / "cell.toml"
        path.write_text(text)
        return str(path)

    def table(self, name, *options):
        """Exports a table of the admission process, solved for all arrivals."""
        self.study.run("theory", "admission", self.scenario(), "--out", str(self.folder / name), *options)
        return name

    def run(self, replications, thin=0.0, **rule):
        """Blocking and figures, each with mean and half-width."""
        found = self.study.json("run", self.scenario(thin, **rule), "--replications", str(replications))
        lost = found["blocking_probability"]
        blocking = {"mean": thin + (1 - thin) * lost["mean"], "half_width": (1 - thin) * lost["half_width"]}
        return {"blocking_probability": blocking} | {name: found[name] for name in FIGURES}

    def thinned(self, goal, **rule):
        """The share of arrivals to turn away so that blocking is the goal."""
        return rising(goal, 0.0, 1.0, lambda thin: self.run(FEW, thin, **rule)["blocking_probability"]["mean"])

    def one_step(self, goal):
        """The one-step rule: the price that comes closest from below, thinned to the goal."""
        def at(price):
            table = self.table("one-step.csv", "--one-step", str(price))
            return self.run(FEW, table=table)["blocking_probability"]["mean"]

        self.table("one-step.csv", "--one-step", str(rising(goal, 0.0, 64.0, at)))
        thin = self.thinned(goal, table="one-step.csv")
        return self.run(REPLICATIONS, thin, table="one-step.csv")

    def equal_blocking(self, cost):
        """All rules at the blocking that the decision process has at this cost of a rejection."""
        table = self.table("policy.csv", "--rejection-cost", str(cost))
        best = self.run(REPLICATIONS, table=table)
        goal = self.run(FEW, table=table)["blocking_probability"]["mean"]
        found = [best, self.one_step(goal)]
        for rule in ({}, {"order": "oracle_srpt"}):
            found.append(self.run(REPLICATIONS, self.thinned(goal, **rule), **rule))
        return dict(zip(RULES, found, strict=True))


    def frontier(self):
        """(rule, figures) at the points of the frontier."""
        for cost in COSTS:
            table = self.table("policy.csv", "--rejection-cost", str(cost))
            yield RULES[0], self.run(FEW, table=table)
        for price in PRICES:
            table = self.table("one-step.csv", "--one-step", str(price))
            yield RULES[1], self.run(FEW, table=table)
        for share in SHARES:
            yield RULES[2], self.run(FEW, share)
            yield RULES[3], self.run(FEW, share, order="oracle_srpt")


def rising(goal, low, high, value, steps=9):
    """The largest argument found at which a rising function does not exceed the goal."""
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (low, middle) if value(middle) > goal else (middle, high)
    return low


def compare(study):
    """(cell, rule, figures) at equal blocking."""
    with tempfile.TemporaryDirectory() as folder:
        return [(cell, rule, figures) for cell in CELLS
                for rule, figures in Cell(study, folder, cell).equal_blocking(COST).items()]


def frontiers(study):
    """(cell, rule, figures) of the frontiers."""
    with tempfile.TemporaryDirectory() as folder:
        return [(cell, rule, figures) for cell in CELLS for rule, figures in Cell(study, folder, cell).frontier()]
