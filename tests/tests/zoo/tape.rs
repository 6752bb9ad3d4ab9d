//! Everything that a run tells its observer, kept in order.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{
    DecodeRun, EngineGauges, MetricsSummary, Observer, RequestRecord, RequestStatus, RunEnd, RunMetrics,
    Simulation, StepRecord, ZooReplica,
};

use crate::cases::Scenario;

/// What was seen of a run.
pub(crate) struct Tape {
    pub steps: Vec<StepRecord>,
    pub records: Vec<RequestRecord>,
    pub gaps: Vec<(SimDuration, u64)>,
    /// Replica, time and state.
    pub gauges: Vec<(u32, SimTime, EngineGauges)>,
    /// Runs of steps taken at once.
    pub runs: usize,
    pub metrics: RunMetrics,
    /// Verdicts of [`ZooReplica::check`] other than "all is well".
    pub faults: Vec<String>,
    wants_steps: bool,
}

/// A run that has ended.
pub(crate) struct Played {
    pub end: RunEnd,
    pub tape: Tape,
}

/// Plays a scenario to its end, with or without the records of its steps: who does not ask for them lets replicas sleep
/// through runs of them.
pub(crate) fn play(scenario: &Scenario, wants_steps: bool) -> Played {
    let config = &scenario.config;
    let tape = Tape {
        steps: Vec::new(),
        records: Vec::new(),
        gaps: Vec::new(),
        gauges: Vec::new(),
        runs: 0,
        metrics: RunMetrics::new(&config.engine, config.replicas, None),
        faults: Vec::new(),
        wants_steps,
    };
    let workload = Box::new(scenario.requests.clone().into_iter().map(Ok));
    let simulation =
        Simulation::new(config, workload, tape).expect("the strategy yields legal configurations");
    let (end, tape) = simulation.run().expect("the strategy yields sorted workloads of a few seconds");
    Played { end, tape }
}

impl Played {
    /// Records of the requests that ended in one way.
    pub(crate) fn ended(&self, status: RequestStatus) -> impl Iterator<Item = &RequestRecord> {
        self.tape.records.iter().filter(move |record| record.status == status)
    }

    /// Steps of one replica, in order.
    pub(crate) fn steps_of(&self, replica: u32) -> impl Iterator<Item = &StepRecord> {
        self.tape.steps.iter().filter(move |step| step.replica == replica)
    }

    /// The figures of the run.
    pub(crate) fn summary(&self) -> MetricsSummary {
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

    fn inspect_zoo(&mut self, _replica: u32, server: &ZooReplica) {
        if let Err(fault) = server.check() {
            self.faults.push(fault);
        }
    }

    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.runs += 1;
        self.metrics.decode_run(replica, run);
    }

    fn wants_steps(&self) -> bool {
        self.wants_steps
    }

    fn step(&mut self, step: StepRecord) {
        self.steps.push(step);
    }
}
