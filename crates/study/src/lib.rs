//! Experiments over runs: replications, and what follows from them.
//!
//! | part | what it does |
//! |---|---|
//! | [`Workers`] | whole runs on several threads, results in order, the same on any number of threads |
//! | [`play`] | one run, its [`RunFigures`] |
//! | [`replicate`] | independent replications, a fixed number or until a precision is reached |
//! | [`sweep()`] | many settings, each run handed over for keeping as soon as it is done |
//! | [`Stability`] | is there a steady state? the analytic bound of [`offered_load()`] first, then the drift of the [`NumberInSystem`] |
//! | [`RunLatencies`] | intervals of the latencies of one run, by batches of departures |
//! | [`capacity`] | the largest rate or concurrency, or the fewest replicas, that keep objectives, with a confidence |
//!
//! Random numbers have the replication as second address, and nothing else changes between replications. Settings
//! that are compared meet the same customers, replication by replication (common random numbers).
//!
//! Architecture invariant: nothing here knows a file format. Whoever reads scenarios hands in [`Workloads`].

pub mod capacity;
mod figures;
mod number_in_system;
mod offered_load;
mod parallel;
mod play;
mod replications;
mod run_latencies;
mod stability;
mod sweep;

pub use figures::{FIGURES, Figure, RunFigures};
pub use number_in_system::NumberInSystem;
pub use offered_load::{OfferedLoad, SAMPLE, offered_load};
pub use parallel::{ThreadsError, Workers};
pub use play::{RunError, Setting, Watch, Workloads, play};
pub use replications::{Estimate, Extent, Replications, WATCHED, replicate};
pub use run_latencies::RunLatencies;
pub use stability::{Stability, needs_steady_state};
pub use sweep::{RunId, RunOutcome, SweepError, SweepPoint, sweep};
