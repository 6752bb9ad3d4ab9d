//! Intervals from one long run: batches long enough not to depend on each other.
//!
//! The run is cut into 64 to 127 equal batches and loses its warm-up. Then adjacent batches are paired until von
//! Neumann's ratio finds no dependence, and once more, because a test on some fifty batches overlooks a little of it.
//! The double length also keeps the t interval close to its nominal coverage where batch means are skewed.
//! Fishman, *Grouping observations in digital simulation*, Management Science 24 (1978); Law & Kelton, section 9.5.3.

use super::accumulator::BatchAccumulator;
use super::batches::{Batch, Batches, FEWEST_BATCHES, ratio_values};
use super::histogram::Histogram;
use super::interval::{Interval, mean_and_variance, skewed_interval};
use super::no_interval::{NoInterval, open_unit};
use super::quantile::quantile_type7_of_sorted;
use super::quantile_interval::{Grouped, QuantileInterval, interval};
use super::warmup::batches_to_cut;

/// Below so many batches no interval is given.
const FEWEST_FINAL_BATCHES: usize = 15;
/// So many independent observations must stand behind a mean. With fewer, waiting times are too skewed for Student's t,
/// and a few correlation times can pass the test for dependence by chance.
const FEWEST_EFFECTIVE: f64 = 200.0;
/// Batch means that differ by less, as a share of their mean, differ by rounding.
const ROUNDING: f64 = 1e-12;
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

/// The batches of an interval, from those of the run without its warm-up, which hold so many observations together.
fn independent_batches(values: &[f64], observations: f64) -> Result<Vec<f64>, NoInterval> {
    let mut size = 1;
    while values.len() / (2 * size) >= FEWEST_FINAL_BATCHES {
        if !depends_on_neighbours(&grouped(values, size)) {
            return Ok(grouped(values, 2 * size));
        }
        size *= 2;
    }
    let batch_size = (observations * size as f64 / values.len() as f64) as u64;
    Err(NoInterval::Correlated { observations: observations as u64, batch_size })
}

/// The number of independent observations that would give the mean the standard error that it has: the variance of one
/// observation over the variance of the mean of `batches`.
pub(super) fn effective_sample(variance: f64, batches: &[f64], observations: f64) -> f64 {
    match mean_and_variance(batches) {
        Some((mean, of_batches)) if of_batches.sqrt() > ROUNDING * mean.abs() => {
            variance * batches.len() as f64 / of_batches
        }
        // Every batch has the same mean: nothing suggests dependence.
        _ => observations,
    }
}

/// Interval of the mean from batches without the warm-up, as values of [`ratio_values`]; `variance` is that of one of the
/// `observations`.
fn mean_from_batches(
    values: &[f64],
    observations: f64,
    variance: f64,
    confidence: f64,
) -> Result<Interval, NoInterval> {
    let confidence = open_unit("confidence", confidence)?;
    let batches = independent_batches(values, observations)?;
    let effective = effective_sample(variance, &batches, observations);
    if effective < FEWEST_EFFECTIVE {
        let observations = observations as u64;
        return Err(NoInterval::FewEffective { observations, effective, needed: FEWEST_EFFECTIVE });
    }
    let value = batches.iter().sum();
    skewed_interval(&batches, confidence).ok_or(NoInterval::Invalid {
        name: "observation",
        value,
        domain: "a finite number",
    })
}

/// How many batches are warm-up.
fn warm_up(means: &[f64], observations: u64) -> Result<usize, NoInterval> {
    if means.len() < FEWEST_BATCHES {
        // Batches of several observations each are not so many yet.
        let needed = FEWEST_BATCHES as u64 * observations.checked_div(means.len() as u64).unwrap_or(1).max(1);
        return Err(NoInterval::FewObservations { observations, needed });
    }
    batches_to_cut(means).ok_or(NoInterval::NotSettled { observations })
}

/// The batches of a run without its warm-up.
struct Settled<'a> {
    batches: &'a [Batch],
    /// As [`ratio_values`] gives them.
    values: Vec<f64>,
    observations: f64,
    variance: f64,
}

impl<'a> Settled<'a> {
    fn of(run: &'a Batches) -> Result<Self, NoInterval> {
        let cut = warm_up(&run.means(), run.count())?;
        let batches = &run.as_slice()[cut..];
        let groups: Vec<_> = batches.iter().map(|batch| (batch.sum as f64, batch.count as f64)).collect();
        let observations = groups.iter().map(|group| group.1).sum();
        Ok(Self { batches, values: ratio_values(&groups), observations, variance: run.variance(cut) })
    }
}

impl Batches {
    /// Observations that are left out as warm-up.
    pub(super) fn warm_up(&self) -> Result<u64, NoInterval> {
        let cut = warm_up(&self.means(), self.count())?;
        Ok(self.as_slice()[..cut].iter().map(|batch| batch.count).sum())
    }

    pub(super) fn mean_interval(&self, confidence: f64) -> Result<Interval, NoInterval> {
        let run = Settled::of(self)?;
        mean_from_batches(&run.values, run.observations, run.variance, confidence)
    }

