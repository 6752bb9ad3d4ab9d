//! Between scenario files and studies: workloads by replication, failures, rows for reports.

use kendall_des::Streams;
use kendall_report::{FigureRow, MeanOverReplications};
use kendall_serving::{SimulationConfig, Workload};
use kendall_study::{
    Estimate, FIGURES, Figure, Replications, RunError, Stability, Workloads, needs_steady_state, offered_load,
};

use crate::commands::run_failure;
use crate::exit::Failure;
use crate::scenario_file::ScenarioFile;
use crate::workload;

/// The workload of a scenario, replication by replication.
pub(crate) struct ScenarioWorkloads<'a> {
    pub file: &'a ScenarioFile,
    pub seed: u64,
}

impl Workloads for ScenarioWorkloads<'_> {
    type Error = Failure;

    fn open(&self, replication: u32) -> Result<Box<dyn Workload>, Failure> {
        workload::open_replication(self.file, Streams::new(self.seed, replication))
            .map(|ready| ready.requests)
    }
}

/// Replications need something random.
pub(crate) fn check_random(file: &ScenarioFile, option: &str) -> Result<(), Failure> {
    match &file.scenario.workload.trace {
        None => Ok(()),
        Some(trace) => Err(Failure::Invalid(format!(
            "{option}: the trace {} has nothing random, so all replications of it would be one and the same run: leave \
             {option} out, or give `arrivals` and lengths instead of `trace`",
            trace.path
        ))),
    }
}

/// The failure for a run of a study that gave no figures.
pub(crate) fn failure(file: &ScenarioFile, error: RunError<Failure>) -> Failure {
    match error {
        RunError::Workload(failure) => failure,
        RunError::Simulation(error) => run_failure(file, &error),
        RunError::Interrupted => Failure::Interrupted,
    }
}

/// The verdict on a scenario's queue; `None` for a trace, which is a transient, and for clients that wait for answers,
/// whose queue cannot grow.
pub(crate) fn verdict(
    file: &ScenarioFile,
    seed: u64,
    simulation: &SimulationConfig,
    runs: &Replications,
    confidence: f64,
) -> Result<Option<Stability>, Failure> {
    let workload = &file.scenario.workload;
    if workload.trace.is_some() || workload.max_concurrency.is_some() {
        return Ok(None);
    }
    let load = offered_load(simulation, workload::open(file, seed)?.requests)
        .map_err(|error| workload::failure(file, &error))?;
    // Requests that all come at once have no rate, and no queue that goes on growing.
    Ok(load.rate_per_s.map(|_| Stability::of(&load, runs, confidence)))
}

/// Every figure as reports show it. Without a steady state there are no figures of one.
pub(crate) fn rows(replications: &Replications, overloaded: bool, confidence: f64) -> Vec<FigureRow> {
    let shown = |figure: &Figure| !(overloaded && needs_steady_state(figure.name));
    let row = |figure: &Figure| FigureRow {
        name: figure.name,
        unit: figure.unit,
        main: figure.main,
        mean: replications.estimate(figure, confidence).filter(|_| shown(figure)).map(mean),
    };
    FIGURES.iter().map(row).collect()
}

fn mean(estimate: Estimate) -> MeanOverReplications {
    let Estimate { mean, half_width, confidence, replications } = estimate;
    MeanOverReplications { mean, half_width, confidence, replications }
}
