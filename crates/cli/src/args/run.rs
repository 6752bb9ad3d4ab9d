//! Options of `kendall run`.

use std::path::PathBuf;

use super::values::{share, threads};

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
