//! What a server was sent: recorded arrivals, arrivals drawn as the columns describe them, or a closed loop.

use kendall_des::{Distribution, Purpose, SimDuration, SimTime, Stream, Streams};
use kendall_serving::{PromptContent, RequestSpec, TokenSegment, TokenStream};

use crate::recorded::{Recording, is_capped};
use crate::table::Cells;

/// Random numbers of this crate; those of workloads are `serving`'s.
const ARRIVALS: Purpose = Purpose(900);
const LENGTHS: Purpose = Purpose(901);

/// Requests of a closed loop for each of its clients where a row does not say: what the `InferenceX` scripts send.
const REQUESTS_PER_CLIENT: u64 = 10;

/// Most requests that a row may ask for.
const MOST_REQUESTS: u64 = 1_000_000;

/// Between the stages of one server (s): load generators finish one before the next.
const BETWEEN_STAGES_S: f64 = 4.0;

/// The total time that aiohttp, and so inference-perf, gives an answer unless told otherwise (s).
const INFERENCE_PERF_TIMEOUT_S: f64 = 300.0;

/// Everything that one server was sent.
#[derive(Debug, Clone)]
pub struct Load {
    /// Requests in order of arrival, each with the number of its stage.
    pub requests: Vec<(usize, RequestSpec)>,
    /// Most requests in flight, if the client has such a limit.
    pub limit: Option<u64>,
}

