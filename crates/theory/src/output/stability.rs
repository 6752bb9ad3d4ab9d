//! Does the queue settle at all? A drift test of the number in the system, and the verdict that comes before any
//! latency.
//!
//! The number in the system of an overloaded server is a random walk with a positive drift; that of a stable one keeps
//! coming back. At load 1, between the two, it is a random walk reflected at zero, whatever the arrivals and services
//! are, once it is looked at over windows long enough (the heavy traffic limit: Whitt, *Stochastic-Process Limits*,
//! 2002, chapter 9). Both tests below take this walk as their null hypothesis, so that neither *overloaded* nor *stable*
//! is said by mistake more often than stated, at any load and for any length of run; what they cannot tell is *near
//! capacity*.

use serde::{Deserialize, Serialize};

use super::interval::{Interval, mean_and_variance, t_interval, two_sided_t};
use super::no_interval::{NoInterval, open_unit};
use super::single_run::depends_on_neighbours;

/// Windows into which the run is cut.
const WINDOWS: usize = 64;
/// Fewer windows than this cannot be told from chance.
const FEWEST_WINDOWS: usize = 16;
/// Growth is certain when the interval of this confidence lies above 0. Reflection doubles the half percent on that
/// side, to 1 % at load 1 and less below.
const GROWTH_CONFIDENCE: f64 = 0.99;
/// A walk reflected at zero falls below this regression statistic in 1 % of cases: 4.54, 4.59 and 4.69 for 64, 32 and 16
/// windows, from 20,000 walks of 64 steps a window each.
const RETURN_STATISTIC: f64 = -4.7;
/// Statistics are kept within this, so that they can be written down and averaged: a queue that never leaves its level
/// has an infinite one.
const LARGEST_STATISTIC: f64 = 1e6;

/// What the number in the system did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Growth of the number in the system, per second.
    pub growth_per_s: Interval,
    /// The growth is certain: at load 1 or below this is said in 1 % of runs at most.
    pub grows: bool,
    /// The number keeps returning to a level: at load 1 or above this is said in about 1 % of runs at most.
    pub returns: bool,
    /// Length of the run (s).
    pub observed_s: f64,
    /// Student's t of the changes over windows.
    pub growth_statistic: f64,
    /// Student's t of the regression of changes on levels.
    pub return_statistic: f64,
}

/// Tests the number in the system at equally spaced instants, `spacing_s` apart, for growth and for return.
///
/// *Growth*: Student t on the changes over equal windows, as few as make the changes not depend on each other (a slow
/// change of the arrival rate makes them). *Return*: the regression of the changes on the level from which they start;
/// Dickey & Fuller (1979), with critical values for a walk reflected at zero.
///
/// # Errors
/// [`NoInterval`] with fewer than 17 instants, for a value that is not finite, or when even 16 windows depend on each
/// other.
pub fn drift_test(levels: &[f64], spacing_s: f64, confidence: f64) -> Result<Drift, NoInterval> {
    let confidence = open_unit("confidence", confidence)?;
    if !(spacing_s.is_finite() && spacing_s > 0.0) {
        let domain = "a finite number of seconds above 0";
        return Err(NoInterval::Invalid { name: "spacing_s", value: spacing_s, domain });
    }
    if let Some(&value) = levels.iter().find(|x| !x.is_finite()) {
        return Err(NoInterval::Invalid { name: "level", value, domain: "a finite number" });
    }
    let observations = levels.len() as u64;
    let mut windows = WINDOWS;
    while windows >= FEWEST_WINDOWS {
        let size = levels.len().saturating_sub(1) / windows;
        let ends: Vec<f64> = levels.iter().copied().step_by(size.max(1)).take(windows + 1).collect();
        let changes: Vec<f64> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if size > 0 && !depends_on_neighbours(&changes) {
            let seconds = size as f64 * spacing_s;
            return drift(&ends, &changes, seconds, confidence).ok_or(NoInterval::Invalid {
                name: "level",
                value: f64::INFINITY,
                domain: "small enough to be squared",
            });
        }
        windows /= 2;
    }
    if observations <= FEWEST_WINDOWS as u64 {
        return Err(NoInterval::FewObservations { observations, needed: FEWEST_WINDOWS as u64 + 1 });
    }
    let batch_size = (observations - 1) / FEWEST_WINDOWS as u64;
    Err(NoInterval::Correlated { observations, batch_size })
}

