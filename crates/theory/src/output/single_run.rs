//! Intervals from one long run: batches long enough not to depend on each other.
//!
//! The run is cut into 64 to 127 equal batches and loses its warm-up. Then adjacent batches are paired until von
//! Neumann's ratio finds no dependence, and once more, because a test on some fifty batches overlooks a little of it.
//! The double length also keeps the t interval close to its nominal coverage where batch means are skewed.
//! Fishman, *Grouping observations in digital simulation*, Management Science 24 (1978); Law & Kelton, section 9.5.3.

use super::accumulator::{BatchAccumulator, FEWEST_BATCHES};
use super::histogram::Histogram;
use super::interval::{Interval, mean_and_variance, skewed_interval};
use super::no_interval::{NoInterval, open_unit};
use super::quantile::quantile_type7_of_sorted;
use super::quantile_interval::{Grouped, QuantileInterval, interval};
use super::warmup::batches_to_cut;

/// Below so many batches no interval is given.
const FEWEST_FINAL_BATCHES: usize = 15;
/// One-sided normal quantile at 1 %: how rarely independent batches are taken for dependent ones.
const VON_NEUMANN_LEVEL: f64 = 2.326;

/// Whether von Neumann's ratio finds positive correlation between neighbours. Under independence the lag-1
/// autocorrelation, corrected for its ends, has mean 0 and variance (k - 2) / (k^2 - 1). Fishman (1978).
pub(super) fn depends_on_neighbours(values: &[f64]) -> bool {
    let k = values.len() as f64;
    let Some((_, variance)) = mean_and_variance(values) else { return false };
    if variance <= 0.0 {
        return false;
    }
    let squares = variance * (k - 1.0);
    let differences: f64 = values.windows(2).map(|pair| (pair[0] - pair[1]) * (pair[0] - pair[1])).sum();
    let correlation = 1.0 - differences / (2.0 * squares);
    correlation > VON_NEUMANN_LEVEL * ((k - 2.0) / (k * k - 1.0)).sqrt()
}

/// Means of `size` adjacent values each; the remainder is left out at the start.
fn grouped(values: &[f64], size: usize) -> Vec<f64> {
    let mean = |group: &[f64]| group.iter().sum::<f64>() / size as f64;
    values[values.len() % size..].chunks_exact(size).map(mean).collect()
}

/// The batches of an interval, from those of the run without its warm-up.
fn independent_batches(values: &[f64], batch_size: u64) -> Result<Vec<f64>, NoInterval> {
    let mut size = 1;
    while values.len() / (2 * size) >= FEWEST_FINAL_BATCHES {
        if !depends_on_neighbours(&grouped(values, size)) {
            return Ok(grouped(values, 2 * size));
        }
        size *= 2;
    }
    let observations = values.len() as u64 * batch_size;
    Err(NoInterval::Correlated { observations, batch_size: size as u64 * batch_size })
}

/// Variance of one observation over the variance of the mean.
fn effective_sample(variance: f64, means: &[f64], batch_size: u64) -> Result<f64, NoInterval> {
    let batches = independent_batches(means, batch_size)?;
    Ok(match mean_and_variance(&batches) {
        Some((_, of_batches)) if of_batches > 0.0 => variance * batches.len() as f64 / of_batches,
        // Every batch has the same mean: nothing suggests dependence.
        _ => (means.len() as u64 * batch_size) as f64,
    })
}

/// Interval of the mean from the means of all batches of a run.
fn mean_from_batches(means: &[f64], batch_size: u64, confidence: f64) -> Result<Interval, NoInterval> {
    let confidence = open_unit("confidence", confidence)?;
    let batches = independent_batches(&means[warm_up(means, batch_size)?..], batch_size)?;
    let value = batches.iter().sum();
    skewed_interval(&batches, confidence).ok_or(NoInterval::Invalid {
        name: "observation",
        value,
        domain: "a finite number",
    })
}

/// How many batches are warm-up.
fn warm_up(means: &[f64], batch_size: u64) -> Result<usize, NoInterval> {
    let observations = means.len() as u64 * batch_size;
    if means.len() < FEWEST_BATCHES {
        return Err(NoInterval::FewObservations { observations, needed: FEWEST_BATCHES as u64 });
    }
    batches_to_cut(means).ok_or(NoInterval::NotSettled { observations })
}

impl BatchAccumulator {
    /// Interval of the mean of a stationary run.
    ///
    /// # Errors
    /// [`NoInterval`] when the run is too short or has not settled.
    pub fn mean_interval(&self, confidence: f64) -> Result<Interval, NoInterval> {
        mean_from_batches(&self.batch_means(), self.batch_size(), confidence)
    }

