//! The search itself: from both sides towards the capacity, until the two sides are close or cannot be told apart.
//!
//! It takes for granted that more load is never better: a point below a feasible one is feasible, one above an infeasible
//! one is not.

use super::load::Load;
use super::trial::{Bench, Decision, MAX_TRIALS, Point, Trial};
use super::{Answer, Ending, Find, Question};
use crate::play::{RunError, Watch, Workloads};

/// Highest concurrency that is tried, in seats of the server: beyond it requests only wait.
const MAX_SEATS: u64 = 4;

/// Most replicas that are tried.
pub(super) const MAX_REPLICAS: u64 = 10_000;

/// Highest rate that is tried where nothing bounds it (1/s).
const MAX_RATE: f64 = 1e6;

/// What is known of the capacity so far, in units of the key that is sought. Feasible lies on the `good` side.
struct Bracket {
    /// Feasible for certain; `None` so far.
    good: Option<f64>,
    /// Infeasible for certain; `None` so far.
    bad: Option<f64>,
    /// Points that replications do not decide, the nearest to the good and to the bad side.
    open: Option<(f64, f64)>,
}

impl Bracket {
    fn learn(&mut self, x: f64, decision: Decision, larger_is_better: bool) {
        let better = |a: f64, b: f64| if larger_is_better { a < b } else { a > b };
        match decision {
            // The bracket gets tighter: the hardest feasible and the easiest infeasible point.
            Decision::Feasible => {
                self.good = Some(self.good.map_or(x, |good| if better(x, good) { x } else { good }));
            }
            Decision::Infeasible => {
                self.bad = Some(self.bad.map_or(x, |bad| if better(x, bad) { bad } else { x }));
            }
            Decision::Undecided => {
                self.open = Some(self.open.map_or((x, x), |(near_good, near_bad)| {
                    if larger_is_better {
                        (near_good.max(x), near_bad.min(x))
                    } else {
                        (near_good.min(x), near_bad.max(x))
                    }
                }));
            }
        }
    }

    /// The next point: the middle of the wider gap; `None` if both are below `resolution` (of the larger end).
    fn next(&self, resolution: f64) -> Option<f64> {
        let (good, bad) = (self.good?, self.bad?);
        let close = |a: f64, b: f64| (a - b).abs() <= resolution * a.abs().max(b.abs());
        match self.open {
            None => (!close(good, bad)).then(|| f64::midpoint(good, bad)),
            Some((near_good, near_bad)) => {
                // Around an undecided point finer steps pay: a gap of half the resolution on either side is enough.
                let gaps = [(good, near_good), (near_bad, bad)];
                let (a, b) =
                    if (good - near_good).abs() >= (near_bad - bad).abs() { gaps[0] } else { gaps[1] };
                let close = |a: f64, b: f64| (a - b).abs() <= resolution / 2.0 * a.abs().max(b.abs());
                (!close(a, b)).then(|| f64::midpoint(a, b))
            }
        }
    }

    /// The same over whole numbers: the next untried one, or `None` if none is left between the ends.
    fn next_whole(&self, tried: &[Trial]) -> Option<f64> {
        let untried = |x: &f64| tried.iter().all(|trial| (trial.x - x).abs() > 0.5);
        let (good, bad) = (self.good?, self.bad?);
        let between = |a: f64, b: f64| {
            let middle = libm::floor(f64::midpoint(a, b));
            let inside = middle > a.min(b) && middle < a.max(b);
            Some(middle).filter(|middle| inside && untried(middle))
        };
        match self.open {
            None => between(good, bad),
            Some((near_good, near_bad)) => between(good, near_good).or_else(|| between(near_bad, bad)),
        }
    }
}

