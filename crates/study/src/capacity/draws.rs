//! The capacity of the same customers on servers that differ a little: draws of the parameters of one server.
//!
//! A whole search for each draw would decide every point anew, with up to 128 replications. What is asked here is only by how
//! much the capacity *moves*. As in the sensitivity table, each replication has a capacity of its own, and a draw meets the
//! same customers as the server as it is, so that the ratio of the two is far sharper than either. The ratio (for whole numbers,
//! the difference), as the mean over a few replications, moves both ends of the answer that the search gave.
//!
//! The load bound is known for every draw without a run, and capacities move about as it does: a run's capacity is sought
//! outwards from there, and is interpolated once it lies between two loads that are close. That takes two or three runs.
//! A rate never lies beyond its bound, whatever a run that ends keeps there.

use kendall_serving::{SimulationConfig, SimulationError};

use super::search::{MAX_REPLICAS, at, most_clients};
use super::trial::Bench;
use super::{Answer, CapacityError, Ending, Find, Question};
use crate::offered_load::{SAMPLE, offered_load};
use crate::play::{RunError, Watch, Workloads};

/// Replications whose capacities are compared.
pub const DRAW_RUNS: u32 = 2;

/// Doublings of the step outwards before a run is given up: from a step of a few percent, some ten thousandfold.
const DOUBLINGS: u32 = 12;

/// The answer moved to another draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// The feasible end.
    pub good: f64,
    /// The infeasible end.
    pub bad: f64,
}

impl Moved {
    /// One number: the middle for a rate, the feasible end among whole numbers.
    pub fn middle(&self, find: Find) -> f64 {
        if find == Find::Rate { f64::midpoint(self.good, self.bad) } else { self.good }
    }
}

/// Where the answer lies for each of these servers; `None` where no run's capacity was found. A search without both ends
/// gives nothing to move: then each draw is searched as a whole.
///
/// # Errors
/// As [`capacity`](super::capacity()).
pub fn capacity_of_draws<W: Workloads>(
    question: &Question<'_>,
    answer: &Answer,
    draws: &[SimulationConfig],
    workloads: &W,
    workers: &crate::Workers,
    watch: &impl Watch,
) -> Result<Vec<Option<Moved>>, CapacityError<W::Error>> {
    let (Ending::Found, Some(good), Some(bad)) = (answer.ending, answer.good, answer.bad) else {
        return searched(question, draws, workloads, workers, watch);
    };
    let (bench, sampled) = super::bench(question, workloads, workers, watch)?;
    let native = sampled.rate_per_s;
    let mut searches = Vec::with_capacity(draws.len() + 1);
    for config in std::iter::once(question.simulation).chain(draws) {
        let ease = ease(question, config, sampled.bound_per_s, workloads)?;
        let guess = match question.find {
            Find::Rate => f64::midpoint(good, bad) * ease,
            Find::Concurrency => good,
            Find::Replicas => libm::ceil(good / ease),
        };
        // No run is long enough to show that a queue grows without end: beyond the load bound it does.
        let bound = sampled.bound_per_s.filter(|_| question.find == Find::Rate).map(|bound| bound * ease);
        searches.push((Question { simulation: config, ..question.clone() }, guess, bound));
    }
    let of = |i: usize| {
        let (question, guess, bound) = &searches[i % searches.len()];
        let replication = (i / searches.len()) as u32;
        let found = one_run(&bench, question, native, *guess, replication);
        watch.settled();
        found.map(|found| match (found, *bound) {
            (Some(rate), Some(bound)) => Some(rate.min(bound)),
            (found, bound) => found.or(bound),
        })
    };
    let found = workers.map(searches.len() * DRAW_RUNS as usize, of)?;
    let run = |search: usize, replication: usize| found[replication * searches.len() + search];
    let moved = |draw: usize| {
        let pairs: Option<Vec<(f64, f64)>> =
            (0..DRAW_RUNS as usize).map(|r| run(0, r).zip(run(draw, r))).collect();
        let pairs = pairs?;
        let mean =
            |change: fn(&(f64, f64)) -> f64| pairs.iter().map(change).sum::<f64>() / pairs.len() as f64;
        Some(if question.find == Find::Rate {
            let ratio = mean(|(before, after)| after / before);
            Moved { good: good * ratio, bad: bad * ratio }
        } else {
            let shift = libm::round(mean(|(before, after)| after - before));
            Moved { good: good + shift, bad: bad + shift }
        })
    };
    Ok((1..searches.len()).map(moved).collect())
}

/// A whole search for each draw.
fn searched<W: Workloads>(
    question: &Question<'_>,
    draws: &[SimulationConfig],
    workloads: &W,
    workers: &crate::Workers,
    watch: &impl Watch,
) -> Result<Vec<Option<Moved>>, CapacityError<W::Error>> {
    let search = |simulation: &SimulationConfig| {
        let asked = Question { simulation, sensitivity_runs: 0, ..question.clone() };
        let answer = super::capacity(&asked, workloads, workers, watch)?;
        (0..DRAW_RUNS).for_each(|_| watch.settled());
        let ends = answer.good.or(answer.bad).zip(answer.bad.or(answer.good));
        Ok(ends.map(|(good, bad)| Moved { good, bad }))
    };
    draws.iter().map(search).collect()
}

