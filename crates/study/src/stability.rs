//! Is there a steady state? The verdict that comes before any latency of one.

use serde::Serialize;

use crate::offered_load::OfferedLoad;
use crate::replications::{Estimate, Replications};
use crate::trend::CRITICAL_GROWTH;

/// Growth of the wait below which a queue is taken to be steady: half of that of a queue at exactly the capacity.
const STEADY_GROWTH: f64 = CRITICAL_GROWTH / 2.0;

/// Whether a queue has a steady state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Stability {
    /// The queue does not grow.
    Stable,
    /// It cannot be told, or the queue settles more slowly than the runs last.
    NearCapacity {
        /// Growth of the mean wait between the halves of the runs, over that mean.
        growth: Option<Estimate>,
    },
    /// More arrives than device time can serve: the queue grows without end.
    BeyondBound {
        /// Arrivals (1/s).
        rate_per_s: f64,
        /// What no scheduler can exceed (1/s).
        bound_per_s: f64,
    },
    /// The queue grows faster than one at exactly the capacity.
    Growing {
        /// As above.
        growth: Estimate,
    },
}

impl Stability {
    /// The verdict on an open workload: analysis first, then the drift of the wait over replications.
    pub fn of(load: &OfferedLoad, runs: &Replications, confidence: f64) -> Self {
        if let Some((rate_per_s, bound_per_s)) = load.rate_per_s.zip(load.bound_per_s)
            && rate_per_s > bound_per_s
        {
            return Self::BeyondBound { rate_per_s, bound_per_s };
        }
        let growths: Vec<f64> = runs.runs.iter().filter_map(|run| run.growth).collect();
        let growth = Estimate::of(&growths, confidence);
        match growth {
            None => Self::NearCapacity { growth: None },
            Some(found) => match found.half_width {
                Some(half_width) if found.mean - half_width > CRITICAL_GROWTH => {
                    Self::Growing { growth: found }
                }
                Some(half_width) if found.mean + half_width < STEADY_GROWTH => Self::Stable,
                None if found.mean < STEADY_GROWTH => Self::Stable,
                Some(_) | None => Self::NearCapacity { growth },
            },
        }
    }

    /// Whether there is no steady state.
    pub fn is_overloaded(&self) -> bool {
        matches!(self, Self::BeyondBound { .. } | Self::Growing { .. })
    }

    /// What the verdict rests on; empty where the queue is stable.
    pub fn reason(&self) -> String {
        let in_words = |growth: &Estimate| {
            let half_width = growth.half_width.map(|half_width| format!(" +- {:.0}", half_width * 100.0));
            format!("{:.0}{} %", growth.mean * 100.0, half_width.unwrap_or_default())
        };
        match self {
            Self::Stable => String::new(),
            Self::NearCapacity { growth: None } => {
                "the runs are too short to tell whether the queue grows".into()
            }
            Self::NearCapacity { growth: Some(growth) } => format!(
                "the mean wait changes by {} of itself between the halves of a run: use longer runs",
                in_words(growth)
            ),
            Self::BeyondBound { rate_per_s, bound_per_s } => format!(
                "{rate_per_s:.3} requests a second arrive and device time serves at most {bound_per_s:.3}: the queue grows by \
                 at least {:.3} a second",
                rate_per_s - bound_per_s
            ),
            Self::Growing { growth } => format!(
                "the mean wait grows by {} of itself between the halves of a run; at exactly the capacity it would be \
                 {:.0} %",
                in_words(growth),
                CRITICAL_GROWTH * 100.0
            ),
        }
    }
}

/// Figures that have no meaning without a steady state: they grow with the length of the run.
pub fn needs_steady_state(figure: &str) -> bool {
    ["ttft", "e2el", "queue", "goodput", "attainment", "num_waiting"].iter().any(|part| figure.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::RunFigures;

    fn verdict(rate_per_s: f64, growths: &[f64]) -> Stability {
        let load = OfferedLoad {
            rate_per_s: Some(rate_per_s),
            bound_per_s: Some(10.0),
            median_output_tokens: 1.0,
            requests: 1,
        };
        let run = |&growth| RunFigures {
            num_requests: 1,
            stalled: false,
            growth: Some(growth),
            values: Vec::new(),
        };
        let runs = Replications { runs: growths.iter().map(run).collect(), precise: None };
        Stability::of(&load, &runs, 0.95)
    }

    #[test]
    fn analysis_comes_first_and_drift_needs_confidence() {
        assert!(matches!(verdict(10.1, &[0.0, 0.0]), Stability::BeyondBound { .. }));
        assert_eq!(verdict(5.0, &[0.01, -0.02, 0.01]), Stability::Stable);
        assert!(verdict(9.0, &[0.55, 0.58, 0.52, 0.57]).is_overloaded());
        assert!(matches!(verdict(9.0, &[0.9, -0.5, 0.7]), Stability::NearCapacity { .. }));
        assert!(matches!(verdict(9.0, &[0.55]), Stability::NearCapacity { .. }), "one run has no interval");
        assert!(matches!(verdict(9.0, &[]), Stability::NearCapacity { growth: None }));
    }
}
