//! Options of commands that play a scenario many times or set theory beside it: sweep, capacity, predict, theory.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::values::{share, threads};

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
