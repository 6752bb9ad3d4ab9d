#!/usr/bin/env python3
"""Rebuilds results.md and figures/ of the EE384S comparison.

    python3 analysis/ee384s/rebuild.py [--reference reserve_stationary_48.csv] [--out DIR]

`--reference` is the precise simulation of the study's 48 cells, which is not part of this project; `--out` keeps tables as CSV.
"""

import argparse
import csv
import io
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import admission
import chart
from study import ROOT, Study, digits

# The grid of the study's measured sweep: rates, max_num_seqs, gpu_memory_utilization.
RATES = [0.5, 1, 2, 3, 4, 5, 6, 8]
SEATS = [16, 32, 64, 128]
UTILIZATIONS = [0.3, 0.9]
COMPARED = ["mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "request_throughput"]
# Blocks of the paged engine, and the arrivals (req/s) at which its tail is shown against them.
BLOCKS = [300, 350, 400, 450, 500, 600, 800, 1200, 2400]
KV_RATE = 4
# Mean relative errors that the study's note gives for its best model, against the same precise simulation.
PUBLISHED = {"mean_ttft": 0.133, "p50": 0.098, "p95": 0.402, "p99": 0.448, "goodput": 0.044, "blocking": 0.353}


def example(name, *args):
    """Standard output of an example of kendall-theory, from the release build."""
    command = ["cargo", "run", "--quiet", "--release", "-p", "kendall-theory", "--example", name, "--", *args]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def predicted(found, figure):
    """A figure of `kendall predict`: simulated mean, half-width, theory of the model named best, its error."""
    entry = found["figures"].get(figure)
    if entry is None or found["best_model"] is None:
        return None
    theory = entry["models"][found["best_model"]]
    return entry["simulated"]["mean"], entry["simulated"]["half_width"], theory["value"], theory["relative_error"]


def percent(error):
    return "-" if error is None else f"{100 * error:+.1f}"


def keep(out, name, header, rows):
    if out:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        (out / name).write_text(text.getvalue())


def loss_48(study, reference):
    study.heading("48 cells of the loss system")
    if not (reference and reference.exists()):
        study.text("Not made: `--reference` names the precise simulation.")
        return
    text = example("reserve_cells", str(reference), "best")
    labels = ["mean_ttft", "p50", "p95", "p99", "goodput", "blocking"]
    values = {}
    for line in text.splitlines():
        for which in ("mean", "max"):
            if f"{which} |" in line and line.strip().startswith("set"):
                values[which] = line.split("|")[1].split()
    rows = [["best model, mean", *values["mean"]], ["best model, largest", *values["max"]],
            ["the study's best, mean", *(f"{100 * PUBLISHED[label]:.1f}" for label in labels)]]
    study.text("Absolute relative errors in % against 16 million simulated requests a cell; blocking where it is at least 1 %.")
    study.table(["", "mean TTFT", "p50", "p95", "p99", "throughput", "blocking"], rows)
    study.text("")
    study.text(f"`cargo run --release -p kendall-theory --example reserve_cells` prints every cell; {text.split(chr(10))[-3]}.")


def a10g(study, out):
    study.heading("Paged engine on an A10G: 64 rows")
    rows, errors = [], {name: [] for name in COMPARED}
    for seats in SEATS:
        for utilization in UTILIZATIONS:
            for rate in RATES:
                found = study.json(
                    "predict", str(ROOT / "scenarios" / "quickstart.toml"), "--replications", "3",
                    "--set", f"workload.arrivals.rate_per_s={rate}", "--set", f"server.max_num_seqs={seats}",
                    "--set", f"server.gpu_memory_utilization={utilization}")
                row = [seats, utilization, rate, f"{found['boundary']['load']:.2f}", found["best_model"]]
                for name in COMPARED:
                    value = predicted(found, name)
                    if value:
                        errors[name].append(abs(value[3]))
                        row += [digits(value[0]), digits(value[1]), digits(value[2])]
                rows.append(row)
    header = ["max_num_seqs", "gpu_memory_utilization", "rate", "load", "model"]
    header += [f"{name} {part}" for name in COMPARED for part in ("simulated", "half-width", "theory")]
    keep(out, "a10g_64.csv", header, rows)
    study.text("8 rates (0.5 to 8 req/s), 4 `max_num_seqs` (16 to 128), 2 shares of memory (0.3, 0.9), quick-start lengths; three runs "
               "of 20,000 requests each. Errors of theory against the simulation in %.")
    study.table(["figure", "rows", "mean", "largest"],
                [[name, len(found), f"{100 * sum(found) / len(found):.2f}", f"{100 * max(found):.2f}"]
                 for name, found in errors.items()])


def load_curves(study, out):
    study.heading("Against load")
    folder = out or study.folder / "out"
    study.run("predict", str(ROOT / "scenarios" / "quickstart.toml"), "--quiet", "--sweep", "--replications", "5", "--out",
              str(folder / "load"))
    for name in ("mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms"):
        (folder / "load" / f"{name}.svg").replace(study.folder / "figures" / f"load-{name}.svg")
    study.text("Quick start on an A10G: theory as curves, five simulated runs of 20,000 requests with intervals as points.")
    study.text("![p99 TTFT against load](figures/load-p99_ttft_ms.svg)")
    if not out:
        for file in (folder / "load").iterdir():
            file.unlink()
        (folder / "load").rmdir()
        folder.rmdir()


def ladder(study, out):
    study.heading("The ladder")
    found = study.json("predict", "--ladder", "--replications", "20")
    rows = []
    for rung in found["rungs"]:
        cells = [rung["rung"], rung["figures"]["mean_ttft_ms"]["model"]]
        for name in ("mean_ttft_ms", "p99_ttft_ms", "mean_e2el_ms", "blocking_probability"):
            entry = rung["figures"][name]
            if entry["relative_error"] is None:
                cells.append("-")
                continue
            simulated = entry["simulated"]
            cells.append(f"{percent(entry['relative_error'])} +- {100 * simulated['half_width'] / simulated['mean']:.1f}")
        rows.append([*cells, percent(rung["mm1_relative_error"])])
    study.text("One assumption falls after another; errors in % with the half-width of 20 simulated runs. Last, M/M/1 at the "
               "rung's capacity.")
    study.table(["assumption that falls", "model", "mean TTFT", "p99 TTFT", "mean E2E", "blocking", "M/M/1"], rows)
    keep(out, "ladder.csv", ["rung", "model", "mean_ttft", "p99_ttft", "mean_e2el", "blocking", "mm1"], rows)


def kv_and_tail(study, out):
    study.heading("KV and the tail of TTFT")
    rows = list(csv.DictReader(io.StringIO(example("kv_budget", "400000"))))
    series = []
    for rate, batch in dict.fromkeys((row["rate_per_s"], row["batch"]) for row in rows):
        cells = [row for row in rows if (row["rate_per_s"], row["batch"]) == (rate, batch)]
        name = f"{rate} req/s, B = {batch}"
        series.append((name, [(int(row["kv_tokens"]), float(row["p99_ttft_s"]), 1.96 * float(row["p99_se_s"])) for row in cells]))
        series.append((f"{name}, theory", [(int(row["kv_tokens"]), float(row["theory_p99_ttft_s"]), None) for row in cells]))
    chart.lines(study.folder / "figures" / "kv-loss.svg", "Loss system: p99 TTFT (s) against its KV budget", "KV (tokens)",
                "p99 TTFT (s)", series, log=True, log_x=True)
    keep(out, "kv_budget.csv", list(rows[0]), [list(row.values()) for row in rows])
    turns = []
    for name, line in series[::2]:
        top, last = max(line, key=lambda point: point[1]), line[-1]
        noise = (top[2] ** 2 + last[2] ** 2) ** 0.5
        turns.append([name, f"{line[0][1]:.2f}", f"{top[1]:.2f} +- {top[2]:.2f} at {top[0]:,}", f"{last[1]:.2f} +- {last[2]:.2f}",
                      "yes" if top[1] - last[1] > noise else "no"])
    study.text("Loss system, where what does not fit is lost; 400,000 simulated requests a point.")
    study.table(["load", "p99 (s) at 1,536", "highest", "at 32,768", "falls again beyond the interval"], turns)
    study.text("")
    study.text("![p99 TTFT of the loss system against KV](figures/kv-loss.svg)")
    kv_paged(study, out)


def kv_paged(study, out):
    simulated, theory, rows = [], [], []
    for blocks in BLOCKS:
        found = study.json(
            "predict", str(ROOT / "scenarios" / "kv-starved.toml"), "--replications", "5",
            "--set", f"server.num_gpu_blocks={blocks}", "--set", "server.enable_prefix_caching=false",
            "--set", f"workload.arrivals.rate_per_s={KV_RATE}", "--set", "workload.requests=20000")
        mean, half, value, error = predicted(found, "p99_ttft_ms")
        simulated.append((blocks, mean, half))
        theory.append((blocks, value, None))
        rows.append([blocks, f"{found['boundary']['load']:.2f}", found["best_model"], f"{digits(mean)} +- {digits(half)}",
                     digits(value), percent(error)])
    chart.lines(study.folder / "figures" / "kv-paged.svg", "Paged engine: p99 TTFT (ms) against its KV blocks", "KV blocks",
                "p99 TTFT (ms)", [("simulated", simulated), ("theory", theory)], log=True, log_x=True)
    study.text(f"Paged engine, where nobody is turned away: `scenarios/kv-starved.toml` without prefix caching at {KV_RATE} req/s, five "
               "runs of 20,000 requests.")
    study.table(["KV blocks", "load", "model", "p99 TTFT (ms)", "theory", "error (%)"], rows)
    keep(out, "kv_paged.csv", ["blocks", "load", "model", "p99_ttft_ms", "theory", "error"], rows)
    study.text("")
    study.text("![p99 TTFT of the paged engine against KV](figures/kv-paged.svg)")


def rules_of_admission(study, out):
    study.heading("Rules of admission")
    found = admission.compare(study)

    def cell_of(entry, scale=1.0, places=4):
        return f"{entry['mean'] * scale:.{places}f} +- {entry['half_width'] * scale:.{places}f}"

    rows = []
    for (rate, batch, kv, limit_ms), rule, figures in found:
        rows.append([f"{rate:g}, {batch}, {kv:,}, {limit_ms:,}", rule, cell_of(figures["blocking_probability"]),
                     cell_of(figures["mean_ttft_ms"], 1e-3, 3), cell_of(figures["p99_ttft_ms"], 1e-3, 3),
                     cell_of(figures["request_goodput"], 1, 3)])
    header = ["cell (req/s, B, K, limit in ms)", "rule", "blocking", "mean TTFT (s)", "p99 TTFT (s)", "in time (req/s)"]
    keep(out, "admission.csv", header, rows)
    study.text(f"`kendall theory admission` solves and exports the table, `kendall run` plays it. All rules at the blocking that the decision "
               f"process has at a rejection cost of {admission.COST} good requests; {admission.REPLICATIONS} runs of "
               f"{admission.REQUESTS:,} arrivals, half-widths at 95 %.")
    study.table(header, rows)
    study.text("")
    points = admission.frontiers(study)
    for number, cell in enumerate(admission.CELLS):
        series = [(rule, sorted((round(figures["blocking_probability"]["mean"], 3), figures["p99_ttft_ms"]["mean"] / 1e3,
                                 figures["p99_ttft_ms"]["half_width"] / 1e3)
                                for at, of, figures in points if at == cell and of == rule)) for rule in admission.RULES]
        chart.lines(study.folder / "figures" / f"admission-{number}.svg",
                    f"p99 TTFT (s) against blocking: {cell[0]:g} req/s, B = {cell[1]}, K = {cell[2]:,}", "blocking probability",
                    "p99 TTFT (s)", series, log=True)
        study.text(f"![p99 TTFT against blocking, cell {number}](figures/admission-{number}.svg)")
    study.text(f"The figures show each rule at other costs, prices and shares, {admission.FEW} runs a point.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=pathlib.Path, help="reserve_stationary_48.csv")
    parser.add_argument("--out", type=pathlib.Path, help="folder for tables as CSV")
    args = parser.parse_args()
    study = Study(__file__)
    study.lines[2] = study.lines[2].replace("run.py", "rebuild.py")
    (study.folder / "figures").mkdir(exist_ok=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    loss_48(study, args.reference)
    a10g(study, args.out)
    load_curves(study, args.out)
    ladder(study, args.out)
    kv_and_tail(study, args.out)
    rules_of_admission(study, args.out)
    study.write()


if __name__ == "__main__":
    main()
