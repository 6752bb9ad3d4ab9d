//! Properties held to many random cases.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

/// What a property says of a case.
pub type Verdict = Result<(), TestCaseError>;

/// Holds `property` to 200 cases that are the same on every machine.
pub fn few<S: Strategy>(cases: &S, property: impl Fn(S::Value) -> Verdict) {
    hold(200, RngSeed::Fixed(1953), cases, property);
}

/// Holds `property` to 10,000 cases that nobody has seen before.
pub fn many<S: Strategy>(cases: &S, property: impl Fn(S::Value) -> Verdict) {
    hold(10_000, RngSeed::Random, cases, property);
}

/// Holds `property` to so many cases.
///
/// # Panics
/// With the smallest case that was found for which it does not hold.
pub fn hold<S: Strategy>(
    cases: u32,
    rng_seed: RngSeed,
    strategy: &S,
    property: impl Fn(S::Value) -> Verdict,
) {
    let config = Config { cases, rng_seed, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(strategy, property) {
        panic!("{failure}");
    }
}
