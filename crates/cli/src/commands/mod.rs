//! One file a command.

mod calibrate;
mod calibrate_replay;
mod calibrate_requests;
mod calibrate_text;
mod capacity;
mod catalog;
mod conformance;
mod explain;
mod import;
mod replay;
mod replications;
mod report;
mod run;
mod schema;
mod schema_text;
mod shell;
mod sweep;
mod theory;
mod trace;
mod uncertainty;
mod validate;
mod validate_text;

pub(crate) use calibrate::calibrate;
pub(crate) use capacity::capacity;
pub(crate) use catalog::catalog;
pub(crate) use conformance::conformance;
pub(crate) use explain::explain;
pub(crate) use import::import;
pub(crate) use report::report;
pub(crate) use run::{failure as run_failure, run};
pub(crate) use schema::schema;
pub(crate) use shell::{completions, man};
pub(crate) use sweep::sweep;
pub(crate) use theory::theory_check;
pub(crate) use trace::trace;
pub(crate) use validate::validate;
