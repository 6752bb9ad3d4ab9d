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
//! | [`Scatter`] | predicted against measured values as SVG |
//! | [`BenchReport`] | the run as `vllm bench serve` prints and saves it |
//!
//! Architecture invariant: nothing here runs a simulation.

mod csv_files;
mod csv_table;
mod estimates;
mod number;
mod output_dir;
mod plot;
mod replications_report;
mod run_report;
mod steady;
mod sweep_report;
mod table;
mod vllm_bench;

pub use csv_files::{RequestsCsv, StepsCsv};
pub use csv_table::csv_table;
pub use estimates::{FigureRow, MeanOverReplications};
pub use output_dir::{OutputDir, OutputError, OutputFile, WrittenFile};
pub use plot::{Plot, PlotError, PlotPoint, Scatter, ScatterPoints, Series};
pub use replications_report::ReplicationsReport;
pub use run_report::RunReport;
pub use steady::SteadyState;
pub use sweep_report::{Difference, PointStatus, SweepPointRow, SweepReport};
pub use vllm_bench::{BenchRecorder, BenchReport, BenchSettings};
