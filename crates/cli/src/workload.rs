//! From the scenario's `[workload]` to a stream of requests; the files it names are opened here.

use kendall_des::{Distribution, DistributionError, SimDuration, Streams};
use kendall_serving::WorkloadError;
use kendall_serving::scenario::{LengthOrder, ScenarioError, Trace, TraceFormat, Workload};
use kendall_serving::workload::{
    Arrivals, ConcurrencyLimited, Contents, Extent, LengthSource, Lengths, SessionPlan, SyntheticConfig,
    SyntheticError, SyntheticWorkload,
};
use kendall_traces::{TraceError, TraceOptions};

use crate::exit::Failure;
use crate::scenario_file::ScenarioFile;

/// A workload that is ready to be played.
pub(crate) struct Ready {
    pub requests: Box<dyn kendall_serving::Workload>,
    /// Number of requests, where it is known before.
    pub total: Option<u64>,
}

/// Opens the workload of a scenario's first run.
pub(crate) fn open(file: &ScenarioFile, seed: u64) -> Result<Ready, Failure> {
    open_replication(file, Streams::new(seed, 0))
}

/// Opens the workload of a scenario under the random streams of one replication.
pub(crate) fn open_replication(file: &ScenarioFile, streams: Streams) -> Result<Ready, Failure> {
    let workload = &file.scenario.workload;
    let mut ready = match &workload.trace {
        Some(trace) => Ready { requests: open_trace(file, workload, trace)?, total: None },
        None => synthetic(file, workload, streams)?,
    };
    match workload.max_concurrency {
        Some(0) => return Err(file.mistake(at("max_concurrency", "0: it must be at least 1"))),
        Some(limit) => ready.requests = Box::new(ConcurrencyLimited::new(ready.requests, limit)),
        None => {}
    }
    Ok(ready)
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

fn at(key: &str, message: impl Into<String>) -> ScenarioError {
    ScenarioError::at(format!("workload.{key}"), message)
}

fn open_trace(
    file: &ScenarioFile,
    workload: &Workload,
    trace: &Trace,
) -> Result<Box<dyn kendall_serving::Workload>, Failure> {
    let others = [
        ("requests", workload.requests.is_some()),
        ("duration_s", workload.duration_s.is_some()),
        ("arrivals", workload.arrivals.is_some()),
        ("prompt_tokens", workload.prompt_tokens.is_some()),
        ("output_tokens", workload.output_tokens.is_some()),
        ("lengths", workload.lengths.is_some()),
        ("rescale_arrivals", workload.rescale_arrivals.is_some()),
        ("shared_prefix", workload.shared_prefix.is_some()),
        ("distinct_prompts", workload.distinct_prompts.is_some()),
        ("sessions", workload.sessions.is_some()),
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
    match requests {
        Ok(requests) => Ok(Box::new(requests)),
        Err(error) => Err(trace_failure(file, "trace", &error)),
    }
}

/// A fault of a trace's line is shown there, one of the file as a whole at the key that names it.
fn trace_failure(file: &ScenarioFile, key: &str, error: &TraceError) -> Failure {
    match error.line() {
        Some(_) => Failure::Invalid(error.to_string()),
        None => file.mistake(at(key, error.to_string())),
    }
}

fn synthetic(file: &ScenarioFile, workload: &Workload, streams: Streams) -> Result<Ready, Failure> {
    let mistake = |error| file.mistake(error);
    let missing = |key: &str| mistake(at(key, "it is missing: give it, or a `trace`"));
    let arrivals = workload.arrivals.clone().ok_or_else(|| missing("arrivals"))?;
    let extent = extent(workload).map_err(mistake)?;
    if matches!((extent, &arrivals), (Extent::Duration(_), Arrivals::AtOnce {})) {
        let message = "requests that arrive all at once have no duration: give `requests`";
        return Err(mistake(at("duration_s", message)));
    }
    let rescale = workload.rescale_arrivals.unwrap_or(false);
    if rescale && matches!(extent, Extent::Duration(_)) {
        let message = "only a number of requests can be stretched to its duration: give `requests`";
        return Err(mistake(at("rescale_arrivals", message)));
    }
    let config = SyntheticConfig {
        extent,
        arrivals,
        rescale,
        lengths: lengths(file, workload)?,
        contents: contents(workload).map_err(mistake)?,
        sessions: sessions(workload).map_err(mistake)?,
    };
    let requests = SyntheticWorkload::new(&config, streams).map_err(|error| match error {
        SyntheticError::Distribution(error) => mistake(parameter("arrivals", &error)),
        error => mistake(at(error.key(extent), error.to_string())),
    })?;
    let total = match extent {
        Extent::Requests(total) if config.sessions.is_none() => Some(total),
        _ => None,
    };
    Ok(Ready { requests: Box::new(requests), total })
}

fn lengths(file: &ScenarioFile, workload: &Workload) -> Result<LengthSource, Failure> {
    let mistake = |error| file.mistake(error);
    if let Some(recorded) = &workload.lengths {
        if workload.prompt_tokens.is_some() || workload.output_tokens.is_some() {
            let message = "recorded lengths replace `prompt_tokens` and `output_tokens`: leave those out";
            return Err(mistake(at("lengths", message)));
        }
        let pairs = kendall_traces::open_lengths(&file.resolve_path(&recorded.path));
        let pairs = pairs.map_err(|error| trace_failure(file, "lengths", &error))?;
        return Ok(LengthSource::Pairs { pairs, random: recorded.order == LengthOrder::Random });
    }
    let distribution = |key: &str, lengths: &Option<Lengths>| {
        let lengths =
            lengths.as_ref().ok_or_else(|| mistake(at(key, "it is missing: give it, or a `trace`")))?;
        lengths.distribution().map_err(|error| mistake(parameter(key, &error)))
    };
    Ok(LengthSource::Distributions {
        prompt: distribution("prompt_tokens", &workload.prompt_tokens)?,
        output: distribution("output_tokens", &workload.output_tokens)?,
    })
}

fn contents(workload: &Workload) -> Result<Contents, ScenarioError> {
    if workload.distinct_prompts == Some(0) {
        return Err(at("distinct_prompts", "0: it must be at least 1"));
    }
    let mut contents = Contents { distinct_prompts: workload.distinct_prompts, ..Contents::default() };
    if let Some(prefix) = &workload.shared_prefix {
        contents.prefix_tokens = prefix.tokens;
        contents.prefix_groups = prefix.groups.unwrap_or(1);
        contents.zipf = prefix.zipf.unwrap_or(0.0);
        if prefix.tokens == 0 || prefix.tokens > MAX_PREFIX_TOKENS {
            let message = format!("{}: it must lie between 1 and {MAX_PREFIX_TOKENS}", prefix.tokens);
            return Err(at("shared_prefix.tokens", message));
        }
        if contents.prefix_groups == 0 || contents.prefix_groups > MAX_PREFIX_GROUPS {
            let message =
                format!("{}: it must lie between 1 and {MAX_PREFIX_GROUPS}", contents.prefix_groups);
            return Err(at("shared_prefix.groups", message));
        }
        if !(0.0..=100.0).contains(&contents.zipf) {
            return Err(at(
                "shared_prefix.zipf",
                format!("{:?}: it must lie between 0 and 100", contents.zipf),
            ));
        }
    }
    Ok(contents)
}

/// Longest shared beginning, in tokens: longer than any model takes.
const MAX_PREFIX_TOKENS: u32 = 1 << 24;
/// Most groups of shared beginnings: each has an entry in a table.
const MAX_PREFIX_GROUPS: u32 = 1 << 20;

fn sessions(workload: &Workload) -> Result<Option<SessionPlan>, ScenarioError> {
    let Some(sessions) = &workload.sessions else { return Ok(None) };
    Ok(Some(SessionPlan {
        turns: sessions.turns.distribution().map_err(|error| parameter("sessions.turns", &error))?,
        think_time: Distribution::exponential(sessions.think_time_s).map_err(|_| {
            at("sessions.think_time_s", format!("{:?}: it must be above 0", sessions.think_time_s))
        })?,
    }))
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