pub(super) fn search<W: Workloads, T: Watch>(
    question: &Question<'_>,
    bench: &Bench<'_, W, T>,
    native_rate: Option<f64>,
    bound: Option<f64>,
) -> Result<Answer, RunError<W::Error>> {
    let zero_load = bench.trial(&at(question, Find::Concurrency, 1.0, native_rate))?;
    let mut answer = Answer {
        find: question.find,
        ending: Ending::Impossible,
        good: None,
        bad: None,
        trials: Vec::new(),
        bound,
        zero_load,
        sensitivity: Vec::new(),
    };
    if answer.zero_load.decision == Decision::Infeasible {
        return Ok(answer);
    }
    let mut bracket = start(question.find, &answer.zero_load, bound, native_rate);
    while answer.trials.len() < MAX_TRIALS - 1 {
        let next = match (bracket.good, bracket.bad) {
            (Some(_), Some(_)) if question.find == Find::Rate => bracket.next(question.resolution),
            (Some(_), Some(_)) => bracket.next_whole(&answer.trials),
            _ => outwards(question, &bracket, native_rate, answer.trials.last()),
        };
        let Some(x) = next else { break };
        let trial = bench.trial(&at(question, question.find, x, native_rate))?;
        bracket.learn(x, trial.decision, question.find == Find::Replicas);
        answer.trials.push(trial);
    }
    answer.good = bracket.good.filter(|&good| good > 0.0);
    answer.bad = bracket.bad;
    answer.ending = match (answer.good, answer.bad) {
        (Some(_), Some(_)) => Ending::Found,
        (Some(_), None) => Ending::Unlimited,
        _ => Ending::Undecided,
    };
    Ok(answer)
}

/// What is known before the first trial.
fn start(find: Find, zero_load: &Trial, bound: Option<f64>, native_rate: Option<f64>) -> Bracket {
    let alone = zero_load.decision == Decision::Feasible;
    match find {
        Find::Rate => Bracket { good: alone.then_some(0.0), bad: bound, open: None },
        Find::Concurrency => Bracket { good: alone.then_some(1.0), bad: None, open: None },
        Find::Replicas => {
            // The bound is that of one replica.
            let too_few = native_rate.zip(bound).map(|(rate, bound)| libm::ceil(rate / bound) - 1.0);
            Bracket { good: None, bad: Some(too_few.unwrap_or(0.0).max(0.0)), open: None }
        }
    }
}

/// The next point while one side is still unknown: away from what is known, twice as far each time.
fn outwards(
    question: &Question<'_>,
    bracket: &Bracket,
    native_rate: Option<f64>,
    last: Option<&Trial>,
) -> Option<f64> {
    match question.find {
        Find::Rate => match (bracket.good, bracket.bad) {
            (_, None) => {
                let next = last.map_or(native_rate.unwrap_or(1.0), |trial| 2.0 * trial.x);
                (next <= MAX_RATE).then_some(next)
            }
            // The server alone is not known to be fast enough: look at low rates.
            (None, Some(bad)) => {
                let next = bracket.open.map_or(bad, |(near_good, _)| near_good) / 4.0;
                (next > bad / 300.0).then_some(next)
            }
            (Some(_), Some(_)) => None,
        },
        Find::Concurrency => {
            let most = most_clients(question);
            match (bracket.good, bracket.bad, bracket.open) {
                (Some(good), None, None) if good < most => Some((2.0 * good).min(most)),
                (Some(good), None, Some((_, near_bad))) if near_bad.max(good) < most => {
                    Some((2.0 * near_bad).min(most))
                }
                _ => None,
            }
        }
        Find::Replicas => {
            // One more than what cannot suffice, then twice as many each time.
            let next = last.map_or(bracket.bad? + 1.0, |trial| 2.0 * trial.x);
            (next <= MAX_REPLICAS as f64).then_some(next)
        }
    }
}

/// Most clients that are tried: a run must be long against their number.
pub(super) fn most_clients(question: &Question<'_>) -> f64 {
    let seats = u64::from(question.simulation.engine.max_num_seqs) * u64::from(question.simulation.replicas);
    (MAX_SEATS * seats).min(question.requests / 10).max(2) as f64
}

/// The server and load of a point.
pub(super) fn at(question: &Question<'_>, find: Find, x: f64, native_rate: Option<f64>) -> Point {
    let mut config = question.simulation.clone();
    let mut load = question.load;
    let mut max_concurrency = None;
    let mut rate_per_s = native_rate;
    match find {
        Find::Rate => {
            load.pace = native_rate.map_or(1.0, |rate| rate / x);
            rate_per_s = Some(x);
        }
        Find::Concurrency => {
            load = Load { pace: 0.0, ..load };
            (max_concurrency, rate_per_s) = (Some(x as u64), None);
        }
        Find::Replicas => config.replicas = x as u32,
    }
    Point { x, config, load, max_concurrency, rate_per_s }
}
