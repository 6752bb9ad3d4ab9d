//! Invariants 2 to 10 of `ARCHITECTURE.md` for every engine of the zoo, on random scenarios.
//!
//! An engine joins with one line of the table below: its name, a strategy for its flags, and what is particular about it. Each
//! property has two tests: 200 cases from a fixed seed, and 10,000 new ones for
//! `cargo test --release -p kendall-tests --test zoo -- --ignored`.

mod cases;
mod checks;
mod tape;

use kendall_serving::zoo::engines::orca::Reservation;
use kendall_serving::zoo::engines::{self, Engine};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

/// What a property says of a case.
type Verdict = Result<(), TestCaseError>;

/// What is particular about an engine.
#[derive(Debug, Clone, Copy, Default)]
struct Particulars {
    /// It reads true output lengths by name (the textbook, oracles): invariant 7 does not apply.
    foresees: bool,
    /// Its batches are rectangular: steps compute more than their rows.
    pads: bool,
    /// Its steps may take longer than their shape says: transfers, work of the CPU.
    delays: bool,
    /// A full batch of longest sequences must fit its KV cache.
    reserves_full_batch: bool,
}

fn run<S: Strategy>(cases: u32, seed: RngSeed, strategy: &S, property: impl Fn(S::Value) -> Verdict) {
    let config = Config { cases, rng_seed: seed, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(strategy, property) {
        panic!("{failure}");
    }
}

/// Defines the tests of each engine: one module, a test a property.
macro_rules! zoo {
    ($($name:ident => ($flags:expr, $particulars:expr);)*) => {
        $(mod $name {
            use super::*;

            fn scenarios() -> impl Strategy<Value = cases::Scenario> {
                cases::scenarios($flags, $particulars)
            }

            #[test]
            fn few() {
                run(200, RngSeed::Fixed(1953), &scenarios(), |scenario| checks::all(&scenario, $particulars));
            }

            #[test]
            #[ignore = "10,000 cases"]
            fn many() {
                run(10_000, RngSeed::Random, &scenarios(), |scenario| checks::all(&scenario, $particulars));
            }

            /// Runs of steps and aborts are reached at all: a property of nothing would hold.
            #[test]
            fn cases_reach_what_they_are_about() {
                cases::reach(&scenarios());
            }
        })*
    };
}

zoo! {
    reserve => (reserve_flags(), Particulars { foresees: true, ..Particulars::default() });
    static_batching =>
        (static_flags(), Particulars { pads: true, reserves_full_batch: true, ..Particulars::default() });
    dynamic =>
        (dynamic_flags(), Particulars { pads: true, reserves_full_batch: true, ..Particulars::default() });
    orca => (orca_flags(Reservation::Max), Particulars::default());
    orca_oracle =>
        (orca_flags(Reservation::OraclePow2), Particulars { foresees: true, ..Particulars::default() });
}

fn reserve_flags() -> impl Strategy<Value = Engine> {
    (1..=6_u32).prop_map(|batch| {
        Engine::Reserve(engines::reserve::Settings { max_batch_size: batch, kv_tokens: None })
    })
}

fn static_flags() -> impl Strategy<Value = Engine> {
    let timeout = prop_oneof![Just(0.0), (0..=20_u32).prop_map(f64::from), 0.0..40.0_f64];
    (1..=5_u32, timeout).prop_map(|(batch_size, timeout_ms)| {
        Engine::Static(engines::static_batching::Settings { batch_size, timeout_ms })
    })
}

fn dynamic_flags() -> impl Strategy<Value = Engine> {
    let delay = prop_oneof![Just(0), (0..=20_u64).prop_map(|ticks| ticks * 1_000), 0..40_000_u64];
    (1..=5_u32, delay, prop::collection::vec(1..=5_u32, 0..3)).prop_map(|(batch, delay, preferred)| {
        Engine::Dynamic(engines::dynamic::Settings {
            max_batch_size: batch,
            max_queue_delay_microseconds: delay,
            preferred_batch_size: preferred.into_iter().filter(|&size| size <= batch).collect(),
        })
    })
}

fn orca_flags(reservation: Reservation) -> impl Strategy<Value = Engine> {
    (1..=6_u32)
        .prop_map(move |max_batch_size| Engine::Orca(engines::orca::Settings { max_batch_size, reservation }))
}
