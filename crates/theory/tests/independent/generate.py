"""Writes values.json: reference values at high load, large systems and far tails, by other methods than the crate's.

Alternating series and matrix exponentials at 50 to 400 digits (mpmath), exact enumeration, dense chains. Run
`pip install mpmath && python generate.py`; two minutes.
"""

import json
import math

from mpmath import (arg, binomial, exp, expm, factorial, floor, log, matrix, mp, mpf, ones, pi, quad, re, sqrt)

entries = []


def add(model, params, metric, value, tolerance=1e-9):
    entries.append({"id": f"{model}-{len(entries):03d}-{metric}", "model": model, "params": params, "metric": metric,
                    "value": float(value), "tolerance": tolerance})


def root_of_tail(tail, p, steps=150):
    if tail(mpf(0)) <= 1 - mpf(p):
        return mpf(0)
    low, high = mpf(0), mpf(1)
    while tail(high) > 1 - mpf(p):
        high *= 2
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > 1 - mpf(p) else (low, middle)
    return low


QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}


def mm1():
    for lam in (0.999, 0.9999, 1e-4):
        rho, params = mpf(lam), {"lambda": lam, "mu": 1}
        add("mm1", params, "wait_p99", max(mpf(0), log(rho / (1 - mpf("0.99"))) / (1 - rho)))
        add("mm1", params, "var_wait", rho * (2 - rho) / (1 - rho) ** 2)
        add("mm1", params, "Lq", rho**2 / (1 - rho))
        add("mm1", params | {"n": 40}, "P_N_eq_n", (1 - rho) * rho**40)


def erlang_b(a, c):
    blocking = mpf(1)
    for k in range(1, c + 1):
        blocking = a * blocking / (k + a * blocking)
    return blocking


def mmc():
    for lam, mu, c in ((2.0, 1, 3), (990.0, 1, 1000), (9990.0, 1.0, 10000), (3.0, 4.0, 1), (63.9, 1, 64), (0.01, 1, 5)):
        a, m = mpf(lam) / mpf(mu), mpf(mu)
        blocking = erlang_b(a, c)
        waits, slack = c * blocking / (c - a * (1 - blocking)), c * m - mpf(lam)
        params = {"lambda": lam, "mu": mu, "c": c}
        add("mmc", params, "P_wait", waits)
        add("mmc", params, "mean_wait", waits / slack)
        add("mmc", params, "var_wait", waits * (2 - waits) / slack**2)

        def tail(t):
            if slack == m:
                return (1 - waits) * exp(-m * t) + waits * (1 + m * t) * exp(-m * t)
            both = (slack * exp(-m * t) - m * exp(-slack * t)) / (slack - m)
            return (1 - waits) * exp(-m * t) + waits * both

        for name, p in QUANTILES.items():
            add("mmc", params, f"sojourn_{name}", root_of_tail(tail, p))


def erlang():
    for a, c in ((10000.0, 10100), (1.0, 30), (5000.0, 10), (0.3, 2)):
        add("erlang_b", {"a": a, "c": c}, "blocking", erlang_b(mpf(a), c))
    for a, target in ((1000.0, 0.01), (0.1, 1e-6), (3000.0, 1e-4)):
        c = 1
        while erlang_b(mpf(a), c) > mpf(target):
            c = c + 1 if a < 1 else max(c + 1, int(a * 0.9))
        add("erlang_b_dimension", {"a": a, "target": target}, "min_servers", c, 0)


def mmck():
    for lam, mu, c, places in ((100.0, 1.0, 90, 400), (50.0, 1.0, 10, 200), (0.5, 1, 2, 60), (5.0, 1, 4, 2000)):
        weights = [mpf(1)]
        for n in range(1, places + 1):
            weights.append(weights[-1] * mpf(lam) / (mpf(mu) * min(n, c)))
        total = sum(weights)
        p = [weight / total for weight in weights]
        params = {"lambda": lam, "mu": mu, "c": c, "K": places}
        add("mmck", params, "blocking", p[-1])
        add("mmck", params, "p0", p[0])
        add("mmck", params, "L", sum(n * x for n, x in enumerate(p)))
        waiting = sum((n - c) * x for n, x in enumerate(p) if n > c)
        add("mmck", params, "mean_wait_accepted", waiting / (mpf(lam) * (1 - p[-1])))
        longer, above = [mpf(0)] * (places - c), mpf(0)
        for n in range(places - 1, c - 1, -1):
            above += p[n] / (1 - p[-1])
            longer[n - c] = above

        def tail(t):
            term, result = exp(-c * mpf(mu) * t), mpf(0)
            for j, share in enumerate(longer):
                result += term * share
                term *= c * mpf(mu) * t / (j + 1)
            return result

        add("mmck", params | {"t": 1.0}, "P_wait_accepted_gt_t", tail(mpf(1)))
        for name, p_level in QUANTILES.items() if places <= 400 else ():
            add("mmck", params, f"wait_accepted_{name}", root_of_tail(tail, p_level, 60))


