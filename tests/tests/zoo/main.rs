//! Invariants 2 to 10 of `ARCHITECTURE.md` for every engine of the zoo, on random scenarios.
//!
//! An engine joins with one line of the table below: its name, a strategy for its flags, and what is particular about it. Each
//! property has two tests: 200 cases from a fixed seed, and 10,000 new ones for
//! `cargo test --release -p kendall-tests --test zoo -- --ignored`.

mod cases;
mod checks;

use kendall_serving::zoo::engines::declared::DeclaredOutput;
use kendall_serving::zoo::engines::orca::Reservation;
use kendall_serving::zoo::engines::sglang::SchedulePolicy;
use kendall_serving::zoo::engines::tensorrt_llm::CapacityPolicy;
use kendall_serving::zoo::engines::vllm_v0::PreemptionMode;
use kendall_serving::zoo::engines::{self, Engine};
use kendall_tests::property;
use proptest::prelude::*;

/// What is particular about an engine.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each says which check applies")]
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
                property::few(&scenarios(), |scenario| checks::all(&scenario, $particulars));
            }

            #[test]
            #[ignore = "10,000 cases"]
            fn many() {
                property::many(&scenarios(), |scenario| checks::all(&scenario, $particulars));
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
    sglang => (sglang_flags(DeclaredOutput::Longest), Particulars { preempts: true, ..Particulars::default() });
    sglang_oracle =>
        (sglang_flags(DeclaredOutput::OracleExact), Particulars { foresees: true, preempts: true, ..Particulars::default() });
    tgi => (tgi_flags(DeclaredOutput::Longest), Particulars::default());
    tgi_oracle =>
        (tgi_flags(DeclaredOutput::OracleExact), Particulars { foresees: true, ..Particulars::default() });
    llama_cpp => (
        llama_cpp_flags(false),
        Particulars { delays: true, reserves_full_batch: true, ..Particulars::default() }
    );
    llama_cpp_unified => (llama_cpp_flags(true), Particulars { delays: true, ..Particulars::default() });
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

/// Estimates from none to all of an output, so that admission waits in some cases and retracts in others. Pages have up to 16
/// tokens.
fn sglang_flags(max_new_tokens: DeclaredOutput) -> impl Strategy<Value = Engine> {
    let policy = prop_oneof![
        3 => Just(SchedulePolicy::Fcfs),
        2 => Just(SchedulePolicy::Lpm),
        1 => Just(SchedulePolicy::DfsWeight),
        1 => Just(SchedulePolicy::Lof),
        1 => Just(SchedulePolicy::Random),
    ];
    let chunk = prop_oneof![1 => Just(-1_i64), 2 => 16..=40_i64];
    let ratio =
        (prop_oneof![Just(0.0), Just(0.3), Just(1.0)], prop_oneof![Just(0.0), Just(0.14)], 1..=50_u32);
    let clip = prop_oneof![Just(1_u32), Just(5), Just(4_096)];
    (policy, 1..=6_u32, 1..=60_u32, chunk, any::<[bool; 2]>(), ratio, clip, 1..=4_u32).prop_map(
        move |(schedule_policy, running, prefill, chunk, [mixed, disabled], ratio, clip, retract)| {
            Engine::Sglang(engines::sglang::Settings {
                schedule_policy,
                schedule_conservativeness: ratio.0,
                max_running_requests: running,
                max_prefill_tokens: prefill,
                chunked_prefill_size: chunk,
                enable_mixed_chunk: mixed,
                disable_radix_cache: disabled,
                max_new_tokens,
                init_new_token_ratio: 0.7,
                min_new_token_ratio_factor: ratio.1,
                new_token_ratio_decay_steps: ratio.2,
                retract_decode_steps: retract,
                clip_max_new_tokens_estimation: clip,
            })
        },
    )
}

fn tgi_flags(max_new_tokens: DeclaredOutput) -> impl Strategy<Value = Engine> {
    let ratio = prop_oneof![Just(0.0), Just(0.3), Just(1.0), Just(1.5)];
    let budget = prop::option::of(1..=80_u32);
    (budget, ratio, 1..=6_u32, 1..=8_u32, prop::option::of(1..=6_u32)).prop_map(
        move |(budget, waiting_served_ratio, patience, concurrent, max_batch_size)| {
            Engine::Tgi(engines::tgi::Settings {
                max_batch_prefill_tokens: budget,
                max_batch_total_tokens: None,
                waiting_served_ratio,
                max_waiting_tokens: patience,
                max_concurrent_requests: concurrent,
                max_batch_size,
                max_input_tokens: None,
                max_new_tokens,
            })
        },
    )
}

/// Batches and micro-batches that split most prompts.
fn llama_cpp_flags(kv_unified: bool) -> impl Strategy<Value = Engine> {
    let similarity = prop_oneof![Just(0.0), Just(0.1), Just(0.5)];
    (1..=4_u32, 0..=10_u32, 0..=30_u32, any::<[bool; 2]>(), similarity).prop_map(
        move |(parallel, ubatch, batch, [cont_batching, cache_prompt], slot_prompt_similarity)| {
            Engine::LlamaCpp(engines::llama_cpp::Settings {
                parallel,
                ctx_size: None,
                kv_unified,
                batch_size: parallel + ubatch + batch,
                ubatch_size: parallel + ubatch,
                cont_batching,
                cache_prompt,
                slot_prompt_similarity,
            })
        },
    )
}