    /// Interval of the `p` quantile (0 to 1) of a stationary run.
    ///
    /// # Errors
    /// [`NoInterval`] when the run is too short: less than about 16 independent events beyond the quantile (for 95 %),
    /// so that the share beyond it is not known to within half of itself.
    pub fn quantile_interval(&self, p: f64, confidence: f64) -> Result<QuantileInterval, NoInterval> {
        let means = self.batch_means();
        let cut = warm_up(&means, self.batch_size())?;
        let kept: Vec<&Histogram> = self.batches()[cut..].iter().map(|batch| &batch.histogram).collect();
        let pooled = HistogramGroups::new(&kept);
        let effective = effective_sample(pooled.all.variance(), &means[cut..], self.batch_size())?;
        interval(&pooled, p, confidence, effective, |shares| independent_batches(shares, self.batch_size()))
    }
}

/// Histograms of the groups, and of all together.
pub(super) struct HistogramGroups<'a> {
    groups: &'a [&'a Histogram],
    pub(super) all: Histogram,
}

impl<'a> HistogramGroups<'a> {
    pub(super) fn new(groups: &'a [&'a Histogram]) -> Self {
        Self { groups, all: Histogram::sum(groups) }
    }
}

impl Grouped for HistogramGroups<'_> {
    fn quantile(&self, p: f64) -> Option<f64> {
        self.all.quantile(p)
    }

    fn shares(&self, p: f64) -> [Vec<f64>; 2] {
        let Some((bucket, ..)) = self.all.bucket_at(p) else { return [Vec::new(), Vec::new()] };
        let share = |from| {
            let groups = self.groups.iter();
            groups.map(|group| group.count_from(from) as f64 / group.count() as f64).collect()
        };
        [share(bucket), share(bucket + 1)]
    }
}

/// Equal batches of a series in memory, and the series sorted.
struct SeriesGroups<'a> {
    batches: Vec<&'a [f64]>,
    sorted: Vec<f64>,
}

impl Grouped for SeriesGroups<'_> {
    fn quantile(&self, p: f64) -> Option<f64> {
        quantile_type7_of_sorted(&self.sorted, p)
    }

    fn shares(&self, p: f64) -> [Vec<f64>; 2] {
        let Some(quantile) = self.quantile(p) else { return [Vec::new(), Vec::new()] };
        let share = |beyond: &dyn Fn(f64) -> bool| {
            let of =
                |batch: &&[f64]| batch.iter().filter(|&&x| beyond(x)).count() as f64 / batch.len() as f64;
            self.batches.iter().map(of).collect()
        };
        [share(&|x| x >= quantile), share(&|x| x > quantile)]
    }
}

/// Batches as [`BatchAccumulator`] would form them, of a series whose values are all finite.
fn batches(values: &[f64]) -> Result<(Vec<&[f64]>, Vec<f64>), NoInterval> {
    if let Some(&value) = values.iter().find(|x| !x.is_finite()) {
        return Err(NoInterval::Invalid { name: "observation", value, domain: "a finite number" });
    }
    let mut size = 1;
    while values.len() / size >= 2 * FEWEST_BATCHES {
        size *= 2;
    }
    let batches: Vec<&[f64]> = values.chunks_exact(size).collect();
    let means: Vec<f64> = batches.iter().map(|batch| batch.iter().sum::<f64>() / size as f64).collect();
    Ok((batches, means))
}

/// Interval of the mean of a stationary run in memory, by the rules of [`BatchAccumulator::mean_interval`].
///
/// # Errors
/// [`NoInterval`] when the run is too short or has not settled, or for a value that is not finite.
pub fn mean_interval(values: &[f64], confidence: f64) -> Result<Interval, NoInterval> {
    let (batches, means) = batches(values)?;
    let batch_size = batches.first().map_or(0, |batch| batch.len());
    mean_from_batches(&means, batch_size as u64, confidence)
}

/// Interval of the `p` quantile (0 to 1) of a stationary run in memory, by the rules of
/// [`BatchAccumulator::quantile_interval`] but with exact order statistics.
///
/// # Errors
/// [`NoInterval`] when the run is too short or has not settled, or for a value that is not finite.
pub fn quantile_interval(values: &[f64], p: f64, confidence: f64) -> Result<QuantileInterval, NoInterval> {
    let (batches, means) = batches(values)?;
    let batch_size = batches.first().map_or(0, |batch| batch.len());
    let cut = warm_up(&means, batch_size as u64)?;
    let kept = batches[cut..].to_vec();
    let mut sorted = kept.concat();
    sorted.sort_by(f64::total_cmp);
    let groups = SeriesGroups { batches: kept, sorted };
    let variance = mean_and_variance(&groups.sorted).map_or(0.0, |(_, variance)| variance);
    let effective = effective_sample(variance, &means[cut..], batch_size as u64)?;
    interval(&groups, p, confidence, effective, |shares| independent_batches(shares, batch_size as u64))
}
