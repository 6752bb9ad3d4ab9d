//! Readers of measured results, one file a tool. The format is told from a file's content, never from its name.
//!
//! Each reader states its tool's traps beside the code that avoids them; what cannot be avoided becomes a
//! [`Caveat`](crate::Caveat). Definitions and units were taken from genuine files and the tools' sources.

mod aibrix;
mod aiperf;
mod fmperf;
mod genai_bench;
mod genai_perf;
mod guidellm;
mod guidellm_csv;
mod inference_benchmarker;
mod inference_perf;
mod inference_perf_stage;
mod inferencex;
mod llmd_report;
mod llmperf;
mod nvidia_csv;
mod nvidia_summary;
mod own_csv;
mod prometheus;
mod sglang;
mod statistics;
mod step_log;
pub(crate) mod table;
mod vllm_bench;

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::content::{Content, MAX_FILE_BYTES};
use crate::error::{ReadError, ReadErrorKind};
use crate::measured::Measured;
use crate::node::{Node, Source};

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `vllm bench serve --save-result`, all layouts, Python and Rust.
    VllmBench,
    /// sglang's `bench_serving`, JSON Lines.
    Sglang,
    /// guidellm `benchmarks.json`, versions 1 and 2.
    Guidellm,
    /// guidellm `benchmarks.csv`.
    GuidellmCsv,
    /// inference-perf `per_request_lifecycle_metrics.json`.
    InferencePerf,
    /// inference-perf `stage_N_lifecycle_metrics.json` and `summary_lifecycle_metrics.json`.
    InferencePerfStage,
    /// aiperf `profile_export.jsonl`.
    Aiperf,
    /// genai-perf `profile_export.json`.
    GenaiPerf,
    /// `profile_export_aiperf.{json,csv}` and `profile_export_genai_perf.{json,csv}`.
    NvidiaSummary,
    /// genai-bench, one file a concurrency.
    GenaiBench,
    /// llm-d-benchmark report, YAML or JSON, 0.1 to 0.2.1.
    LlmdReport,
    /// llmperf `*_individual_responses.json` and `*_summary.json`.
    Llmperf,
    /// fmperf `results.json`.
    Fmperf,
    /// Hugging Face inference-benchmarker.
    InferenceBenchmarker,
    /// `InferenceX` aggregate.
    Inferencex,
    /// `AIBrix` `output.jsonl`.
    Aibrix,
    /// Scrapes of vLLM's `/metrics`, as text or in aiperf's `server_metrics_export.json`.
    Prometheus,
    /// CSV of requests: kendall's `requests.csv`, or any table of the same columns.
    OwnCsv,
    /// CSV of engine steps: kendall's `steps.csv`, or any table of the same columns.
    StepLog,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 19] = [
        Self::VllmBench,
        Self::Sglang,
        Self::Guidellm,
        Self::GuidellmCsv,
        Self::InferencePerf,
        Self::InferencePerfStage,
        Self::Aiperf,
        Self::GenaiPerf,
        Self::NvidiaSummary,
        Self::GenaiBench,
        Self::LlmdReport,
        Self::Llmperf,
        Self::Fmperf,
        Self::InferenceBenchmarker,
        Self::Inferencex,
        Self::Aibrix,
        Self::Prometheus,
        Self::OwnCsv,
        Self::StepLog,
    ];

    /// The tool's name for a user.
    pub fn tool(self) -> &'static str {
        match self {
            Self::VllmBench => "vllm bench serve",
            Self::Sglang => "sglang bench_serving",
            Self::Guidellm | Self::GuidellmCsv => "guidellm",
            Self::InferencePerf | Self::InferencePerfStage => "inference-perf",
            Self::Aiperf => "aiperf",
            Self::GenaiPerf => "genai-perf",
            Self::NvidiaSummary => "aiperf or genai-perf",
            Self::GenaiBench => "genai-bench",
            Self::LlmdReport => "llm-d-benchmark",
            Self::Llmperf => "llmperf",
            Self::Fmperf => "fmperf",
            Self::InferenceBenchmarker => "inference-benchmarker",
            Self::Inferencex => "InferenceX",
            Self::Aibrix => "AIBrix",
            Self::Prometheus => "vLLM /metrics",
            Self::OwnCsv => "requests.csv",
            Self::StepLog => "steps.csv",
        }
    }

    /// What a user does when a field is not as it should be.
    fn remedy(self) -> &'static str {
        match self {
            Self::VllmBench => "write it again with `vllm bench serve --save-result --save-detailed`",
            Self::Sglang => "write it again with `--output-file FILE --output-details`",
            Self::Guidellm => "write it again with guidellm's JSON output",
            Self::GuidellmCsv => "write it again with guidellm's CSV output",
            Self::InferencePerf => "write it again with `report.request_lifecycle.per_request: true`",
            Self::InferencePerfStage => "write it again with `report.request_lifecycle.per_stage: true`",
            Self::Aiperf => "write it again with aiperf's `--export-level records`",
            Self::GenaiPerf => "write it again with genai-perf's `--profile-export-file`",
            Self::Prometheus => "save it again with `curl http://SERVER/metrics`",
            Self::OwnCsv | Self::StepLog => "mend the table, or write it again",
            _ => "write it again with the tool",
        }
    }
}