fn drift(ends: &[f64], changes: &[f64], window_s: f64, confidence: f64) -> Option<Drift> {
    let change = t_interval(changes, confidence)?;
    let (mean, variance) = mean_and_variance(changes)?;
    let k = changes.len() as f64;
    let certain = two_sided_t(GROWTH_CONFIDENCE, k - 1.0)? * (variance / k).sqrt();
    let growth_per_s =
        Interval { mean: change.mean / window_s, half_width: change.half_width / window_s, ..change };
    let grows = mean > 0.0 && mean > certain;
    let return_statistic = return_statistic(ends, changes)?.clamp(-LARGEST_STATISTIC, LARGEST_STATISTIC);
    Some(Drift {
        growth_per_s,
        grows,
        returns: !grows && return_statistic < RETURN_STATISTIC,
        observed_s: k * window_s,
        growth_statistic: if variance > 0.0 { mean / (variance / k).sqrt() } else { 0.0 },
        return_statistic,
    })
}

/// The drift of several independent runs of one scenario, each begun with an empty system: the same two tests on the means
/// of their statistics. `None` without runs.
///
/// For walks reflected at zero these means fall below or above the following in 1 % of cases at most, for 16, 32 and 64
/// windows and from 1 to 100 runs (20,000 walks each, `docs/output-analysis.md`):
/// growth 0.90 + 2.10 / sqrt(runs), return -(2.02 + 2.68 / sqrt(runs)).
pub fn drift_of_replications(runs: &[Drift], confidence: f64) -> Option<Drift> {
    if runs.len() < 2 {
        return runs.first().copied();
    }
    let n = runs.len() as f64;
    let mean = |of: fn(&Drift) -> f64| runs.iter().map(of).sum::<f64>() / n;
    let growths: Vec<f64> = runs.iter().map(|run| run.growth_per_s.mean).collect();
    let growth_per_s = t_interval(&growths, confidence)?;
    let (growth_statistic, return_statistic) =
        (mean(|run| run.growth_statistic), mean(|run| run.return_statistic));
    let grows = growth_statistic > 0.90 + 2.10 / n.sqrt() && growth_per_s.mean > 0.0;
    Some(Drift {
        growth_per_s,
        grows,
        returns: !grows && return_statistic < -(2.02 + 2.68 / n.sqrt()),
        observed_s: mean(|run| run.observed_s),
        growth_statistic,
        return_statistic,
    })
}

/// The t statistic of the slope when changes are regressed on the levels from which they start. Without any change the
/// queue never left its level.
fn return_statistic(ends: &[f64], changes: &[f64]) -> Option<f64> {
    let levels = &ends[..changes.len()];
    let k = changes.len() as f64;
    let (level_mean, level_variance) = mean_and_variance(levels)?;
    let (change_mean, change_variance) = mean_and_variance(changes)?;
    if level_variance <= 0.0 {
        return Some(if change_variance <= 0.0 { f64::NEG_INFINITY } else { 0.0 });
    }
    let products = levels.iter().zip(changes).map(|(x, y)| (x - level_mean) * (y - change_mean));
    let slope = products.sum::<f64>() / ((k - 1.0) * level_variance);
    let residual = (k - 1.0) * (change_variance - slope * slope * level_variance) / (k - 2.0);
    let error = (residual / ((k - 1.0) * level_variance)).sqrt();
    Some(if error > 0.0 { slope / error } else { slope * f64::INFINITY })
}

