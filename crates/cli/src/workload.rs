//! From the scenario's `[workload]` to a stream of requests; the files it names are opened here.

use kendall_des::Streams;
use kendall_serving::WorkloadError;
use kendall_serving::scenario::{
    ClassInfo, RecordedLengths, ScenarioError, Sessions, Trace, TraceFormat, Workload, WorkloadPlan, plan,
};
use kendall_serving::workload::{ConcurrencyLimited, Lengths};
use kendall_traces::{TraceError, TraceOptions, TraceSource};

use crate::exit::Failure;
use crate::scenario_file::ScenarioFile;

/// A workload that is ready to be played.
pub(crate) struct Ready {
    pub requests: Box<dyn kendall_serving::Workload + Send>,
    /// Number of requests, where it is known before.
    pub total: Option<u64>,
}

/// A workload whose files have been looked at: it can be begun for one replication after another, on any thread.
#[derive(Debug, Clone)]
pub(crate) enum Prepared {
    /// Drawn from distributions.
    Synthetic(Box<WorkloadPlan>),
    /// Read from a file; the same in every replication.
    Recorded { source: TraceSource, options: Box<TraceOptions>, max_concurrency: Option<u64> },
}

/// Opens the workload of a scenario for replication 0.
pub(crate) fn open(file: &ScenarioFile, seed: u64) -> Result<Ready, Failure> {
    prepare(file)?.begin(file, Streams::new(seed, 0))
}

/// Checks the workload of a scenario and reads the files of lengths that it names.
pub(crate) fn prepare(file: &ScenarioFile) -> Result<Prepared, Failure> {
    let workload = &file.scenario.workload;
    if let Some(trace) = &workload.trace {
        return recorded(file, workload, trace);
    }
    let mut workload = workload.clone();
    read_files(file, &mut workload)?;
    let plan = plan(&workload).map_err(|error| file.mistake(error))?;
    Ok(Prepared::Synthetic(Box::new(plan)))
}

impl Prepared {
    /// The requests under the replication's streams.
    pub(crate) fn begin(&self, file: &ScenarioFile, streams: Streams) -> Result<Ready, Failure> {
        match self {
            Self::Synthetic(plan) => {
                let requests = plan.start(streams).map_err(|error| file.mistake(error))?;
                Ok(Ready { requests, total: plan.num_requests() })
            }
            Self::Recorded { source, options, max_concurrency } => {
                let requests =
                    source.requests(options).map_err(|error| trace_failure(file, "trace", &error))?;
                let requests: Box<dyn kendall_serving::Workload + Send> = match max_concurrency {
                    Some(limit) => Box::new(ConcurrencyLimited::new(Box::new(requests), *limit)),
                    None => Box::new(requests),
                };
                Ok(Ready { requests, total: None })
            }
        }
    }

    /// The classes of requests that the scenario names.
    pub(crate) fn classes(&self) -> &[ClassInfo] {
        match self {
            Self::Synthetic(plan) => &plan.classes,
            Self::Recorded { .. } => &[],
        }
    }
}

/// The failure for an error of the stream: of a trace's line, or else of the scenario.
pub(crate) fn failure(file: &ScenarioFile, error: &WorkloadError) -> Failure {
    if error.0.is::<TraceError>() {
        Failure::Invalid(error.to_string())
    } else {
        file.mistake(ScenarioError::at("workload", error.to_string()))
    }
}

fn at(key: &str, message: impl Into<String>) -> ScenarioError {
    ScenarioError::at(format!("workload.{key}"), message)
}

