//! M/G/1 with service times on a lattice: exact by recursions of positive terms.
//!
//! A service of `i` units is a batch of `i` unit jobs. The jobs ahead of an arrival, without the one in service, are a
//! geometric number of residual batches, and the wait follows from them and from the arrivals in a part of a unit. For
//! one unit a batch this is Crommelin's M/D/1; the conditioning on the queue instead of the alternating series is G. Franx
//! (*Operations Research Letters* 29, 2001).

use std::cell::RefCell;

use super::error::{QueueingError, Result};
use super::numeric::{poisson_pmf, poisson_upper};
use super::service::Empirical;

/// The most units of a service time.
const MAX_UNITS: usize = 512;
const NEGLIGIBLE: f64 = 1e-20;
/// Multiplications that one tail may take.
const MAX_WORK: f64 = 1e9;

/// Batches of unit jobs that arrive with rate `lambda`.
#[derive(Debug, Clone)]
pub(crate) struct Batches {
    /// Length of a unit.
    span: f64,
    lambda: f64,
    /// `(units, probability)` of a batch, by units.
    sizes: Vec<(usize, f64)>,
}

impl Batches {
    pub(crate) fn deterministic(lambda: f64, value: f64) -> Self {
        Self { span: value, lambda, sizes: vec![(1, 1.0)] }
    }

    /// Exact when the values share a span of at least 1/512 of the largest. Otherwise each value is split between its
    /// neighbours so that its mean is kept; the mean wait is then too long by less than `span^2 lambda / 8 (1 - rho)`.
    pub(crate) fn empirical(lambda: f64, law: &Empirical) -> Self {
        let largest = law.atoms().map(|(value, _)| value).fold(0.0, f64::max);
        let span = shared_span(law, largest).unwrap_or(largest / MAX_UNITS as f64);
        let mut mass = vec![0.0; MAX_UNITS + 2];
        for (value, probability) in law.atoms() {
            let units = value / span;
            let nearest = libm::round(units);
            let (floor, part) = if (units - nearest).abs() < 1e-9 * nearest {
                (nearest, 0.0)
            } else {
                (units.floor(), units - units.floor())
            };
            mass[floor as usize] += probability * (1.0 - part);
            mass[floor as usize + 1] += probability * part;
        }
        let sizes = mass.into_iter().enumerate().filter(|(_, p)| *p > 0.0).collect();
        Self { span, lambda, sizes }
    }

    fn single(&self) -> bool {
        self.sizes.len() == 1 && self.sizes[0].0 == 1
    }

    /// `P(A = j)` for `j < count`, the units that arrive in a time: a compound Poisson law by Panjer's recursion.
    fn arrivals(&self, time: f64, count: usize) -> Vec<f64> {
        let mean = self.lambda * time;
        if self.single() {
            return (0..count).map(|j| poisson_pmf(j, mean)).collect();
        }
        // A batch of 0 units, from a value below one unit that was split, is no arrival.
        let empty: f64 = self.sizes.iter().filter(|(units, _)| *units == 0).map(|(_, p)| p).sum();
        let mut a = vec![0.0; count];
        if let Some(first) = a.first_mut() {
            *first = libm::exp(-mean * (1.0 - empty));
        }
        for j in 1..count {
            let sum: f64 = self
                .sizes
                .iter()
                .filter(|(units, _)| (1..=j).contains(units))
                .map(|&(units, p)| units as f64 * p * a[j - units])
                .sum();
            a[j] = mean / j as f64 * sum;
        }
        a
    }

    /// `P(A >= j)` in a time, given `P(A = i)` for `i < j`.
    fn arrivals_from(&self, j: usize, time: f64, a: &[f64]) -> f64 {
        if self.single() {
            return poisson_upper(j, self.lambda * time);
        }
        (1.0 - a.iter().take(j).sum::<f64>()).max(0.0)
    }

    /// `P(A > k)` over one unit of time, for all `k` where it matters.
    fn arrivals_above(&self) -> Vec<f64> {
        let largest = self.sizes.iter().map(|(units, _)| *units).max().unwrap_or(1);
        let mut count = 8 * largest + 32;
        loop {
            let mut a = self.arrivals(self.span, count);
            let quiet = a.iter().rev().take(largest).all(|p| *p < NEGLIGIBLE);
            if quiet || count > 64 * MAX_UNITS {
                for j in (1..a.len()).rev() {
                    a[j - 1] += a[j];
                }
                a.remove(0);
                a.truncate(a.iter().position(|p| *p < NEGLIGIBLE).unwrap_or(a.len()));
                return a;
            }
            count *= 2;
        }
    }
}

