//! Exact waiting times of the queues in `queues`, derived here and not by the code under test.

use crate::queues::{Queue, Service};

/// Mean waiting time, in mean service times.
pub(crate) fn mean_wait(queue: &Queue) -> f64 {
    let rho = queue.rho;
    if queue.servers > 1 {
        return delay_probability(queue) / (queue.servers as f64 * (1.0 - rho));
    }
    let second_moment = match queue.service {
        Service::Exponential => 2.0,
        Service::Deterministic => 1.0,
        Service::Hyperexponential { p } => 0.5 / p + 0.5 / (1.0 - p),
    };
    // Pollaczek-Khinchine.
    rho * second_moment / (2.0 * (1.0 - rho))
}

/// The `p` quantile of the waiting time, in mean service times.
pub(crate) fn wait_quantile(queue: &Queue, p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while wait_tail(queue, high) > 1.0 - p {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if wait_tail(queue, middle) > 1.0 - p {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// P(W > t).
fn wait_tail(queue: &Queue, t: f64) -> f64 {
    match queue.service {
        Service::Exponential => {
            let spare = queue.servers as f64 * (1.0 - queue.rho);
            delay_probability(queue) * libm::exp(-spare * t)
        }
        Service::Deterministic => deterministic_tail(queue.rho, t),
        Service::Hyperexponential { p } => hyperexponential_tail(queue.rho, p, t),
    }
}

/// Erlang C by the recursion for Erlang B.
fn delay_probability(queue: &Queue) -> f64 {
    let load = queue.rho * queue.servers as f64;
    let blocking = (1..=queue.servers).fold(1.0, |b, c| load * b / (c as f64 + load * b));
    blocking / (1.0 - queue.rho * (1.0 - blocking))
}

/// The transform of the wait in M/H2/1 is rational with two poles, so the tail is a sum of two exponentials. The poles
/// are the roots of (s + m1)(s + m2) - rho (mean excess transform) = s^2 + (m1 + m2 - l) s + m1 m2 (1 - rho).
fn hyperexponential_tail(rho: f64, p: f64, t: f64) -> f64 {
    let (m1, m2) = (2.0 * p, 2.0 * (1.0 - p));
    let (b, c) = (m1 + m2 - rho, m1 * m2 * (1.0 - rho));
    let root = (b * b - 4.0 * c).sqrt();
    let (fast, slow) = (f64::midpoint(b, root), 2.0 * c / (b + root));
    // W(s) = (1 - rho)(s + m1)(s + m2) / ((s + fast)(s + slow)); the residue at -r, divided by r, is its weight.
    let weight = |r: f64, other: f64| (1.0 - rho) * (m1 - r) * (m2 - r) / ((other - r) * r);
    weight(fast, slow) * libm::exp(-fast * t) + weight(slow, fast) * libm::exp(-slow * t)
}

/// M/D/1 by the numerically stable form of Franx (2001), "A simple solution for the M/D/c waiting time distribution":
/// P(W <= t) = e^-u sum over j < k of Q(k-1-j) u^j / j!, with k = floor(t) + 1, u = rho (k - t) and Q(j) the probability
/// of at most j waiting customers.
fn deterministic_tail(rho: f64, t: f64) -> f64 {
    let k = t as usize + 1;
    let in_system = deterministic_in_system(rho, k);
    let mut at_most = in_system[0];
    let waiting: Vec<f64> = in_system[1..]
        .iter()
        .map(|p| {
            at_most += p;
            at_most
        })
        .collect();
    let u = rho * (k as f64 - t);
    let mut poisson = libm::exp(-u);
    let mut sum = 0.0;
    for j in 0..k {
        sum += poisson * waiting[k - 1 - j];
        poisson *= u / (j + 1) as f64;
    }
    1.0 - sum
}

/// Probabilities of 0 to `n` customers in M/D/1, from level crossings (no subtraction): with a(j) Poisson(rho),
/// p(n + 1) a(0) = p(0) P(A > n) + sum over 1 <= i <= n of p(i) P(A > n + 1 - i).
fn deterministic_in_system(rho: f64, n: usize) -> Vec<f64> {
    let first = libm::exp(-rho);
    let mut term = first;
    let mut terms: Vec<f64> = (0..n + 60)
        .map(|j| {
            let now = term;
            term *= rho / (j + 1) as f64;
            now
        })
        .collect();
    for j in (0..terms.len() - 1).rev() {
        terms[j] += terms[j + 1];
    }
    let above = |j: usize| terms[j + 1];
    let mut p = vec![1.0 - rho];
    for level in 0..n {
        let through: f64 = (1..=level).map(|i| p[i] * above(level + 1 - i)).sum();
        p.push((p[0] * above(level) + through) / first);
    }
    p
}
