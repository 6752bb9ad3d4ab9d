//! How many requests are inside: a chain over their number with rates from the steps.
//!
//! Requests that only share steps are a processor-sharing system: `n` of them leave at rate `n / (place steps * step)`. Prefill
//! stops the others while it lasts. So the chain runs on a clock without prefill, on which arrivals come in lumps: below the
//! seats in families (an arrival, those that arrive during its prefill, during theirs, and so on: the total progeny of a
//! branching process); above them one by one, and a departure lets one in whose prefill brings the arrivals of its time.
//! Afterwards each state is given the time of the prefills that begin in it.

use super::families::{children_tail, family_tail};
use super::overload::Saturation;
use super::points::Points;
use super::seats::Seats;
use super::steps::Steps;
use super::system::PagedSystem;
use crate::batching::lengths::LengthLaw;

/// Weight relative to the largest at which the queue is cut.
const NEGLIGIBLE: f64 = 1e-12;
/// Most requests inside.
const MOST_INSIDE: usize = 100_000;

/// Law of the number inside, in time.
pub(super) struct Numbers {
    /// By number of requests that the engine has taken in and not completed.
    pub chance: Vec<f64>,
}

impl Numbers {
    pub(super) fn new(system: &PagedSystem<'_>, points: &Points, full: &Saturation, seats: &Seats) -> Self {
        let departure_scv = departure_scv(system, full);
        let mut chance = chain(system, points, full, seats);
        calm_queue(&mut chance, system.arrival_rate_per_s, full.capacity_per_s, departure_scv, seats.most());
        Self { chance }
    }
}

/// In the long run a departure takes a share of the decode steps and a prefill, which vary with lengths.
fn departure_scv(system: &PagedSystem<'_>, full: &Saturation) -> f64 {
    let decode = full.bare_step_s / full.step_s;
    let prefill = 1.0 - decode;
    decode * decode * system.output.scv() + prefill * prefill * system.prompt.scv()
}

/// How long two requests that came together stay together, `2 E[min(G, G')] / E[G]`: 1 for exponential outputs, 2 for constant ones.
/// In an infinite-server queue with arrivals in batches, the variance that batches add is in proportion to it.
fn stay_together(output: &LengthLaw) -> f64 {
    let mut longer = 1.0;
    let both: f64 = output
        .masses()
        .iter()
        .map(|p| {
            longer -= p;
            longer * longer
        })
        .sum();
    2.0 * both / output.mean()
}

/// Elasticity of the departure rate in the number inside: 1 if steps do not grow with it (infinitely many servers), 0 if they grow in
/// proportion (one server, shared). It is the share of the effect of [`stay_together`] that holds here; between the ends this is an
/// interpolation, which a chain with two-phase outputs confirms to 1 % of the probability to wait (docs/theory-paged.md).
fn elasticity(points: &Points, n: usize) -> f64 {
    let bare_s = |n: usize| points.interpolated(n.max(1), |steps| steps.bare_s);
    (1.0 - 2.0 * (bare_s(n) - bare_s(n / 2)) / bare_s(n)).clamp(0.0, 1.0)
}

/// The variance of prompts that gives families `weight` times as much dispersion beyond that of single arrivals: a family has
/// `E[Y^2] / E[Y] = (1 + share^2 scv) / (1 - share)^2`.
fn dispersed(share: f64, scv: f64, weight: f64) -> f64 {
    if share < 1e-6 {
        return scv;
    }
    let alone = (1.0 - share) * (1.0 - share);
    let dispersion = (1.0 + share * share * scv) / alone;
    let wanted = 1.0 + (dispersion - 1.0) * weight;
    ((wanted * alone - 1.0) / (share * share)).max(0.0)
}

/// The chain, by balance of the flows over each cut: up in jumps, down by one.
fn chain(system: &PagedSystem<'_>, points: &Points, full: &Saturation, seats: &Seats) -> Vec<f64> {
    let arrivals = system.arrival_rate_per_s;
    let typical = seats.typical();
    let top = points.last().min(typical);
    let share = |n: usize| points.interpolated(n.max(1), Steps::prefill_share).clamp(0.0, 0.95);
    let together = stay_together(system.output);
    let families: Vec<Vec<f64>> = (0..top)
        .map(|n| {
            let weight = 1.0 + (together - 1.0) * elasticity(points, n);
            family_tail(share(n), dispersed(share(n), system.prompt.scv(), weight))
        })
        .collect();
    // Prefill that each departure of a full engine brings, and what arrives during it.
    let prefill_s = (full.step_s - full.bare_step_s) / full.completed_per_step;
    let during = children_tail(arrivals * prefill_s, system.prompt.scv());
    let none = 1.0 - during.get(1).copied().unwrap_or(0.0);
    let longest = families.iter().map(Vec::len).max().unwrap_or(1).max(during.len());
    let full_leave_per_s = full.completed_per_step / full.bare_step_s;
    let leave_per_s = |n: usize| {
        if n <= typical {
            seats.served(n) / (system.place_steps() * points.interpolated(n, |steps| steps.bare_s))
        } else {
            full_leave_per_s * seats.served(n) / seats.mean()
        }
    };
    let mut visits = vec![1.0_f64];
    let mut largest: f64 = 1.0;
    while visits.len() <= MOST_INSIDE {
        let n = visits.len();
        let up = |k: usize| {
            let arrive = match families.get(k) {
                Some(tail) => tail.get(n - 1 - k).copied().unwrap_or(0.0),
                None => f64::from(u8::from(k + 1 == n)),
            };
            let brought = if k > typical { during.get(n - k + 1).copied().unwrap_or(0.0) } else { 0.0 };
            visits[k] * (arrivals * arrive + leave_per_s(k) * brought)
        };
        let up: f64 = (n.saturating_sub(longest)..n).map(up).sum();
        let down = leave_per_s(n) * if n > typical { none } else { 1.0 };
        let next = up / down;
        visits.push(next);
        largest = largest.max(next);
        if next < NEGLIGIBLE * largest {
            break;
        }
        if next > 1e200 {
            for visit in &mut visits {
                *visit /= 1e200;
            }
            largest /= 1e200;
        }
    }
    let time = |n: usize| match n {
        n if n < typical => 1.0 / (1.0 - share(n)),
        n if n == typical => 1.0,
        n => 1.0 + leave_per_s(n) * prefill_s,
    };
    let chance: Vec<f64> = visits.iter().enumerate().map(|(n, visit)| visit * time(n)).collect();
    let total: f64 = chance.iter().sum();
    chance.into_iter().map(|p| p / total).collect()
}

/// Above the seats, the queue becomes the geometric one whose mean is that of M/G/1 with the long-run variance of departures
/// (Pollaczek-Khinchine); the probability to wait stays.
fn calm_queue(chance: &mut [f64], arrivals: f64, capacity: f64, scv: f64, seats: usize) {
    let load = arrivals / capacity;
    if load >= 1.0 || chance.len() <= seats {
        return;
    }
    let queue = 0.5 * (1.0 + scv) * load / (1.0 - load);
    let ratio = queue / (1.0 + queue);
    let total: f64 = chance[seats..].iter().sum();
    let mut weight = 1.0 - ratio;
    for p in &mut chance[seats..] {
        *p = total * weight;
        weight *= ratio;
    }
}
