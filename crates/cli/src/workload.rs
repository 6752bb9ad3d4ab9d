//! From the scenario's `[workload]` to a stream of requests; the files it names are opened here.

use kendall_des::{SimDuration, Streams};
use kendall_serving::RequestStream;
use kendall_serving::scenario::{LengthOrder, ScenarioError, Trace, TraceFormat, Workload};
use kendall_serving::workload::{Arrivals, Extent, LengthSource, Lengths, SyntheticWorkload};
use kendall_traces::TraceOptions;

use crate::exit::Failure;
use crate::scenario_file::ScenarioFile;

/// A workload that is ready to be played.
pub(crate) struct Ready {
    pub requests: RequestStream,
    /// Number of requests, where it is known before.
    pub total: Option<u64>,
}

/// Opens the workload of a scenario.
pub(crate) fn open(file: &ScenarioFile, seed: u64) -> Result<Ready, Failure> {
    let workload = &file.scenario.workload;
    match &workload.trace {
        Some(trace) => open_trace(file, workload, trace),
        None => synthetic(file, workload, seed),
    }
}

fn at(key: &str, message: impl Into<String>) -> ScenarioError {
    ScenarioError::at(format!("workload.{key}"), message)
}

fn open_trace(file: &ScenarioFile, workload: &Workload, trace: &Trace) -> Result<Ready, Failure> {
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
    let requests = requests.map_err(|error| Failure::Invalid(error.to_string()))?;
    Ok(Ready { requests, total: None })
}

fn synthetic(file: &ScenarioFile, workload: &Workload, seed: u64) -> Result<Ready, Failure> {
    let mistake = |error| file.mistake(error);
    let missing = |key: &str| mistake(at(key, "it is missing: give it, or a `trace`"));
    let arrivals = workload.arrivals.as_ref().ok_or_else(|| missing("arrivals"))?;
    let extent = extent(workload).map_err(mistake)?;
    if matches!((extent, arrivals), (Extent::Duration(_), Arrivals::AtOnce {})) {
        return Err(mistake(at("duration_s", "requests that arrive all at once have no duration: give `requests`")));
    }
    let lengths = match &workload.lengths {
        Some(recorded) => {
            if workload.prompt_tokens.is_some() || workload.output_tokens.is_some() {
                let message = "recorded lengths replace `prompt_tokens` and `output_tokens`: leave those out";
                return Err(mistake(at("lengths", message)));
            }
            let pairs = kendall_traces::open_lengths(&file.resolve_path(&recorded.path));
            let pairs = pairs.map_err(|error| Failure::Invalid(error.to_string()))?;
            LengthSource::Pairs { pairs, random: recorded.order == LengthOrder::Random }
        }
        None => {
            let distribution = |key: &str, lengths: &Option<Lengths>| {
                let lengths = lengths.as_ref().ok_or_else(|| missing(key))?;
                lengths.distribution().map_err(|error| mistake(at(key, error.to_string())))
            };
            LengthSource::Distributions {
                prompt: distribution("prompt_tokens", &workload.prompt_tokens)?,
                output: distribution("output_tokens", &workload.output_tokens)?,
            }
        }
    };
    let requests = SyntheticWorkload::new(extent, arrivals, lengths, Streams::new(seed, 0))
        .map_err(|error| mistake(at("arrivals", error.to_string())))?;
    let total = match extent {
        Extent::Requests(total) => Some(total),
        Extent::Duration(_) => None,
    };
    Ok(Ready { requests: Box::new(requests), total })
}

fn extent(workload: &Workload) -> Result<Extent, ScenarioError> {
    match (workload.requests, workload.duration_s) {
        (Some(0), _) => Err(at("requests", "0: it must be at least 1")),
        (Some(requests), None) => Ok(Extent::Requests(requests)),
        (None, Some(secs)) => match SimDuration::from_secs_f64(secs) {
            Ok(duration) => Ok(Extent::Duration(duration)),
            Err(error) => Err(at("duration_s", error.to_string())),
        },
        (Some(_), Some(_)) => Err(at("duration_s", "give `requests` or `duration_s`, not both")),
        (None, None) => Err(at("requests", "it is missing: give it, or `duration_s`, or a `trace`")),
    }
}
