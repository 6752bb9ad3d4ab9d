//! Options of commands that read what other programs wrote: calibrate, validate, import, conformance.

use std::path::PathBuf;

use clap::ValueEnum;
use kendall_validate::Condition;

use super::values::{not_negative, threads};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall calibrate steps.csv --gpu H100 --model Qwen/Qwen3-14B --out profile.toml
  kendall calibrate steps.csv alone.json --gpu A10G --model Qwen/Qwen2.5-1.5B-Instruct
  kendall calibrate requests.csv --server server.toml --out profile.toml
  kendall calibrate --rows servers.csv --where gpu=A10G --out profile.toml
  kendall calibrate steps.csv --rows servers.csv --where gpu=A10G --where max_num_seqs=128 --out profile.toml
  kendall calibrate --inspect result.json

Formats, told by their content:
  vllm bench serve (JSON, with or without --save-detailed), sglang bench_serving (JSON Lines), guidellm (JSON, CSV),
  inference-perf (per request, per stage), aiperf and genai-perf (records, chunks, aggregates), genai-bench,
  llm-d-benchmark reports (YAML), llmperf, fmperf, inference-benchmarker, InferenceX, AIBrix, scrapes of vLLM's /metrics,
  CSV of requests (send_s, prompt_tokens, output_tokens, ttft_s, e2e_s; optional prompt_id) and of steps (step_s, prefill_tokens,
  decode_seqs, decode_context_tokens; optional prefill_context_tokens, prefill_attention, new_seqs, run)

Exit codes: 0 ok, 1 a file cannot be written, 2 invalid input.")]
pub(crate) struct CalibrateArgs {
    /// Measured results: step logs, and results of load generators
    #[arg(required_unless_present = "rows")]
    pub measured: Vec<PathBuf>,
    /// Fit by simulating rows of this table of measured servers (CSV, columns in docs/validate.md) and matching their mean and
    /// p99 TTFT, mean TPOT and mean E2E. Without measured files: factors on the roofline. With step logs: step times linear in
    /// the batch; what the steps tell comes from them, and the base of a step, the front end, and what no step tells from the
    /// rows
    #[arg(long, value_name = "TABLE",
        conflicts_with_all = ["server", "inspect", "gpu", "model", "engine_version", "tensor_parallel_size"])]
    pub rows: Option<PathBuf>,
    /// Of --rows, fit those with this value of a column, for instance `max_num_seqs=128`; may be repeated: of one column any
    /// of its values, of several columns each
    #[arg(long = "where", value_name = "COLUMN=VALUE", requires = "rows")]
    pub conditions: Vec<Condition>,
    /// Of the other rows of the same GPU, model and version, hold out those with this value of a column [default: all]; may be
    /// repeated
    #[arg(long, value_name = "COLUMN=VALUE", requires = "rows")]
    pub hold_out: Vec<Condition>,
    /// Fit by replaying the measured requests on the server of this scenario, where there are no steps: its `[server]` says
    /// GPU, model and limits. Fitted are the first 70 % of the requests; the others are held out
    #[arg(long, value_name = "SCENARIO", conflicts_with_all = ["fix", "plot"])]
    pub server: Option<PathBuf>,
    /// Show what the files say instead of fitting: tool, counts, aggregates, what to beware of
    #[arg(long, conflicts_with_all = ["out", "plot"])]
    pub inspect: bool,
    /// Write the profile (TOML) of the form that the catalogue reads
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write a plot of the residuals (SVG); with --rows, of predicted against measured latencies
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// GPU of the measured server [default: what the step log says]
    #[arg(long, value_name = "NAME")]
    pub gpu: Option<String>,
    /// Model of the measured server [default: what the files say]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Engine and version, such as `vllm 0.22.0` [default: what the step log says]
    #[arg(long, value_name = "TEXT")]
    pub engine_version: Option<String>,
    /// GPUs that share the model [default: what the step log says, or 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub tensor_parallel_size: Option<u32>,
    /// Name of the profile [default: GPU, model and tensor-parallel size]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Time from the client's send until the engine has the request, in ms [default: from requests that found the server
    /// empty]
    #[arg(long, value_name = "MS", value_parser = not_negative)]
    pub front_end_ms: Option<f64>,
    /// Keep a coefficient at a value, for instance `per_prefill_attention_ps=2048`; may be repeated
    #[arg(long, value_name = "KEY=PS")]
    pub fix: Vec<String>,
    /// Resamples behind the standard errors
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub replicates: u32,
    /// Seed of the resamples
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall validate measured/e2e_measured.csv
  kendall validate measured/e2e_measured.csv --json --plot errors.svg
  kendall validate measured/e2e_measured.csv --step-time roofline

