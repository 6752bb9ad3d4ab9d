//! What may be concluded from the output of a simulation: intervals, warm-up, comparisons, stability.
//!
//! A run gives correlated numbers that start from an empty system. Every function here returns an interval that
//! allows for that, or says that the run is too short. Law & Kelton, *Simulation Modeling and Analysis*, chapter 9.

mod batch_means;
mod interval;
mod quantile;
mod student_t;
mod warmup;

pub use batch_means::{BatchMeans, batch_means};
pub use interval::{Interval, t_interval};
pub use quantile::{quantile_type7, quantile_type7_of_sorted};
pub use student_t::{normal_quantile, student_t_quantile};
pub use warmup::{WarmUp, mser, mser5};

#[cfg(test)]
mod reference_series;
