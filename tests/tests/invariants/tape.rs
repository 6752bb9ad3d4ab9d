//! Everything that a run tells its observer, kept in order.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{
    DecodeRun, Engine, EngineGauges, Observer, RequestRecord, RequestSpec, RequestStatus, RunEnd, RunMetrics,
    Simulation, StepRecord, Workload, WorkloadError,
};

use crate::scenario::Scenario;

/// What was seen of a run.
#[derive(Debug, Clone)]
pub(crate) struct Tape {
    pub steps: Vec<StepRecord>,
    /// Blocks in use right after the result of each of them.
    pub used_after: Vec<u32>,
    /// In order of departure.
    pub records: Vec<RequestRecord>,
    pub gaps: Vec<(SimDuration, u64)>,
    /// Replica, time and state.
    pub gauges: Vec<(u32, SimTime, EngineGauges)>,
    pub metrics: RunMetrics,
    /// Verdicts of [`Engine::check`] other than "all is well".
    pub faults: Vec<String>,
    /// Steps after which the user wants to stop.
    patience: usize,
    /// Whether it asks for steps: who does not, lets replicas sleep through runs of them.
    wants_steps: bool,
}

/// A run that has ended.
pub(crate) struct Played {
    pub end: RunEnd,
    pub tape: Tape,
}

/// Plays a scenario to its end.
pub(crate) fn play(scenario: &Scenario) -> Played {
    play_steps(scenario, usize::MAX)
}

/// Plays a scenario to its end without asking for its steps.
pub(crate) fn play_without_steps(scenario: &Scenario) -> Played {
    play_as(scenario, usize::MAX, false)
}

/// The same, and its prompts are known to have nothing in common.
pub(crate) fn play_unshared(scenario: &Scenario) -> Played {
    let workload = Unshared(scenario.requests.clone().into_iter());
    play_workload(scenario, Box::new(workload), usize::MAX, false)
}

/// Plays a scenario until so many steps are over.
pub(crate) fn play_steps(scenario: &Scenario, patience: usize) -> Played {
    play_as(scenario, patience, true)
}

/// Requests of which no two have tokens in common.
struct Unshared(std::vec::IntoIter<RequestSpec>);

impl Workload for Unshared {
    fn next_request(&mut self) -> Option<Result<RequestSpec, WorkloadError>> {
        self.0.next().map(Ok)
    }

    fn shares_tokens(&self) -> bool {
        false
    }
}

fn play_as(scenario: &Scenario, patience: usize, wants_steps: bool) -> Played {
    let workload = Box::new(scenario.requests.clone().into_iter().map(Ok));
    play_workload(scenario, workload, patience, wants_steps)
}

fn play_workload(
    scenario: &Scenario,
    workload: Box<dyn Workload>,
    patience: usize,
    wants_steps: bool,
) -> Played {
    let config = &scenario.config;
    let tape = Tape {
        steps: Vec::new(),
        used_after: Vec::new(),
        records: Vec::new(),
        gaps: Vec::new(),
        gauges: Vec::new(),
        metrics: RunMetrics::new(&config.engine, config.replicas, None),
        faults: Vec::new(),
        patience,
        wants_steps,
    };
    let simulation =
        Simulation::new(config, workload, tape).expect("the strategy yields legal configurations");
    let (end, tape) = simulation.run().expect("the strategy yields sorted workloads of a few seconds");
    Played { end, tape }
}

impl Played {
    /// Steps of one replica, in order.
    pub(crate) fn steps_of(&self, replica: u32) -> impl Iterator<Item = &StepRecord> {
        self.tape.steps.iter().filter(move |step| step.replica == replica)
    }

    /// Records of the requests that ended in one way.
    pub(crate) fn ended(&self, status: RequestStatus) -> impl Iterator<Item = &RequestRecord> {
        self.tape.records.iter().filter(move |record| record.status == status)
    }

    /// Whether the run came to its natural end.
    pub(crate) fn is_complete(&self) -> bool {
        self.end.stalled.is_none() && !self.end.interrupted
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
        if let Err(fault) = engine.check() {
            self.faults.push(fault);
        }
    }

    fn wants_steps(&self) -> bool {
        self.wants_steps
    }

    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.metrics.decode_run(replica, run);
    }

    fn wants_to_stop(&self) -> bool {
        self.steps.len() >= self.patience
    }

    fn step(&mut self, step: StepRecord) {
        self.steps.push(step);
    }
}
