//! From the scenario's `[workload]` to a stream of requests; the files it names are opened here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kendall_des::{DistributionError, SimDuration, Streams};
use kendall_serving::{RequestStream, WorkloadError};
use kendall_serving::scenario::{LengthOrder, ScenarioError, Trace, TraceFormat, Workload};
use kendall_serving::workload::{Arrivals, Extent, LengthSource, Lengths, SyntheticError, SyntheticWorkload};
use kendall_traces::{TraceError, TraceOptions};

use crate::exit::Failure;
use crate::scenario_file::ScenarioFile;

/// A workload that is ready to be played.
pub(crate) struct Ready {
    pub requests: RequestStream,
    /// Number of requests, where it is known before.
    pub total: Option<u64>,
    /// To be told of each request that leaves.
    pub in_system: InSystem,
}

/// Opens the workload of a scenario.
pub(crate) fn open(file: &ScenarioFile, seed: u64) -> Result<Ready, Failure> {
    let workload = &file.scenario.workload;
    let (requests, total) = match &workload.trace {
        Some(trace) => (open_trace(file, workload, trace)?, None),
        None => synthetic(file, workload, seed)?,
    };
    let in_system = InSystem::default();
    Ok(Ready { requests: in_system.bounded(requests), total, in_system })
}

/// The mistake in a parameter of a distribution.
fn parameter(key: &str, error: &DistributionError) -> ScenarioError {
    match error {
        DistributionError::NotPositive { parameter, value } => {
            at(&format!("{key}.{parameter}"), format!("{value:?}: it must be a finite number above 0"))
        }
        DistributionError::NotFinite { parameter, value } => {
            at(&format!("{key}.{parameter}"), format!("{value:?}: it must be a finite number"))
        }
        error => at(key, error.to_string()),
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

/// Most requests in the system at once: about 200 MB of memory. A server that is so far behind is overloaded; how far is
/// not worth waiting for.
const MAX_IN_SYSTEM: u64 = 2_000_000;

/// Counts the requests in the system.
#[derive(Debug, Clone, Default)]
pub(crate) struct InSystem(Arc<AtomicU64>);

impl InSystem {
    /// One request has left.
    pub(crate) fn left(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The stream, with an error where too many of its requests are in the system.
    fn bounded(&self, requests: RequestStream) -> RequestStream {
        let count = Arc::clone(&self.0);
        Box::new(requests.map(move |request| {
            if count.fetch_add(1, Ordering::Relaxed) < MAX_IN_SYSTEM {
                return request;
            }
            let message = format!(
                "overloaded: {MAX_IN_SYSTEM} requests are in the system at once, more than kendall holds: lower the arrival \
                 rate or the number of requests, or add `replicas`"
            );
            Err(WorkloadError(message.into()))
        }))
    }
}

fn at(key: &str, message: impl Into<String>) -> ScenarioError {
    ScenarioError::at(format!("workload.{key}"), message)
}

fn open_trace(file: &ScenarioFile, workload: &Workload, trace: &Trace) -> Result<RequestStream, Failure> {
    let others = [
        ("requests", workload.requests.is_some()),
        ("duration_s", workload.duration_s.is_some()),
        ("arrivals", workload.arrivals.is_some()),
        ("prompt_tokens", workload.prompt_tokens.is_some()),
        ("output_tokens", workload.output_tokens.is_some()),
        ("lengths", workload.lengths.is_some()),
    ];
    if let Some((key, _)) = others.iter().find(|(_, given)| *given) {
        let message = "a trace brings its own arrivals and lengths: leave this out, or leave out `trace`";
        return Err(file.mistake(at(key, message)));
    }
    let format = trace.format.map(|format| match format {
        TraceFormat::Kendall => kendall_traces::TraceFormat::Kendall,
        TraceFormat::Azure => kendall_traces::TraceFormat::Azure,
        TraceFormat::Mooncake => kendall_traces::TraceFormat::Mooncake,
    });
    let options = TraceOptions {
        time_scale: trace.time_scale.unwrap_or(1.0),
        max_requests: trace.max_requests,
        start_s: trace.start_s,
        end_s: trace.end_s,
        on_empty: trace.on_empty.unwrap_or_default(),
    };
    let reader = kendall_traces::open(&file.resolve_path(&trace.path), format);
    let requests = reader.and_then(|reader| reader.into_requests(&options));
    requests.map_err(|error| trace_failure(file, "trace", &error))
}

/// A fault of a trace's line is shown there, one of the file as a whole at the key that names it.
fn trace_failure(file: &ScenarioFile, key: &str, error: &TraceError) -> Failure {
    match error.line() {
        Some(_) => Failure::Invalid(error.to_string()),
        None => file.mistake(at(key, error.to_string())),
    }
}

fn synthetic(file: &ScenarioFile, workload: &Workload, seed: u64) -> Result<(RequestStream, Option<u64>), Failure> {
    let mistake = |error| file.mistake(error);
    let missing = |key: &str| mistake(at(key, "it is missing: give it, or a `trace`"));
    let arrivals = workload.arrivals.as_ref().ok_or_else(|| missing("arrivals"))?;
    let extent = extent(workload).map_err(mistake)?;
    if matches!((extent, arrivals), (Extent::Duration(_), Arrivals::AtOnce {})) {
        return Err(mistake(at(
            "duration_s",
            "requests that arrive all at once have no duration: give `requests`",
        )));
    }
    let lengths = match &workload.lengths {
        Some(recorded) => {
            if workload.prompt_tokens.is_some() || workload.output_tokens.is_some() {
                let message = "recorded lengths replace `prompt_tokens` and `output_tokens`: leave those out";
                return Err(mistake(at("lengths", message)));
            }
            let pairs = kendall_traces::open_lengths(&file.resolve_path(&recorded.path));
            let pairs = pairs.map_err(|error| trace_failure(file, "lengths", &error))?;
            LengthSource::Pairs { pairs, random: recorded.order == LengthOrder::Random }
        }
        None => {
            let distribution = |key: &str, lengths: &Option<Lengths>| {
                let lengths = lengths.as_ref().ok_or_else(|| missing(key))?;
                lengths.distribution().map_err(|error| mistake(parameter(key, &error)))
            };
            LengthSource::Distributions {
                prompt: distribution("prompt_tokens", &workload.prompt_tokens)?,
                output: distribution("output_tokens", &workload.output_tokens)?,
            }
        }
    };
    let requests = SyntheticWorkload::new(extent, arrivals, lengths, Streams::new(seed, 0))
        .map_err(|error| match error {
            SyntheticError::Distribution(error) => mistake(parameter("arrivals", &error)),
            error => mistake(at(error.key(extent), error.to_string())),
        })?;
    let total = match extent {
        Extent::Requests(total) => Some(total),
        Extent::Duration(_) => None,
    };
    Ok((Box::new(requests), total))
}

fn extent(workload: &Workload) -> Result<Extent, ScenarioError> {
    match (workload.requests, workload.duration_s) {
        (Some(0), _) => Err(at("requests", "0: it must be at least 1")),
        (Some(requests), None) => Ok(Extent::Requests(requests)),
        (None, Some(secs)) => match SimDuration::from_secs_f64(secs) {
            Ok(SimDuration::ZERO) => Err(at("duration_s", format!("{secs}: it must be above 0"))),
            Ok(duration) => Ok(Extent::Duration(duration)),
            Err(error) => Err(at("duration_s", error.to_string())),
        },
        (Some(_), Some(_)) => Err(at("duration_s", "give `requests` or `duration_s`, not both")),
        (None, None) => Err(at("requests", "it is missing: give it, or `duration_s`, or a `trace`")),
    }
}
