#!/usr/bin/env python3
"""Fits the step-time coefficients of the profile `a10g-qwen2.5-1.5b-vllm0.22-tp1`.

    python3 analysis/profiles/fit_a10g.py MICROBENCH.csv [SUMMARY.csv]

MICROBENCH.csv holds one row per batch and step of a closed decode batch: decode_seqs, context_tokens_per_seq,
step_index, step_s_median. SUMMARY.csv holds, per batch, the first and the last TTFT of prompts sent together.
The measured files are not part of this repository; the coefficients are, in `crates/serving/src/catalog/profiles.toml`.

Decode, from data:    base and per_decode_seq, by least squares.
Decode, from physics: per_decode_context_token. The context spans 21..67 tokens only, so that its measured slope is noise.
Prefill, rough:       per_prefill_token, from the slope of the last TTFT on the batch. It includes the front end.

Each step's residual is weighted by the inverse of its duration, so that relative errors are minimised.
Pure Python: no dependency.
"""

import csv
import sys
from collections import defaultdict
from statistics import median

KV_BYTES_PER_TOKEN = 28_672  # 28 layers * 2 (K and V) * 2 heads * 128 * 2 bytes
BANDWIDTH_BYTES_PER_S = 600e9  # A10G datasheet
BANDWIDTH_EFFICIENCY = 0.8  # as in catalog/profile.rs
ACTIVE_PARAMS = 1.544e9
BF16_FLOP_PER_S = 70e12  # A10G, dense; low confidence
PROMPT_TOKENS = 21
OUTLIER_SHARE = 0.05  # a step further than this from its batch's median is dropped
PS = 1e12


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: number(value) for key, value in row.items()} for row in csv.DictReader(file)]


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


def solve(a, b):
    """Gauss-Jordan with pivoting: x of a x = b."""
    n = len(b)
    m = [row[:] + [value] for row, value in zip(a, b)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(m[r][i]))
        m[i], m[pivot] = m[pivot], m[i]
        m[i] = [value / m[i][i] for value in m[i]]
        for r in range(n):
            if r != i:
                m[r] = [x - m[r][i] * y for x, y in zip(m[r], m[i])]
    return [row[n] for row in m]


def least_squares(rows, y, weights):
    k = len(rows[0])
    a = [[sum(w * w * r[i] * r[j] for r, w in zip(rows, weights)) for j in range(k)] for i in range(k)]
    b = [sum(w * w * r[i] * t for r, t, w in zip(rows, y, weights)) for i in range(k)]
    return solve(a, b)


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def keep(steps):
    """Drops step 0 (its start is blurred by the prefill before it) and steps far from their batch's median."""
    later = [s for s in steps if s["step_index"] > 0]
    by_batch = defaultdict(list)
    for s in later:
        by_batch[s["decode_seqs"]].append(s["step_s_median"])
    centre = {batch: median(values) for batch, values in by_batch.items()}
    return [s for s in later if abs(s["step_s_median"] / centre[s["decode_seqs"]] - 1) <= OUTLIER_SHARE]


def report(name, kept, predict):
    y = [s["step_s_median"] for s in kept]
    mean = sum(y) / len(y)
    residual = [predict(s) - s["step_s_median"] for s in kept]
    r2 = 1 - sum(e * e for e in residual) / sum((v - mean) ** 2 for v in y)
    print(f"{name}: R^2 = {r2:.4f}")
    print("  batch  steps  measured ms  signed median %  |median| %  |p95| %  |max| %")
    groups = sorted({s["decode_seqs"] for s in kept}) + [None]
    for batch in groups:
        part = [(s, e) for s, e in zip(kept, residual) if batch in (None, s["decode_seqs"])]
        signed = [100 * e / s["step_s_median"] for s, e in part]
        size = [abs(value) for value in signed]
        label = "all" if batch is None else f"{batch:.0f}"
        centre = 1e3 * median(s["step_s_median"] for s, _ in part)
        print(f"  {label:>5}  {len(part):5d}  {centre:11.3f}  {median(signed):15.2f}  {median(size):10.2f}"
              f"  {quantile(size, 0.95):7.2f}  {max(size):7.2f}")


def fit_decode(path):
    steps = read(path)
    kept = keep(steps)
    print(f"decode: {len(steps)} steps, {len(kept)} kept, {len(steps) - len(kept)} dropped")
    context_s = KV_BYTES_PER_TOKEN / (BANDWIDTH_BYTES_PER_S * BANDWIDTH_EFFICIENCY)
    weights = [1 / s["step_s_median"] for s in kept]

    def context(s):
        return s["decode_seqs"] * s["context_tokens_per_seq"]

    y = [s["step_s_median"] - context_s * context(s) for s in kept]
    base, per_seq = least_squares([[1.0, s["decode_seqs"]] for s in kept], y, weights)
    print(f"base_ps                     {base * PS:.0f}   (data)")
    print(f"per_decode_seq_ps           {per_seq * PS:.0f}   (data)")
    print(f"per_decode_context_token_ps {context_s * PS:.0f}   (physics)")
    report("fit in use", kept, lambda s: base + per_seq * s["decode_seqs"] + context_s * context(s))

    free = least_squares([[1.0, s["decode_seqs"], context(s)] for s in kept], [s["step_s_median"] for s in kept], weights)
    print(f"for comparison, all three free: base {free[0] * PS:.0f}, per sequence {free[1] * PS:.0f}, "
          f"per context token {free[2] * PS:.0f} ps")
    report("all three free", kept,
           lambda s: free[0] + free[1] * s["decode_seqs"] + free[2] * context(s))


def fit_prefill(path):
    rows = read(path)
    # The batch of 16 met a stall of 0.1 s in its first step; the batch of 1 has one step where the others have two.
    used = [r for r in rows if r["batch"] not in (1, 16)]
    intercept, slope = least_squares([[1.0, r["batch"]] for r in used], [r["ttft_max_s"] for r in used], [1.0] * len(used))
    per_token = slope / PROMPT_TOKENS
    print(f"prefill: last TTFT = {1e3 * intercept:.2f} ms + {1e3 * slope:.3f} ms * batch, batches "
          f"{[int(r['batch']) for r in used]}")
    for r in used:
        error = 100 * ((intercept + slope * r["batch"]) / r["ttft_max_s"] - 1)
        print(f"  batch {r['batch']:.0f}: measured {1e3 * r['ttft_max_s']:.2f} ms, error {error:.1f} %")
    print(f"per_prefill_token_ps        {per_token * PS:.0f}   (data, upper bound: includes the front end)")
    share = 2 * ACTIVE_PARAMS / BF16_FLOP_PER_S / per_token
    print(f"  physics: {2 * ACTIVE_PARAMS / BF16_FLOP_PER_S * PS:.0f} ps at peak, so {100 * share:.0f} % of it")


def main(arguments):
    if len(arguments) not in (1, 2):
        sys.exit(__doc__)
    fit_decode(arguments[0])
    if len(arguments) == 2:
        fit_prefill(arguments[1])


if __name__ == "__main__":
    main(sys.argv[1:])
