//! Plays schedules that were worked out by hand: requests in, one line a step out.

use std::fmt::Write as _;

use kendall_des::{SimDuration, SimTime};

use super::engines::Engine;
use super::{ZooConfig, ZooReplica};
use crate::engine::{EngineConfig, EngineGauges};
use crate::observe::Observer;
use crate::record::{RequestRecord, StepRecord};
use crate::request::RequestSpec;
use crate::router::RouterConfig;
use crate::simulation::{Simulation, SimulationConfig};
use crate::step_time::LinearCoefficients;

/// What was seen of a run.
#[derive(Default)]
pub(super) struct Seen {
    pub steps: Vec<StepRecord>,
    pub records: Vec<RequestRecord>,
    pub gauges: Vec<(SimTime, EngineGauges)>,
}

impl Observer for Seen {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}

    fn departed(&mut self, record: &RequestRecord) {
        self.records.push(record.clone());
    }

    fn gauges(&mut self, _replica: u32, now: SimTime, gauges: EngineGauges) {
        self.gauges.push((now, gauges));
    }

    fn inspect_zoo(&mut self, _replica: u32, server: &ZooReplica) {
        server.check().expect("requests, tokens and blocks add up");
    }

    fn wants_steps(&self) -> bool {
        true
    }

    fn step(&mut self, step: StepRecord) {
        self.steps.push(step);
    }
}

/// One server with a KV cache of so many tokens, counted one by one, and steps of a second.
pub(super) struct Bench {
    pub config: SimulationConfig,
}

impl Bench {
    pub(super) fn new(engine: Engine, kv_tokens: u32, max_model_len: u32) -> Self {
        let engine = EngineConfig {
            max_num_seqs: engine.max_batch(),
            max_num_batched_tokens: kv_tokens,
            max_model_len,
            block_size: 1,
            num_gpu_blocks: kv_tokens + 1,
            enable_prefix_caching: false,
            zoo: Some(ZooConfig::new(engine)),
            ..EngineConfig::default()
        };
        let step_time = LinearCoefficients { base_ps: 1_000_000_000_000, ..LinearCoefficients::default() };
        Self {
            config: SimulationConfig {
                engine,
                step_time: step_time.into(),
                replicas: 1,
                router: RouterConfig::default(),
                front_end: crate::FrontEnd::default(),
            },
        }
    }

    /// Plays requests given as (arrival in s, prompt tokens, output tokens).
    pub(super) fn play(&self, requests: &[(f64, u32, u32)]) -> Seen {
        self.play_specs(requests.iter().map(|&request| spec(request)).collect())
    }

    /// Plays requests that say what their prompts consist of.
    pub(super) fn play_specs(&self, specs: Vec<RequestSpec>) -> Seen {
        let workload = Box::new(specs.into_iter().map(Ok));
        let simulation = Simulation::new(&self.config, workload, Seen::default());
        let (end, seen) = simulation.expect("a legal configuration").run().expect("a run");
        assert_eq!(end.stalled, None);
        seen
    }

    /// The steps of these requests, one line each: `start-end` in seconds, then the requests by letter, with the number of
    /// tokens where part of a prompt is computed.
    pub(super) fn schedule(&self, requests: &[(f64, u32, u32)]) -> Vec<String> {
        self.play(requests).steps.iter().map(line).collect()
    }
}

/// A request given as (arrival in s, prompt tokens, output tokens).
pub(super) fn spec((at, prompt, output): (f64, u32, u32)) -> RequestSpec {
    let arrival = SimTime::ZERO + SimDuration::from_secs_f64(at).expect("a time");
    RequestSpec::new(arrival, prompt, output)
}

/// The steps of a run, one line each.
pub(super) fn lines(seen: &Seen) -> Vec<String> {
    seen.steps.iter().map(line).collect()
}

fn line(step: &StepRecord) -> String {
    let mut line = format!("{}-{}", step.start.as_secs_f64(), step.end.as_secs_f64());
    for row in &step.rows {
        let letter = char::from(b'A' + row.request as u8);
        let decodes = row.num_tokens == 1 && row.delivers && row.kind == crate::record::RowKind::Running;
        let tokens = if decodes { String::new() } else { row.num_tokens.to_string() };
        let _ = write!(line, " {letter}{tokens}");
    }
    line
}

/// The record of a request by its number.
pub(super) fn record(seen: &Seen, index: u64) -> &RequestRecord {
    seen.records.iter().find(|record| record.index == index).expect("every request leaves")
}