/// For how long the scenario's workload goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Horizon {
    /// For ever, with the same law: a steady state may exist.
    Stationary,
    /// It ends, as a trace does, or changes on the way: there is no steady state to speak of.
    Finite,
    /// So many clients wait for answers before they send again: the number in the system cannot grow beyond theirs.
    Bounded,
}

/// What may be said of the scenario before any latency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The queue keeps returning and the load bound is below 1: steady-state latencies exist.
    Stable {
        /// Growth of the number in the system, per second: 0 within its interval.
        growth_per_s: Interval,
    },
    /// The run cannot tell whether the queue grows without bound: steady-state latencies are not given.
    NearCapacity {
        /// Growth of the number in the system, per second; `None` when the run was too short for that.
        growth_per_s: Option<Interval>,
    },
    /// The queue grows without bound: there is no steady-state latency.
    Overloaded {
        /// Growth of the number in the system, per second; `None` when only the load bound says so.
        growth_per_s: Option<Interval>,
        /// The load itself is bounded below by 1.
        by_load_bound: bool,
    },
    /// A finite workload: the results describe this workload from its start to its end, not a steady state.
    Transient {
        /// Growth of the number in the system over the workload, per second; `None` when it is too short for that.
        growth_per_s: Option<Interval>,
    },
    /// A fixed number of clients, each of which waits for its answer: a steady state exists at any speed of the server.
    Bounded,
}

impl Verdict {
    /// One or two words.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Stable { .. } => "stable",
            Self::NearCapacity { .. } => "near capacity",
            Self::Overloaded { .. } => "overloaded",
            Self::Transient { .. } => "transient",
            Self::Bounded => "bounded",
        }
    }

    /// Whether the queue grows without bound.
    pub fn is_overloaded(&self) -> bool {
        matches!(self, Self::Overloaded { .. })
    }

    /// Whether there is a steady state for certain, so that there are steady-state latencies.
    pub fn is_steady(&self) -> bool {
        matches!(self, Self::Stable { .. } | Self::Bounded)
    }

    /// Growth of the number in the system, per second, where it was tested.
    pub fn growth_per_s(&self) -> Option<Interval> {
        match *self {
            Self::Stable { growth_per_s } => Some(growth_per_s),
            Self::NearCapacity { growth_per_s }
            | Self::Overloaded { growth_per_s, .. }
            | Self::Transient { growth_per_s } => growth_per_s,
            Self::Bounded => None,
        }
    }
}

