//! One file a command.

mod catalog;
mod conformance;
mod import;
mod run;
mod schema;

pub(crate) use catalog::catalog;
pub(crate) use conformance::conformance;
pub(crate) use import::import;
pub(crate) use run::run;
pub(crate) use schema::schema;
