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
#[command(after_help = "\
Examples:
  kendall run                                   the embedded quick start
  kendall run scenarios/quickstart.toml --out results
  kendall run scenarios/quickstart.toml --set workload.arrivals.rate_per_s=8 --seed 1
  kendall run scenarios/quickstart.toml --replications 20    means over 20 runs, with intervals
  kendall run scenarios/quickstart.toml --precision 5%       as many runs as that takes
  kendall run --gpu A10G --vllm @serve.sh --bench 'vllm bench serve --request-rate 4 --num-prompts 300'

Exit codes: 0 ok, 1 the run failed or stalled or --precision was not reached, 2 invalid input, 130 interrupted (143 by SIGTERM).")]
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
    /// Write report.html into the folder of --out too: one page with verdict, charts and tables
    #[arg(long, requires = "out")]
    pub report: bool,
    /// Take the workload as the finite one that is played: figures describe its requests from an empty start to the last one,
    /// also where the server is overloaded, and no steady state
    #[arg(long, conflicts_with_all = ["replications", "precision"])]
    pub transient: bool,
    /// Schedule every request of every step by itself: slower, with the same results to the bit
    #[arg(long)]
    pub one_by_one: bool,
    #[command(flatten)]
    pub replications: ReplicationArgs,
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

/// How many runs a figure is the mean of.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplicationArgs {
    /// Play so many independent replications and print means with confidence intervals; with --precision, the most
    /// [default with --precision: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), conflicts_with_all = ["bench", "steps"])]
    pub replications: Option<u32>,
    /// Play replications until every mean and p99 latency has an interval of at most this half-width, such as `5%`
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with_all = ["bench", "steps"])]
    pub precision: Option<f64>,
    /// Play replications in antithetic pairs: the second of a pair meets each random number u as 1 - u, so that good and bad luck
    /// cancel. Intervals are over pairs; how much narrower they are is said
    #[arg(long, conflicts_with = "parameter_uncertainty")]
    pub antithetic: bool,
    /// Confidence of the intervals, such as `0.95` or `95%`
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0.95")]
    pub confidence: f64,
    /// Draw the parameters of the step times so often (20 if no number is given) from what is known of their errors, and show
    /// what that adds to the intervals of --replications
    #[arg(long, value_name = "DRAWS", num_args = 0..=1, default_missing_value = "20", require_equals = true, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub parameter_uncertainty: Option<u32>,
    /// Threads; the result does not depend on it [default: one for each core]
    #[arg(long, value_name = "T", value_parser = threads)]
    pub threads: Option<usize>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall sweep scenarios/quickstart.toml --vary workload.arrivals.rate_per_s=2:12:2
  kendall sweep scenarios/quickstart.toml --vary workload.arrivals.rate_per_s=4,8 --vary server.max_num_seqs=16,32,64 --out results
  kendall sweep scenarios/quickstart.toml --vary server.max_num_seqs=16,32,64 --baseline server.max_num_seqs=16
  kendall sweep scenarios/trace.toml --vary workload.trace.time_scale=1.0:0.4:-0.1

All points meet the same random numbers. A sweep with --out that was killed goes on where it was.

