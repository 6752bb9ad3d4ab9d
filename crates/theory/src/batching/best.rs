//! Which model to believe.

use super::closed_form::closed_form;
use super::phase_type::phase_type;
use super::prediction::{NotApplicable, Prediction};
use super::reserved::reserved_kv;
use super::system::System;

/// The most accurate model that applies: the chain of reserved KV for a batch of one, else the phase-type chain, else the
/// closed form.
///
/// # Errors
/// Why the last of them does not apply, if none does.
pub fn best(system: &System) -> Result<Prediction, NotApplicable> {
    reserved_kv(system).or_else(|_| phase_type(system)).or_else(|_| closed_form(system))
}
