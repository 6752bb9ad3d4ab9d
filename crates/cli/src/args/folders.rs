//! Options of commands that look at a run's folder: explain, report, trace.

use std::path::PathBuf;

use clap::ValueEnum;

use super::values::not_negative;

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
