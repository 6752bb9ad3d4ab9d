//! Records in; files and tables out.
//!
//! | part | what it makes |
//! |---|---|
//! | [`OutputDir`] | files that appear whole or not at all |
//! | [`RequestsCsv`], [`StepsCsv`] | one row a request, one row a step, written as the run goes on |
//! | [`RunReport`] | the run's `summary.json` and its table |
//! | [`SteadyState`] | the verdict on a run's queue and the intervals of its latencies |
//! | [`ReplicationsReport`] | means over replications with their intervals |
//! | [`SweepReport`], [`Plot`] | the points of a sweep as CSV, JSON, table and SVG |
//! | [`Document`] | a run's report: HTML, SVG, Markdown, CSV, JSON |
//! | [`PerfettoTrace`], [`PrometheusMetrics`] | a run for Perfetto, and as a scrape of vLLM's metrics |
//! | [`Timeline`] | the run over time, in a bounded number of bins |
//! | [`ExplainReport`] | where the time of single requests went, in words and bars |
//! | [`Scatter`] | predicted against measured values as SVG |
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
mod number;
mod output_dir;
mod paint;
mod plot;
mod replications_report;
mod run_document;
mod run_report;
mod steady;
mod sweep_document;
mod sweep_report;
mod table;
mod timeline;
mod trace;
mod vllm_bench;

pub use chart::{Axis, Chart, ChartError, Colours, Direction, Layer, Mark, Scale, Shape, Unit};
pub use csv_files::{RequestsCsv, StepsCsv};
pub use csv_table::csv_table;
pub use document::{Block, DataTable, Document, Figure, Level, Section, Shares, Tile, Verdict};
pub use estimates::{FigureRow, MeanOverReplications};
pub use explain::ExplainReport;
pub use folder::{Columns, FolderError, Latencies, RunFolder};
pub use output_dir::{OutputDir, OutputError, OutputFile, WrittenFile};
pub use paint::Screen;
pub use plot::{Plot, PlotError, PlotPoint, Scatter, ScatterPoints, Series};
pub use replications_report::ReplicationsReport;
pub use run_report::RunReport;
pub use steady::SteadyState;
pub use sweep_report::{Difference, PointStatus, SweepPointRow, SweepReport};
pub use timeline::{Timeline, TimelineRow};
pub use trace::{PerfettoTrace, PrometheusMetrics, Window};
pub use vllm_bench::{BenchRecorder, BenchReport, BenchSettings};