One row for each measured run or stage; columns in docs/validate.md. Per-request files (column request_trace) are looked up beside
the table. Errors are absolute errors in percent of the measured value; times in JSON are seconds.

Exit codes: 0 ok (rows that cannot be simulated are listed with the reason), 1 a file cannot be written, 2 invalid input.")]
pub(crate) struct ValidateArgs {
    /// Table of measured servers (CSV)
    pub table: PathBuf,
    /// Predictions of other simulators (CSV) [default: `peer_predictions.csv` beside the table, if it is there]
    #[arg(long, value_name = "FILE")]
    pub peers: Option<PathBuf>,
    /// Step times to simulate with
    #[arg(long, value_enum, default_value = "auto")]
    pub step_time: StepTimes,
    /// Take this profile that `kendall calibrate --out` wrote for the servers that it is of, and the roofline for all others,
    /// instead of the catalogue's; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with = "step_time")]
    pub profile: Vec<PathBuf>,
    /// Write a scatter plot of predicted against measured latencies (SVG)
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Write the comparison as one HTML page: errors, scatter plots, every row
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Leave out the table of rows
    #[arg(long)]
    pub summary_only: bool,
    /// Threads; the result does not depend on it [default: one for each core]
    #[arg(long, value_name = "T", value_parser = threads)]
    pub threads: Option<usize>,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
}

/// Which step times `kendall validate` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StepTimes {
    /// The calibrated profile of GPU and model where the catalogue has one, else the roofline
    Auto,
    /// The roofline for every row
    Roofline,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall import config.yaml --out scenario.toml
  kendall import chunk-14-trace.csv --start-s 36000 --end-s 39600 --out scenario.toml
  kendall import trace.parquet --prompt-column n_in --output-column n_out --out scenario.toml

Exit codes: 0 ok (the table says what was lost), 1 the scenario cannot be written, 2 invalid input.")]
pub(crate) struct ImportArgs {
    /// The file: configuration of inference-perf, scenario of guidellm, a `vllm bench serve` command, `ServeGen`, Azure,
    /// `BurstGPT`, Mooncake, Parquet
    pub file: PathBuf,
    /// Where the scenario goes; printed if absent
    #[arg(long, value_name = "SCENARIO")]
    pub out: Option<PathBuf>,
    /// Replace the file of --out
    #[arg(long, requires = "out")]
    pub force: bool,
    /// What the file is; told from its content if absent
    #[arg(long)]
    pub format: Option<ImportFormat>,
    /// Scenario whose `[server]` is used; the quick start's if absent
    #[arg(long, value_name = "SCENARIO")]
    pub server: Option<PathBuf>,
    /// Which of several rates or concurrency levels, from 0
    #[arg(long, value_name = "N")]
    pub stage: Option<usize>,
    /// Only what arrives from this time of a trace on (s)
    #[arg(long, value_name = "SECONDS")]
    pub start_s: Option<f64>,
    /// Only what arrives before this time of a trace (s)
    #[arg(long, value_name = "SECONDS")]
    pub end_s: Option<f64>,
    /// Column of arrivals in a Parquet file
    #[arg(long, value_name = "NAME")]
    pub arrival_column: Option<String>,
    /// Column of prompt tokens in a Parquet file
    #[arg(long, value_name = "NAME")]
    pub prompt_column: Option<String>,
    /// Column of output tokens in a Parquet file
    #[arg(long, value_name = "NAME")]
    pub output_column: Option<String>,
}

/// What `kendall import` can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    InferencePerf,
    Guidellm,
    VllmBench,
    Servegen,
    Azure,
    Burstgpt,
    Mooncake,
    Parquet,
    Kendall,
}

impl ImportFormat {
    /// How the scenario's first line calls it.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::InferencePerf => "inference-perf configuration",
            Self::Guidellm => "guidellm scenario",
            Self::VllmBench => "vllm bench serve command",
            Self::Servegen => "ServeGen client",
            Self::Azure => "Azure trace",
            Self::Burstgpt => "BurstGPT trace",
            Self::Mooncake => "Mooncake trace",
            Self::Parquet => "Parquet trace",
            Self::Kendall => "kendall trace",
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  kendall conformance tests/golden

Exit codes: 0 all schedules agree in every field, 1 one differs, 2 invalid input.")]
pub(crate) struct ConformanceArgs {
    /// Folder with *.scenario.json and *.golden.json.gz
    pub dir: PathBuf,
    /// Take the workload as the finite one that is played: figures describe its requests from an empty start to the last one,
    /// also where the server is overloaded, and no steady state
    #[arg(long, conflicts_with_all = ["replications", "precision"])]
    pub transient: bool,
    /// Schedule every request of every step by itself: slower, with the same result
    #[arg(long)]
    pub one_by_one: bool,
    /// Print JSON instead of lines
    #[arg(long)]
    pub json: bool,
}
