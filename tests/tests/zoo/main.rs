//! Invariants 2 to 10 of `ARCHITECTURE.md` for every engine of the zoo, on random scenarios.
//!
//! An engine joins with one line of the table below: its name, a strategy for its flags, and what is particular about it. Each
//! property has two tests: 200 cases from a fixed seed, and 10,000 new ones for
//! `cargo test --release -p kendall-tests --test zoo -- --ignored`.

mod cases;
mod checks;
mod tape;

use kendall_serving::zoo::engines::orca::Reservation;
use kendall_serving::zoo::engines::tensorrt_llm::CapacityPolicy;
use kendall_serving::zoo::engines::vllm_v0::PreemptionMode;
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
    /// It preempts when blocks run short.
    preempts: bool,
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
                cases::reach(&scenarios(), $particulars);
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
    vllm_v0 =>
        (vllm_v0_flags(PreemptionMode::Recompute), Particulars { preempts: true, ..Particulars::default() });
    vllm_v0_swap => (
        vllm_v0_flags(PreemptionMode::Swap),
        Particulars { preempts: true, delays: true, ..Particulars::default() }
    );
    sarathi => (sarathi_flags(), Particulars { preempts: true, ..Particulars::default() });
    deepspeed_fastgen => (deepspeed_fastgen_flags(), Particulars { preempts: true, ..Particulars::default() });
    tensorrt_llm =>
        (tensorrt_llm_flags(Reservation::Max), Particulars { preempts: true, ..Particulars::default() });
    tensorrt_llm_oracle =>
        (tensorrt_llm_flags(Reservation::Oracle), Particulars { foresees: true, preempts: true, ..Particulars::default() });
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

/// Budgets from one token over the batch on: most prompts are cut; swaps take up to some steps.
fn vllm_v0_flags(preemption_mode: PreemptionMode) -> impl Strategy<Value = Engine> {
    let watermark = prop_oneof![Just(0.0), Just(0.01), Just(0.2)];
    let swap_space = prop_oneof![2 => Just(1.0), 1 => Just(0.02)];
    (1..=6_u32, prop::option::of(0..=14_u32), watermark, swap_space).prop_map(
        move |(max_num_seqs, chunked, watermark, swap_space)| {
            Engine::VllmV0(engines::vllm_v0::Settings {
                max_num_seqs,
                max_num_batched_tokens: chunked.map(|spare| max_num_seqs + spare),
                enable_chunked_prefill: chunked.is_some(),
                watermark,
                preemption_mode,
                swap_space,
                pcie_bandwidth_gb_per_s: 1.0,
                kv_bytes_per_token: Some(1_000_003),
            })
        },
    )
}

fn sarathi_flags() -> impl Strategy<Value = Engine> {
    (1..=6_u32, 1..=20_u32).prop_map(|(max_num_seqs, chunk_size)| {
        Engine::Sarathi(engines::sarathi::Settings { chunk_size, max_num_seqs })
    })
}

fn deepspeed_fastgen_flags() -> impl Strategy<Value = Engine> {
    (1..=6_u32, 0..=14_u32).prop_map(|(sequences, spare)| {
        Engine::DeepspeedFastgen(engines::deepspeed_fastgen::Settings {
            max_ragged_batch_size: sequences + spare,
            max_ragged_sequence_count: sequences,
        })
    })
}

/// Blocks have up to 16 tokens and sequences up to 60.
fn tensorrt_llm_flags(max_tokens: Reservation) -> impl Strategy<Value = Engine> {
    let policy = prop_oneof![
        Just(CapacityPolicy::GuaranteedNoEvict),
        Just(CapacityPolicy::MaxUtilization),
        Just(CapacityPolicy::StaticBatch),
    ];
    (policy, 1..=6_u32, any::<bool>(), 0..=20_u32).prop_map(
        move |(policy, max_batch_size, chunked, spare)| {
            Engine::TensorrtLlm(engines::tensorrt_llm::Settings {
                capacity_scheduler_policy: policy,
                max_batch_size,
                max_num_tokens: if chunked { 16 } else { 60 } + spare,
                enable_chunked_context: chunked,
                max_tokens,
            })
        },
    )
}
