//! Between replicas and the observer: clients react to departures.

use kendall_des::{SimDuration, SimTime};

use crate::engine::{Engine, EngineGauges};
use crate::observe::{DecodeRun, Observer};
use crate::record::{RequestRecord, StepRecord};
use crate::request::{RequestSpec, Workload};
use crate::zoo::ZooReplica;

/// Passes on what happens and asks the workload what its clients do about it.
pub(super) struct Listener<'o, 'a, O> {
    pub observer: &'o mut O,
    pub workload: &'o mut Box<dyn Workload + 'a>,
    pub follow_ups: &'o mut Vec<RequestSpec>,
}

impl<O: Observer> Observer for Listener<'_, '_, O> {
    fn token_gaps(&mut self, gap: SimDuration, n: u64) {
        self.observer.token_gaps(gap, n);
    }

    fn departed(&mut self, record: &RequestRecord) {
        self.observer.departed(record);
        self.follow_ups.extend(self.workload.departed(record));
    }

    fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        self.observer.gauges(replica, now, gauges);
    }

    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.observer.decode_run(replica, run);
    }

    fn inspect(&mut self, replica: u32, engine: &Engine) {
        self.observer.inspect(replica, engine);
    }

    fn inspect_zoo(&mut self, replica: u32, server: &ZooReplica) {
        self.observer.inspect_zoo(replica, server);
    }

    fn wants_steps(&self) -> bool {
        self.observer.wants_steps()
    }

    fn step(&mut self, step: StepRecord) {
        self.observer.step(step);
    }
}
