//! What may be concluded from the output of a simulation: intervals, warm-up, comparisons, stability.
//!
//! A run gives correlated numbers that start from an empty system. Every function here returns an interval that
//! allows for that, or says that the run is too short. Law & Kelton, *Simulation Modeling and Analysis*, chapter 9.

mod accumulator;
mod batch_means;
mod batches;
mod comparison;
mod fairness;
mod histogram;
mod interval;
mod no_interval;
mod quantile;
mod quantile_interval;
mod replications;
mod sequential;
mod single_run;
mod stability;
mod student_t;
mod totals;
mod warmup;
mod wide_sum;

pub use accumulator::BatchAccumulator;
pub use batch_means::{BatchMeans, batch_means};
pub use comparison::{ControlVariate, antithetic_interval, control_variate, paired_interval};
pub use fairness::jain_index;
pub use interval::{Interval, t_interval};
pub use no_interval::NoInterval;
pub use quantile::{quantile_type7, quantile_type7_of_sorted};
pub use quantile_interval::QuantileInterval;
pub use replications::{mean_of_replications, quantile_of_replications};
pub use sequential::{FEWEST_REPLICATIONS, Stopping, sequential_stopping};
pub use single_run::{mean_interval, quantile_interval};
pub use stability::{Drift, Horizon, Verdict, drift_of_replications, drift_test, verdict};
pub use student_t::{normal_quantile, student_t_quantile};
pub use totals::{GridCounts, PERCENTILES, RunBatches, RunIntervals, Totals};
pub use warmup::{WarmUp, mser, mser5};

#[cfg(test)]
mod reference_series;
#[cfg(test)]
mod single_run_tests;

/// The example of the documentation is a test.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/output-analysis.md")]
struct Documentation;