Exit codes: 0 ok, 1 a point stalled or a file cannot be written, 2 invalid input, 130 interrupted.")]
#[allow(clippy::struct_excessive_bools, reason = "flags")]
pub(crate) struct SweepArgs {
    /// Scenario file (TOML); without one, the embedded quick start
    pub scenario: Option<PathBuf>,
    /// Values of a key: a range with both ends, or a list. Several keys make a grid
    #[arg(long, value_name = "KEY=FROM:TO:STEP|a,b,c", required = true)]
    pub vary: Vec<String>,
    /// Go through the values of several keys together, instead of all combinations
    #[arg(long)]
    pub paired: bool,
    /// Compare each point with the one that has this value of a varied key (and the same values of the others), replication
    /// by replication; several keys name one point
    #[arg(long, value_name = "KEY=VALUE")]
    pub baseline: Vec<String>,
    /// Change a key of all points, for instance `server.max_num_seqs=32`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of all random numbers [default: the scenario's, or 0]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Replications of each point [default: 5; 1 for a trace, which has nothing random]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub replications: Option<u32>,
    /// Confidence of the intervals, such as `0.95` or `95%`
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0.95")]
    pub confidence: f64,
    /// Threads; the result does not depend on it [default: one for each core]
    #[arg(long, value_name = "T", value_parser = threads)]
    pub threads: Option<usize>,
    /// Write sweep.csv, sweep.json and a plot of each figure into this folder, and keep finished runs there meanwhile
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write report.html into the folder of --out too
    #[arg(long, requires = "out")]
    pub report: bool,
    /// Forget the runs that --out holds
    #[arg(long, requires = "out")]
    pub fresh: bool,
    /// Print sweep.json instead of the table
    #[arg(long)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall capacity scenarios/quickstart.toml --slo 'p99(ttft)<=500ms' --slo 'p95(tpot)<=20ms'
  kendall capacity scenarios/quickstart.toml --slo 'ttft:500 tpot:50' --slo 'goodput>=0.99'
  kendall capacity scenarios/quickstart.toml --slo 'mean(tpot)<=12ms' --find concurrency
  kendall capacity scenarios/h100-chat.toml --slo 'p99(ttft)<=500ms' --find replicas

Objectives: pNN(ttft|tpot|e2el)<=LIMIT, mean(...)<=LIMIT, goodput>=SHARE with the limits of the scenario's [slo.goodput] or
those of vLLM's syntax (milliseconds).

Exit codes: 0 answered or undecided, 1 impossible at any load, 2 invalid input, 130 interrupted.")]
pub(crate) struct CapacityArgs {
    /// Scenario file (TOML); without one, the embedded quick start
    pub scenario: Option<PathBuf>,
    /// Objective; may be repeated, all must be kept [default: goodput>=0.99 with the limits of the scenario]
    #[arg(long, value_name = "OBJECTIVE")]
    pub slo: Vec<String>,
    /// What to find
    #[arg(long, value_enum, default_value = "rate")]
    pub find: Sought,
    /// Change a key of the scenario, for instance `server.max_num_seqs=32`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of all random numbers [default: the scenario's, or 0]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Confidence in both ends of the answer, such as `0.95` or `95%`
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0.95")]
    pub confidence: f64,
    /// Width of the answer that is narrow enough, as a share of it
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "2%")]
    pub resolution: f64,
    /// Requests of each run, in place of the scenario's [default: 10 for each seat of the server, 5,000 to 50,000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    pub requests: Option<u64>,
    /// Runs behind each line of the sensitivity table
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000), default_value_t = 5)]
    pub sensitivity_runs: u32,
    /// Draw the parameters of the step times so often (20 if no number is given) from what is known of their errors, and show
    /// what that adds to the answer
    #[arg(long, value_name = "DRAWS", num_args = 0..=1, default_missing_value = "20", require_equals = true, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub parameter_uncertainty: Option<u32>,
    /// Leave the sensitivity table out
    #[arg(long)]
    pub no_sensitivity: bool,
    /// Threads; the result does not depend on it [default: one for each core]
    #[arg(long, value_name = "T", value_parser = threads)]
    pub threads: Option<usize>,
    /// Write the search as one HTML page
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall predict                                    the embedded quick start: theory, simulation, errors
  kendall predict scenarios/quickstart.toml --set workload.arrivals.rate_per_s=16 --replications 20
  kendall predict --no-simulation --json             theory only
  kendall predict --sweep --out results              against load: a table, CSV, and curves over points as SVG
  kendall predict --sweep=0.3,0.6,0.9                the same at these shares of the capacity
  kendall predict --ladder                           which assumption costs how much

docs/predict.md explains the report, docs/theory-paged.md the models.

Exit codes: 0 ok, 1 no model applies or a file cannot be written, 2 invalid input, 130 interrupted.")]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct PredictArgs {
    /// Scenario file (TOML); without one, the embedded quick start
    pub scenario: Option<PathBuf>,
    /// Change a key of the scenario, for instance `server.max_num_seqs=32`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Replications of the simulation
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), default_value_t = 10)]
    pub replications: u32,
    /// Confidence of the intervals, such as `0.95` or `95%`
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0.95")]
    pub confidence: f64,
    /// Theory only
    #[arg(long)]
    pub no_simulation: bool,
    /// Theory and simulation at several loads: shares of the capacity that theory gives
    #[arg(long, value_name = "LOADS", num_args = 0..=1, require_equals = true,
          default_missing_value = "0.1,0.3,0.5,0.6,0.7,0.8,0.9", value_parser = loads)]
    pub sweep: Option<Loads>,
    /// The error-attribution ladder: from a case where theory is exact, assumptions fall one by one
    #[arg(long, conflicts_with_all = ["sweep", "no_simulation"])]
    pub ladder: bool,
    /// Write predict.json, predict.csv and scenario.toml into this folder; with --sweep also plots
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write report.html into the folder of --out too: one page with theory over simulated points
    #[arg(long, requires = "out", conflicts_with = "ladder")]
    pub report: bool,
    /// Seed of all random numbers [default: the scenario's, or 0]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Threads; the result does not depend on it [default: one for each core]
    #[arg(long, value_name = "T", value_parser = threads)]
    pub threads: Option<usize>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
}