def deterministic():
    """Crommelin's alternating series."""
    mp.dps = 400
    for lam, t in ((0.99, 1.0), (0.99, 30.0), (0.99, 300.0), (0.9, 20.0), (0.2, 2.5), (0.999, 100.0)):
        rate, time = mpf(lam), mpf(t)
        terms = ((-rate * (time - k)) ** k / factorial(k) * exp(rate * (time - k)) for k in range(int(floor(time)) + 1))
        params = {"lambda": lam, "service": {"type": "deterministic", "value": 1.0}, "t": t}
        add("mg1_fcfs", params, "P_wait_gt_t", 1 - (1 - rate) * sum(terms))
    for lam, d in ((0.99, 1.0), (0.3, 2.5)):
        rho = mpf(lam) * mpf(d)
        for n in (2, 3, 20, 60):
            value = mpf(0)
            for k in range(1, n + 1):
                inner = (k * rho) ** (n - k) / factorial(n - k)
                if n - k >= 1:
                    inner += (k * rho) ** (n - k - 1) / factorial(n - k - 1)
                value += exp(k * rho) * (-1) ** (n - k) * inner
            add("md1", {"lambda": lam, "D": d, "n": n}, "P_N_eq_n", (1 - rho) * value)
    mp.dps = 50


def phase_type_tail(lam, start, generator, t):
    alpha, sub = matrix([[mpf(x) for x in start]]), matrix([[mpf(x) for x in row] for row in generator])
    one = ones(len(start), 1)
    residual = alpha * (-sub) ** -1
    mean = (residual * one)[0]
    weight = mpf(lam) * residual
    return mpf(lam) * mean, (weight * expm((sub - sub * one * weight) * mpf(t)) * one)[0]


def phase_type():
    for lam, k, mean, t in ((0.99, 10, 1.0, 40.0), (0.5, 30, 1.0, 2.0), (0.99, 2, 1.0, 300.0), (0.2, 5, 1.0, 6.0),
                            (0.95, 4, 1.0, 80.0)):
        rate = mpf(k) / mpf(mean)
        rows = [[-rate if i == j else rate if j == i + 1 else 0 for j in range(k)] for i in range(k)]
        params = {"lambda": lam, "service": {"type": "erlang", "k": k, "mean": mean}, "t": t}
        add("mg1_fcfs", params, "P_wait_gt_t", phase_type_tail(lam, [1] + [0] * (k - 1), rows, t)[1])
    for lam, p, rates, t in ((0.5, [0.999, 0.001], [10.0, 0.002], 100.0), (0.6, [0.4, 0.6], [0.5, 3.0], 60.0),
                             (0.9, [0.2, 0.3, 0.5], [0.5, 1.0, 2.0], 20.0)):
        moments = [factorial(n) * sum(mpf(x) / mpf(r) ** n for x, r in zip(p, rates)) for n in (1, 2, 3)]
        if mpf(lam) * moments[0] >= 1:
            lam = float(mpf("0.9") / moments[0])
        rows = [[-r if i == j else 0 for j in range(len(rates))] for i, r in enumerate(rates)]
        params = {"lambda": lam, "service": {"type": "hyperexp", "p": p, "rates": rates}}
        rho, tail = phase_type_tail(lam, p, rows, t)
        add("mg1_fcfs", params | {"t": t}, "P_wait_gt_t", tail)
        wait = mpf(lam) * moments[1] / 2 / (1 - rho)
        add("mg1_fcfs", params, "var_wait", wait**2 + mpf(lam) * moments[2] / 3 / (1 - rho))


