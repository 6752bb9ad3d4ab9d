//! What every load generator's result becomes: requests, a summary, engine steps, and what to beware of.

use serde::Serialize;

use crate::formats::Format;
use crate::steps::StepLog;
use crate::summary::MeasuredSummary;

/// One run of one load generator: one benchmark, stage or concurrency of a file that may hold several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The file as the user named it.
    pub file: String,
    /// Its format.
    pub format: Format,
    /// The tool that wrote it, as it calls itself.
    pub tool: String,
    /// The tool's version, or that of its file layout, where the file has one.
    pub version: Option<String>,
    /// Which run of the file this is, where it has several.
    pub label: Option<String>,
    /// What was asked of the server.
    pub setting: Setting,
    /// One row a request, in the file's order; empty where the file has aggregates alone.
    pub requests: Vec<MeasuredRequest>,
    /// Aggregates as the tool states them, in this crate's units and definitions; computed from the requests where it
    /// states none.
    pub summary: MeasuredSummary,
    /// Engine steps; empty for every load generator.
    pub steps: Option<StepLog>,
    /// What to beware of.
    pub caveats: Vec<Caveat>,
}

/// What was asked of the server, as far as the file says.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Setting {
    /// The model's name as the client used it.
    pub model: Option<String>,
    /// Requests a second that the client meant to send; infinite is `None`.
    pub request_rate_per_s: Option<f64>,
    /// Most requests in flight that the client allowed.
    pub max_concurrency: Option<u64>,
}

/// What a client saw of one request. Lengths of time in seconds since its send; `None` is "the file does not say".
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MeasuredRequest {
    /// When the client sent it, in seconds since the first send of the run.
    pub send_s: Option<f64>,
    /// From the send to the first content.
    pub ttft_s: Option<f64>,
    /// From the send to the last content.
    pub last_token_s: Option<f64>,
    /// From the send to the end of the response.
    pub e2e_s: Option<f64>,
    /// Gaps between successive pieces of content: tokens, or chunks of several (a caveat says so).
    pub gaps_s: Vec<f64>,
    /// Prompt length in tokens, the server's count where the file has it.
    pub prompt_tokens: Option<u64>,
    /// Output length in tokens, the server's count where the file has it.
    pub output_tokens: Option<u64>,
    /// Equal prompts have equal numbers, where the file has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_id: Option<u64>,
    /// Why it failed, if it did. A failed request has no latencies.
    pub error: Option<String>,
}

impl MeasuredRequest {
    /// Whether it was answered.
    pub fn succeeded(&self) -> bool {
        self.error.is_none()
    }

    /// Mean time per output token after the first (s), as vLLM defines TPOT: (last - first) / (n - 1). `None` for a
    /// single token, or where a part is not known.
    pub fn tpot_s(&self) -> Option<f64> {
        let tokens = self.output_tokens.filter(|&tokens| tokens > 1)?;
        let last = self.last_token_s.or(self.e2e_s)?;
        Some((last - self.ttft_s?).max(0.0) / (tokens - 1) as f64)
    }
}

/// A trap of a file that its reader met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caveat {
    /// Which one.
    pub kind: CaveatKind,
    /// What it means here, with counts.
    pub text: String,
}

/// The traps of measured results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaveatKind {
    /// The file has aggregates alone: nothing to replay.
    AggregatesOnly,
    /// No send times: arrivals are not known.
    NoSendTimes,
    /// No times of tokens between the first and the last.
    NoTokenTimes,
    /// Gaps are between chunks of several tokens.
    ManyTokensPerChunk,
    /// Gaps near zero: the client read several tokens at once.
    CoalescedTokens,
    /// A chat's empty first chunk was counted as a token: its gap is left out.
    RoleChunk,
    /// The tool counts each token twice: every second time is left out.
    DoubledTokens,
    /// Token counts are the client's, not the server's.
    ClientTokenCounts,
    /// A metric of the tool carries a known name with another definition: it is left out.
    OtherDefinition,
    /// Requests of a warm-up were left out.
    WarmUp,
    /// Requests failed.
    Failures,
    /// The tool's aggregate is not what its own requests give.
    Disagreement,
    /// A part of the batch shape is not in the log.
    ShapeIncomplete,
    /// Quantiles are interpolated between the bounds of a histogram.
    Histogram,
    /// Clocks other than the client's.
    ServerClock,
}

