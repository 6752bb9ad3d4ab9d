//! Independent replications of one setting: how many, and what follows from them.
//!
//! Antithetic replications come in pairs with mirrored random numbers. What a run gains by its luck its partner loses, so that
//! means of pairs vary less than means of two independent runs wherever a figure answers to each number in one direction;
//! pairs are independent of each other, and intervals are over pairs. Law & Kelton, section 11.3.

use kendall_theory::output::{
    Drift, FEWEST_REPLICATIONS, Stopping, drift_of_replications, sequential_stopping, t_interval,
};
use serde::Serialize;

use crate::figures::{FIGURES, Figure, RunFigures};
use crate::parallel::Workers;
use crate::play::{RunError, Setting, Watch, Workloads, play};

/// How many replications to play.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Extent {
    /// So many.
    Fixed(u32),
    /// Until every watched figure has its relative half-width, but not more than `most`.
    Precision {
        /// Wanted half-width over mean, such as 0.05.
        relative: f64,
        /// Most replications.
        most: u32,
    },
}

/// A mean over replications.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean over replications.
    pub mean: f64,
    /// Half of the confidence interval's width; `None` with fewer than two replications.
    pub half_width: Option<f64>,
    /// Probability with which such an interval contains the expectation.
    pub confidence: f64,
    /// Replications behind it.
    pub replications: u32,
}

/// The replications of one setting.
#[derive(Debug, Clone)]
pub struct Replications {
    /// Their figures, by number.
    pub runs: Vec<RunFigures>,
    /// Whether the wanted precision was reached; `None` if none was wanted.
    pub precise: Option<bool>,
    /// Whether runs 0 and 1, 2 and 3, ... are antithetic pairs.
    pub antithetic: bool,
}

impl Replications {
    /// The interval of one figure, from the replications that have it; `None` if none does.
    pub fn estimate(&self, figure: &Figure, confidence: f64) -> Option<Estimate> {
        let place = FIGURES.iter().position(|known| known.name == figure.name)?;
        Estimate::of(&self.independent(place), confidence)
    }

    /// Independent values of the figure at this place: one for each run, or one for each antithetic pair.
    fn independent(&self, place: usize) -> Vec<f64> {
        let value = |run: &RunFigures| run.values.get(place).copied().flatten();
        if self.antithetic {
            let mean = |pair: &[RunFigures]| Some(f64::midpoint(value(&pair[0])?, value(&pair[1])?));
            self.runs.chunks_exact(2).filter_map(mean).collect()
        } else {
            self.runs.iter().filter_map(value).collect()
        }
    }

    /// The half-width of the named figure over that of as many independent runs, estimated: the root of 1 + correlation
    /// between the runs of a pair. `None` without pairs, or without variation.
    pub fn antithetic_width_ratio(&self, figure: &str) -> Option<f64> {
        let place = FIGURES.iter().position(|known| known.name == figure).filter(|_| self.antithetic)?;
        let pairs = variance(&self.independent(place))?;
        let value = |run: &RunFigures| run.values.get(place).copied().flatten();
        let runs = variance(&self.runs.iter().map(value).collect::<Option<Vec<f64>>>()?)?;
        let ratio = (2.0 * pairs / runs).sqrt();
        ratio.is_finite().then_some(ratio)
    }

    /// What the number in the system did, over all independent runs; `None` if one was too short to say.
    pub fn drift(&self, confidence: f64) -> Option<Drift> {
        // The test takes runs for independent of each other: of an antithetic pair it sees the first.
        let step = if self.antithetic { 2 } else { 1 };
        let each: Option<Vec<Drift>> = self.runs.iter().step_by(step).map(|run| run.drift).collect();
        drift_of_replications(&each?, confidence)
    }

    /// Fewest requests of a run.
    pub fn fewest_requests(&self) -> u64 {
        self.runs.iter().map(|run| run.num_requests).min().unwrap_or(0)
    }

    /// Number of runs in which a replica could make no progress.
    pub fn stalled(&self) -> usize {
        self.runs.iter().filter(|run| run.stalled).count()
    }
}

/// Unbiased; `None` below two values.
fn variance(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (n > 1.0).then(|| squares / (n - 1.0))
}

impl Estimate {
    /// The mean of independent values with its Student-t interval; `None` without values.
    pub fn of(values: &[f64], confidence: f64) -> Option<Self> {
        let replications = u32::try_from(values.len()).ok().filter(|&n| n > 0)?;
        let mean = values.iter().sum::<f64>() / f64::from(replications);
        let half_width = t_interval(values, confidence).map(|interval| interval.half_width);
        Some(Self { mean, half_width, confidence, replications })
    }
}

