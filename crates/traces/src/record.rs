//! One request of a trace.

use kendall_des::SimDuration;
use kendall_serving::PromptContent;

/// One request as the trace recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRecord {
    /// When the client sent it: since the first row (`azure`, `burstgpt`, `parquet`), or since the trace's own
    /// zero (`kendall`, `mooncake`).
    pub arrival: SimDuration,
    /// Prompt length in tokens, at least 1.
    pub num_prompt_tokens: u32,
    /// Output length in tokens, at least 1.
    pub num_output_tokens: u32,
    /// What the prompt shares with others.
    pub prompt: PromptContent,
    /// Smaller is more urgent; 0 where the format has no priorities.
    pub priority: i32,
    /// When the client gives up, on the clock of `arrival`; `None` if it waits for ever.
    pub abort: Option<SimDuration>,
}

/// One line as a format's parser leaves it: on the trace's own clock, not yet checked against its neighbours.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// Picoseconds on the trace's own clock: any origin, and for dates possibly below zero.
    pub(crate) clock_ps: i128,
    /// The time as written, for messages.
    pub(crate) clock_text: &'a str,
    pub(crate) num_prompt_tokens: u32,
    pub(crate) num_output_tokens: u32,
    pub(crate) prompt: PromptContent,
    pub(crate) priority: i32,
    pub(crate) abort: Option<SimDuration>,
}

/// How a format calls the three fields that every timed trace has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldNames {
    pub(crate) clock: &'static str,
    pub(crate) prompt: &'static str,
    pub(crate) output: &'static str,
}
