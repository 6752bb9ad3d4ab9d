//! Between scenario files and studies: workloads by replication, failures, rows for reports.

use kendall_des::Streams;
use kendall_report::{FigureRow, MeanOverReplications};
use kendall_serving::Workload;
use kendall_study::{Estimate, FIGURES, Figure, Replications, RunError, Workloads};

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

/// Every figure as reports show it.
pub(crate) fn rows(replications: &Replications, confidence: f64) -> Vec<FigureRow> {
    let row = |figure: &Figure| FigureRow {
        name: figure.name,
        unit: figure.unit,
        main: figure.main,
        mean: replications.estimate(figure, confidence).map(mean),
    };
    FIGURES.iter().map(row).collect()
}

fn mean(estimate: Estimate) -> MeanOverReplications {
    let Estimate { mean, half_width, confidence, replications } = estimate;
    MeanOverReplications { mean, half_width, confidence, replications }
}
