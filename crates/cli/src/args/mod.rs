//! The command line.

mod folders;
mod measurements;
mod run;
mod studies;
mod values;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use folders::{ExplainArgs, ExplainBy, ReportArgs, ReportFormat, TraceArgs, TraceFormat};
pub(crate) use measurements::{
    CalibrateArgs, ConformanceArgs, ImportArgs, ImportFormat, StepTimes, ValidateArgs,
};
pub(crate) use run::RunArgs;
pub(crate) use studies::{
    CapacityArgs, PredictArgs, Sought, SweepArgs, TheoryAdmissionArgs, TheoryArgs, TheoryCheckArgs,
    TheoryCommand,
};

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
    /// Say where the time of single requests went: waiting, prefill, decoding, interference, preemption
    Explain(ExplainArgs),
    /// Write a run as a trace for Perfetto, or as a scrape of vLLM's Prometheus metrics
    Trace(TraceArgs),
    /// Make a report of a run's folder: one HTML page, SVG figures, Markdown, CSV or JSON
    Report(ReportArgs),
    /// Fit a step-time model to measured results, or show what they say
    Calibrate(CalibrateArgs),
    /// Simulate measured servers and print the errors
    Validate(ValidateArgs),
    /// Simulate a scenario at many values of its keys: a table, CSV, JSON and plots
    Sweep(SweepArgs),
    /// Find the largest rate or concurrency, or the fewest replicas, that keep objectives, with a confidence
    Capacity(CapacityArgs),
    /// Set analytical models beside the simulation: each figure with its interval and each model's error
    Predict(PredictArgs),
    /// Make a scenario of another tool's workload file, and show what was understood and what not
    Import(ImportArgs),
    /// Replay golden schedules of the real vLLM scheduler, step by step
    Conformance(ConformanceArgs),
    /// List what is built in: GPUs, models, step-time profiles, with sources
    Catalog(CatalogArgs),
    /// Analytical models: check them against reference values; solve for an admission rule
    Theory(TheoryArgs),
    /// Print the JSON Schema of the scenario file, or its keys as a page
    Schema(SchemaArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one a command into a folder
    Man(ManArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct SchemaArgs {
    /// As what
    #[arg(long, value_enum, default_value = "json")]
    pub format: SchemaFormat,
}

/// How `kendall schema` prints the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaFormat {
    /// JSON Schema, for editors
    Json,
    /// Tables of keys, for people
    Markdown,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Write kendall.1, kendall-run.1, ... into this folder instead
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
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
