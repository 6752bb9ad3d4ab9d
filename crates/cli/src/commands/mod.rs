//! One file a command.

mod calibrate;
mod calibrate_text;
mod capacity;
mod catalog;
mod conformance;
mod import;
mod predict;
mod replications;
mod run;
mod schema;
mod sweep;
mod theory;

pub(crate) use calibrate::calibrate;
pub(crate) use capacity::capacity;
pub(crate) use catalog::catalog;
pub(crate) use conformance::conformance;
pub(crate) use import::import;
pub(crate) use predict::predict;
pub(crate) use run::{failure as run_failure, run};
pub(crate) use schema::schema;
pub(crate) use sweep::sweep;
pub(crate) use theory::theory_check;
