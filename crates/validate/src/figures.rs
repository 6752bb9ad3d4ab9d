//! Latencies and rates of a row, measured and simulated, under one definition.

use kendall_serving::RequestStatus;
use serde::Serialize;

use crate::replay::Record;
use crate::table::{Cells, Table};

/// A figure that a row may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the columns")]
pub enum Metric {
    TtftMean,
    TtftP50,
    TtftP90,
    TtftP99,
    TpotMean,
    TpotP50,
    TpotP90,
    TpotP99,
    E2eMean,
    E2eP50,
    E2eP90,
    E2eP99,
    ThroughputRps,
    Completed,
    Preemptions,
}

/// Every figure, in the order in which they are shown.
pub const METRICS: [Metric; 15] = [
    Metric::TtftMean,
    Metric::TtftP50,
    Metric::TtftP90,
    Metric::TtftP99,
    Metric::TpotMean,
    Metric::TpotP50,
    Metric::TpotP90,
    Metric::TpotP99,
    Metric::E2eMean,
    Metric::E2eP50,
    Metric::E2eP90,
    Metric::E2eP99,
    Metric::ThroughputRps,
    Metric::Completed,
    Metric::Preemptions,
];

/// The figures that a summary has.
pub const SUMMARISED: [Metric; 6] = [
    Metric::TtftMean,
    Metric::TtftP99,
    Metric::TpotMean,
    Metric::E2eMean,
    Metric::E2eP99,
    Metric::ThroughputRps,
];

impl Metric {
    /// Its name: the column of the table, where it is one.
    pub fn name(self) -> &'static str {
        match self {
            Self::TtftMean => "ttft_mean",
            Self::TtftP50 => "ttft_p50",
            Self::TtftP90 => "ttft_p90",
            Self::TtftP99 => "ttft_p99",
            Self::TpotMean => "tpot_mean",
            Self::TpotP50 => "tpot_p50",
            Self::TpotP90 => "tpot_p90",
            Self::TpotP99 => "tpot_p99",
            Self::E2eMean => "e2e_mean",
            Self::E2eP50 => "e2e_p50",
            Self::E2eP90 => "e2e_p90",
            Self::E2eP99 => "e2e_p99",
            Self::ThroughputRps => "throughput_rps",
            Self::Completed => "completed",
            Self::Preemptions => "preemptions",
        }
    }

    /// Whether it is a length of time, in seconds.
    pub fn is_latency(self) -> bool {
        !matches!(self, Self::ThroughputRps | Self::Completed | Self::Preemptions)
    }
}

/// Figures by metric: seconds, requests a second, counts. `None` is "not known".
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures([Option<f64>; METRICS.len()]);

