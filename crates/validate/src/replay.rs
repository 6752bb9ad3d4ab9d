//! The simulation of a session.

use std::collections::BTreeMap;

use kendall_des::{SimDuration, SimTime};
use kendall_serving::step_time::roofline::Efficiencies;
use kendall_serving::workload::ConcurrencyLimited;
use kendall_serving::{
    EngineGauges, Observer, RequestRecord, RequestStatus, Simulation, SimulationConfig, Workload,
};

use crate::server::StepTimeChoice;
use crate::session::Session;

/// What is kept of a simulated request. Times in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Number of its stage.
    pub stage: usize,
    /// How it ended.
    pub status: RequestStatus,
    /// When the client sent it.
    pub arrival_s: f64,
    /// When it left.
    pub finish_s: f64,
    /// Time to first token.
    pub ttft_s: Option<f64>,
    /// Time per output token after the first.
    pub tpot_s: Option<f64>,
    /// Time to the last token.
    pub e2e_s: Option<f64>,
    /// Prompt length.
    pub prompt_tokens: u32,
    /// Tokens delivered.
    pub output_tokens: u32,
    /// How often it lost its blocks.
    pub preemptions: u32,
}

/// A simulated session.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Its requests, in order of arrival.
    pub records: Vec<Record>,
    /// Origin of the step times, in words.
    pub step_time: String,
    /// Most requests that ran at once.
    pub most_running: u32,
}

struct Keeper<'a> {
    stages: &'a [usize],
    records: Vec<Option<Record>>,
    most_running: u32,
}

impl Observer for Keeper<'_> {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}

    fn departed(&mut self, record: &RequestRecord) {
        let index = record.index as usize;
        let (Some(&stage), Some(place)) = (self.stages.get(index), self.records.get_mut(index)) else {
            return;
        };
        let seconds = SimDuration::as_secs_f64;
        *place = Some(Record {
            stage,
            status: record.status,
            arrival_s: seconds(record.arrival - SimTime::ZERO),
            finish_s: seconds(record.finish - SimTime::ZERO),
            ttft_s: record.ttft().map(seconds),
            tpot_s: record.tpot().map(seconds),
            e2e_s: record.e2e().map(seconds),
            prompt_tokens: record.num_prompt_tokens,
            output_tokens: record.num_output_tokens,
            preemptions: record.num_preemptions,
        });
    }

    fn gauges(&mut self, _replica: u32, _now: SimTime, gauges: EngineGauges) {
        self.most_running = self.most_running.max(gauges.num_running);
    }
}

/// Simulates a session with at most `most` requests of each stage.
///
/// # Errors
/// Why it cannot be simulated, in words.
pub fn simulate(
    session: &Session,
    choice: StepTimeChoice<'_>,
    efficiencies: &Efficiencies,
    most: usize,
) -> Result<Replay, String> {
    let (config, step_time) = session.server.config(choice, efficiencies)?;
    let (records, most_running) = play(session, &config, most)?;
    Ok(Replay { records, step_time, most_running })
}

/// Its requests, and the most of them that ran at once.
fn play(session: &Session, config: &SimulationConfig, most: usize) -> Result<(Vec<Record>, u32), String> {
    let mut sent: BTreeMap<usize, usize> = BTreeMap::new();
    let mut taken = |stage: usize| {
        let of_stage = sent.entry(stage).or_default();
        *of_stage += 1;
        *of_stage <= most
    };
    let requests = session.load.requests.iter().filter(|(stage, _)| taken(*stage));
    let (stages, specs): (Vec<usize>, Vec<_>) = requests.cloned().unzip();
    let keeper = Keeper { stages: &stages, records: vec![None; stages.len()], most_running: 0 };
    let stream = Box::new(specs.into_iter().map(Ok));
    let workload: Box<dyn Workload + Send> = match session.load.limit {
        Some(limit) => Box::new(ConcurrencyLimited::new(stream, limit)),
        None => stream,
    };
    let simulation = Simulation::new(config, workload, keeper).map_err(|error| error.to_string())?;
    let (end, keeper) = simulation.run().map_err(|error| error.to_string())?;
    if let Some(stalled) = end.stalled {
        return Err(format!("the simulated server stalls: {stalled:?}"));
    }
    let rejected = |record: &&Record| record.status == RequestStatus::Rejected;
    let most_running = keeper.most_running;
    let records: Vec<Record> = keeper.records.into_iter().flatten().collect();
    match records.iter().find(rejected) {
        Some(record) => Err(format!(
            "a request of {} prompt tokens is refused: it is longer than the server's context or KV cache",
            record.prompt_tokens
        )),
        None => Ok((records, most_running)),
    }
}