fn shared_span(law: &Empirical, largest: f64) -> Option<f64> {
    let smallest = law.atoms().map(|(value, _)| value).fold(f64::INFINITY, f64::min);
    (1..=MAX_UNITS)
        .map(|parts| smallest / parts as f64)
        .take_while(|span| largest / span <= MAX_UNITS as f64 + 0.5)
        .find(|span| {
            law.atoms().all(|(value, _)| {
                let units = value / span;
                (units - libm::round(units)).abs() < 1e-9 * units
            })
        })
}

/// The stationary queue of unit jobs.
#[derive(Debug)]
pub(crate) struct LatticeQueue {
    batches: Batches,
    rho: f64,
    /// `P(A > k)` over one unit, and the sums of these from `k` on.
    above: Vec<f64>,
    above_sums: Vec<f64>,
    /// `P(M > n)` as far as it was asked for.
    queue_above: RefCell<Vec<f64>>,
}

impl LatticeQueue {
    pub(crate) fn new(batches: Batches, rho: f64) -> Self {
        let above = batches.arrivals_above();
        let mut above_sums = above.clone();
        for k in (1..above_sums.len()).rev() {
            above_sums[k - 1] += above_sums[k];
        }
        Self { batches, rho, above, above_sums, queue_above: RefCell::default() }
    }

    /// `P(no arrival in a unit)`, which the recursions divide by.
    fn none(&self) -> f64 {
        1.0 - self.above.first().copied().unwrap_or(0.0)
    }

    /// `P(M = n)` for `n < count`, M the units ahead beyond the one in service: a geometric number of residual batches,
    /// whose pmf is `P(A > k) / rho`.
    fn queue(&self, count: usize) -> Vec<f64> {
        let none = self.none();
        let mut queue = Vec::with_capacity(count);
        for n in 0..count {
            let sum: f64 =
                (1..=n.min(self.above.len().saturating_sub(1))).map(|k| self.above[k] * queue[n - k]).sum();
            queue.push((if n == 0 { 1.0 - self.rho + sum } else { sum }) / none);
        }
        queue
    }

    /// Extends `P(M > n)` to `n < count`, by a recursion of its own: no difference from 1.
    fn extend_queue_above(&self, tail: &mut Vec<f64>, count: usize) {
        let none = self.none();
        for n in tail.len()..count {
            let reach = n.min(self.above.len().saturating_sub(1));
            let earlier = tail[n - reach..].iter().rev();
            let sum: f64 =
                self.above[1.min(self.above.len())..].iter().zip(earlier).map(|(a, m)| a * m).sum();
            tail.push((self.above_sums.get(n + 1).copied().unwrap_or(0.0) + sum) / none);
        }
    }

    /// `P(N = n)` for the units in system.
    pub(crate) fn number_probability(&self, n: usize) -> f64 {
        match n {
            0 => 1.0 - self.rho,
            1 => (1.0 - self.rho) * self.above.first().copied().unwrap_or(0.0) / self.none(),
            _ => self.queue(n)[n - 1],
        }
    }

    /// `P(W > t)`: with `t = k span - u`, the wait is within `t` iff the queue and the arrivals in `u` hold less than `k` units.
    pub(crate) fn wait_tail(&self, t: f64) -> Result<f64> {
        let units = t / self.batches.span;
        if units * self.above.len() as f64 > MAX_WORK {
            return Err(QueueingError::NoConvergence {
                method: "the recursion on the lattice of service times",
                limit: format!("{MAX_WORK:e} operations"),
            });
        }
        let k = units.floor() as usize + 1;
        let u = k as f64 * self.batches.span - t;
        let arrivals = self.batches.arrivals(u, k);
        let mut queue_above = self.queue_above.borrow_mut();
        self.extend_queue_above(&mut queue_above, k);
        let sum: f64 = arrivals.iter().enumerate().map(|(j, a)| a * queue_above[k - 1 - j]).sum();
        Ok(sum + self.batches.arrivals_from(k, u, &arrivals))
    }
}