/// Arrivals over capacity, at several points.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Loads(pub Vec<f64>);

fn parts(text: &str) -> Result<Loads, String> {
    let all: Option<Vec<f64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    all.map(Loads).ok_or_else(|| "write shares of the arrivals that rise to 1, such as `0.4,0.8,1`".into())
}

fn loads(text: &str) -> Result<Loads, String> {
    let load = |part: &str| part.trim().parse::<f64>().ok().filter(|load| *load > 0.0 && *load <= 10.0);
    let all: Option<Vec<f64>> = text.split(',').map(load).collect();
    all.map(Loads).ok_or_else(|| "write loads as shares of the capacity, such as `0.3,0.6,0.9`".into())
}

/// What `kendall capacity` looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sought {
    /// The largest arrival rate
    Rate,
    /// The largest number of clients that send one request after another
    Concurrency,
    /// The fewest replicas for the scenario's rate
    Replicas,
}

/// Most threads: more than any machine has cores, fewer than an operating system refuses.
const MAX_THREADS: usize = 4_096;

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=MAX_THREADS) => Ok(threads),
        _ => Err(format!("write a number of threads between 1 and {MAX_THREADS}")),
    }
}

/// A share strictly between 0 and 1, as `0.05` or `5%`.
fn share(text: &str) -> Result<f64, String> {
    let (digits, unit) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100.0),
        None => (text, 1.0),
    };
    let share = digits.trim().parse::<f64>().ok().map(|number| number / unit);
    share
        .filter(|share| *share > 0.0 && *share < 1.0)
        .ok_or_else(|| "write a share between 0 and 1, such as `0.05` or `5%`".into())
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall calibrate steps.csv --gpu H100 --model Qwen/Qwen3-14B --out profile.toml
  kendall calibrate steps.csv alone.json --gpu A10G --model Qwen/Qwen2.5-1.5B-Instruct
  kendall calibrate requests.csv --server server.toml --out profile.toml
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
    #[arg(required = true)]
    pub measured: Vec<PathBuf>,
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
    /// Write a plot of the residuals (SVG)
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

/// A length of time from the command line.
fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x: &f64| x.is_finite() && *x >= 0.0);
    number.ok_or_else(|| "expected a number, not negative".to_owned())
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

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall explain results 1204                where the time of request 1204 went, of a run in results/
  kendall explain results --worst 10          the ten with the longest TTFT, and what they have in common
  kendall explain scenarios/kv-starved.toml --worst 10 --by e2el

The run is played again; a folder of results is held against the new play. Parts sum exactly to TTFT and E2E.

