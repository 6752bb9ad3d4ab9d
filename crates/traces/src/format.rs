//! Which formats there are, and how their first lines look.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A format of recorded workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceFormat {
    /// kendall's own CSV: columns by name, one request a row.
    Kendall,
    /// CSV of the Azure LLM inference traces of 2023 and 2024: timestamp, context tokens, generated tokens.
    Azure,
    /// JSON lines of the Mooncake traces: milliseconds, lengths, ids of 512-token prompt blocks.
    Mooncake,
    /// CSV of `BurstGPT`: seconds, request tokens, response tokens.
    BurstGpt,
    /// Parquet with a column each for arrival, prompt and output, found by name.
    Parquet,
    /// One JSON document of prompt and output lengths, as sampled from `ShareGPT`; no arrival times.
    ShareGpt,
}

impl TraceFormat {
    /// The format whose files begin with `first_line`, or `None` if no format's do. A line that begins with `#` is a
    /// comment, which only kendall's own format has.
    ///
    /// ```
    /// use kendall_traces::TraceFormat;
    ///
    /// assert_eq!(TraceFormat::detect("TIMESTAMP,ContextTokens,GeneratedTokens"), Some(TraceFormat::Azure));
    /// assert_eq!(TraceFormat::detect("id,text"), None);
    /// ```
    pub fn detect(first_line: &str) -> Option<Self> {
        let line = first_line.trim_start_matches('\u{feff}').trim();
        match line.chars().next()? {
            '{' => detect_object(line),
            '[' => {
                let rest = line[1..].trim_start();
                (rest.is_empty() || rest.starts_with('{')).then_some(Self::ShareGpt)
            }
            '#' => Some(Self::Kendall),
            _ => detect_header(line),
        }
    }

    /// The name in scenarios and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kendall => "kendall",
            Self::Azure => "azure",
            Self::Mooncake => "mooncake",
            Self::BurstGpt => "burstgpt",
            Self::Parquet => "parquet",
            Self::ShareGpt => "sharegpt",
        }
    }
}

/// A Mooncake line names its keys; a lengths document may spread over lines, so a lone brace will do.
fn detect_object(line: &str) -> Option<TraceFormat> {
    if line.contains("\"input_length\"") || line.contains("\"hash_ids\"") {
        return Some(TraceFormat::Mooncake);
    }
    let is_lengths = line == "{" || line.contains("\"prompt_len\"") || line.contains("\"gen_len\"");
    is_lengths.then_some(TraceFormat::ShareGpt)
}

fn detect_header(line: &str) -> Option<TraceFormat> {
    let has = |name: &str| line.split(',').any(|column| column.trim().trim_matches('"') == name);
    if has("TIMESTAMP") && has("ContextTokens") {
        Some(TraceFormat::Azure)
    } else if has("Timestamp") && has("Request tokens") {
        Some(TraceFormat::BurstGpt)
    } else if has("arrival_s") || has("prompt_tokens") {
        Some(TraceFormat::Kendall)
    } else {
        None
    }
}

impl fmt::Display for TraceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
