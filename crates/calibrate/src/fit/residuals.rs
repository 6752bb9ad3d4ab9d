//! How far predictions are from steps, by kind of step and size of batch.

use serde::Serialize;

use crate::steps::MeasuredStep;
use crate::summary::quantile_of_sorted;

/// Errors of predictions relative to the measured durations.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Residuals {
    /// Over all steps.
    pub all: ResidualRow,
    /// By kind of step, decodes by the size of their batch.
    pub groups: Vec<ResidualRow>,
}

/// The errors of one group of steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ResidualRow {
    /// Which steps.
    pub group: String,
    /// How many.
    pub steps: usize,
    /// Mean measured duration (ms).
    pub mean_measured_ms: f64,
    /// Median of predicted over measured, less one (%).
    pub median_signed_percent: f64,
    /// Median size of the error (%).
    pub median_percent: f64,
    /// 95th percentile of its size (%).
    pub p95_percent: f64,
    /// Mean predicted over mean measured, less one (%): what adds up over a run.
    pub mean_signed_percent: f64,
}

/// Upper bounds of the groups of decode batches.
const BATCH_BOUNDS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

impl Residuals {
    /// Of steps with their predicted durations (s).
    pub(crate) fn of<'a>(pairs: impl Iterator<Item = (&'a MeasuredStep, f64)>) -> Self {
        let mut all = Vec::new();
        let mut groups: Vec<Vec<(f64, f64)>> = vec![Vec::new(); BATCH_BOUNDS.len() + 3];
        for (step, predicted) in pairs {
            let pair = (step.duration_s, predicted);
            all.push(pair);
            groups[group_of(step)].push(pair);
        }
        let rows = groups.iter().enumerate().filter(|(_, pairs)| !pairs.is_empty());
        Self {
            all: ResidualRow::of("all".to_owned(), &all),
            groups: rows.map(|(group, pairs)| ResidualRow::of(name_of(group), pairs)).collect(),
        }
    }
}

fn group_of(step: &MeasuredStep) -> usize {
    if step.is_decode_only() {
        return BATCH_BOUNDS.partition_point(|&bound| (bound as f64) < step.decode_seqs);
    }
    BATCH_BOUNDS.len() + if step.decode_seqs > 0.0 { 1 } else { 2 }
}

fn name_of(group: usize) -> String {
    let last = BATCH_BOUNDS.len();
    match group {
        0 => "decode, batch 1".to_owned(),
        1 => "decode, batch 2".to_owned(),
        group if group < last => {
            format!("decode, batch {} to {}", BATCH_BOUNDS[group - 1] + 1, BATCH_BOUNDS[group])
        }
        group if group == last => format!("decode, batch above {}", BATCH_BOUNDS[last - 1]),
        group if group == last + 1 => "prefill and decode".to_owned(),
        _ => "prefill".to_owned(),
    }
}

impl ResidualRow {
    fn of(group: String, pairs: &[(f64, f64)]) -> Self {
        if pairs.is_empty() {
            return Self { group, ..Self::default() };
        }
        let percent = |measured: f64, predicted: f64| 100.0 * (predicted / measured - 1.0);
        let mut signed: Vec<f64> =
            pairs.iter().map(|&(measured, predicted)| percent(measured, predicted)).collect();
        let mut size: Vec<f64> = signed.iter().map(|error| error.abs()).collect();
        signed.sort_by(f64::total_cmp);
        size.sort_by(f64::total_cmp);
        let sum = |part: fn(&(f64, f64)) -> f64| pairs.iter().map(part).sum::<f64>();
        let (measured, predicted) = (sum(|pair| pair.0), sum(|pair| pair.1));
        Self {
            group,
            steps: pairs.len(),
            mean_measured_ms: 1e3 * measured / pairs.len() as f64,
            median_signed_percent: quantile_of_sorted(&signed, 50.0),
            median_percent: quantile_of_sorted(&size, 50.0),
            p95_percent: quantile_of_sorted(&size, 95.0),
            mean_signed_percent: percent(measured, predicted),
        }
    }
}