/// Combines an analytic lower bound of the load with the drift test.
///
/// `load` is work offered over the most that can be served, such as the arrival rate times the mean service work over
/// the number of servers; half-width 0 where it is exact. A bound of at least 1 settles the matter. One below 1 does
/// not, because other resources may limit: then the queue itself must be seen to return.
pub fn verdict(load: Option<&Interval>, drift: Option<&Drift>, horizon: Horizon) -> Verdict {
    let growth_per_s = drift.map(|drift| drift.growth_per_s);
    match horizon {
        Horizon::Finite => return Verdict::Transient { growth_per_s },
        Horizon::Bounded => return Verdict::Bounded,
        Horizon::Stationary => {}
    }
    let by_load_bound = load.is_some_and(|load| load.low() >= 1.0);
    if by_load_bound || drift.is_some_and(|drift| drift.grows) {
        return Verdict::Overloaded { growth_per_s, by_load_bound };
    }
    let may_be_full = load.is_some_and(|load| load.high() >= 1.0);
    match drift {
        Some(drift) if drift.returns && !may_be_full => Verdict::Stable { growth_per_s: drift.growth_per_s },
        _ => Verdict::NearCapacity { growth_per_s },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(load: f64) -> Interval {
        Interval { mean: load, half_width: 0.0, confidence: 0.95, replications: 1 }
    }

    /// Noise without a generator: the fractional parts of multiples of the golden ratio.
    fn noise(i: usize) -> f64 {
        (i as f64 * 0.618_033_988_749_894_9).fract() - 0.5
    }

    #[test]
    fn a_clear_trend_is_growth_at_its_rate() {
        let levels: Vec<f64> = (0..6401).map(|i| 0.02 * i as f64 + 4.0 * noise(i * i)).collect();
        let drift = drift_test(&levels, 0.5, 0.95).unwrap();
        assert!(drift.grows && !drift.returns, "{drift:?}");
        assert!(drift.growth_per_s.contains(0.04), "{drift:?}");
        assert!((drift.observed_s - 3200.0).abs() < 1e-9);
        assert!(matches!(
            verdict(Some(&exact(0.7)), Some(&drift), Horizon::Stationary),
            Verdict::Overloaded { by_load_bound: false, .. }
        ));
    }

    #[test]
    fn a_level_that_returns_is_stable_only_below_the_bound() {
        let levels: Vec<f64> = (0..6401).map(|i| 50.0 + 40.0 * noise(i * i)).collect();
        let drift = drift_test(&levels, 0.5, 0.95).unwrap();
        assert!(drift.returns && !drift.grows, "{drift:?}");
        assert!(matches!(verdict(None, Some(&drift), Horizon::Stationary), Verdict::Stable { .. }));
        for (load, overloaded) in [(1.2, true), (1.0, true), (0.9, false)] {
            let verdict = verdict(Some(&exact(load)), Some(&drift), Horizon::Stationary);
            assert_eq!(matches!(verdict, Verdict::Overloaded { .. }), overloaded, "{load}: {verdict:?}");
        }
        let unsure = Interval { half_width: 0.2, ..exact(0.9) };
        let undecided = verdict(Some(&unsure), Some(&drift), Horizon::Stationary);
        assert!(matches!(undecided, Verdict::NearCapacity { .. }), "{undecided:?}");
        assert!(matches!(verdict(None, Some(&drift), Horizon::Finite), Verdict::Transient { .. }));
        assert_eq!(verdict(Some(&exact(1.2)), Some(&drift), Horizon::Bounded), Verdict::Bounded);
    }

    #[test]
    fn several_runs_are_tested_together() {
        let run = |growth_statistic, return_statistic| Drift {
            growth_per_s: Interval {
                mean: growth_statistic,
                half_width: 9.0,
                confidence: 0.95,
                replications: 64,
            },
            grows: false,
            returns: false,
            observed_s: 100.0,
            growth_statistic,
            return_statistic,
        };
        let of = |runs: &[Drift]| drift_of_replications(runs, 0.95).unwrap();
        // A walk at load 1 has 0.84 and -2.0 on average: neither answer, however many runs show it.
        let critical = of(&[run(0.7, -1.9), run(0.98, -2.1)].repeat(50));
        assert!(!critical.grows && !critical.returns, "{critical:?}");
        assert!(of(&[run(2.3, -1.0), run(1.7, -0.8), run(2.2, 0.1), run(2.1, -0.9)]).grows);
        assert!(of(&[run(0.1, -3.6), run(-0.2, -3.7), run(0.2, -3.1), run(0.0, -3.9)]).returns);
        assert!(!of(&[run(0.0, -3.6)]).returns, "one run stands for itself");
        assert_eq!(drift_of_replications(&[], 0.95), None);
    }

    #[test]
    fn an_idle_system_is_stable_and_a_short_run_is_not() {
        let idle = drift_test(&[0.0; 200], 1.0, 0.95).unwrap();
        assert!(idle.returns && !idle.grows);
        assert!(matches!(drift_test(&[0.0; 16], 1.0, 0.95), Err(NoInterval::FewObservations { .. })));
        assert!(matches!(drift_test(&[f64::NAN; 200], 1.0, 0.95), Err(NoInterval::Invalid { .. })));
        assert!(matches!(drift_test(&[1.0; 200], 0.0, 0.95), Err(NoInterval::Invalid { .. })));
        assert!(matches!(verdict(None, None, Horizon::Stationary), Verdict::NearCapacity { .. }));
    }
}