impl Figures {
    /// A figure.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0[metric as usize]
    }

    fn set(&mut self, metric: Metric, value: Option<f64>) {
        self.0[metric as usize] = value.filter(|value| value.is_finite());
    }

    /// What a row says was measured.
    pub(crate) fn measured(cells: Cells<'_>) -> Self {
        let mut figures = Self::default();
        for metric in METRICS {
            figures.set(metric, cells.amount(metric.name()));
        }
        if figures.get(Metric::Completed).is_none() {
            let completed =
                cells.amount("n_requests").zip(cells.amount("n_failed")).map(|(n, failed)| n - failed);
            figures.set(Metric::Completed, completed.filter(|&completed| completed >= 0.0));
        }
        figures
    }

    /// The figures of simulated requests: latencies of those that were answered, their rate from the first send to the
    /// last departure of any.
    pub fn simulated<'a>(records: impl Iterator<Item = &'a Record> + Clone) -> Self {
        let mut figures = Self::default();
        let answered = records.clone().filter(|record| record.status == RequestStatus::Finished);
        let of = |value: fn(&Record) -> Option<f64>| answered.clone().filter_map(value).collect();
        let latencies = [
            (Metric::TtftMean, of(|record| record.ttft_s)),
            (Metric::TpotMean, of(|record| record.tpot_s)),
            (Metric::E2eMean, of(|record| record.e2e_s)),
        ];
        for (mean, values) in latencies {
            figures.set_latencies(mean, values);
        }
        let first = records.clone().map(|record| record.arrival_s).fold(f64::INFINITY, f64::min);
        let last = records.clone().map(|record| record.finish_s).fold(f64::NEG_INFINITY, f64::max);
        let completed = answered.count() as f64;
        figures.set(Metric::Completed, Some(completed));
        figures.set(Metric::ThroughputRps, (last > first).then(|| completed / (last - first)));
        figures.set(Metric::Preemptions, Some(records.map(|record| f64::from(record.preemptions)).sum()));
        figures
    }

    /// Mean, p50, p90 and p99, which stand behind one another.
    fn set_latencies(&mut self, mean: Metric, mut values: Vec<f64>) {
        if values.is_empty() {
            return;
        }
        values.sort_by(f64::total_cmp);
        let place = mean as usize;
        self.0[place] = Some(values.iter().sum::<f64>() / values.len() as f64);
        for (i, share) in [0.5, 0.9, 0.99].into_iter().enumerate() {
            self.0[place + 1 + i] = Some(quantile_of_sorted(&values, share));
        }
    }
}

impl Table {
    /// What a row says was measured.
    pub fn figures(&self, row: usize) -> Figures {
        Figures::measured(self.row(row))
    }
}

/// The quantile of sorted values by linear interpolation between order statistics, as `numpy.percentile` takes it and
/// `vllm bench serve` with it (type 7 of Hyndman & Fan, The American Statistician 50, 1996).
pub(crate) fn quantile_of_sorted(values: &[f64], share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let below = place as usize;
    let above = (below + 1).min(values.len() - 1);
    values[below] + (place - below as f64) * (values[above] - values[below])
}

/// The median; `None` of nothing.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| quantile_of_sorted(&values, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(arrival_s: f64, e2e_s: Option<f64>) -> Record {
        Record {
            stage: 0,
            status: if e2e_s.is_some() { RequestStatus::Finished } else { RequestStatus::Aborted },
            arrival_s,
            finish_s: arrival_s + e2e_s.unwrap_or(300.0),
            ttft_s: Some(0.5),
            tpot_s: e2e_s.map(|e2e| (e2e - 0.5) / 10.0),
            e2e_s,
            prompt_tokens: 10,
            output_tokens: 11,
            preemptions: 2,
        }
    }

    #[test]
    fn only_answered_requests_have_latencies_and_all_count_in_time() {
        let records = [record(0.0, Some(1.0)), record(1.0, Some(3.0)), record(2.0, None)];
        let figures = Figures::simulated(records.iter());
        assert_eq!(figures.get(Metric::E2eMean), Some(2.0));
        assert_eq!(figures.get(Metric::E2eP50), Some(2.0));
        assert_eq!(figures.get(Metric::Completed), Some(2.0));
        assert_eq!(figures.get(Metric::ThroughputRps), Some(2.0 / 302.0));
        assert_eq!(figures.get(Metric::Preemptions), Some(6.0));
        assert_eq!(Figures::simulated([].iter()).get(Metric::TtftMean), None);
    }

    /// numpy.percentile([1, 2, 4, 8], [50, 90, 99]) = [3., 6.8, 7.88]
    #[test]
    fn quantiles_are_numpys() {
        let values = [1.0, 2.0, 4.0, 8.0];
        for (share, expected) in [(0.5, 3.0), (0.9, 6.8), (0.99, 7.88)] {
            assert!((quantile_of_sorted(&values, share) - expected).abs() < 1e-12);
        }
        assert_eq!(median(vec![5.0, 1.0]), Some(3.0));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn metrics_stand_at_their_own_places() {
        for (place, metric) in METRICS.into_iter().enumerate() {
            assert_eq!(metric as usize, place);
        }
    }
}
