//! Measured servers in; what a simulation of the same servers says, beside it.
//!
//! A table has one row for each measured experiment or stage ([`Table`]). Rows that one server ran one after another form
//! a session, which is simulated as a whole: with the recorded arrivals where a row names a file of them, otherwise with
//! arrivals drawn as its columns describe them. [`validate`] compares figure by figure; a row that cannot be simulated
//! keeps its place, with the reason.
//!
//! | module | what |
//! |---|---|
//! | `table` | cells of a CSV file by column name |
//! | `names` | the catalogue's model for a name as collectors write it |
//! | `selection` | rows by the values of their columns; rows of one kind of server |
//! | `server` | columns to the configuration of an engine |
//! | `session`, `requests`, `recorded` | which rows one server ran, and what it was sent |
//! | `replay` | the simulation |
//! | `figures` | latencies and rates, measured and simulated, under one definition |
//! | `peers` | what other simulators predicted |
//! | `validation` | rows and their summary |
//!
//! Architecture invariant: a measured latency is compared with, never an input of a simulation.

mod figures;
mod names;
mod peers;
mod recorded;
mod replay;
mod requests;
mod selection;
mod server;
mod session;
mod table;
mod validation;

pub use figures::{Figures, METRICS, Metric, SUMMARISED, median};
pub use names::{ModelName, known_model};
pub use peers::{PeerError, Peers};
pub use replay::{Record, Replay, simulate};
pub use selection::Condition;
pub use server::{MeasuredServer, StepTimeChoice, minor_version};
pub use session::{Session, Skipped, Stage, sessions};
pub use table::{Table, TableError};
pub use validation::{
    Compared, RowResult, SummaryLine, Validation, ape_percent, validate, validate_sessions,
};