impl Caveat {
    /// A caveat with its text.
    pub(crate) fn new(kind: CaveatKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

/// Gaps below this are not steps of an engine but reads of one network packet (s). The fastest decode steps measured
/// anywhere are above 500 us.
pub(crate) const COALESCED_GAP_S: f64 = 50e-6;

/// Share of coalesced gaps, and tokens a chunk, from which a caveat is given.
const COALESCED_SHARE: f64 = 0.005;
const TOKENS_PER_CHUNK: f64 = 1.05;

impl Measured {
    /// A run without requests, to be filled.
    pub(crate) fn new(file: &str, format: Format) -> Self {
        Self {
            file: file.to_owned(),
            format,
            tool: format.tool().to_owned(),
            version: None,
            label: None,
            setting: Setting::default(),
            requests: Vec::new(),
            summary: MeasuredSummary::default(),
            steps: None,
            caveats: Vec::new(),
        }
    }

    /// Adds a caveat.
    pub(crate) fn warn(&mut self, kind: CaveatKind, text: impl Into<String>) {
        self.caveats.push(Caveat::new(kind, text));
    }

    /// Whether the file has this caveat.
    pub fn has(&self, kind: CaveatKind) -> bool {
        self.caveats.iter().any(|caveat| caveat.kind == kind)
    }

    /// Completes a run: sends relative to the first, a summary if the tool gave none, and what the requests show of
    /// their own traps.
    pub(crate) fn finished(mut self) -> Self {
        self.sends_from_zero();
        let computed = MeasuredSummary::of(&self.requests);
        if self.summary.is_empty() {
            self.summary = computed.clone();
        } else if self.requests.iter().any(MeasuredRequest::succeeded) {
            self.caveats.extend(self.summary.disagreements(&computed));
        }
        self.warn_about_requests();
        if self.requests.is_empty() && self.steps.is_none() {
            self.warn(
                CaveatKind::AggregatesOnly,
                "aggregates alone: a target to compare with, nothing to replay or fit",
            );
        }
        self
    }

    fn sends_from_zero(&mut self) {
        let first = self.requests.iter().filter_map(|request| request.send_s).fold(f64::INFINITY, f64::min);
        for send in self.requests.iter_mut().filter_map(|request| request.send_s.as_mut()) {
            *send -= first;
        }
    }

    fn warn_about_requests(&mut self) {
        let total = self.requests.len();
        if total == 0 {
            return;
        }
        let failed = self.requests.iter().filter(|request| !request.succeeded()).count();
        if failed > 0 {
            self.warn(
                CaveatKind::Failures,
                format!("{failed} of {total} requests failed and have no latencies"),
            );
        }
        let timed = self.requests.iter().filter(|request| request.send_s.is_some()).count();
        if timed == 0 {
            self.warn(CaveatKind::NoSendTimes, "no send times: what was in flight together is not known");
        }
        self.warn_about_gaps();
    }

    fn warn_about_gaps(&mut self) {
        let (mut gaps, mut coalesced, mut tokens, mut chunks) = (0_usize, 0_usize, 0_u64, 0_u64);
        for request in self.requests.iter().filter(|request| !request.gaps_s.is_empty()) {
            gaps += request.gaps_s.len();
            coalesced += request.gaps_s.iter().filter(|&&gap| gap < COALESCED_GAP_S).count();
            if let Some(n) = request.output_tokens {
                tokens += n;
                chunks += request.gaps_s.len() as u64 + 1;
            }
        }
        if gaps == 0 {
            self.warn(CaveatKind::NoTokenTimes, "no times of single tokens: single steps cannot be seen");
            return;
        }
        let per_chunk = tokens as f64 / (chunks as f64).max(1.0);
        if per_chunk > TOKENS_PER_CHUNK {
            let text =
                format!("{per_chunk:.2} tokens a chunk: gaps are not inter-token latencies; TPOT is right");
            self.warn(CaveatKind::ManyTokensPerChunk, text);
        }
        let share = coalesced as f64 / gaps as f64;
        if share > COALESCED_SHARE {
            let text = format!(
                "{:.1} % of {gaps} gaps are below 50 us: the client read several tokens at once, and ITL percentiles \
                 are the client's",
                100.0 * share
            );
            self.warn(CaveatKind::CoalescedTokens, text);
        }
    }
}
