//! Everything that a run tells its observer, kept in order.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{
    DecodeRun, Engine, EngineGauges, MetricsSummary, Observer, RequestRecord, RequestStatus, RunEnd,
    RunMetrics, Simulation, SimulationConfig, StepRecord, Workload, ZooReplica,
};

/// What was seen of a run.
#[derive(Debug, Clone)]
pub struct Tape {
    /// In the order of their results.
    pub steps: Vec<StepRecord>,
    /// Blocks in use right after the result of each of them.
    pub used_after: Vec<u32>,
    /// In order of departure.
    pub records: Vec<RequestRecord>,
    /// Time between two tokens, and how often.
    pub gaps: Vec<(SimDuration, u64)>,
    /// Replica, time and state.
    pub gauges: Vec<(u32, SimTime, EngineGauges)>,
    /// Runs of steps taken at once.
    pub runs: usize,
    /// The run's own figures.
    pub metrics: RunMetrics,
    /// Verdicts of [`Engine::check`] and [`ZooReplica::check`] other than "all is well".
    pub faults: Vec<String>,
    watch: Watch,
}

/// How a run is watched.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// Steps after which the user wants to stop.
    pub patience: usize,
    /// Whether it asks for steps: who does not, lets replicas sleep through runs of them.
    pub wants_steps: bool,
}

/// A run that has ended.
pub struct Played {
    /// How.
    pub end: RunEnd,
    /// What was seen of it.
    pub tape: Tape,
}

/// Plays a workload of a few seconds, watched in this way.
///
/// # Panics
/// If the configuration is not legal, or the workload not sorted.
pub fn play(config: &SimulationConfig, workload: Box<dyn Workload + '_>, watch: Watch) -> Played {
    let tape = Tape {
        steps: Vec::new(),
        used_after: Vec::new(),
        records: Vec::new(),
        gaps: Vec::new(),
        gauges: Vec::new(),
        runs: 0,
        metrics: RunMetrics::new(&config.engine, config.replicas, None),
        faults: Vec::new(),
        watch,
    };
    let simulation = Simulation::new(config, workload, tape).expect("cases are legal configurations");
    let (end, tape) = simulation.run().expect("cases are sorted workloads of a few seconds");
    Played { end, tape }
}

impl Played {
    /// Steps of one replica, in order.
    pub fn steps_of(&self, replica: u32) -> impl Iterator<Item = &StepRecord> {
        self.tape.steps.iter().filter(move |step| step.replica == replica)
    }

    /// Records of the requests that ended in one way.
    pub fn ended(&self, status: RequestStatus) -> impl Iterator<Item = &RequestRecord> {
        self.tape.records.iter().filter(move |record| record.status == status)
    }

    /// Whether the run came to its natural end.
    pub fn is_complete(&self) -> bool {
        self.end.stalled.is_none() && !self.end.interrupted
    }

    /// The figures of the run.
    pub fn summary(&self) -> MetricsSummary {
        self.tape.metrics.summary(self.end.end)
    }
}

impl Observer for Tape {
    fn token_gaps(&mut self, gap: SimDuration, n: u64) {
        self.gaps.push((gap, n));
        self.metrics.token_gaps(gap, n);
    }

    fn departed(&mut self, record: &RequestRecord) {
        self.records.push(record.clone());
        self.metrics.departed(record);
    }

    fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        self.gauges.push((replica, now, gauges));
        self.metrics.gauges(replica, now, gauges);
    }

    fn inspect(&mut self, _replica: u32, engine: &Engine) {
        if self.used_after.len() < self.steps.len() {
            self.used_after.push(engine.gauges().used_blocks);
        }
        self.faults.extend(engine.check().err());
    }

    fn inspect_zoo(&mut self, _replica: u32, server: &ZooReplica) {
        self.faults.extend(server.check().err());
    }

    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.runs += 1;
        self.metrics.decode_run(replica, run);
    }

    fn wants_steps(&self) -> bool {
        self.watch.wants_steps
    }

    fn wants_to_stop(&self) -> bool {
        self.steps.len() >= self.watch.patience
    }

    fn step(&mut self, step: StepRecord) {
        self.steps.push(step);
    }
}
