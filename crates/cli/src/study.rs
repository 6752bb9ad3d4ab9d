//! Between scenario files and studies: workloads by replication, failures, rows for reports.

use kendall_des::Streams;
use kendall_report::{FigureRow, MeanOverReplications};
use kendall_serving::scenario::Resolved;
use kendall_serving::workload::Arrivals;
use kendall_serving::{CostModel, SimulationConfig, Workload, catalog};
use kendall_study::{
    Estimate, FIGURES, Figure, Replications, RunError, SAMPLE, Setting, Stability, Workloads,
    needs_steady_state, offered_load,
};
use kendall_theory::output::{Drift, Horizon};

use crate::commands::run_failure;
use crate::exit::Failure;
use crate::scenario_file::ScenarioFile;
use crate::workload::{self, Prepared, Ready};

/// The workload of a scenario, replication by replication.
pub(crate) struct ScenarioWorkloads<'a> {
    pub file: &'a ScenarioFile,
    /// The files that it names are read once.
    prepared: Prepared,
    seed: u64,
    antithetic: bool,
}

impl<'a> ScenarioWorkloads<'a> {
    pub(crate) fn new(file: &'a ScenarioFile, seed: u64) -> Result<Self, Failure> {
        let workloads = Self { file, prepared: workload::prepare(file)?, seed, antithetic: false };
        // Mistakes in parameters show when the first requests are drawn up.
        workloads.ready(0)?;
        Ok(workloads)
    }

    /// The same with replications 0 and 1, 2 and 3, ... as antithetic pairs.
    pub(crate) fn antithetic(self) -> Self {
        Self { antithetic: true, ..self }
    }

    fn ready(&self, replication: u32) -> Result<Ready, Failure> {
        self.prepared.begin(self.file, self.streams(replication))
    }

    /// Requests of a run, where their number is known before.
    pub(crate) fn total(&self) -> Result<Option<u64>, Failure> {
        self.ready(0).map(|ready| ready.total)
    }

    /// All that the requests depend on but for the contents of a trace, as text.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{:?}", self.prepared)
    }
}

impl Workloads for ScenarioWorkloads<'_> {
    type Error = Failure;

    fn open(&self, replication: u32) -> Result<Box<dyn Workload + Send>, Failure> {
        self.ready(replication).map(|ready| ready.requests)
    }

    fn streams(&self, replication: u32) -> Streams {
        let partner = self.antithetic && replication % 2 == 1;
        // Replication 0 stays the run without replications.
        let pair = if self.antithetic { replication / 2 } else { replication };
        let streams = Streams::new(self.seed, pair);
        if partner { streams.mirrored() } else { streams }
    }

    fn is_antithetic(&self) -> bool {
        self.antithetic
    }
}

/// The server of an experiment with what counts as good and what it costs.
pub(crate) fn setting(file: &ScenarioFile, resolved: &Resolved) -> Setting {
    Setting { simulation: resolved.simulation.clone(), goodput: resolved.goodput, cost: cost_model(file) }
}

/// The GPUs of the server; `None` where the scenario names none.
pub(crate) fn cost_model(file: &ScenarioFile) -> Option<CostModel<'static>> {
    let server = &file.scenario.server;
    let gpu = catalog::gpu(server.gpu.as_deref()?).ok()?;
    let gpus = server.tensor_parallel_size.unwrap_or(1).checked_mul(server.replicas.unwrap_or(1))?;
    Some(CostModel { gpu, gpus })
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

/// Whether clients wait for answers before they send again: such a load has no rate of its own.
pub(crate) fn is_closed(file: &ScenarioFile) -> bool {
    let workload = &file.scenario.workload;
    workload.max_concurrency.is_some() || matches!(workload.arrivals, Some(Arrivals::ClosedLoop { .. }))
}

/// Long-run rate of a synthetic workload (1/s), over all classes; `None` if it has none.
pub(crate) fn rate_per_s(file: &ScenarioFile) -> Option<f64> {
    let workload = &file.scenario.workload;
    match &workload.arrivals {
        Some(arrivals) => arrivals.rate_per_s(),
        None if workload.class.is_empty() => None,
        None => workload.class.iter().map(|class| class.arrivals.as_ref()?.rate_per_s()).sum(),
    }
}

/// For how long the scenario's workload goes on.
pub(crate) fn horizon(file: &ScenarioFile) -> Horizon {
    let workload = &file.scenario.workload;
    if workload.trace.is_some() {
        return Horizon::Finite;
    }
    let classes = workload.class.iter().filter_map(|class| class.arrivals.as_ref());
    let mut arrivals = workload.arrivals.iter().chain(classes);
    if is_closed(file) {
        // Clients that find everything there at once are a closed loop; where the offered rate changes, so does the state.
        let changes =
            |arrivals: &Arrivals| !arrivals.is_stationary() && !matches!(arrivals, Arrivals::AtOnce {});
        return if arrivals.any(changes) { Horizon::Finite } else { Horizon::Bounded };
    }
    if arrivals.all(Arrivals::is_stationary) { Horizon::Stationary } else { Horizon::Finite }
}

/// The verdict on a scenario's queue from what the number in the system did. `sample` requests are read for the load.
pub(crate) fn stability(
    file: &ScenarioFile,
    simulation: &SimulationConfig,
    horizon: Horizon,
    requests: Box<dyn Workload + Send>,
    sample: u64,
    drift: Option<&Drift>,
) -> Result<Stability, Failure> {
    let load = match horizon {
        Horizon::Stationary => {
            let load = offered_load(simulation, requests, rate_per_s(file), sample);
            Some(load.map_err(|error| workload::failure(file, &error))?)
        }
        Horizon::Finite | Horizon::Bounded => None,
    };
    Ok(Stability::of(load, drift, horizon))
}

/// The verdict on a scenario's queue over several runs.
pub(crate) fn verdict(
    workloads: &ScenarioWorkloads<'_>,
    simulation: &SimulationConfig,
    runs: &Replications,
    confidence: f64,
) -> Result<Stability, Failure> {
    let drift = runs.drift(confidence);
    let file = workloads.file;
    stability(file, simulation, horizon(file), workloads.open(0)?, SAMPLE, drift.as_ref())
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
