//! One file a command.

mod calibrate;
mod calibrate_text;
mod catalog;
mod conformance;
mod run;
mod schema;

pub(crate) use calibrate::calibrate;
pub(crate) use catalog::catalog;
pub(crate) use conformance::conformance;
pub(crate) use run::run;
pub(crate) use schema::schema;
