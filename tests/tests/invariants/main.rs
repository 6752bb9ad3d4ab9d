//! The invariants of the design (`ARCHITECTURE.md`), as properties of runs on random scenarios.
//!
//! A scenario is an engine configuration that vLLM would accept and a few dozen requests, chosen to hurt: KV pools
//! just above the legal minimum, bursts, ties, aborts, shared prefixes. A [`kendall_tests::tape::Tape`] keeps everything that a run
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

/// Defines the two tests of a property: `NAME::few` and, ignored by default, `NAME::many`.
macro_rules! property {
    ($(#[$doc:meta])* $name:ident, $cases:expr, $check:expr) => {
        $(#[$doc])*
        mod $name {
            use super::*;

            #[test]
            fn few() {
                kendall_tests::property::few(&$cases, $check);
            }

            #[test]
            #[ignore = "10,000 cases"]
            fn many() {
                kendall_tests::property::many(&$cases, $check);
            }
        }
    };
}
use property;
