//! Aggregates of a run in one set of units and definitions, stated by a tool or computed from its requests.

use serde::Serialize;

use crate::measured::{Caveat, CaveatKind, MeasuredRequest};

/// Aggregates of the requests that succeeded.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MeasuredSummary {
    /// Who says so.
    pub origin: SummaryOrigin,
    /// Requests answered.
    pub completed: Option<u64>,
    /// Requests that failed.
    pub failed: Option<u64>,
    /// Length of the measurement (s).
    pub duration_s: Option<f64>,
    /// Prompt tokens of the requests answered.
    pub prompt_tokens: Option<u64>,
    /// Output tokens of the requests answered.
    pub output_tokens: Option<u64>,
    /// Times that the engine preempted a request.
    pub preemptions: Option<u64>,
    /// Requests answered per second.
    pub request_throughput_per_s: Option<f64>,
    /// Output tokens per second.
    pub output_throughput_per_s: Option<f64>,
    /// Time to first token (s).
    pub ttft_s: Option<Statistic>,
    /// Per request, mean time per output token after the first (s).
    pub tpot_s: Option<Statistic>,
    /// All gaps between pieces of content (s).
    pub itl_s: Option<Statistic>,
    /// From the send to the end (s).
    pub e2e_s: Option<Statistic>,
}

/// Who computed a summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SummaryOrigin {
    /// The tool.
    #[default]
    Stated,
    /// This crate, from the requests.
    Computed,
}

/// What is known of a sample. `None` is "not stated".
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Statistic {
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Standard deviation, with the tool's divisor.
    pub std: Option<f64>,
    /// Smallest.
    pub min: Option<f64>,
    /// Largest.
    pub max: Option<f64>,
    /// Quantiles by rising percentage.
    pub quantiles: Vec<Quantile>,
}

/// A quantile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantile {
    /// From 0 to 100.
    pub percent: f64,
    /// Value.
    pub value: f64,
}

/// A count over an amount: a rate from seconds, or seconds from a rate. `None` where it is not finite.
pub(crate) fn ratio(count: Option<u64>, over: Option<f64>) -> Option<f64> {
    count.zip(over).map(|(count, over)| count as f64 / over).filter(|ratio| ratio.is_finite())
}

/// Percentages that are computed where the requests are known.
const PERCENTS: [f64; 5] = [25.0, 50.0, 90.0, 95.0, 99.0];

impl Statistic {
    /// Of a sample; `None` for an empty one. Quantiles interpolate linearly between order statistics as numpy does,
    /// because most tools use it; the standard deviation divides by n, likewise.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let n = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / n;
        let variance = sorted.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        Some(Self {
            mean: Some(mean),
            std: Some(libm::sqrt(variance)),
            min: Some(min),
            max: Some(max),
            quantiles: PERCENTS
                .map(|percent| Quantile { percent, value: quantile_of_sorted(&sorted, percent) })
                .to_vec(),
        })
    }

    /// The quantile of this percentage, if it is stated.
    pub fn quantile(&self, percent: f64) -> Option<f64> {
        self.quantiles.iter().find(|q| (q.percent - percent).abs() < 1e-9).map(|q| q.value)
    }
}

/// Of a sorted sample that is not empty.
pub(crate) fn quantile_of_sorted(sorted: &[f64], percent: f64) -> f64 {
    let position = percent / 100.0 * (sorted.len() - 1) as f64;
    let below = libm::floor(position) as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

impl MeasuredSummary {
    /// Computes a summary from requests.
    pub fn of(requests: &[MeasuredRequest]) -> Self {
        let good = || requests.iter().filter(|request| request.succeeded());
        let completed = good().count() as u64;
        let sum = |count: fn(&MeasuredRequest) -> Option<u64>| {
            good().map(count).sum::<Option<u64>>().filter(|_| completed > 0)
        };
        let end = good().filter_map(|request| Some(request.send_s? + request.e2e_s?)).fold(0.0, f64::max);
        let duration_s = (end > 0.0).then_some(end);
        let output_tokens = sum(|request| request.output_tokens);
        Self {
            origin: SummaryOrigin::Computed,
            completed: Some(completed),
            failed: Some(requests.len() as u64 - completed),
            duration_s,
            prompt_tokens: sum(|request| request.prompt_tokens),
            output_tokens,
            preemptions: None,
            request_throughput_per_s: ratio(Some(completed), duration_s),
            output_throughput_per_s: ratio(output_tokens, duration_s),
            ttft_s: Statistic::of(good().filter_map(|request| request.ttft_s)),
            tpot_s: Statistic::of(good().filter_map(MeasuredRequest::tpot_s)),
            itl_s: Statistic::of(good().flat_map(|request| request.gaps_s.iter().copied())),
            e2e_s: Statistic::of(good().filter_map(|request| request.e2e_s)),
        }
    }

    /// Whether nothing is stated.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Where stated aggregates are not what the requests give: means beyond 2 %, counts beyond nothing. ITL is not
    /// compared, because tools pool chunks in different ways.
    pub(crate) fn disagreements(&self, computed: &Self) -> Vec<Caveat> {
        let mut found = Vec::new();
        let mean = |statistic: &Option<Statistic>| statistic.as_ref().and_then(|s| s.mean);
        for (name, stated, ours) in [
            ("mean TTFT", mean(&self.ttft_s), mean(&computed.ttft_s)),
            ("mean TPOT", mean(&self.tpot_s), mean(&computed.tpot_s)),
            ("mean E2E", mean(&self.e2e_s), mean(&computed.e2e_s)),
        ] {
            if let (Some(stated), Some(ours)) = (stated, ours)
                && (stated - ours).abs() > MEANS_AGREE * ours.abs().max(1e-9)
            {
                let text = format!(
                    "{name}: the tool states {:.3} ms, its requests give {:.3} ms; the requests are used",
                    1e3 * stated,
                    1e3 * ours
                );
                found.push(Caveat::new(CaveatKind::Disagreement, text));
            }
        }
        for (name, stated, ours) in [
            ("completed", self.completed, computed.completed),
            ("prompt tokens", self.prompt_tokens, computed.prompt_tokens),
            ("output tokens", self.output_tokens, computed.output_tokens),
        ] {
            if let (Some(stated), Some(ours)) = (stated, ours)
                && stated != ours
            {
                let text = format!(
                    "{name}: the tool states {stated}, its requests give {ours}; the requests are used"
                );
                found.push(Caveat::new(CaveatKind::Disagreement, text));
            }
        }
        found
    }
}

/// Relative difference of two means that is put down to clocks and rounding.
const MEANS_AGREE: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpy_s() {
        let statistic = Statistic::of([4.0, 1.0, 3.0, 2.0]).expect("not empty");
        // numpy.percentile([1, 2, 3, 4], [25, 50, 90, 99]).
        assert_eq!(statistic.quantile(25.0), Some(1.75));
        assert_eq!(statistic.quantile(50.0), Some(2.5));
        assert!((statistic.quantile(90.0).expect("computed") - 3.7).abs() < 1e-12);
        assert!((statistic.quantile(99.0).expect("computed") - 3.97).abs() < 1e-12);
        assert_eq!(statistic.quantile(75.0), None);
        assert_eq!(Statistic::of([]), None);
    }
}
