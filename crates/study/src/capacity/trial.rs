//! One point of a search: as many replications as it takes to say with confidence whether the objectives are kept.
//!
//! Looks come after 8, 16, 32, ... replications. At each look every objective has a Student-t bound of its margin, at an
//! error probability that leaves room for all looks at all points of the search (Bonferroni), so that the confidence is that of
//! the whole answer. *Feasible* needs every objective's lower bound above zero and a queue that does not grow; *infeasible*
//! one upper bound below zero, or a queue that grows faster than chance makes one grow.

use kendall_serving::workload::ConcurrencyLimited;
use kendall_serving::{SimulationConfig, SimulationError, Workload};
use kendall_theory::output::student_t_quantile;
use serde::Serialize;

use super::load::{Load, Loaded};
use super::slo::Slo;
use super::witness::{Evidence, Pressure, Window, Witness};
use crate::parallel::Workers;
use crate::play::{RunError, Watch, Workloads, observe};

/// Replications at each look.
const LOOKS: [usize; 5] = [8, 16, 32, 64, 128];

/// Most points of a search.
pub(crate) const MAX_TRIALS: usize = 24;

/// A look goes on if the last one could come to a decision with margins half as large again as now: else the point is
/// undecided already, and what is saved is spent on other points.
const HOPE: f64 = 1.5;

/// A queue at exactly the capacity grows with the square root of time; from empty, the means over the two halves of the
/// window differ by 0.29 of their mean. One that grows in proportion to time has 0.56. The verdict *growing* needs
/// confidence in more than the first of these plus a safety, *steady* in less than half of it.
const GROWING: f64 = 0.35;
const STEADY: f64 = 0.15;

/// What is known of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// All objectives are kept.
    Feasible,
    /// Some objective is not.
    Infeasible,
    /// The replications do not say.
    Undecided,
}

/// Why a point is not feasible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// The objective of this number is missed.
    Slo(usize),
    /// The queue grows without end.
    Growth,
}

/// One objective at one point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SloEstimate {
    /// Mean margin over replications, as [`Slo::attained`] reads it; above 0 it is kept.
    pub margin: f64,
    /// Half-width of the margin's interval at the confidence of the search's single tests.
    pub half_width: f64,
}

/// A point that was tried.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// Rate (1/s), concurrency or replicas.
    pub x: f64,
    /// What is known.
    pub decision: Decision,
    /// Why it is not feasible, or would be the first to fail.
    pub binding: Binding,
    /// The objectives.
    pub slos: Vec<SloEstimate>,
    /// Growth of the mean time to first token between the halves of the window, over its mean; `None` in a closed loop.
    pub growth: Option<f64>,
    /// Where time went.
    pub pressure: Pressure,
    /// Replications behind it.
    pub replications: usize,
}

/// A server and how it is loaded.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub x: f64,
    pub config: SimulationConfig,
    pub load: Load,
    pub max_concurrency: Option<u64>,
    /// Arrivals of all replicas together (1/s); `None` in a closed loop.
    pub rate_per_s: Option<f64>,
}

/// What stays the same over the points of a search.
pub(crate) struct Bench<'a, W, T> {
    pub workloads: &'a W,
    pub slos: &'a [Slo],
    pub window: Window,
    /// Probability of an error in the whole answer.
    pub alpha: f64,
    pub workers: &'a Workers,
    pub watch: &'a T,
}

