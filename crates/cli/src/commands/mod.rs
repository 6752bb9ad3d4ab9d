//! One file a command.

mod catalog;
mod conformance;
mod replications;
mod run;
mod schema;

pub(crate) use catalog::catalog;
pub(crate) use conformance::conformance;
pub(crate) use run::{failure as run_failure, run};
pub(crate) use schema::schema;
