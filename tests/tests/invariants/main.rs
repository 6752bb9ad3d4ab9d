//! The invariants of the design (`ARCHITECTURE.md`), as properties of runs on random scenarios.
//!
//! A scenario is an engine configuration that vLLM would accept and a few dozen requests, chosen to hurt: KV pools
//! just above the legal minimum, bursts, ties, aborts, shared prefixes. A [`tape::Tape`] keeps everything that a run
//! tells its observer, and each property judges the tape from first principles, through the public interface only.
//!
//! Every property has two tests: 200 cases from a fixed seed, for every change, and 10,000 cases from a new seed, for
//! `cargo test --release -p kendall-tests -- --ignored`. A failure prints the smallest scenario that was found for it.
//! `coverage` holds the scenarios themselves to account.

mod anatomy;
mod clock;
mod conservation;
mod coverage;
mod determinism;
mod foresight;
mod ledger;
mod limits;
mod lives;
mod naive;
mod naive_check;
mod progress;
mod scenario;
mod tape;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

/// What a property says of a case.
type Verdict = Result<(), TestCaseError>;

/// Holds `property` to 200 cases that are the same on every machine.
fn few<S: Strategy>(cases: &S, property: impl Fn(S::Value) -> Verdict) {
    run(200, RngSeed::Fixed(1953), cases, property);
}

/// Holds `property` to 10,000 cases that nobody has seen before.
fn many<S: Strategy>(cases: &S, property: impl Fn(S::Value) -> Verdict) {
    run(10_000, RngSeed::Random, cases, property);
}

fn run<S: Strategy>(cases: u32, rng_seed: RngSeed, strategy: &S, property: impl Fn(S::Value) -> Verdict) {
    let config = Config { cases, rng_seed, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(strategy, property) {
        panic!("{failure}");
    }
}

/// Defines the two tests of a property: `NAME::few` and, ignored by default, `NAME::many`.
macro_rules! property {
    ($(#[$doc:meta])* $name:ident, $cases:expr, $check:expr) => {
        $(#[$doc])*
        mod $name {
            use super::*;

            #[test]
            fn few() {
                crate::few(&$cases, $check);
            }

            #[test]
            #[ignore = "10,000 cases"]
            fn many() {
                crate::many(&$cases, $check);
            }
        }
    };
}
use property;