Exit codes: 0 ok, 1 the run failed, 2 invalid input.")]
pub(crate) struct ExplainArgs {
    /// Scenario file or folder of `kendall run --out` [default: the embedded quick start], then numbers of requests
    #[arg(value_name = "RUN] [REQUEST", num_args = 0..)]
    pub run_and_requests: Vec<String>,
    /// Pick the slowest requests instead, so many, and show what they have in common
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub worst: Option<u32>,
    /// What makes a request slow
    #[arg(long, value_enum, default_value = "ttft", requires = "worst")]
    pub by: ExplainBy,
    /// Change a key of the scenario, for instance `server.max_num_seqs=32`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of all random numbers [default: the scenario's, or 0]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Print JSON, with parts in picoseconds
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall run scenarios/quickstart.toml --out results && kendall report results
  kendall report results --format markdown > results.md
  kendall capacity scenarios/quickstart.toml --json > capacity.json; kendall report capacity.json
  kendall report results --format svg --out figures

The page needs no network and no script, follows the light or dark scheme of the reader, and can be printed.

Exit codes: 0 ok, 1 a file cannot be written, 2 this is no folder of results.")]
pub(crate) struct ReportArgs {
    /// Folder of `kendall run --out`, `kendall sweep --out` or `kendall predict --out`, or a file that `kendall capacity --json`,
    /// `kendall sweep --json`, `kendall predict --json` or `kendall validate --json` printed
    pub dir: PathBuf,
    /// What to make
    #[arg(long, value_enum, default_value = "html")]
    pub format: ReportFormat,
    /// File to write, or folder for SVG [default: DIR/report.html, DIR/figures; other formats are printed]
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Do not print the name of the file
    #[arg(long, short)]
    pub quiet: bool,
}

/// What `kendall report` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One page that needs nothing else
    Html,
    /// The same text with tables, for pull requests and notes
    Markdown,
    /// Everything, with the points of every chart
    Json,
    /// Figures, points of charts and cells of tables in one long table
    Csv,
    /// Each chart as a file
    Svg,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kendall trace results --to-s 60                          trace.json, to be opened at ui.perfetto.dev
  kendall trace scenarios/kv-starved.toml --out kv.json --from-s 100 --to-s 130
  kendall trace results --format prometheus > metrics.txt   the counters and histograms of vLLM's /metrics

The run is played again, step by step, up to --to-s.

Exit codes: 0 ok, 1 the run failed or a file cannot be written, 2 invalid input.")]
pub(crate) struct TraceArgs {
    /// Scenario file or folder of `kendall run --out`; without one, the embedded quick start
    pub run: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value = "perfetto")]
    pub format: TraceFormat,
    /// File to write [default: trace.json; Prometheus is printed]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Leave out what ends before this time of the run (s); counters of Prometheus always begin at 0
    #[arg(long, value_name = "SECONDS", value_parser = not_negative)]
    pub from_s: Option<f64>,
    /// Stop here (s): the end of the trace, the time of the scrape
    #[arg(long, value_name = "SECONDS", value_parser = not_negative)]
    pub to_s: Option<f64>,
    /// Change a key of the scenario, for instance `server.max_num_seqs=32`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of all random numbers [default: the scenario's, or 0]
    #[arg(long)]
    pub seed: Option<u64>,
}

/// What `kendall trace` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TraceFormat {
    /// Chrome trace events (JSON): steps, requests and KV use
    Perfetto,
    /// vLLM's metrics in Prometheus's text format
    Prometheus,
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

/// What `kendall explain --worst` ranks requests by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainBy {
    /// Time to the first token
    Ttft,
    /// Mean time per output token after the first
    Tpot,
    /// Time to the last token
    E2el,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TheoryArgs {
    #[command(subcommand)]
    pub command: TheoryCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TheoryCommand {
    /// Evaluate a file of reference values and count which agree, model by model
    Check(TheoryCheckArgs),
    /// Solve the admission process of a loss system and write the table that a server can play
    Admission(TheoryAdmissionArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The scenario has `engine = \"reserve\"`. Classes are ranges of request sizes, prompt and output. The
rule says, for the numbers of each class inside, whom to let in, such that the most requests get
their first token in time, less what rejections cost.
Play the table with `[server.admission] policy_table = \"FILE\"`.

Exit codes: 0 solved, 2 the scenario is no loss system, or has too many states.")]
pub(crate) struct TheoryAdmissionArgs {
    /// Scenario file (TOML) with `engine = "reserve"`
    pub scenario: PathBuf,
    /// Change a key of the scenario, for instance `server.reserve.max_batch_size=8`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Write the table here (CSV)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Classes of sizes: shares of the arrivals up to the end of each
    #[arg(long, value_name = "SHARES", value_parser = parts, default_value = "0.4,0.8,1")]
    pub parts: Loads,
    /// Longest time to first token that is good (ms) [default: `slo.goodput.ttft_ms`]
    #[arg(long, value_name = "MS")]
    pub ttft_limit_ms: Option<f64>,
    /// What a rejection costs, in good requests
    #[arg(long, value_name = "COST", default_value_t = 0.25)]
    pub rejection_cost: f64,
    /// Write the one-step rule with this price of the whole KV cache instead, to compare
    #[arg(long, value_name = "PRICE")]
    pub one_step: Option<f64>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file is a JSON list of {id, model, params, metric, value, tolerance}; docs/theory-classical.md lists models and metrics.
An entry agrees when |ours - value| <= tolerance * max(|value|, 1e-6). Parameters outside a model's domain disagree.

Exit codes: 0 nothing disagrees, 1 an entry disagrees, 2 the file cannot be read.")]
pub(crate) struct TheoryCheckArgs {
    /// File of reference values (JSON)
    pub file: PathBuf,
    /// Print JSON instead of a table
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