/// The load of the stages that a session ran, in their order.
pub(crate) fn load(
    stages: &[(usize, Cells<'_>)],
    recording: Option<&Recording>,
    notes: &mut Vec<String>,
) -> Result<Load, String> {
    let (_, first) = *stages.first().ok_or("no stage")?;
    let mut load = match recording {
        Some(recording) => recorded(stages, recording)?,
        None if is_closed(first) => closed_loop(first, notes)?,
        None => synthetic(stages)?,
    };
    if load.requests.is_empty() {
        return Err("no request: neither its file nor its columns give any".into());
    }
    let timeout = client_timeout(first)?;
    for (_, spec) in &mut load.requests {
        spec.abort = timeout.and_then(|timeout| spec.arrival.checked_add(timeout));
    }
    // Stages follow one another, and files may list requests by client.
    load.requests.sort_by_key(|(_, spec)| spec.arrival);
    Ok(load)
}

fn is_closed(cells: Cells<'_>) -> bool {
    let mode = cells.text("load_mode");
    mode.starts_with("closed") || mode.is_empty() && cells.amount("rate_rps").is_none()
}

/// How long the client waits for an answer: as the row says, or as its load generator does.
fn client_timeout(cells: Cells<'_>) -> Result<Option<SimDuration>, String> {
    let stated = cells.text("notes").split("timed out at ").nth(1);
    let stated = stated.and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    let of_tool =
        cells.text("arrival_process").contains("inference-perf").then_some(INFERENCE_PERF_TIMEOUT_S);
    stated.or(of_tool).map(|s| SimDuration::from_secs_f64(s).map_err(|error| error.to_string())).transpose()
}

fn recorded(stages: &[(usize, Cells<'_>)], recording: &Recording) -> Result<Load, String> {
    let (_, first) = stages[0];
    let prompts = Prompts::of(first);
    let limit = is_capped(first).then(|| first.count("concurrency").map(u64::from)).flatten();
    let mut requests = Vec::new();
    if !recording.is_unit_rate() {
        for request in recording.requests() {
            let stage = request.stage.unwrap_or(stages[0].0);
            let content = prompts.content(request.prompt_id, request.prompt);
            requests.push((stage, spec(request.arrival, request.prompt, request.output, content)?));
        }
        return Ok(Load { requests, limit });
    }
    let mut start = 0.0;
    for &(stage, cells) in stages {
        let rate = cells.amount("rate_rps").filter(|&rate| rate > 0.0).ok_or("its rate_rps is missing")?;
        let mut last = start;
        for (number, request) in (0_u64..).zip(recording.requests()) {
            last = start + request.arrival / rate;
            let content = prompts.content(request.prompt_id.or(Some(number)), request.prompt);
            requests.push((stage, spec(last, request.prompt, request.output, content)?));
        }
        // Everything is answered before the next rate begins.
        start = last + cells.amount("duration_s").unwrap_or(last - start) + BETWEEN_STAGES_S;
    }
    Ok(Load { requests, limit })
}

/// Arrivals as load generators draw them: gaps stretched to the span of the stage.
fn synthetic(stages: &[(usize, Cells<'_>)]) -> Result<Load, String> {
    let gap = Distribution::exponential(1.0).map_err(|error| error.to_string())?;
    let mut gaps = Streams::new(0, 0).stream(ARRIVALS);
    let mut requests = Vec::new();
    let (mut start, mut drawn) = (0.0, 0_u64);
    for &(stage, cells) in stages {
        let (count, span_s) = extent(cells)?;
        let even = is_even(cells);
        let mut at = 0.0;
        let mut times = Vec::new();
        for _ in 0..count {
            at += if even { 1.0 } else { gap.sample(&mut gaps.entity(drawn)) };
            times.push(at);
            drawn += 1;
        }
        let prompts = Prompts::of(cells);
        let mut lengths = Lengths::of(cells)?;
        for (number, time) in (0_u64..).zip(times) {
            let id = prompts.distinct.map(|distinct| number % distinct);
            let (prompt, output) = lengths.of_request(id.unwrap_or(number), number);
            let content = prompts.content(id, prompt);
            requests.push((stage, spec(start + time * span_s / at, prompt, output, content)?));
        }
        start += span_s + BETWEEN_STAGES_S;
    }
    Ok(Load { requests, limit: None })
}

/// Number of requests of a stage and the time over which they arrive (s).
fn extent(cells: Cells<'_>) -> Result<(u64, f64), String> {
    let positive = |column| cells.amount(column).filter(|&x| x > 0.0);
    let (rate, duration) = (positive("rate_rps"), positive("duration_s"));
    let count = match (positive("n_requests"), rate, duration) {
        (Some(count), ..) => count,
        (None, Some(rate), Some(duration)) => rate * duration,
        _ => return Err("neither a per-request file, nor n_requests, nor rate_rps with duration_s".into()),
    };
    // A duration lasts until the last answer: the rate is nearer to the span of the sends.
    let span_s = match (rate, duration) {
        (Some(rate), _) => count / rate,
        (None, Some(duration)) => duration,
        (None, None) => {
            return Err("rate_rps and duration_s are missing: when requests arrive is not known".into());
        }
    };
    Ok((within_bounds(count)?, span_s))
}

fn within_bounds(count: f64) -> Result<u64, String> {
    if (1.0..=MOST_REQUESTS as f64).contains(&count) {
        return Ok(count as u64);
    }
    Err(format!("{count} requests: at most {MOST_REQUESTS} are simulated"))
}

/// Whether requests come at equal distances. inference-perf calls its exponential gaps constant.
fn is_even(cells: Cells<'_>) -> bool {
    let process = cells.text("arrival_process");
    !process.contains("exponential") && !process.contains("poisson") && process.contains("constant")
}

/// Clients that send one request after another, all first requests at once.
fn closed_loop(cells: Cells<'_>, notes: &mut Vec<String>) -> Result<Load, String> {
    let limit = cells.count("concurrency").map(u64::from).ok_or("closed loop without its concurrency")?;
    let count = if let Some(count) = cells.amount("n_requests").filter(|&n| n > 0.0) {
        count
    } else {
        notes.push(format!("n_requests is missing: {REQUESTS_PER_CLIENT} for each client"));
        (REQUESTS_PER_CLIENT * limit) as f64
    };
    let mut lengths = Lengths::of(cells)?;
    let prompts = Prompts::of(cells);
    let request = |number: u64| {
        let id = prompts.distinct.map(|distinct| number % distinct);
        let (prompt, output) = lengths.of_request(id.unwrap_or(number), number);
        Ok((0, spec(0.0, prompt, output, prompts.content(id, prompt))?))
    };
    let requests = (0..within_bounds(count)?).map(request).collect::<Result<_, String>>()?;
    Ok(Load { requests, limit: Some(limit) })
}

fn spec(arrival_s: f64, prompt: u32, output: u32, content: PromptContent) -> Result<RequestSpec, String> {
    let after =
        SimDuration::from_secs_f64(arrival_s).map_err(|error| format!("arrival {arrival_s} s: {error}"))?;
    let mut spec = RequestSpec::new(SimTime::ZERO + after, prompt.max(1), output.max(1));
    spec.prompt = content;
    Ok(spec)
}

/// Lengths as the columns describe them.
struct Lengths {
    prompt: Length,
    output: Length,
    stream: Stream,
}

/// One length in tokens: uniform between two numbers, which may be equal.
#[derive(Clone, Copy)]
struct Length {
    low: f64,
    high: f64,
}

impl Length {
    fn of(cells: Cells<'_>, kind: &str) -> Result<Self, String> {
        let number = |what: &str| cells.amount(&format!("{kind}_{what}"));
        let is_uniform = cells.text(&format!("{kind}_dist")).starts_with("uniform");
        match (number("min"), number("max"), number("mean")) {
            (Some(low), Some(high), _) if is_uniform && low <= high => Ok(Self { low, high: high + 1.0 }),
            (low, high, mean) => {
                let middle = low.zip(high).map(|(low, high)| f64::midpoint(low, high));
                let known = mean.or(middle).filter(|mean| (1.0..=f64::from(u32::MAX)).contains(mean));
                let length = |mean| Self { low: mean, high: mean };
                known.map(length).ok_or_else(|| {
                    format!("{kind}_mean is missing: the lengths of its {kind}s are not known")
                })
            }
        }
    }

    fn at(self, share: f64) -> u32 {
        (self.low + (self.high - self.low) * share) as u32
    }
}

impl Lengths {
    fn of(cells: Cells<'_>) -> Result<Self, String> {
        let stream = Streams::new(0, 0).stream(LENGTHS);
        Ok(Self { prompt: Length::of(cells, "prompt")?, output: Length::of(cells, "output")?, stream })
    }

    /// Lengths of prompt number `prompt` and of the answer to request `number`.
    fn of_request(&mut self, prompt: u64, number: u64) -> (u32, u32) {
        let of_prompt = self.stream.entity(2 * prompt).next_open01();
        let of_output = self.stream.entity(2 * number + 1).next_open01();
        (self.prompt.at(of_prompt), self.output.at(of_output))
    }
}

/// Which prompts are equal, and which begin alike.
struct Prompts {
    /// Distinct prompts that repeat in turn.
    distinct: Option<u64>,
    /// Prompts that begin alike are numbered one after another, so many of them.
    of_group: Option<u64>,
    /// Length of the common beginning in tokens.
    shared: u32,
}

impl Prompts {
    fn of(cells: Cells<'_>) -> Self {
        let distinct = cells.count("unique_prompts").map(u64::from);
        let groups = cells.count("prefix_groups").map(u64::from);
        let template = template_tokens(cells.text("prefix_note"));
        Self {
            distinct,
            of_group: distinct.zip(groups).map(|(distinct, groups)| distinct.div_ceil(groups)),
            shared: cells.count("group_prefix_len").or(template).unwrap_or(0),
        }
    }

    fn content(&self, id: Option<u64>, prompt: u32) -> PromptContent {
        // Streams of groups lie beyond those of whole prompts.
        const GROUPS: u64 = 1 << 40;
        let shared = self.shared.min(prompt);
        if id.is_none() && shared == 0 {
            return PromptContent::Unique;
        }
        let group = id.zip(self.of_group).map_or(0, |(id, of_group)| id / of_group);
        let own = id.map_or(TokenStream::Own, TokenStream::Shared);
        let segments = [
            TokenSegment { stream: TokenStream::Shared(GROUPS + group), start: 0, len: shared },
            TokenSegment { stream: own, start: shared, len: prompt - shared },
        ];
        PromptContent::Segments(segments.into_iter().filter(|segment| segment.len > 0).collect())
    }
}

/// `29` of `chat template adds 29 tokens to every prompt`.
fn template_tokens(note: &str) -> Option<u32> {
    note.split("template adds ").nth(1)?.split(' ').next()?.parse().ok()
}
