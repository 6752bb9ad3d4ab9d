//! One file a command.

mod catalog;
mod conformance;
mod run;
mod schema;
mod theory;

pub(crate) use catalog::catalog;
pub(crate) use conformance::conformance;
pub(crate) use run::run;
pub(crate) use schema::schema;
pub(crate) use theory::theory_check;
