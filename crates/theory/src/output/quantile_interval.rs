//! The interval of a quantile from groups of correlated observations: batches of a run, or replications.
//!
//! The share of observations beyond the quantile is a mean, so groups give its standard error under any correlation.
//! The interval of the share is carried back through the empirical distribution: its ends are the quantiles at
//! p - d and p + d. Unlike the average of group quantiles this has no bias from short groups, and it needs no density.
//! Heidelberger & Lewis, *Quantile estimation in dependent sequences*, Operations Research 32 (1984); sectioning:
//! Asmussen & Glynn, *Stochastic Simulation* (2007), section III.5.

use serde::Serialize;

use super::interval::{effective_dof, mean_and_variance, two_sided_t};
use super::no_interval::{NoInterval, open_unit};

/// A confidence interval of a quantile, in the unit of the observations. It need not be symmetric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct QuantileInterval {
    /// Which quantile, from 0 to 1.
    pub p: f64,
    /// The quantile of all observations together.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Probability with which such an interval contains the true quantile.
    pub confidence: f64,
    /// Number of batches or replications behind the interval.
    pub replications: u64,
}

impl QuantileInterval {
    /// Half the length of the interval.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// Whether `value` lies in the interval, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Half-width as a share of the estimate; `None` where the estimate is 0.
    pub fn relative_half_width(&self) -> Option<f64> {
        (self.estimate != 0.0).then(|| self.half_width() / self.estimate.abs())
    }
}

/// Observations in groups, as the interval needs them.
pub(super) trait Grouped {
    /// The quantile of all observations together; `p` is from 0 to 1.
    fn quantile(&self, p: f64) -> Option<f64>;
    /// For each group the share of its observations from the quantile on, and the share beyond it: the two differ by
    /// what lies at the quantile itself.
    fn shares(&self, p: f64) -> [Vec<f64>; 2];
}

/// So many independent events must lie on the rarer side of a quantile: 1,000 independent observations for a p99.
const FEWEST_EVENTS: f64 = 10.0;

fn rare(p: f64, independent_events: f64) -> NoInterval {
    NoInterval::RareEvents { p, independent_events, needed: FEWEST_EVENTS }
}

/// Interval of the `p` quantile from groups of equal size, which `group` makes independent of each other.
///
/// `effective_sample` is the number of independent observations that would give the mean of the sample the standard
/// error that it has. It judges whether the run is long enough: judged by the spread of the shares themselves, the runs
/// that pass are those in which the tail happened to look calm, and their intervals are too short.
pub(super) fn interval(
    sample: &impl Grouped,
    p: f64,
    confidence: f64,
    effective_sample: f64,
    group: impl Fn(&[f64]) -> Result<Vec<f64>, NoInterval>,
) -> Result<QuantileInterval, NoInterval> {
    let (p, confidence) = (open_unit("p", p)?, open_unit("confidence", confidence)?);
    let events = p.min(1.0 - p) * effective_sample;
    if events < FEWEST_EVENTS {
        return Err(rare(p, events));
    }
    let empty = NoInterval::FewObservations { observations: 0, needed: 1 };
    let estimate = sample.quantile(p).ok_or(empty)?;
    let usable = |shares: Vec<f64>| {
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        (mean > 0.0 && mean < 1.0).then_some((mean, shares))
    };
    let distance = |(mean, _): &(f64, Vec<f64>)| (mean - (1.0 - p)).abs();
    let candidates = sample.shares(p).into_iter().filter_map(usable);
    let Some((_, shares)) = candidates.min_by(|a, b| distance(a).total_cmp(&distance(b))) else {
        // Every observation is the same: nothing is uncertain.
        let (low, high) = (estimate, estimate);
        return Ok(QuantileInterval { p, estimate, low, high, confidence, replications: 1 });
    };
    let shares = group(&shares)?;
    let few = NoInterval::FewReplications { replications: shares.len() as u64, needed: 2 };
    let (mean, variance) = mean_and_variance(&shares).ok_or(few)?;
    let dof = effective_dof(&shares).ok_or(few)?;
    let t = two_sided_t(confidence, dof).ok_or(few)?;
    // The shares may have been counted a little beside p (at the edge of a bucket).
    let variance_at_p = variance * (p * (1.0 - p)) / (mean * (1.0 - mean));
    let d = t * (variance_at_p / shares.len() as f64).sqrt();
    if d >= p.min(1.0 - p) {
        return Err(rare(p, events));
    }
    let end = |share: f64| sample.quantile(share).ok_or(empty);
    let (low, high) = (end(p - d)?, end(p + d)?);
    Ok(QuantileInterval { p, estimate, low, high, confidence, replications: shares.len() as u64 })
}
