//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Simulates LLM servers: what will happen under this load?
#[derive(Debug, Parser)]
#[command(name = "kendall", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulate a scenario and print its figures
    Run(RunArgs),
    /// Make a scenario of another tool's workload file, and show what was understood and what not
    Import(ImportArgs),
    /// Replay golden schedules of the real vLLM scheduler, step by step
    Conformance(ConformanceArgs),
    /// List what is built in: GPUs, models, step-time profiles, with sources
    Catalog(CatalogArgs),
    /// Print the JSON Schema of the scenario file
    Schema,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall run                                   the embedded quick start
  kendall run scenarios/quickstart.toml --out results
  kendall run scenarios/quickstart.toml --set workload.arrivals.rate_per_s=8 --seed 1
  kendall run --gpu A10G --vllm @serve.sh --bench 'vllm bench serve --request-rate 4 --num-prompts 300'

Exit codes: 0 ok, 1 the run failed or stalled, 2 invalid input, 130 interrupted.")]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct RunArgs {
    /// Scenario file (TOML); without one, the embedded quick start: a 1.5B model on one A10G
    pub scenario: Option<PathBuf>,
    /// Simulate the server that this command starts, `vllm serve ...`; `@FILE` reads it from a file. What no command
    /// gives comes from the scenario
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    pub vllm: Option<String>,
    /// Send it what this command sends, `vllm bench serve ...`, and print the result as that command does; `@FILE` reads
    /// it from a file
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    pub bench: Option<String>,
    /// GPU of the server of --vllm; `kendall catalog gpus` lists them
    #[arg(long, value_name = "NAME", requires = "vllm")]
    pub gpu: Option<String>,
    /// Version of vLLM that the command is for, 0.19 to 0.33 [default: 0.32]
    #[arg(long, value_name = "VERSION", requires = "vllm")]
    pub vllm_version: Option<String>,
    /// Go on without the effect of this flag of vLLM, which kendall does not model; may be repeated
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub allow_ignored: Vec<String>,
    /// Print the scenario, with all changes, instead of simulating it
    #[arg(long)]
    pub print_scenario: bool,
    /// Change a key of the scenario, for instance `server.max_num_seqs=32`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of all random numbers [default: the scenario's, or 0]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Write summary.json, requests.csv and the resolved scenario.toml into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write steps.csv too: one row for each engine step
    #[arg(long, requires = "out")]
    pub steps: bool,
    /// Schedule every request of every step by itself: slower, with the same results to the bit
    #[arg(long)]
    pub one_by_one: bool,
    /// Print summary.json instead of the table
    #[arg(long)]
    pub json: bool,
    /// Print the fidelity ledger: how each setting is treated, and where it comes from
    #[arg(long, conflicts_with = "json")]
    pub ledger: bool,
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
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
    /// Scenario whose [server] is used; the quick start's if absent
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
    /// Schedule every request of every step by itself: slower, with the same result
    #[arg(long)]
    pub one_by_one: bool,
    /// Print JSON instead of lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CatalogArgs {
    /// What to list; all if absent
    pub what: Option<CatalogPart>,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CatalogPart {
    Gpus,
    Models,
    Profiles,
    Engines,
}
