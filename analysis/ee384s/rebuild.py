#!/usr/bin/env python3
"""Rebuilds the tables and figures of the EE384S comparison: see README.md.

    python3 analysis/ee384s/rebuild.py OUT [--reference reserve_stationary_48.csv]

Needs a release build (`cargo build --release -p kendall` and the examples of kendall-theory); nothing but Python's own library.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "scenarios" / "quickstart.toml"

# The grid of the study's measured sweep: rates, max_num_seqs, gpu_memory_utilization.
RATES = [0.5, 1, 2, 3, 4, 5, 6, 8]
SEATS = [16, 32, 64, 128]
UTILIZATIONS = [0.3, 0.9]
FIGURES = ["mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "request_throughput"]


def cargo(*args):
    """Runs an example of kendall-theory, or the program itself, from the release build."""
    command = ["cargo", "run", "--quiet", "--release", *args]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def kendall(*args):
    return cargo("-p", "kendall", "--", *args)


def example(name, *args):
    return cargo("-p", "kendall-theory", "--example", name, "--", *args)


def a10g_sweep(out):
    """Theory and simulation on the 64 rows of the A10G sweep."""
    rows = []
    for seats in SEATS:
        for utilization in UTILIZATIONS:
            for rate in RATES:
                text = kendall(
                    "predict", str(SCENARIO), "--json", "--quiet", "--replications", "3",
                    "--set", f"workload.arrivals.rate_per_s={rate}", "--set", f"server.max_num_seqs={seats}",
                    "--set", f"server.gpu_memory_utilization={utilization}")
                found = json.loads(text)
                row = {"max_num_seqs": seats, "gpu_memory_utilization": utilization, "rate_per_s": rate,
                       "load": found["boundary"]["load"]}
                for figure in FIGURES:
                    entry = found["figures"].get(figure)
                    if entry is None:
                        continue
                    model, value = next((m, v) for m, v in entry["models"].items() if v["value"] is not None)
                    row |= {figure: entry["simulated"]["mean"], f"{figure}_half_width": entry["simulated"]["half_width"],
                            f"{figure}_theory": value["value"], f"{figure}_error": value["relative_error"], "model": model}
                rows.append(row)
    write(out / "a10g_64.csv", rows)
    return {figure: errors([row.get(f"{figure}_error") for row in rows]) for figure in FIGURES}


def errors(values):
    """Mean and largest absolute error, and how many there are."""
    known = [abs(value) for value in values if value is not None]
    return {"rows": len(known), "mean": sum(known) / len(known), "largest": max(known)}


def write(path, rows):
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def kv_budget(out):
    """Where p99 TTFT turns as the KV budget grows, with the standard error of the turn."""
    (out / "kv_budget.csv").write_text(example("kv_budget", "400000"))
    turns = []
    with open(out / "kv_budget.csv") as file:
        rows = [{key: value for key, value in row.items()} for row in csv.DictReader(file)]
    for load in dict.fromkeys((row["rate_per_s"], row["batch"]) for row in rows):
        cells = [row for row in rows if (row["rate_per_s"], row["batch"]) == load]
        top = max(cells, key=lambda row: float(row["p99_ttft_s"]))
        last = cells[-1]
        theory = max(cells, key=lambda row: float(row["theory_p99_ttft_s"]))
        fall = float(top["p99_ttft_s"]) - float(last["p99_ttft_s"])
        noise = (float(top["p99_se_s"]) ** 2 + float(last["p99_se_s"]) ** 2) ** 0.5
        turns.append({"rate_per_s": load[0], "batch": load[1], "highest_at_kv_tokens": top["kv_tokens"],
                      "p99_s": top["p99_ttft_s"], "p99_at_largest_s": last["p99_ttft_s"], "fall_s": round(fall, 4),
                      "standard_error_s": round(noise, 4), "theory_highest_at_kv_tokens": theory["kv_tokens"]})
    write(out / "kv_turns.csv", turns)
    return turns


def kv_paged(out):
    """p99 TTFT of the paged engine against its KV blocks, at a fixed rate."""
    rows = []
    for blocks in [300, 350, 400, 450, 500, 600, 800, 1200, 2400]:
        text = kendall(
            "predict", str(ROOT / "scenarios" / "kv-starved.toml"), "--json", "--quiet", "--replications", "5",
            "--set", f"server.num_gpu_blocks={blocks}", "--set", "server.enable_prefix_caching=false",
            "--set", "workload.arrivals.rate_per_s=4", "--set", "workload.requests=20000")
        found = json.loads(text)
        entry = found["figures"]["p99_ttft_ms"]
        model, value = next((m, v) for m, v in entry["models"].items() if v["value"] is not None)
        rows.append({"num_gpu_blocks": blocks, "load": found["boundary"]["load"], "p99_ttft_ms": entry["simulated"]["mean"],
                     "half_width": entry["simulated"]["half_width"], "model": model, "theory": value["value"]})
    write(out / "kv_paged.csv", rows)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--reference", type=pathlib.Path, help="reserve_stationary_48.csv")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    summary = {"a10g_64": a10g_sweep(args.out), "kv_turns": kv_budget(args.out), "kv_paged": kv_paged(args.out)}
    kendall("predict", str(SCENARIO), "--quiet", "--sweep", "--replications", "5", "--out", str(args.out / "load"))
    kendall("predict", "--ladder", "--quiet", "--replications", "20", "--out", str(args.out / "ladder"))
    (args.out / "admission.csv").write_text(example("admission_policies", str(args.out / "admission_policy.csv")))
    if args.reference and args.reference.exists():
        (args.out / "loss_48.txt").write_text(example("reserve_cells", str(args.reference)))
    else:
        print("skipped: the 48 cells; name reserve_stationary_48.csv with --reference", file=sys.stderr)
    (args.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
