//! Records in; files and tables out.
//!
//! | part | what it makes |
//! |---|---|
//! | [`OutputDir`] | files that appear whole or not at all |
//! | [`RequestsCsv`], [`StepsCsv`] | one row a request, one row a step, written as the run goes on |
//! | [`RunReport`] | the run's `summary.json` and its table |
//! | [`Spread`] | histograms of latencies in a line each |
//! | [`SteadyState`] | the verdict on a run's queue and the intervals of its latencies |
//! | [`ReplicationsReport`] | means over replications with their intervals |
//! | [`SweepReport`], [`Chart`] | the points of a sweep as CSV, JSON, table and SVG |
//! | [`Document`] | the report of a run, a sweep, a search, a prediction or a validation: HTML, SVG, Markdown, CSV, JSON |
//! | [`PerfettoTrace`], [`PrometheusMetrics`] | a run for Perfetto, and as a scrape of vLLM's metrics |
//! | [`Origin`] | where a result comes from: scenario, ledger, command |
//! | [`Timeline`] | the run over time, in a bounded number of bins |
//! | [`ExplainReport`] | where the time of single requests went, in words and bars |
//! | [`BenchReport`] | the run as `vllm bench serve` prints and saves it |
//!
//! Architecture invariant: nothing here runs a simulation.

mod capacity_document;
mod chart;
mod csv_files;
mod csv_table;
mod document;
mod escape;
mod estimates;
mod explain;
mod folder;
mod json;
mod number;
mod origin;
mod output_dir;
mod paint;
mod replications_report;
mod run_document;
mod run_report;
mod spread;
mod steady;
mod sweep_document;
mod sweep_report;
mod table;
mod theory_document;
mod timeline;
mod trace;
mod validation_document;
mod vllm_bench;

pub use chart::{
    Axis, Chart, ChartError, Colours, Direction, GREY, Layer, MOST_LAYERS, Mark, Scale, Shape, Unit,
};
pub use csv_files::{RequestsCsv, StepsCsv};
pub use csv_table::csv_table;
pub use document::{Block, DataTable, Document, Figure, Level, Section, Shares, Tile, Verdict};
pub use estimates::{FigureRow, MeanOverReplications};
pub use explain::ExplainReport;
pub use folder::{Columns, FolderError, Latencies, RunFolder};
pub use origin::Origin;
pub use output_dir::{OutputDir, OutputError, OutputFile, WrittenFile};
pub use paint::Screen;
pub use replications_report::ReplicationsReport;
pub use run_report::RunReport;
pub use spread::Spread;
pub use steady::SteadyState;
pub use sweep_report::{Difference, PointStatus, SweepPointRow, SweepReport};
pub use timeline::{Timeline, TimelineRow};
pub use trace::{PerfettoTrace, PrometheusMetrics, Window};
pub use validation_document::scatter;
pub use vllm_bench::{BenchRecorder, BenchReport, BenchSettings};
