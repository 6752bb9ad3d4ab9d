#!/usr/bin/env python3
"""Fits base, prefill and front-end coefficients of the A10G profile to measured servers, through kendall itself.

usage: fit_a10g_serving.py MEASURED_DIR KENDALL_BINARY

Needs nothing but Python 3. See README.md beside this file.
"""

import csv
import pathlib
import subprocess
import sys
import tempfile

PER_DECODE_SEQ_PS = 64_417_158  # fit_a10g.py
PER_CONTEXT_TOKEN_PS = 59_733  # 28672 B at 0.8 of 600 GB/s
PER_PREFILL_ATTENTION_PS = 2_048  # 28 layers * 12 heads * 128 * 2 flop at 0.6 of 70 TFLOPS
TEMPLATE_TOKENS = 29  # the chat template, shared by all prompts
IDLE_S = 100  # between two rates of one server


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


class Server:
    """One measured server: its rows at ascending rates, replayed one after another with a cache that stays."""

    def __init__(self, kendall, rows, requests):
        self.kendall, self.rows = kendall, sorted(rows, key=lambda row: float(row["rate_rps"]))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fit-a10g-"))
        lines, start, self.starts = ["arrival_s,prompt_tokens,output_tokens,prompt_id,prefix_group,prefix_tokens"], 0.0, []
        for row in self.rows:
            self.starts.append(start)
            rate = float(row["rate_rps"])
            for q in requests:
                arrival = start + float(q["arrival_unit_rate_s"]) / rate
                lines.append(f"{arrival:.9f},{q['prompt_tokens']},{q['output_tokens']},{q['index']},template,{TEMPLATE_TOKENS}")
            start += len(requests) / rate + IDLE_S
        self.n = len(requests)
        (self.folder / "trace.csv").write_text("\n".join(lines) + "\n")
        (self.folder / "scenario.toml").write_text(
            '[workload]\ntrace = { path = "trace.csv" }\n[server]\ngpu = "A10G"\nmodel = "Qwen/Qwen2.5-1.5B-Instruct"\n'
            f'engine_version = "0.22"\nmax_model_len = 2048\nmax_num_batched_tokens = 2048\n'
            f'max_num_seqs = {rows[0]["max_num_seqs"]}\nnum_gpu_blocks = {rows[0]["kv_blocks"]}\n'
        )

    def replay(self, base_us, per_prefill_token_us, front_end_ms):
        step_time = (
            f"server.step_time={{ model = 'linear', base_ps = {round(base_us * 1e6)}, "
            f"per_prefill_token_ps = {round(per_prefill_token_us * 1e6)}, "
            f"per_prefill_context_token_ps = {PER_CONTEXT_TOKEN_PS}, per_prefill_attention_ps = {PER_PREFILL_ATTENTION_PS}, "
            f"per_decode_seq_ps = {PER_DECODE_SEQ_PS}, per_decode_context_token_ps = {PER_CONTEXT_TOKEN_PS} }}"
        )
        out = self.folder / "out"
        command = [self.kendall, "run", self.folder / "scenario.toml", "--quiet", "--out", out, "--set", step_time]
        subprocess.run([*command, "--set", f"server.front_end_overhead_ms={front_end_ms}"], check=True, capture_output=True)
        records = sorted(read(out / "requests.csv"), key=lambda record: int(record["request"]))
        for i, (row, start) in enumerate(zip(self.rows, self.starts)):
            of_row = records[i * self.n : (i + 1) * self.n]
            ttft = sorted(float(record["ttft_s"]) for record in of_row)
            tpot = [float(record["tpot_s"]) for record in of_row if record["tpot_s"]]
            span = max(float(record["finish_s"]) for record in of_row) - start
            yield row, {
                "ttft_mean": sum(ttft) / self.n,
                "tpot_mean": sum(tpot) / len(tpot),
                "ttft_p99": ttft[int(0.99 * (self.n - 1))],
                "throughput_rps": self.n / span,
            }


def loss(server, parameters):
    """Weighted squares of relative errors; TPOT is measured best and counts most."""
    if min(parameters) < 0:
        return float("inf")
    weights = {"ttft_mean": 1.0, "tpot_mean": 4.0, "ttft_p99": 0.25}
    return sum(
        weight * (simulated[metric] / float(row[metric]) - 1) ** 2
        for row, simulated in server.replay(*parameters)
        for metric, weight in weights.items()
    )


def nelder_mead(f, start, steps, iterations):
    """Minimises f by the simplex method of Nelder and Mead (Computer Journal 7, 1965)."""
    n = len(start)
    simplex = [start] + [[x + steps[i] * (i == j) for j, x in enumerate(start)] for i in range(n)]
    points = [(f(x), x) for x in simplex]
    for _ in range(iterations):
        points.sort(key=lambda point: point[0])
        worst = points[-1][1]
        centre = [sum(x[j] for _, x in points[:-1]) / n for j in range(n)]
        towards = lambda factor: [c + factor * (c - w) for c, w in zip(centre, worst)]
        reflected = towards(1.0)
        value = f(reflected)
        if value < points[0][0]:
            expanded = towards(2.0)
            points[-1] = min((f(expanded), expanded), (value, reflected))
        elif value < points[-2][0]:
            points[-1] = (value, reflected)
        else:
            contracted = towards(-0.5)
            value = f(contracted)
            if value < points[-1][0]:
                points[-1] = (value, contracted)
            else:
                best = points[0][1]
                halfway = [[(b + x) / 2 for b, x in zip(best, point)] for _, point in points[1:]]
                points[1:] = [(f(x), x) for x in halfway]
    return min(points)


def main(measured, kendall):
    measured = pathlib.Path(measured)
    rows = [row for row in read(measured / "e2e_measured.csv") if row["source"] == "EE384S"]
    requests = read(measured / "requests" / "ee384s_a10g_sharegpt300.csv")
    servers = {seqs: Server(kendall, [row for row in rows if row["max_num_seqs"] == seqs], requests) for seqs in ("128", "64")}
    value, parameters = nelder_mead(lambda x: loss(servers["128"], x), [7849.0, 62.7, 8.0], [100.0, -8.0, 2.0], 50)
    print("base_us {:.3f}  per_prefill_token_us {:.3f}  front_end_ms {:.2f}  loss {:.4f}".format(*parameters, value))
    for title, seqs in (("fitted", "128"), ("held out, warm cache from the second rate on", "64")):
        print(title)
        for row, simulated in servers[seqs].replay(*parameters):
            errors = "  ".join(f"{metric} {100 * (value / float(row[metric]) - 1):+6.2f} %" for metric, value in simulated.items())
            print(f"  {float(row['rate_rps']):4} req/s  {errors}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
