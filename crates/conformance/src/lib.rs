//! Golden schedules of the real vLLM scheduler in; agreement, or the first difference, out.
//!
//! A golden schedule was recorded from vLLM's own scheduler, KV-cache manager and engine loop under a virtual clock.
//! [`replay`] plays the same arrivals and step durations through kendall's engine and compares every step: who got how
//! many tokens, which blocks, who was preempted, finished or aborted, and when.

mod compare;
mod golden;
mod replay;
mod scenario;

use std::path::PathBuf;

use thiserror::Error;

pub use compare::{Difference, Outcome};
pub use replay::{replay, replay_dir};

/// Why a scenario could not be replayed.
#[derive(Debug, Error)]
pub enum ConformanceError {
    /// A file or folder could not be read.
    #[error("{path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what its name promises.
    #[error("{path}: line {}, column {}: {source}", source.line(), source.column())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The folder holds no scenario.
    #[error("{0}: no `*.scenario.json` in this folder")]
    Empty(PathBuf),
    /// A scenario without a recorded schedule.
    #[error("{0}: there is no `.golden.json.gz` beside this scenario")]
    NoGolden(PathBuf),
    /// A scenario that makes no sense.
    #[error("{path}: {reason}")]
    Scenario {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
