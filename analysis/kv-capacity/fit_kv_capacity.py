#!/usr/bin/env python3
"""Fits the overhead model of kendall's KV capacity to what vLLM reported, and prints every row.

usage: fit_kv_capacity.py MEASURED_DIR

Needs nothing but Python 3. See README.md beside this file; the model is documented in
crates/serving/src/catalog/capacity.rs.
"""

import csv
import math
import pathlib
import sys

TOTAL_BYTES = {"A10G": 23_684_665_760, "H100-SXM-80GB": 81_090 * 2**20, "RTX4090-24GB": 25_250_627_584}
START = [300.0, 400.0, 50.0, 30.0]  # fixed MB, tensor parallel MB, bytes per logit before 0.16 and from then on


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def servers(measured):
    models = {row["model"]: row for row in read(measured / "models.csv")}
    models["meta-llama/Llama-3.1-8B"] = models["meta-llama/Llama-3.1-8B-Instruct"]
    for row in read(measured / "kv_capacity.csv"):
        model, tp = models[row["model"]], int(row["tp"])
        experts = int(model["experts_per_token"] or 0)
        width = float(model["moe_intermediate"] or 0) * experts if experts else float(model["intermediate"])
        # A quantised model, and servers whose figures contradict their neighbours: shown, not fitted.
        odd = "FP8" in row["model"] or row["gpu"] == "A10G" and row["gpu_mem_util"] == "0.3" or "Qwen3-14B" in row["model"]
        yield {
            "name": f"{row['gpu']:13} {row['model'].split('/')[1]:36} {row['engine_version']:7} tp{tp} "
            f"{float(row['gpu_mem_util']):.1f} {float(row['max_num_seqs']):4.0f} {float(row['max_num_batched_tokens']):5.0f}",
            "available": TOTAL_BYTES[row["gpu"]] * float(row["gpu_mem_util"]) - float(row["weights_gb_per_gpu"]) * 1e9,
            "block": float(model["kv_bytes_per_token_16bit"]) * 16 / tp,
            "blocks": float(row["kv_blocks"]),
            "tp": tp,
            "seqs": float(row["max_num_seqs"]),
            "tokens": float(row["max_num_batched_tokens"]),
            "hidden": float(model["hidden"]),
            "width": width,
            "vocab": float(model["vocab"]),
            "new": int(row["engine_version"].split(".")[1]) >= 16,
            "fitted": not odd,
        }


def predict(server, parameters):
    fixed, tensor_parallel, logit_old, logit_new = parameters
    tokens, hidden = server["tokens"], server["hidden"]
    forward = tokens * 2 * 3 * (hidden + server["width"] / server["tp"])
    logits = min(server["seqs"], tokens) * server["vocab"] * (logit_new if server["new"] else logit_old)
    sampler = logits + 2 * tokens * hidden * 2
    overhead = fixed * 1e6 + (tensor_parallel * 1e6 if server["tp"] > 1 else 0) + max(forward, sampler)
    return math.floor((server["available"] - overhead) / server["block"])


def error_percent(server, parameters):
    return 100 * (predict(server, parameters) / server["blocks"] - 1)


def loss(rows, parameters):
    """Robust: beyond half a per cent an error counts linearly."""
    return sum(math.sqrt(1 + (error_percent(row, parameters) / 0.5) ** 2) - 1 for row in rows if row["fitted"])


def pattern_search(f, x, step):
    """Tries each coordinate up and down, and halves the steps when nothing helps (Hooke and Jeeves, 1961)."""
    best = f(x)
    while max(step) > 0.05:
        improved = False
        for i in range(len(x)):
            for sign in (1, -1):
                trial = x[:i] + [x[i] + sign * step[i]] + x[i + 1 :]
                value = f(trial)
                if value < best:
                    x, best, improved = trial, value, True
        if not improved:
            step = [s / 2 for s in step]
    return x


def main(measured):
    rows = list(servers(pathlib.Path(measured)))
    fitted = pattern_search(lambda x: loss(rows, x), START, [40.0, 40.0, 4.0, 4.0])
    print("fixed {:.0f} MB, tensor parallel {:.0f} MB, bytes per logit {:.1f} (to 0.15) and {:.1f}".format(*fitted))
    rounded = [310.0, 370.0, 46.0, 28.0]
    print("rows with the rounded constants in use; * not fitted")
    for row in rows:
        mark = " " if row["fitted"] else "*"
        print(f"{mark} {row['name']}  {row['blocks']:7.0f} {predict(row, rounded):7d} {error_percent(row, rounded):+7.2f} %")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
