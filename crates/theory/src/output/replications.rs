//! Intervals from independent replications of one scenario: Student t over their means.
//!
//! All replications are cut at the same place, found by MSER on the series averaged over them (Hoad, Robinson & Davies,
//! *Automating warm-up length estimation*, JORS 61, 2010): an excursion of one replication hardly moves the average,
//! a warm-up that all share does. Law & Kelton, sections 9.5.1 and 9.5.2.

use super::accumulator::BatchAccumulator;
use super::batches::FEWEST_BATCHES;
use super::histogram::Histogram;
use super::interval::{Interval, t_interval};
use super::no_interval::{NoInterval, open_unit};
use super::quantile_interval::{QuantileInterval, interval};
use super::single_run::{HistogramGroups, effective_sample};
use super::warmup::batches_to_cut;

/// Fewer replications say too little of their own spread for a quantile far out.
const FEWEST_FOR_A_QUANTILE: usize = 5;

/// Interval of the mean over replications, each without its warm-up.
///
/// Replications weigh equally, whatever their lengths.
///
/// # Errors
/// [`NoInterval`] below two replications, when one has fewer than 64 observations, or when they have not settled.
pub fn mean_of_replications(runs: &[BatchAccumulator], confidence: f64) -> Result<Interval, NoInterval> {
    let confidence = open_unit("confidence", confidence)?;
    enough(runs, 2)?;
    let means: Vec<Vec<f64>> = runs.iter().map(BatchAccumulator::batch_means).collect();
    let cuts = common_cut(runs, &means)?;
    let mean =
        |(means, &cut): (&Vec<f64>, &usize)| means[cut..].iter().sum::<f64>() / (means.len() - cut) as f64;
    let kept: Vec<f64> = means.iter().zip(&cuts).map(mean).collect();
    let few = NoInterval::FewReplications { replications: runs.len() as u64, needed: 2 };
    t_interval(&kept, confidence).ok_or(few)
}

/// Interval of the `p` quantile (0 to 1) over replications: the quantile of all observations, with the spread of the
/// share beyond it between replications.
///
/// # Errors
/// [`NoInterval`] below five replications, when one has fewer than 64 observations, when they have not settled, or when
/// all together are too short: for a p99, less than 1,000 independent observations (10 events beyond it).
pub fn quantile_of_replications(
    runs: &[BatchAccumulator],
    p: f64,
    confidence: f64,
) -> Result<QuantileInterval, NoInterval> {
    enough(runs, FEWEST_FOR_A_QUANTILE)?;
    let means: Vec<Vec<f64>> = runs.iter().map(BatchAccumulator::batch_means).collect();
    let cuts = common_cut(runs, &means)?;
    let kept = |(run, &cut): (&BatchAccumulator, &usize)| {
        Histogram::sum(run.batches().as_slice()[cut..].iter().map(|batch| &batch.histogram))
    };
    let histograms: Vec<Histogram> = runs.iter().zip(&cuts).map(kept).collect();
    let groups: Vec<&Histogram> = histograms.iter().collect();
    let pooled = HistogramGroups::new(&groups);
    let effective = effective_in_all(runs, &means, &cuts);
    interval(&pooled, p, confidence, effective, |shares| Ok(shares.to_vec()))
}

/// Independent observations in all replications, by the batches within them: their spread is known far better than that
/// of a few replications.
fn effective_in_all(runs: &[BatchAccumulator], means: &[Vec<f64>], cuts: &[usize]) -> f64 {
    let each = runs.iter().zip(means).zip(cuts).map(|((run, means), &cut)| {
        let kept = &means[cut..];
        effective_sample(run.batches().variance(cut), kept, kept.len() as f64 * run.batch_size() as f64)
    });
    each.sum()
}

fn enough(runs: &[BatchAccumulator], needed: usize) -> Result<(), NoInterval> {
    if let Some(short) = runs.iter().find(|run| run.batches().as_slice().len() < FEWEST_BATCHES) {
        let needed = FEWEST_BATCHES as u64;
        return Err(NoInterval::FewObservations { observations: short.count(), needed });
    }
    if runs.len() < needed {
        let (replications, needed) = (runs.len() as u64, needed as u64);
        return Err(NoInterval::FewReplications { replications, needed });
    }
    Ok(())
}

/// How many batches to leave out of each replication: the same number of observations, rounded up to whole batches.
fn common_cut(runs: &[BatchAccumulator], means: &[Vec<f64>]) -> Result<Vec<usize>, NoInterval> {
    // Sizes are powers of two: average at the coarsest, as far as the shortest replication goes.
    let coarsest = runs.iter().map(BatchAccumulator::batch_size).max().unwrap_or(1);
    let coarse: Vec<Vec<f64>> = runs
        .iter()
        .zip(means)
        .map(|(run, means)| {
            let factor = (coarsest / run.batch_size()) as usize;
            means.chunks_exact(factor).map(|group| group.iter().sum::<f64>() / factor as f64).collect()
        })
        .collect();
    let shortest = coarse.iter().map(Vec::len).min().unwrap_or(0);
    let average = |i: usize| coarse.iter().map(|means| means[i]).sum::<f64>() / runs.len() as f64;
    let averages: Vec<f64> = (0..shortest).map(average).collect();
    let observations = shortest as u64 * coarsest;
    let cut = batches_to_cut(&averages).ok_or(NoInterval::NotSettled { observations })? as u64 * coarsest;
    Ok(runs.iter().map(|run| (cut / run.batch_size()) as usize).collect())
}