/// Reads every run in a file.
///
/// # Errors
/// If the file cannot be read, is of no known tool, is cut off, or holds a field that cannot be what it says.
pub fn read_file(path: &Path) -> Result<Vec<Measured>, ReadError> {
    let file = path.display().to_string();
    let io = |error| ReadError::whole(&file, ReadErrorKind::Io(error));
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > MAX_FILE_BYTES {
        let saw = format!("{size} bytes, more than the {MAX_FILE_BYTES} that are read");
        return Err(ReadError::whole(&file, ReadErrorKind::Unrecognised { saw }));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    read_bytes(&file, &bytes)
}

/// Reads every run in the content of a file; `file` is its name in messages.
///
/// # Errors
/// As [`read_file`].
pub fn read_bytes(file: &str, bytes: &[u8]) -> Result<Vec<Measured>, ReadError> {
    let content = Content::parse(file, bytes)?;
    let runs = match &content {
        Content::Json(value) => match json_format(value) {
            Some(format) => read_json(file, format, value),
            None => Err(unrecognised(file, value)),
        },
        Content::JsonLines(lines) => read_lines(file, lines),
        Content::Yaml(value) if llmd_report::recognises(value) => {
            ends_with_a_line(file, "YAML", bytes)?;
            llmd_report::read(file, &root(file, Format::LlmdReport, None, value))
        }
        Content::Yaml(value) => Err(unrecognised(file, value)),
        Content::Csv(text) => table::read(file, text),
        Content::Prometheus(text) => prometheus::read(file, text),
    }?;
    Ok(runs.into_iter().map(Measured::finished).collect())
}

/// Tools end the last line of a table or a report. A number at the end of a cut one may have lost digits and still be a
/// number, so that it is refused.
pub(crate) fn ends_with_a_line(file: &str, what: &'static str, bytes: &[u8]) -> Result<(), ReadError> {
    if bytes.ends_with(b"\n") {
        return Ok(());
    }
    Err(ReadError::whole(file, ReadErrorKind::Truncated { what }))
}

/// Whether a JSON value is of a format.
type Recognises = fn(&Value) -> bool;

/// Which tool writes such a JSON value.
fn json_format(value: &Value) -> Option<Format> {
    let checks: [(Format, Recognises); 16] = [
        // sglang before vLLM: it has vLLM's keys and more.
        (Format::Sglang, sglang::recognises),
        (Format::VllmBench, vllm_bench::recognises),
        (Format::Guidellm, guidellm::recognises),
        (Format::InferencePerf, inference_perf::recognises),
        (Format::InferencePerfStage, inference_perf_stage::recognises),
        (Format::Aiperf, aiperf::recognises),
        (Format::GenaiPerf, genai_perf::recognises),
        (Format::NvidiaSummary, nvidia_summary::recognises),
        (Format::GenaiBench, genai_bench::recognises),
        (Format::LlmdReport, llmd_report::recognises),
        (Format::Llmperf, llmperf::recognises),
        (Format::Fmperf, fmperf::recognises),
        (Format::InferenceBenchmarker, inference_benchmarker::recognises),
        (Format::Inferencex, inferencex::recognises),
        (Format::Aibrix, aibrix::recognises),
        (Format::Prometheus, prometheus::recognises),
    ];
    checks.into_iter().find(|(_, recognises)| recognises(value)).map(|(format, _)| format)
}

fn read_json(file: &str, format: Format, value: &Value) -> Result<Vec<Measured>, ReadError> {
    let root = root(file, format, None, value);
    match format {
        Format::VllmBench => Ok(vec![vllm_bench::read(file, &root)?]),
        Format::Sglang => Ok(vec![sglang::read(file, &root)?]),
        Format::Guidellm => guidellm::read(file, &root),
        Format::InferencePerf => Ok(vec![inference_perf::read(file, &root)?]),
        Format::InferencePerfStage => Ok(vec![inference_perf_stage::read(file, &root)?]),
        Format::Aiperf => Ok(vec![aiperf::read(file, &[root])?]),
        Format::GenaiPerf => genai_perf::read(file, &root),
        Format::NvidiaSummary => Ok(vec![nvidia_summary::read(file, &root)?]),
        Format::GenaiBench => Ok(vec![genai_bench::read(file, &root)?]),
        Format::LlmdReport => llmd_report::read(file, &root),
        Format::Llmperf => Ok(vec![llmperf::read(file, &root)?]),
        Format::Fmperf => fmperf::read(file, &root),
        Format::InferenceBenchmarker => inference_benchmarker::read(file, &root),
        Format::Inferencex => Ok(vec![inferencex::read(file, &root)?]),
        Format::Aibrix => Ok(vec![aibrix::read(file, &[root])?]),
        Format::Prometheus => Ok(vec![prometheus::read_export(file, &root)?]),
        Format::GuidellmCsv | Format::OwnCsv | Format::StepLog => {
            unreachable!("json_format names no text format")
        }
    }
}

/// One run a line for the benchmarks, one request a line for aiperf and `AIBrix`. The first line decides.
fn read_lines(file: &str, lines: &[(u64, Value)]) -> Result<Vec<Measured>, ReadError> {
    let Some((_, first)) = lines.first() else {
        return Err(unrecognised(file, &Value::Null));
    };
    let format = json_format(first).ok_or_else(|| unrecognised(file, first))?;
    let roots: Vec<Node<'_>> =
        lines.iter().map(|(line, value)| root(file, format, Some(*line), value)).collect();
    match format {
        Format::VllmBench => roots.iter().map(|root| vllm_bench::read(file, root)).collect(),
        Format::Sglang => roots.iter().map(|root| sglang::read(file, root)).collect(),
        Format::Aiperf => Ok(vec![aiperf::read(file, &roots)?]),
        Format::Aibrix => Ok(vec![aibrix::read(file, &roots)?]),
        other => {
            let saw = format!("several lines that each look like a whole file of {}", other.tool());
            Err(ReadError::whole(file, ReadErrorKind::Unrecognised { saw }))
        }
    }
}

fn root<'a>(file: &'a str, format: Format, line: Option<u64>, value: &'a Value) -> Node<'a> {
    Node::root(Source { file, line, remedy: format.remedy() }, value)
}

fn unrecognised(file: &str, value: &Value) -> ReadError {
    let saw = match value {
        Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
        Value::Array(items) => format!("a list of {}, {}", items.len(), keys(&items[0])),
        other => keys(other),
    };
    ReadError::whole(file, ReadErrorKind::Unrecognised { saw })
}

fn keys(value: &Value) -> String {
    match value.as_object() {
        Some(object) if object.is_empty() => "an empty object".to_owned(),
        Some(object) => {
            let names: Vec<String> = object.keys().take(5).map(|key| crate::error::quoted(key)).collect();
            format!("an object with {}", names.join(", "))
        }
        None => "no object".to_owned(),
    }
}
