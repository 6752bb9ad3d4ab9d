//! Independent replications of one setting: how many, and what follows from them.

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
}

impl Replications {
    /// The interval of one figure, from the replications that have it; `None` if none does.
    pub fn estimate(&self, figure: &Figure, confidence: f64) -> Option<Estimate> {
        let place = FIGURES.iter().position(|known| known.name == figure.name)?;
        let values: Vec<f64> = self.runs.iter().filter_map(|run| *run.values.get(place)?).collect();
        Estimate::of(&values, confidence)
    }

    /// What the number in the system did, over all runs; `None` if one was too short to say.
    pub fn drift(&self, confidence: f64) -> Option<Drift> {
        let each: Option<Vec<Drift>> = self.runs.iter().map(|run| run.drift).collect();
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
    let mut runs = Vec::new();
    let up_to = |n: u32, runs: &mut Vec<RunFigures>| {
        let first = runs.len();
        let more =
            workers.map(n as usize - first, |i| play(setting, workloads, (first + i) as u32, watch))?;
        runs.extend(more);
        Ok::<(), RunError<W::Error>>(())
    };
    match extent {
        Extent::Fixed(n) => {
            up_to(n, &mut runs)?;
            Ok(Replications { runs, precise: None })
        }
        Extent::Precision { relative, most } => {
            let mut n = (FEWEST_REPLICATIONS as u32).min(most);
            loop {
                up_to(n, &mut runs)?;
                let so_far = Replications { runs, precise: None };
                let wanted = wanted_replications(&so_far, relative, confidence);
                runs = so_far.runs;
                match wanted {
                    None => return Ok(Replications { runs, precise: Some(true) }),
                    Some(_) if n >= most => return Ok(Replications { runs, precise: Some(false) }),
                    // The plan depends on figures alone, so that the number of threads cannot show.
                    Some(wanted) => n = u32::try_from(wanted).unwrap_or(most).clamp(n + 1, most),
                }
            }
        }
    }
}

/// The figures whose precision [`Extent::Precision`] is about.
pub const WATCHED: [&str; 6] =
    ["mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "p99_tpot_ms", "mean_e2el_ms", "p99_e2el_ms"];

/// Replications that the watched figures want in all; `None` if they are precise.
fn wanted_replications(so_far: &Replications, relative: f64, confidence: f64) -> Option<usize> {
    let watched = FIGURES.iter().enumerate().filter(|(_, figure)| WATCHED.contains(&figure.name));
    let wanted = watched.map(|(place, _)| {
        let values: Vec<f64> = so_far.runs.iter().filter_map(|run| *run.values.get(place)?).collect();
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