/// The load bound of a draw over that of the server as it is: how much more it carries, about.
fn ease<W: Workloads>(
    question: &Question<'_>,
    config: &SimulationConfig,
    bound_per_s: Option<f64>,
    workloads: &W,
) -> Result<f64, CapacityError<W::Error>> {
    let workload = workloads.open(0).map_err(RunError::Workload)?;
    let single = SimulationConfig { replicas: 1, ..config.clone() };
    let config = if question.find == Find::Replicas { &single } else { config };
    let sampled = offered_load(config, workload, question.rate_per_s, SAMPLE)
        .map_err(|error| RunError::Simulation(SimulationError::Workload(error)))?;
    let ratio = sampled.bound_per_s.zip(bound_per_s).map(|(drawn, bound)| drawn / bound);
    Ok(ratio.filter(|ratio| ratio.is_finite() && *ratio > 0.0).unwrap_or(1.0))
}

/// A load that was tried, and the smallest margin of its objectives: kept from 0 on.
#[derive(Debug, Clone, Copy)]
struct Tried {
    x: f64,
    margin: f64,
}

impl Tried {
    fn kept(&self) -> bool {
        self.margin >= 0.0
    }
}

/// The capacity of one replication: outwards from a guess until one load is kept and the next one missed, then inwards.
/// `None` if no load within reach is kept, or all are.
fn one_run<W: Workloads, T: Watch>(
    bench: &Bench<'_, W, T>,
    question: &Question<'_>,
    native_rate: Option<f64>,
    guess: f64,
    replication: u32,
) -> Result<Option<f64>, RunError<W::Error>> {
    let find = question.find;
    let most = match find {
        Find::Rate => f64::INFINITY,
        Find::Concurrency => most_clients(question),
        Find::Replicas => MAX_REPLICAS as f64,
    };
    let tried = |x: f64| -> Result<Tried, RunError<W::Error>> {
        let evidence = bench.evidence(&at(question, find, x, native_rate), replication)?;
        let margins = evidence.margins.iter().flatten().map(|&(margin, _)| margin);
        Ok(Tried { x, margin: margins.fold(f64::INFINITY, f64::min) })
    };
    let start = if find == Find::Rate { guess } else { libm::round(guess).clamp(1.0, most) };
    let first = tried(start)?;
    // More load is worse, more replicas are better.
    let upwards = first.kept() != (find == Find::Replicas);
    let (mut near, mut step) = (first, 2.0 * question.resolution);
    for _ in 0..DOUBLINGS {
        let x = further(near.x, step, upwards, find != Find::Rate);
        if x > most || (find != Find::Rate && x < 1.0) {
            // No replica at all keeps nothing; no client at all is no answer.
            return Ok((find == Find::Replicas && !upwards).then_some(1.0));
        }
        let next = tried(x)?;
        if next.kept() != first.kept() {
            return inwards(question, near, next, &tried).map(Some);
        }
        (near, step) = (next, 2.0 * step);
    }
    Ok(None)
}

/// The next load outwards: at least one whole number further.
fn further(x: f64, step: f64, upwards: bool, whole: bool) -> f64 {
    match (upwards, whole) {
        (true, false) => x * (1.0 + step),
        (false, false) => x / (1.0 + step),
        (true, true) => libm::ceil(x * (1.0 + step)).max(x + 1.0),
        (false, true) => libm::floor(x / (1.0 + step)).min(x - 1.0),
    }
}

/// Between a load that is kept and one that is missed: the rate where the margin vanishes, or the last whole number that
/// is kept.
fn inwards<E>(
    question: &Question<'_>,
    one: Tried,
    other: Tried,
    tried: &impl Fn(f64) -> Result<Tried, RunError<E>>,
) -> Result<f64, RunError<E>> {
    let (mut kept, mut missed) = if one.kept() { (one, other) } else { (other, one) };
    let whole = question.find != Find::Rate;
    let close = if whole { 1.0 } else { 2.0 * question.resolution * kept.x.max(missed.x) };
    // Half a billionth: what rounding does to a step that was just as wide.
    while (kept.x - missed.x).abs() > close * (1.0 + 5e-10) {
        let middle = f64::midpoint(kept.x, missed.x);
        let next = tried(if whole { libm::floor(middle) } else { middle })?;
        if next.kept() {
            kept = next;
        } else {
            missed = next;
        }
    }
    if whole {
        return Ok(kept.x);
    }
    let share = kept.margin / (kept.margin - missed.margin);
    Ok(kept.x + (missed.x - kept.x) * if share.is_finite() { share } else { 0.5 })
}