/// Plays replications 0, 1, 2, ... in parallel. The result does not depend on the number of threads.
///
/// # Errors
/// The failure of the replication with the lowest number.
pub fn replicate<W: Workloads>(
    setting: &Setting,
    workloads: &W,
    extent: Extent,
    confidence: f64,
    workers: &Workers,
    watch: &impl Watch,
) -> Result<Replications, RunError<W::Error>> {
    let mut done = Replications { runs: Vec::new(), precise: None, antithetic: workloads.is_antithetic() };
    // Both runs of a pair are played.
    let runs_of_one = if done.antithetic { 2 } else { 1 };
    let up_to = |n: u32, runs: &mut Vec<RunFigures>| {
        let first = runs.len();
        let more =
            workers.map(n as usize - first, |i| play(setting, workloads, (first + i) as u32, watch))?;
        runs.extend(more);
        Ok::<(), RunError<W::Error>>(())
    };
    match extent {
        Extent::Fixed(n) => up_to(n, &mut done.runs)?,
        Extent::Precision { relative, most } => {
            let most = most / runs_of_one;
            let mut n = (FEWEST_REPLICATIONS as u32).min(most);
            done.precise = Some(loop {
                up_to(n * runs_of_one, &mut done.runs)?;
                match wanted_replications(&done, relative, confidence) {
                    None => break true,
                    Some(_) if n >= most => break false,
                    // The plan depends on figures alone, so that the number of threads cannot show.
                    Some(wanted) => n = u32::try_from(wanted).unwrap_or(most).clamp(n + 1, most),
                }
            });
        }
    }
    Ok(done)
}

/// The figures whose precision [`Extent::Precision`] is about.
pub const WATCHED: [&str; 6] =
    ["mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "p99_tpot_ms", "mean_e2el_ms", "p99_e2el_ms"];

/// Replications, or pairs of them, that the watched figures want in all; `None` if they are precise.
fn wanted_replications(so_far: &Replications, relative: f64, confidence: f64) -> Option<usize> {
    let watched = FIGURES.iter().enumerate().filter(|(_, figure)| WATCHED.contains(&figure.name));
    let wanted = watched.map(|(place, _)| {
        let values = so_far.independent(place);
        match sequential_stopping(&values, relative, confidence) {
            // A figure that no run has stands in nobody's way.
            _ if values.is_empty() => None,
            Stopping::Stop(_) => None,
            Stopping::Continue { replications } => Some(replications),
            Stopping::Impossible => Some(usize::MAX),
        }
    });
    wanted.flatten().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Throughputs of runs, all other figures missing.
    fn runs(throughputs: &[f64], antithetic: bool) -> Replications {
        let run = |&throughput: &f64| {
            let values =
                FIGURES.iter().map(|figure| (figure.name == "request_throughput").then_some(throughput));
            RunFigures { num_requests: 9, stalled: false, drift: None, values: values.collect() }
        };
        Replications { runs: throughputs.iter().map(run).collect(), precise: None, antithetic }
    }

    /// Of three pairs with the sums 10, 12 and 11 by hand: the means 5, 6, 5.5 have the variance 1/4, the six values 1, 9, 3, 9, 2, 9 the
    /// variance 15.1; t(0.975, 2) = 4.302653.
    #[test]
    fn antithetic_runs_count_as_pairs() {
        let pairs = runs(&[1.0, 9.0, 3.0, 9.0, 2.0, 9.0], true);
        let figure = &FIGURES[0];
        let estimate = pairs.estimate(figure, 0.95).expect("three pairs");
        assert_eq!((estimate.mean, estimate.replications), (5.5, 3));
        assert!(
            (estimate.half_width.expect("three pairs") - 4.302_653 * (0.25_f64 / 3.0).sqrt()).abs() < 1e-6
        );
        let ratio = pairs.antithetic_width_ratio(figure.name).expect("pairs");
        assert!((ratio - (0.5_f64 / 15.1).sqrt()).abs() < 1e-12, "{ratio}");
        let independent = runs(&[1.0, 9.0, 3.0, 9.0, 2.0, 9.0], false);
        assert_eq!(independent.estimate(figure, 0.95).map(|estimate| estimate.replications), Some(6));
        assert!(independent.antithetic_width_ratio(figure.name).is_none());
        assert!(pairs.antithetic_width_ratio("mean_ttft_ms").is_none(), "no run has it");
    }
}
