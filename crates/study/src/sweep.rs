//! Many settings, several replications of each: all runs are shared out over the threads, and each is handed over for
//! safe keeping as soon as it is done.

use kendall_serving::SimulationError;
use serde::{Deserialize, Serialize};

use crate::figures::RunFigures;
use crate::parallel::Workers;
use crate::play::{RunError, Setting, Watch, Workloads, play};

/// One setting of a sweep.
#[derive(Debug)]
pub struct SweepPoint<W> {
    /// Server and limits.
    pub setting: Setting,
    /// What it is sent.
    pub workloads: W,
}

/// What became of one run of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// It ended.
    Figures(RunFigures),
    /// Requests piled up beyond what is worth simulating, or simulated time ran out: a result of its kind.
    Abandoned(String),
}

/// Address of a run within a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// Number of the point.
    pub point: usize,
    /// Number of the replication.
    pub replication: u32,
}

/// Why a sweep ended early. `K` is what can go wrong with keeping a run.
#[derive(Debug)]
pub enum SweepError<E, K> {
    /// A run of this point gave no figures.
    Run(usize, RunError<E>),
    /// A finished run could not be kept.
    Keep(K),
}

/// Plays the runs that are missing. All points meet the same customers, replication by replication. `keep` is called
/// once for each, from any thread, in any order.
///
/// # Errors
/// The failure of the run with the lowest number; what was kept before stays kept.
pub fn sweep<W, K: Send>(
    points: &[SweepPoint<W>],
    missing: &[RunId],
    keep: &(impl Fn(RunId, &RunOutcome) -> Result<(), K> + Sync),
    workers: &Workers,
    watch: &impl Watch,
) -> Result<(), SweepError<W::Error, K>>
where
    W: Workloads + Sync,
{
    let run = |i: usize| {
        let id = missing[i];
        if watch.wants_to_stop() {
            return Err(SweepError::Run(id.point, RunError::Interrupted));
        }
        let SweepPoint { setting, workloads } = &points[id.point];
        let outcome = match play(setting, workloads, id.replication, watch) {
            Ok(figures) => RunOutcome::Figures(figures),
            Err(RunError::Simulation(
                error @ (SimulationError::Overloaded { .. } | SimulationError::BeyondHorizon),
            )) => RunOutcome::Abandoned(error.to_string()),
            Err(error) => return Err(SweepError::Run(id.point, error)),
        };
        keep(id, &outcome).map_err(SweepError::Keep)
    };
    workers.map(missing.len(), run).map(|_| ())
}
