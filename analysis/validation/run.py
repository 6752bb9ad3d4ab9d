"""Rebuilds every table of errors: kernels, whole steps, servers never measured, servers calibrated on part of their data.

usage: python3 analysis/validation/run.py MEASURED

MEASURED is the folder of measured data (`e2e_measured.csv`, `peer_predictions.csv`, `requests/`, `step_times/`), which is not part of
this project. `KENDALL` and `ROOFLINE` name the programs; without them, release builds of this repository are made and used.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from study import ROOT, Study, program  # noqa: E402

# What each profile was not shown: `analysis/profiles/rebuild.sh` fits the other stages of its servers.
HELD_OUT = [
    ("h100-llama-2-7b-tp1-codegen", "1"),
    ("h100-llama-2-7b-tp1-general", "0"),
    ("h100-llama-2-7b-tp1-general", "1"),
    ("h100-llama-2-7b-tp1-reasoning", "0"),
    ("h100-codellama-34b-tp2-general", "1"),
    ("h100-llama-2-70b-tp4-general", "1"),
    ("h100-qwen3-14b-rate-agg-6rps-vanilla", "0"),
    ("h100-qwen3-14b-tenants-1T-agg-2rps-vanilla", "0"),
    ("h100-qwen3-14b-w5-agg18", "0"),
    *((f"ee384s-a10g-B64-g0.9-r{rate}", "0") for rate in ("0.5", 1, 2, 3, 4, 5, 6, 8)),
]
# Metric, title, largest median that the project allows itself (%).
CALIBRATED = [
    ("ttft_mean", "TTFT mean", 10),
    ("ttft_p99", "TTFT p99", 20),
    ("tpot_mean", "TPOT mean", 4),
    ("e2e_mean", "E2E mean", 4),
    ("throughput_rps", "throughput", 2),
]
OVERLOADED = ["h100-llama-2-7b-tp1-reasoning", "llmservingsim-rtx4090-llama-3.1-8b", "h100-qwen3-14b-w5-agg18"]
PEER = "blis-trained-physics"


def roofline():
    """The path of the program that fits and reports the roofline."""
    given = os.environ.get("ROOFLINE")
    if given:
        return given
    package = "kendall-roofline-validation"
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", package], cwd=ROOT, check=True)
    return str(pathlib.Path(program()).with_name(package))


def percent(value):
    return "" if value is None else f"{value:+.1f} %"


def rows_by_name(validation):
    """Rows of `kendall validate --json` by experiment and stage."""
    return {(row["experiment"], row["stage"]): row for row in validation["rows"]}


def error(row, metric):
    return row["metrics"].get(metric, {}).get("error_pct")


def calibrated(study, measured, folder):
    """Fits profiles to part of the requests, and reports the rest."""
    script = ROOT / "analysis" / "profiles" / "rebuild.sh"
    done = subprocess.run([script, measured, study.kendall, folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{script}: {done.stderr}")
    profiles = sorted(pathlib.Path(folder).glob("*-tp[0-9].toml"))
    options = [word for profile in profiles for word in ("--profile", str(profile))]
    rows = rows_by_name(study.json_of("validate", f"{measured}/e2e_measured.csv", *options))
    held_out = [rows[name] for name in HELD_OUT]
    study.heading("Calibrated: held-out rows of servers whose other rows were fitted")
    study.text(f"Fitted by `analysis/profiles/rebuild.sh`, {len(profiles)} profiles; simulated by `kendall validate --profile ...`.")
    table = [
        [row["experiment"], row["stage"], row["step_time"].split("(")[0].strip(), *(percent(error(row, metric)) for metric, *_ in CALIBRATED)]
        for row in held_out
    ]
    medians, verdicts = ["**median absolute error**", "", ""], ["allowed", "", ""]
    for metric, _, most in CALIBRATED:
        found = statistics.median(abs(e) for row in held_out if (e := error(row, metric)) is not None)
        medians.append(f"**{found:.1f} %**")
        verdicts.append(f"{most} %: {'kept' if found <= most else 'MISSED'}")
    study.table(["server", "stage", "step time", *(title for _, title, _ in CALIBRATED)], [*table, medians, verdicts])
    return rows


def overloaded(study, rows):
    """Servers that cannot carry their load."""
    study.heading("Overloaded and KV-bound servers: predicted (measured), error")
    table = []
    for name in OVERLOADED:
        row = rows[name, "0"]
        cells = []
        for metric, scale, digits in [("completed", 1, 0), ("preemptions", 1, 0), ("ttft_mean", 1, 1), ("tpot_mean", 1e3, 1), ("throughput_rps", 1, 2)]:
            figure = row["metrics"].get(metric, {})
            measured = figure.get("measured")
            was = "not measured" if measured is None else f"{measured * scale:.{digits}f}"
            cells.append(f"{figure['predicted'] * scale:.{digits}f} ({was}) {percent(figure.get('error_pct'))}".rstrip())
        table.append([name, *cells])
    study.table(["server", "answered", "preemptions", "TTFT mean (s)", "TPOT mean (ms)", "req/s"], table)


def beside_peer(study, validation):
    """Every figure that the best published simulator predicted too."""
    study.heading(f"Beside {PEER}: absolute errors on every row that both predicted")
    table, nearer = [], 0
    for row in validation["rows"]:
        for metric, figure in row["metrics"].items():
            its, measured = figure.get("peers", {}).get(PEER), figure.get("measured")
            if its is None or not measured:
                continue
            ours, theirs = abs(figure["error_pct"]), abs(100 * (its / measured - 1))
            nearer += ours < theirs
            table.append([row["gpu"], row["experiment"], row["stage"], metric, f"{ours:.1f} %", f"{theirs:.1f} %", "kendall" if ours < theirs else PEER])
    study.table(["GPU", "server", "stage", "figure", "kendall", PEER, "nearer"], table)
    study.text(f"kendall is nearer in {nearer} of {len(table)}.")


class Tables(Study):
    """A study whose command may run anywhere."""

    def json_of(self, *args):
        return json.loads(self.run(*args, "--json"))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    measured = str(pathlib.Path(sys.argv[1]).resolve())
    study = Tables(__file__)
    study.lines = ["# Errors against measured servers", "", "Made by `python3 analysis/validation/run.py MEASURED`."]
    with tempfile.TemporaryDirectory() as folder:
        rows = calibrated(study, measured, folder)
    overloaded(study, rows)
    summary = json.loads(study.run("validate", f"{measured}/e2e_measured.csv", "--step-time", "roofline", "--json"))
    beside_peer(study, summary)
    study.heading("All rows with the roofline alone: median, mean absolute error in % (rows)")
    lines = {}
    for line in summary["summary"]:
        lines.setdefault(line["group"], {})[line["metric"]] = f"{line['median_ape']:.1f}, {line['mean_ape']:.1f} ({line['n']})"
    metrics = [metric for metric, *_ in CALIBRATED]
    study.table(["group", *(title for _, title, _ in CALIBRATED)], [[group, *(of.get(metric, "") for metric in metrics)] for group, of in lines.items()])
    skipped = {}
    for row in summary["rows"]:
        if reason := row.get("reason"):
            skipped.setdefault(reason, []).append(row["experiment"])
    study.heading("Rows that are not simulated")
    study.table(["rows", "why"], [[len(names), why] for why, names in skipped.items()])
    study.heading("Kernels, whole steps, and each model left out of the fit")
    report = subprocess.run([roofline(), measured], capture_output=True, text=True, check=True)
    study.lines += [report.stdout.rstrip(), ""]
    study.write()
    print(study.folder / "results.md")


if __name__ == "__main__":
    main()