def lognormal_tail(lam, mu, sigma, t, terms=20):
    """Abate and Whitt's Euler inversion in 45 digits, the transform by quadrature on a turned path."""
    mp.dps = 45
    lam, mu, sigma, t = mpf(lam), mpf(mu), mpf(sigma), mpf(t)
    rho, step = lam * exp(mu + sigma**2 / 2), mpf("0.02")
    grid = [k * step for k in range(-700, 701)]
    nodes = [(z, exp(mu + sigma * z), step * exp(-z * z / 2) / sqrt(2 * pi)) for z in grid]

    def transform(s):
        psi = min(arg(s), mpf(1))
        turn, shift = exp(-1j * psi), psi / sigma
        service = exp(shift**2 / 2) * sum(w * exp(-s * turn * x + 1j * shift * z) for z, x, w in nodes)
        return (1 - (1 - rho) * s / (s - lam + lam * service)) / s

    weights = [mpf(1) / 2] + [mpf(1)] * terms + [mpf(0)] * (terms - 1) + [mpf(2) ** -terms]
    for k in range(1, terms):
        weights[2 * terms - k] = weights[2 * terms - k + 1] + mpf(2) ** -terms * binomial(terms, k)
    points = (terms * log(10) / 3 + 1j * pi * k for k in range(2 * terms + 1))
    total = sum((-1) ** k * weights[k] * re(transform(point / t)) for k, point in enumerate(points))
    result = mpf(10) ** (mpf(terms) / 3) / t * total
    mp.dps = 50
    return result


def lognormal():
    for lam, mu, sigma, t in ((0.95, -0.5, 1.0, 60.0), (0.3, -0.245, 0.7, 4.0), (0.6, -0.5, 1.0, 10.0),
                              (0.8, -0.02, 0.2, 3.0), (0.8, -1.125, 1.5, 15.0)):
        params = {"lambda": lam, "service": {"type": "lognormal", "mu_log": mu, "sigma": sigma}, "t": t}
        add("mg1_fcfs", params, "P_wait_gt_t", lognormal_tail(lam, mu, sigma, t), 1e-8)


def finite_queue(lam, arrivals, places):
    """The chain embedded at departures, solved forward with its subtractions; unit mean service."""
    q = [mpf(1)]
    for j in range(places - 1):
        ahead = arrivals[j] * q[0] + sum(arrivals[j - i + 1] * q[i] for i in range(1, j + 1))
        q.append((q[j] - ahead) / arrivals[0])
    scale = q[0] / sum(q) + mpf(lam)
    return [x / sum(q) / scale for x in q] + [1 - 1 / scale]


def mg1k():
    mp.dps = 400
    cases = [(lam, None, places) for lam, places in ((0.8, 40), (0.99, 100), (3.0, 30), (0.5, 1), (0.2, 6))]
    for lam, k, places in cases + [(0.9, 4, 30), (1.5, 2, 20)]:
        rate = mpf(lam)
        if k is None:
            service = {"type": "deterministic", "value": 1.0}
            arrivals = [exp(-rate) * rate**n / factorial(n) for n in range(places + 2)]
        else:
            service = {"type": "erlang", "k": k, "mean": 1.0}
            share = rate / (k + rate)
            arrivals = [binomial(n + k - 1, n) * (1 - share) ** k * share**n for n in range(places + 2)]
        p = finite_queue(lam, arrivals, places)
        params = {"lambda": lam, "service": service, "K": places}
        number = sum(n * x for n, x in enumerate(p))
        add("mg1k", params, "blocking", p[-1])
        add("mg1k", params, "p0", p[0])
        add("mg1k", params, "L", number)
        add("mg1k", params, "mean_wait_accepted", number / (rate * (1 - p[-1])) - 1)
    mp.dps = 50


def sizes():
    for lam in (0.3, 0.99, 0.999):
        rho = mpf(lam)

        def longer(x):
            return exp(-x) * (1 + x)

        def spare(x):
            return 1 - rho * (1 - longer(x))

        cuts = [0, 1, 2, 4, 6, 8, 10, 12, 15, 20, 30, 60, 150]
        params = {"lambda": lam, "mu": 1.0}
        add("mm1_sjf", params, "mean_wait", rho * quad(lambda x: exp(-x) / spare(x) ** 2, cuts))
        srpt = quad(lambda x: exp(-x) * (rho * (1 - longer(x)) / spare(x) ** 2 + 1 / spare(x)), cuts)
        add("mm1_srpt", params, "mean_sojourn", srpt)


