//! One file a command.

mod calibrate;
mod calibrate_replay;
mod calibrate_requests;
mod calibrate_text;
mod capacity;
mod catalog;
mod conformance;
mod import;
mod replications;
mod run;
mod schema;
mod sweep;
mod theory;
mod uncertainty;
mod validate;
mod validate_text;

pub(crate) use calibrate::calibrate;
pub(crate) use capacity::capacity;
pub(crate) use catalog::catalog;
pub(crate) use conformance::conformance;
pub(crate) use import::import;
pub(crate) use run::{failure as run_failure, run};
pub(crate) use schema::schema;
pub(crate) use sweep::sweep;
pub(crate) use theory::theory_check;
pub(crate) use validate::validate;
