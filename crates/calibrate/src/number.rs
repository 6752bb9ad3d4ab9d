//! Which numbers a measured result may hold. Beyond these bounds they are faults of the file, and what is computed from
//! numbers within them is finite and does not overflow.

/// What [`amount`] expects, for messages.
pub(crate) const AMOUNT: &str = "a number from 0 to 1e18";

/// What [`count`] expects, for messages.
pub(crate) const COUNT: &str = "a whole number from 0 to 1e12";

/// The number that a cell of a table holds.
pub(crate) fn amount(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|number| is_amount(*number))
}

/// Whether a number is an [`amount`].
pub(crate) fn is_amount(number: f64) -> bool {
    (0.0..=1e18).contains(&number)
}

/// A number as a count of tokens or requests; `128.0` is whole.
pub(crate) fn count(number: f64) -> Option<u64> {
    ((0.0..=1e12).contains(&number) && number.fract().abs() < f64::EPSILON).then_some(number as u64)
}
