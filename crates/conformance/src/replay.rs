//! Plays a scenario through kendall's engine and compares it with its recordings.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use kendall_des::{SimDuration, SimTime};
use kendall_serving::{
    EngineConfig, EngineGauges, Observer, RequestRecord, RouterConfig, RowKind, Simulation, SimulationConfig,
    StepRecord,
};
use serde::de::DeserializeOwned;

use crate::ConformanceError;
use crate::compare::{Outcome, compare};
use crate::golden::{Golden, GoldenRequest, GoldenStep};
use crate::scenario::Scenario;

/// Replays every `*.scenario.json` of a folder against every recording beside it, in order of their names. With
/// `one_by_one`, every request of every step is scheduled by itself.
///
/// # Errors
/// If a file cannot be read or is not of the format.
pub fn replay_dir(dir: &Path, one_by_one: bool) -> Result<Vec<Outcome>, ConformanceError> {
    let files = files_of(dir)?;
    let scenarios: Vec<_> = files.iter().filter(|path| name_of(path).ends_with(".scenario.json")).collect();
    if scenarios.is_empty() {
        return Err(ConformanceError::Empty(dir.to_owned()));
    }
    let mut outcomes = Vec::new();
    for scenario in scenarios {
        let stem = name_of(scenario).trim_end_matches(".scenario.json").to_owned();
        let is_recording = |path: &&PathBuf| {
            let rest = name_of(path).strip_prefix(&stem).map(str::to_owned);
            rest.is_some_and(|rest| rest.starts_with(".golden") && rest.ends_with(".json.gz"))
        };
        let recordings: Vec<_> = files.iter().filter(is_recording).collect();
        if recordings.is_empty() {
            return Err(ConformanceError::NoGolden(scenario.clone()));
        }
        for recording in recordings {
            outcomes.push(replay(scenario, recording, one_by_one)?);
        }
    }
    Ok(outcomes)
}

/// Replays one scenario against one recording; `one_by_one` as for [`replay_dir`].
///
/// # Errors
/// If a file cannot be read or is not of the format.
pub fn replay(
    scenario_path: &Path,
    golden_path: &Path,
    one_by_one: bool,
) -> Result<Outcome, ConformanceError> {
    let scenario: Scenario = parse(scenario_path, BufReader::new(open(scenario_path)?))?;
    let golden: Golden = parse(golden_path, MultiGzDecoder::new(BufReader::new(open(golden_path)?)))?;
    let requests = scenario.requests(scenario_path)?;
    let place: Vec<usize> = requests.iter().map(|&(place, _)| place).collect();
    let config = SimulationConfig {
        engine: EngineConfig { one_by_one, ..scenario.engine(&golden.vllm_version) },
        step_time: scenario.step_time().into(),
        replicas: 1,
        router: RouterConfig::default(),
        front_end: kendall_serving::FrontEnd::default(),
    };
    let error = |reason: String| ConformanceError::Scenario { path: scenario_path.to_owned(), reason };
    let tape = Tape { steps: Vec::new(), records: Vec::new(), max_steps: scenario.max_steps };
    let workload = Box::new(requests.into_iter().map(|(_, spec)| Ok(spec)));
    let simulation = Simulation::new(&config, workload, tape).map_err(|e| error(e.to_string()))?;
    let (_, tape) = simulation.run().map_err(|e| error(e.to_string()))?;
    let steps: Vec<_> = tape.steps.iter().map(|step| GoldenStep::of(step, &place)).collect();
    let name = scenario.name.clone().unwrap_or_else(|| name_of(scenario_path).to_owned());
    let simulated = tape.requests(&place);
    let version = golden.vllm_version;
    Ok(compare(name, version, (&golden.steps, &steps), (&golden.requests, &simulated)))
}

/// Keeps everything that happens.
#[derive(Debug)]
struct Tape {
    steps: Vec<StepRecord>,
    records: Vec<RequestRecord>,
    /// The recorder stopped after so many steps.
    max_steps: usize,
}

impl Observer for Tape {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}

    fn departed(&mut self, record: &RequestRecord) {
        self.records.push(record.clone());
    }

    fn gauges(&mut self, _replica: u32, _now: SimTime, _gauges: EngineGauges) {}

    fn wants_steps(&self) -> bool {
        true
    }

    fn wants_to_stop(&self) -> bool {
        self.steps.len() >= self.max_steps
    }

    fn step(&mut self, step: StepRecord) {
        self.steps.push(step);
    }
}

impl Tape {
    /// The requests in the order of the scenario file.
    fn requests(&self, place: &[usize]) -> Vec<GoldenRequest> {
        let mut preempted_at = vec![Vec::new(); place.len()];
        let mut hits = vec![Vec::new(); place.len()];
        for (number, step) in self.steps.iter().enumerate() {
            for &request in &step.preempted {
                preempted_at[request as usize].push(number as u64);
            }
            for row in step.rows.iter().filter(|row| row.kind != RowKind::Running) {
                hits[row.request as usize].push(row.num_computed_tokens);
            }
        }
        let mut requests: Vec<_> = self
            .records
            .iter()
            .map(|record| {
                let number = record.index as usize;
                (
                    place[number],
                    GoldenRequest::of(
                        record,
                        std::mem::take(&mut preempted_at[number]),
                        std::mem::take(&mut hits[number]),
                    ),
                )
            })
            .collect();
        requests.sort_by_key(|(place, _)| *place);
        requests.into_iter().map(|(_, request)| request).collect()
    }
}

fn open(path: &Path) -> Result<File, ConformanceError> {
    File::open(path).map_err(|source| ConformanceError::Read { path: path.to_owned(), source })
}

fn parse<T: DeserializeOwned>(path: &Path, reader: impl std::io::Read) -> Result<T, ConformanceError> {
    serde_json::from_reader(reader)
        .map_err(|source| ConformanceError::Parse { path: path.to_owned(), source })
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn files_of(dir: &Path) -> Result<Vec<PathBuf>, ConformanceError> {
    let error = |source| ConformanceError::Read { path: dir.to_owned(), source };
    let entries = std::fs::read_dir(dir).map_err(error)?;
    let mut files =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(error)?;
    files.sort();
    Ok(files)
}