impl<W: Workloads, T: Watch> Bench<'_, W, T> {
    /// Plays one replication of a point.
    pub(crate) fn evidence(&self, point: &Point, replication: u32) -> Result<Evidence, RunError<W::Error>> {
        let inner = self.workloads.open(replication).map_err(RunError::Workload)?;
        let mut workload: Box<dyn Workload + Send> = Box::new(Loaded::new(inner, point.load));
        if let Some(limit) = point.max_concurrency {
            workload = Box::new(ConcurrencyLimited::new(workload, limit));
        }
        let engine = &point.config.engine;
        let witness = Witness::new(self.slos, self.window, engine, point.config.replicas);
        let streams = self.workloads.streams(replication);
        match observe(&point.config, workload, streams, witness, self.watch) {
            Ok((end, witness)) => Ok(witness.evidence(end.end)),
            Err(RunError::Simulation(SimulationError::Overloaded { .. })) => {
                Ok(Evidence::of_overload(self.slos))
            }
            Err(error) => Err(error),
        }
    }

    /// Tries a point until it is decided or hopeless.
    pub(crate) fn trial(&self, point: &Point) -> Result<Trial, RunError<W::Error>> {
        let mut runs: Vec<Evidence> = Vec::new();
        let mut looks = LOOKS.iter();
        loop {
            let first = runs.len();
            let replications = looks.next().map_or(first, |&replications| replications);
            let more =
                self.workers.map(replications - first, |i| self.evidence(point, (first + i) as u32))?;
            runs.extend(more);
            let look = Look::of(self, point, &runs);
            if look.trial.decision != Decision::Undecided || looks.len() == 0 || !look.hopeful {
                return Ok(look.trial);
            }
        }
    }
}

impl Evidence {
    /// Of a run that was given up because more than a million requests had piled up.
    fn of_overload(slos: &[Slo]) -> Self {
        let margins = slos.iter().map(|slo| Some((slo.share().map_or(-1.0, |share| -share), 1))).collect();
        Self { margins, wait_s: [0.0, 1e9], pressure: Pressure::default(), departed: 0 }
    }
}

struct Look {
    trial: Trial,
    /// Whether more replications might decide.
    hopeful: bool,
}

impl Look {
    fn of<W: Workloads, T: Watch>(bench: &Bench<'_, W, T>, point: &Point, runs: &[Evidence]) -> Self {
        let tests = (MAX_TRIALS * LOOKS.len()) as f64;
        let alpha = bench.alpha / tests;
        // To be feasible every test must pass, which needs no correction; to be infeasible one of them is enough.
        let (low_t, high_t) = (
            one_sided_t(alpha, runs.len()),
            one_sided_t(alpha / (bench.slos.len() as f64 + 1.0), runs.len()),
        );
        let estimates: Vec<Mean> =
            bench.slos.iter().enumerate().map(|(i, slo)| margin(slo, i, runs)).collect();
        let growth = point.max_concurrency.is_none().then(|| growth(runs));
        let kept = estimates.iter().all(|mean| mean.mean - low_t * mean.error > 0.0);
        let steady = growth.is_none_or(|growth| growth.mean + low_t * growth.error < STEADY)
            || bench.slos.iter().any(|slo| guards_against_growth(slo, point, bench.window));
        let missed = estimates.iter().any(|mean| mean.mean + high_t * mean.error < 0.0);
        let growing = growth.is_some_and(|growth| growth.mean - high_t * growth.error > GROWING);
        let decision = match (kept && steady, missed || growing) {
            (true, false) => Decision::Feasible,
            (false, true) => Decision::Infeasible,
            _ => Decision::Undecided,
        };
        let worst =
            (0..estimates.len()).min_by(|&a, &b| score(&estimates[a]).total_cmp(&score(&estimates[b])));
        let binding = match worst {
            Some(slo) if !growing || missed => Binding::Slo(slo),
            _ => Binding::Growth,
        };
        let shrink = (LOOKS[LOOKS.len() - 1] as f64 / runs.len() as f64).sqrt();
        let decidable = |mean: &Mean| HOPE * mean.mean.abs() * shrink > low_t * mean.error;
        let hopeful = estimates.iter().any(|mean| mean.mean < 0.0 && decidable(mean))
            || estimates.iter().all(|mean| mean.mean > 0.0 && decidable(mean));
        let slos = estimates
            .iter()
            .map(|mean| SloEstimate { margin: mean.mean, half_width: low_t * mean.error })
            .collect();
        let pressures: Vec<_> = runs.iter().map(|run| run.pressure).collect();
        let trial = Trial {
            x: point.x,
            decision,
            binding,
            slos,
            growth: growth.map(|growth| growth.mean),
            pressure: Pressure::mean(&pressures),
            replications: runs.len(),
        };
        Self { trial, hopeful }
    }
}

