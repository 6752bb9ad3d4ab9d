//! One run: a workload played against a server, watched from outside.

use kendall_des::{SimDuration, SimTime, Streams};
use kendall_serving::{
    CostModel, DecodeRun, EngineGauges, GoodputLimits, Observer, RequestRecord, RunEnd, RunMetrics,
    Simulation, SimulationConfig, SimulationError, Workload,
};
use thiserror::Error;

use crate::figures::{Facts, RunFigures};
use crate::number_in_system::NumberInSystem;

/// Departures between two calls of [`Watch::departed`].
const REQUESTS_A_LOOK: u64 = 1 << 12;

/// Of the growth of the number in the system in one of several runs: reports show that over all runs.
const DRIFT_CONFIDENCE: f64 = 0.95;

/// Watches runs from outside, from several threads. It cannot change a result.
pub trait Watch: Sync {
    /// So many more requests left, in some run.
    fn departed(&self, _requests: u64) {}

    /// A run ended.
    fn finished(&self) {}

    /// One of several searches, each of some runs, came to its end.
    fn settled(&self) {}

    /// Whether a user lost patience.
    fn wants_to_stop(&self) -> bool {
        false
    }
}

/// Watches nothing.
impl Watch for () {}

/// Why a run gave no figures. `E` is what can go wrong with opening its workload.
#[derive(Debug, Error)]
pub enum RunError<E> {
    /// Its workload could not be opened.
    #[error("the workload could not be opened")]
    Workload(E),
    /// It could not start or go on.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

/// The server of an experiment and what counts as good.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The server.
    pub simulation: SimulationConfig,
    /// Limits of a good request.
    pub goodput: Option<GoodputLimits>,
    /// What it costs, where its GPUs are known.
    pub cost: Option<CostModel<'static>>,
}

/// Opens the workload of a replication: the same one whenever it is asked for the same number.
pub trait Workloads: Sync {
    /// What can go wrong.
    type Error: Send;

    /// The workload of this replication, from 0.
    ///
    /// # Errors
    /// If it cannot be opened.
    fn open(&self, replication: u32) -> Result<Box<dyn Workload + Send>, Self::Error>;

    /// What else draws random numbers in this replication, a router, draws from these streams.
    fn streams(&self, replication: u32) -> Streams {
        Streams::new(0, replication)
    }

    /// Whether replications 0 and 1, 2 and 3, ... are antithetic pairs: the same addresses, mirrored random numbers.
    fn is_antithetic(&self) -> bool {
        false
    }
}

impl<E: Send, F: Fn(u32) -> Result<Box<dyn Workload + Send>, E> + Sync> Workloads for F {
    type Error = E;

    fn open(&self, replication: u32) -> Result<Box<dyn Workload + Send>, E> {
        self(replication)
    }
}

/// Plays one replication and keeps its figures.
///
/// # Errors
/// If its workload cannot be opened, the run cannot start or go on, or the user stops it.
pub fn play<W: Workloads>(
    setting: &Setting,
    workloads: &W,
    replication: u32,
    watch: &impl Watch,
) -> Result<RunFigures, RunError<W::Error>> {
    let workload = workloads.open(replication).map_err(RunError::Workload)?;
    let config = &setting.simulation;
    let metrics = RunMetrics::new(&config.engine, config.replicas, setting.goodput).behind(config.front_end);
    let seen = Seen { metrics, number: NumberInSystem::new(config.replicas) };
    let (end, seen) = observe(config, workload, workloads.streams(replication), seen, watch)?;
    let busy = seen.metrics.busy_share(end.end);
    let metrics = seen.metrics.summary(end.end);
    let cost = setting.cost.and_then(|model| model.of(metrics.duration_s, metrics.total_output_tokens, busy));
    let drift = seen.number.drift(DRIFT_CONFIDENCE).ok();
    let facts = Facts { metrics: &metrics, end: &end, busy, cost: cost.as_ref(), drift };
    Ok(RunFigures::of(&facts))
}

/// What a run of an experiment is seen by.
struct Seen {
    metrics: RunMetrics,
    number: NumberInSystem,
}

impl Observer for Seen {
    fn token_gaps(&mut self, gap: SimDuration, n: u64) {
        self.metrics.token_gaps(gap, n);
    }

    fn departed(&mut self, record: &RequestRecord) {
        self.metrics.departed(record);
        self.number.departed(record.arrival);
    }

    fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        self.metrics.gauges(replica, now, gauges);
        self.number.gauges(replica, now, gauges);
    }

    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.metrics.decode_run(replica, run);
    }
}

/// Plays a workload with an observer.
///
/// # Errors
/// As [`play`].
pub(crate) fn observe<O: Observer, E>(
    config: &SimulationConfig,
    workload: Box<dyn Workload + Send>,
    streams: Streams,
    observer: O,
    watch: &impl Watch,
) -> Result<(RunEnd, O), RunError<E>> {
    let watched = Watched { observer, watch, departed: 0, stop: false };
    let simulation =
        Simulation::new(config, workload, watched).map_err(SimulationError::from)?.with_streams(streams);
    let (end, watched) = simulation.run()?;
    if end.interrupted {
        return Err(RunError::Interrupted);
    }
    watch.departed(watched.departed % REQUESTS_A_LOOK);
    watch.finished();
    Ok((end, watched.observer))
}

/// Counts departures for whoever watches, and passes everything on.
struct Watched<'w, O, W> {
    observer: O,
    watch: &'w W,
    departed: u64,
    stop: bool,
}

impl<O: Observer, W: Watch> Observer for Watched<'_, O, W> {
    fn token_gaps(&mut self, gap: SimDuration, n: u64) {
        self.observer.token_gaps(gap, n);
    }

    fn departed(&mut self, record: &RequestRecord) {
        self.observer.departed(record);
        self.departed += 1;
        if self.departed.is_multiple_of(REQUESTS_A_LOOK) {
            self.watch.departed(REQUESTS_A_LOOK);
            self.stop = self.watch.wants_to_stop();
        }
    }

    fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        self.observer.gauges(replica, now, gauges);
    }

    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.observer.decode_run(replica, run);
    }

    fn wants_to_stop(&self) -> bool {
        self.stop
    }
}
