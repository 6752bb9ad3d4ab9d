//! Is there a steady state? The verdict that comes before any latency of one: `theory::output`'s, with its grounds in words.

use kendall_theory::output::{Drift, Horizon, Verdict, verdict};
use serde::Serialize;

use crate::offered_load::OfferedLoad;

/// A verdict and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stability {
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Arrivals and what device time bounds them by.
    #[serde(skip)]
    pub load: Option<OfferedLoad>,
}

impl Stability {
    /// Analysis first, then the drift of the number in the system.
    pub fn of(load: Option<OfferedLoad>, drift: Option<&Drift>, horizon: Horizon) -> Self {
        let bound = load.and_then(|load| load.load);
        Self { verdict: verdict(bound.as_ref(), drift, horizon), load }
    }

    /// Whether there is no steady state.
    pub fn is_overloaded(&self) -> bool {
        self.verdict.is_overloaded()
    }

    /// What the verdict rests on.
    pub fn reason(&self) -> String {
        let growth = self.verdict.growth_per_s().map(|growth| {
            format!(
                "the number in the system changes by {} +- {} a second",
                rate(growth.mean),
                rate(growth.half_width)
            )
        });
        let drift = growth.unwrap_or_else(|| "the run is too short to tell whether the queue grows".into());
        match self.verdict {
            // From an empty start the number grows to its level, which is no drift.
            Verdict::Stable { .. } => {
                format!("the number in the system keeps returning{}", self.device_time())
            }
            Verdict::NearCapacity { .. } => {
                format!("{drift}: whether it returns cannot be told, run longer{}", self.device_time())
            }
            Verdict::Overloaded { by_load_bound: true, growth_per_s } => {
                let seen = growth_per_s.map(|growth| {
                    format!(
                        ", and in the run by {} +- {} a second",
                        rate(growth.mean),
                        rate(growth.half_width)
                    )
                });
                let (rate_per_s, bound_per_s) =
                    self.load.and_then(|load| load.rate_per_s.zip(load.bound_per_s)).unwrap_or_default();
                format!(
                    "{rate_per_s:.3} requests a second arrive and device time serves at most {bound_per_s:.3}: the queue grows \
                     by at least {:.3} a second{}",
                    rate_per_s - bound_per_s,
                    seen.unwrap_or_default()
                )
            }
            Verdict::Overloaded { .. } => {
                let growth = self.verdict.growth_per_s();
                let (mean, half) = growth.map_or((0.0, 0.0), |growth| (growth.mean, growth.half_width));
                format!("the number in the system grows by {} +- {} a second", rate(mean), rate(half))
            }
            Verdict::Transient { .. } => {
                "the workload ends or changes on the way, so there is no steady state".into()
            }
            Verdict::Bounded => {
                "a fixed number of clients wait for their answers, so the queue cannot grow".into()
            }
        }
    }

    fn device_time(&self) -> String {
        let load = self.load.and_then(|load| load.load);
        load.map(|load| format!("; arrivals need at least {:.0} % of device time", load.mean * 100.0))
            .unwrap_or_default()
    }
}

/// A rate with the digits that carry meaning.
fn rate(per_s: f64) -> String {
    let decimals = match per_s.abs() {
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        size if size >= 0.001 => 4,
        _ => 6,
    };
    format!("{per_s:.decimals$}")
}

/// Figures that have no meaning without a steady state: they grow with the length of the run.
pub fn needs_steady_state(figure: &str) -> bool {
    ["ttft", "e2el", "queue", "goodput", "attainment", "num_waiting"].iter().any(|part| figure.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kendall_theory::output::Interval;

    fn drift(growth: f64, grows: bool, returns: bool) -> Drift {
        let growth_per_s = Interval { mean: growth, half_width: 0.01, confidence: 0.95, replications: 64 };
        Drift {
            growth_per_s,
            grows,
            returns,
            observed_s: 100.0,
            growth_statistic: 0.0,
            return_statistic: 0.0,
        }
    }

    fn load(rate_per_s: f64) -> OfferedLoad {
        OfferedLoad {
            rate_per_s: Some(rate_per_s),
            bound_per_s: Some(10.0),
            load: Some(Interval {
                mean: rate_per_s / 10.0,
                half_width: 0.0,
                confidence: 0.95,
                replications: 9,
            }),
            median_output_tokens: 1.0,
            requests: 9,
        }
    }

    #[test]
    fn analysis_comes_first_and_every_verdict_has_its_grounds() {
        let of = |rate, drift: &Drift| Stability::of(Some(load(rate)), Some(drift), Horizon::Stationary);
        let beyond = of(12.5, &drift(2.49, true, false));
        assert!(
            beyond.is_overloaded() && beyond.reason().contains("at least 2.500 a second"),
            "{}",
            beyond.reason()
        );
        let slow = of(9.0, &drift(0.05, true, false));
        assert!(
            slow.is_overloaded() && slow.reason().contains("grows by 0.0500 +- 0.0100"),
            "{}",
            slow.reason()
        );
        let steady = of(5.0, &drift(0.0, false, true));
        assert_eq!(steady.verdict.word(), "stable");
        assert!(steady.reason().contains("at least 50 % of device time"), "{}", steady.reason());
        assert_eq!(of(9.0, &drift(0.0, false, false)).verdict.word(), "near capacity");
        assert!(Stability::of(None, None, Horizon::Stationary).reason().contains("too short"));
        assert_eq!(Stability::of(None, None, Horizon::Finite).verdict.word(), "transient");
    }
}