def bulk():
    for lam, mu, b in ((15.9, 1.0, 16), (0.01, 1.0, 32), (199.0, 1.0, 200)):
        low, high = mpf(0), mpf(1)
        for _ in range(170):
            middle = (low + high) / 2
            short = sum(middle**j for j in range(1, b + 1)) < mpf(lam) / mpf(mu)
            low, high = (middle, high) if short else (low, middle)
        busy = 1 / (1 / (1 - low) + mpf(mu) / mpf(lam))
        params = {"lambda": lam, "mu": mu, "b": b}
        add("mm_bulk", params, "root_r", low)
        add("mm_bulk", params, "p_idle", mpf(mu) * busy / mpf(lam))
        add("mm_bulk", params, "Lq", busy * low / (1 - low) ** 2)


def losses():
    for capacity, classes in ((1000, [(300.0, 1), (20.0, 10)]), (50, [(10.0, 3), (200.0, 7)])):
        g = [mpf(1)]
        for j in range(1, capacity + 1):
            g.append(sum(mpf(a) * b * g[j - b] for a, b in classes if b <= j) / j)
        params = {"C": capacity, "classes": [{"a": a, "b": b} for a, b in classes]}
        for i, (_, b) in enumerate(classes):
            add("kaufman_roberts", params | {"class": i}, "blocking", sum(g[capacity - b + 1:]) / sum(g))
        add("kaufman_roberts", params, "mean_occupancy", sum(j * x for j, x in enumerate(g)) / sum(g))
    rates, sizes_, works, memory = [0.9, 0.4, 0.2], [2, 3, 7], [1.0, 0.7, 2.0], 30
    total, number, lost = mpf(0), mpf(0), [mpf(0)] * 3
    for a in range(memory // 2 + 1):
        for b in range((memory - 2 * a) // 3 + 1):
            for c in range((memory - 2 * a - 3 * b) // 7 + 1):
                n, held = a + b + c, 2 * a + 3 * b + 7 * c
                weight = factorial(n)
                for k in range(1, n + 1):
                    weight /= mpf(k) / (1 + mpf("0.3") * k)
                for i, count in enumerate((a, b, c)):
                    weight *= (mpf(rates[i]) * mpf(works[i])) ** count / factorial(count)
                total, number = total + weight, number + n * weight
                lost = [x + weight * (held + size > memory) for x, size in zip(lost, sizes_)]
    params = {"lam": rates, "size": sizes_, "mean_work": works, "K": memory, "phi": "n/(1+0.3n)"}
    add("ps_knapsack_loss", params, "p0", 1 / total)
    add("ps_knapsack_loss", params, "L", number / total)
    for i in range(3):
        add("ps_knapsack_loss", params | {"class": i}, "blocking", lost[i] / total)


def batch_latency(lam, alpha, tau0, cap, states):
    """Dense chain of the number waiting at ends of service, solved by GTH in double precision."""
    rows = []
    for q in range(states):
        service = alpha * min(max(q, 1), cap) + tau0
        mean, left, row = lam * service, max(q - cap, 0), [0.0] * states
        weight = math.exp(-mean)
        for k in range(states - left):
            row[left + k] = weight
            weight *= mean / (k + 1)
        rows.append(row)
    for n in range(states - 1, 0, -1):
        out = sum(rows[n][:n])
        for i in range(n):
            share = rows[i][n] / out
            for j in range(n):
                rows[i][j] += share * rows[n][j]
        rows[n][n] = out
    p = [1.0]
    for n in range(1, states):
        p.append(sum(p[i] * rows[i][n] for i in range(n)) / rows[n][n])
    area = time = 0.0
    for q, x in enumerate(p):
        present = max(q, 1)
        service = alpha * min(present, cap) + tau0
        area += x * (present * service + lam * service**2 / 2)
        time += x * (service + (1 / lam if q == 0 else 0))
    return area / time / lam


def batches():
    capped = {"lambda": 12.0, "alpha": 0.05, "tau0": 0.1, "bmax": 8}
    add("inoue_batch_capped", capped, "mean_latency", batch_latency(12.0, 0.05, 0.1, 8, 330))
    free = {"lambda": 12.0, "alpha": 0.05, "tau0": 0.2}
    add("inoue_batch", free, "mean_latency", batch_latency(12.0, 0.05, 0.2, 300, 300))


mp.dps = 50
for group in (mm1, mmc, erlang, mmck, deterministic, phase_type, lognormal, mg1k, sizes, bulk, losses, batches):
    group()
with open("values.json", "w", encoding="utf-8") as file:
    file.write("[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n")