fn recorded(file: &ScenarioFile, workload: &Workload, trace: &Trace) -> Result<Prepared, Failure> {
    let others = [
        ("requests", workload.requests.is_some()),
        ("duration_s", workload.duration_s.is_some()),
        ("arrivals", workload.arrivals.is_some()),
        ("fluctuation", workload.fluctuation.is_some()),
        ("prompt_tokens", workload.prompt_tokens.is_some()),
        ("output_tokens", workload.output_tokens.is_some()),
        ("rank_correlation", workload.rank_correlation.is_some()),
        ("prefill_only", workload.prefill_only.is_some()),
        ("lengths", workload.lengths.is_some()),
        ("rescale_arrivals", workload.rescale_arrivals.is_some()),
        ("shared_prefix", workload.shared_prefix.is_some()),
        ("distinct_prompts", workload.distinct_prompts.is_some()),
        ("sessions", workload.sessions.is_some()),
        ("clients", workload.clients.is_some()),
        ("class", !workload.class.is_empty()),
    ];
    if let Some((key, _)) = others.iter().find(|(_, given)| *given) {
        let message = "a trace brings its own arrivals and lengths: leave this out, or leave out `trace`";
        return Err(file.mistake(at(key, message)));
    }
    if workload.max_concurrency == Some(0) {
        return Err(file.mistake(at("max_concurrency", "0: it must be at least 1")));
    }
    let format = trace.format.map(|format| match format {
        TraceFormat::Kendall => kendall_traces::TraceFormat::Kendall,
        TraceFormat::Azure => kendall_traces::TraceFormat::Azure,
        TraceFormat::Mooncake => kendall_traces::TraceFormat::Mooncake,
        TraceFormat::BurstGpt => kendall_traces::TraceFormat::BurstGpt,
        TraceFormat::Parquet => kendall_traces::TraceFormat::Parquet,
    });
    let options = TraceOptions {
        time_scale: trace.time_scale.unwrap_or(1.0),
        max_requests: trace.max_requests,
        start_s: trace.start_s,
        end_s: trace.end_s,
        repeat: trace.repeat,
        repeat_for_s: trace.repeat_for_s,
        on_empty: trace.on_empty.unwrap_or_default(),
    };
    let columns = trace.columns.clone().unwrap_or_default();
    let source = TraceSource::new(&file.resolve_path(&trace.path), format, columns);
    let options = Box::new(options);
    Ok(Prepared::Recorded { source, options, max_concurrency: workload.max_concurrency })
}

/// A fault of a trace's line is shown there, one of the file as a whole at the key that names it.
fn trace_failure(file: &ScenarioFile, key: &str, error: &TraceError) -> Failure {
    match error.line() {
        Some(_) => Failure::Invalid(error.to_string()),
        None => file.mistake(at(key, error.to_string())),
    }
}

/// Puts what files hold in the place of their names.
fn read_files(file: &ScenarioFile, workload: &mut Workload) -> Result<(), Failure> {
    read_lengths(file, "prompt_tokens", &mut workload.prompt_tokens)?;
    read_lengths(file, "output_tokens", &mut workload.output_tokens)?;
    read_pairs(file, "lengths", &mut workload.lengths)?;
    read_turns(file, "sessions.turns", &mut workload.sessions)?;
    for (number, class) in workload.class.iter_mut().enumerate() {
        let key = |key: &str| format!("class.{number}.{key}");
        read_lengths(file, &key("prompt_tokens"), &mut class.prompt_tokens)?;
        read_lengths(file, &key("output_tokens"), &mut class.output_tokens)?;
        read_pairs(file, &key("lengths"), &mut class.lengths)?;
        read_turns(file, &key("sessions.turns"), &mut class.sessions)?;
    }
    Ok(())
}

fn read_turns(file: &ScenarioFile, key: &str, sessions: &mut Option<Sessions>) -> Result<(), Failure> {
    sessions.as_mut().map_or(Ok(()), |sessions| read_table(file, key, &mut sessions.turns))
}

fn read_lengths(file: &ScenarioFile, key: &str, lengths: &mut Option<Lengths>) -> Result<(), Failure> {
    lengths.as_mut().map_or(Ok(()), |lengths| read_table(file, key, lengths))
}

fn read_table(file: &ScenarioFile, key: &str, lengths: &mut Lengths) -> Result<(), Failure> {
    let Lengths::Empirical { values: None, table: table @ None, path } = lengths else { return Ok(()) };
    let Some(name) = path.take() else { return Ok(()) };
    let read = kendall_traces::open_length_table(&file.resolve_path(&name));
    *table = Some(read.map_err(|error| trace_failure(file, key, &error))?);
    Ok(())
}

fn read_pairs(file: &ScenarioFile, key: &str, lengths: &mut Option<RecordedLengths>) -> Result<(), Failure> {
    let Some(RecordedLengths { path, pairs: pairs @ None, .. }) = lengths else { return Ok(()) };
    let Some(name) = path.take() else { return Ok(()) };
    let read = kendall_traces::open_lengths(&file.resolve_path(&name));
    *pairs = Some(read.map_err(|error| trace_failure(file, key, &error))?);
    Ok(())
}