    /// Intervals of several quantiles.
    pub(super) fn quantile_intervals<const N: usize>(
        &self,
        ps: [f64; N],
        confidence: f64,
    ) -> Result<[Result<QuantileInterval, NoInterval>; N], NoInterval> {
        let run = Settled::of(self)?;
        let groups: Vec<&Histogram> = run.batches.iter().map(|batch| &batch.histogram).collect();
        let pooled = HistogramGroups::new(&groups);
        let effective = effective_sample(
            run.variance,
            &independent_batches(&run.values, run.observations)?,
            run.observations,
        );
        let group = |shares: &[f64]| independent_batches(shares, run.observations);
        Ok(ps.map(|p| interval(&pooled, p, confidence, effective, group)))
    }
}

impl BatchAccumulator {
    /// Interval of the mean of a stationary run.
    ///
    /// # Errors
    /// [`NoInterval`] when the run is too short or has not settled.
    pub fn mean_interval(&self, confidence: f64) -> Result<Interval, NoInterval> {
        self.batches().mean_interval(confidence)
    }

    /// Interval of the `p` quantile (0 to 1) of a stationary run.
    ///
    /// # Errors
    /// [`NoInterval`] when the run is too short, for a p99 less than 1,000 independent observations (10 events beyond it),
    /// or has not settled.
    pub fn quantile_interval(&self, p: f64, confidence: f64) -> Result<QuantileInterval, NoInterval> {
        let [interval] = self.batches().quantile_intervals([p], confidence)?;
        interval
    }
}

/// Histograms of the groups, and of all together.
pub(super) struct HistogramGroups<'a> {
    groups: &'a [&'a Histogram],
    sizes: Vec<f64>,
    all: Histogram,
}

impl<'a> HistogramGroups<'a> {
    pub(super) fn new(groups: &'a [&'a Histogram]) -> Self {
        let sizes = groups.iter().map(|group| group.count() as f64).collect();
        Self { groups, sizes, all: Histogram::sum(groups.iter().copied()) }
    }
}

impl Grouped for HistogramGroups<'_> {
    fn quantile(&self, p: f64) -> Option<f64> {
        self.all.quantile(p)
    }

    fn shares(&self, p: f64) -> [Vec<f64>; 2] {
        let Some((bucket, ..)) = self.all.bucket_at(p) else { return [Vec::new(), Vec::new()] };
        let (from, beyond): (Vec<_>, Vec<_>) = self
            .groups
            .iter()
            .zip(&self.sizes)
            .map(|(group, &size)| {
                let from = group.count_from(bucket);
                ((from as f64, size), ((from - group.count_in(bucket)) as f64, size))
            })
            .unzip();
        [ratio_values(&from), ratio_values(&beyond)]
    }
}

impl Grouped for Series<'_> {
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

/// A series cut as [`BatchAccumulator`] would cut it, without its warm-up.
struct Series<'a> {
    batches: Vec<&'a [f64]>,
    means: Vec<f64>,
    sorted: Vec<f64>,
    variance: f64,
}

impl<'a> Series<'a> {
    fn new(values: &'a [f64]) -> Result<Self, NoInterval> {
        if let Some(&value) = values.iter().find(|x| !x.is_finite()) {
            return Err(NoInterval::Invalid { name: "observation", value, domain: "a finite number" });
        }
        let mut batch_size = 1;
        while values.len() / batch_size >= 2 * FEWEST_BATCHES {
            batch_size *= 2;
        }
        let batches: Vec<&[f64]> = values.chunks_exact(batch_size).collect();
        let mean = |batch: &&[f64]| batch.iter().sum::<f64>() / batch_size as f64;
        let means: Vec<f64> = batches.iter().map(mean).collect();
        let cut = warm_up(&means, values.len() as u64)?;
        let (batches, means) = (batches[cut..].to_vec(), means[cut..].to_vec());
        let mut sorted = batches.concat();
        sorted.sort_by(f64::total_cmp);
        // At least 32 batches are left, so there is a variance.
        let variance = mean_and_variance(&sorted).map_or(0.0, |(_, variance)| variance);
        Ok(Self { batches, means, sorted, variance })
    }
}

/// Interval of the mean of a stationary run in memory, by the rules of [`BatchAccumulator::mean_interval`].
///
/// # Errors
/// [`NoInterval`] when the run is too short or has not settled, or for a value that is not finite.
pub fn mean_interval(values: &[f64], confidence: f64) -> Result<Interval, NoInterval> {
    let series = Series::new(values)?;
    mean_from_batches(&series.means, series.sorted.len() as f64, series.variance, confidence)
}

/// Interval of the `p` quantile (0 to 1) of a stationary run in memory, by the rules of
/// [`BatchAccumulator::quantile_interval`] but with exact order statistics.
///
/// # Errors
/// [`NoInterval`] when the run is too short or has not settled, or for a value that is not finite.
pub fn quantile_interval(values: &[f64], p: f64, confidence: f64) -> Result<QuantileInterval, NoInterval> {
    let series = Series::new(values)?;
    let observations = series.sorted.len() as f64;
    let group = |shares: &[f64]| independent_batches(shares, observations);
    let effective = effective_sample(series.variance, &group(&series.means)?, observations);
    interval(&series, p, confidence, effective, group)
}