/// Whether a growing queue would be seen as a missed objective: at exactly the capacity the number of waiting requests reaches the
/// order of sqrt(n) within n arrivals, and more beyond it, so that a limit on the wait of at most half as many requests would
/// be missed. A looser limit says nothing about growth.
fn guards_against_growth(slo: &Slo, point: &Point, window: Window) -> bool {
    let Some((limit, rate)) = slo.wait_limit().zip(point.rate_per_s) else { return false };
    let replicas = f64::from(point.config.replicas);
    let arrivals = (window.end - window.first) as f64 / replicas;
    limit.as_secs_f64() * rate / replicas <= 0.5 * arrivals.sqrt()
}

/// How clearly an objective is kept, in standard errors.
fn score(mean: &Mean) -> f64 {
    mean.mean / mean.error.max(f64::MIN_POSITIVE)
}

/// A mean over replications and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mean {
    mean: f64,
    error: f64,
}

impl Mean {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Self { mean, error: (squares / (n - 1.0).max(1.0) / n).sqrt() }
    }
}

/// The margin of objective number `i`. A share's error is not taken below that of independent requests at the asked
/// share: no violation among few requests is no proof.
fn margin(slo: &Slo, i: usize, runs: &[Evidence]) -> Mean {
    let seen: Vec<(f64, u64)> = runs.iter().filter_map(|run| run.margins[i]).collect();
    if seen.is_empty() {
        // Nobody had this latency: nothing is known.
        return Mean { mean: 0.0, error: f64::INFINITY };
    }
    let values: Vec<f64> = seen.iter().map(|&(margin, _)| margin).collect();
    let mut mean = Mean::of(&values);
    if let Some(share) = slo.share() {
        let requests: u64 = seen.iter().map(|&(_, requests)| requests).sum();
        mean.error = mean.error.max((share * (1.0 - share) / requests as f64).sqrt());
    }
    mean
}

/// Growth of the wait between the halves of the window, over the mean wait of all replications.
fn growth(runs: &[Evidence]) -> Mean {
    let mean =
        runs.iter().map(|run| f64::midpoint(run.wait_s[0], run.wait_s[1])).sum::<f64>() / runs.len() as f64;
    if mean <= 0.0 {
        return Mean { mean: 0.0, error: 0.0 };
    }
    let values: Vec<f64> = runs.iter().map(|run| (run.wait_s[1] - run.wait_s[0]) / mean).collect();
    Mean::of(&values)
}

/// The t that a mean of `n` values exceeds by chance with probability `alpha`.
fn one_sided_t(alpha: f64, n: usize) -> f64 {
    student_t_quantile(1.0 - alpha, n as f64 - 1.0).unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two constants of a critical queue, by the integrals of sqrt and of t over the halves of the window.
    #[test]
    fn growth_constants_are_those_of_a_square_root_and_of_a_line() {
        let (first, middle, end) = (0.25_f64, 0.575_f64, 0.9_f64);
        let growth = |integral: fn(f64) -> f64| {
            let mean = |a: f64, b: f64| (integral(b) - integral(a)) / (b - a);
            let (one, two) = (mean(first, middle), mean(middle, end));
            (two - one) / f64::midpoint(one, two)
        };
        let root = growth(|t| t * t.sqrt() * 2.0 / 3.0);
        let line = growth(|t| t * t / 2.0);
        assert!((root - 0.29).abs() < 0.005 && (line - 0.565).abs() < 0.005, "{root} {line}");
        assert!(STEADY < root && root < GROWING && GROWING < line);
    }

    #[test]
    fn no_violation_among_few_requests_is_no_proof() {
        let slo = Slo::Percentile {
            latency: super::super::slo::Latency::Ttft,
            share: 0.99,
            limit: kendall_des::SimDuration::from_millis(1),
        };
        let run = |requests| Evidence {
            margins: vec![Some((0.01, requests))],
            wait_s: [0.1, 0.1],
            pressure: Pressure::default(),
            departed: requests,
        };
        let t = one_sided_t(1e-4, 8);
        for (requests, proven) in [(20, false), (4_000, true)] {
            let mean = margin(&slo, 0, &vec![run(requests); 8]);
            assert_eq!(mean.mean - t * mean.error > 0.0, proven, "{requests}");
        }
    }
}
