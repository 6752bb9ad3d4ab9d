//! The schedules of `tensorrt_llm.rs`.

use super::Engine;
use super::orca::Reservation;
use super::tensorrt_llm::{CapacityPolicy, Settings};
use crate::zoo::test_schedules::{Bench, record};

const REQUESTS: [(f64, u32, u32); 3] = [(0.0, 3, 3), (0.0, 2, 1), (0.0, 1, 1)];
const NO_EVICT: CapacityPolicy = CapacityPolicy::GuaranteedNoEvict;

fn bench(capacity: CapacityPolicy, max_num_tokens: u32, blocks: u32, block_size: u32) -> Bench {
    let settings = Settings {
        capacity_scheduler_policy: capacity,
        max_batch_size: 4,
        max_num_tokens,
        ..Settings::default()
    };
    let mut bench = Bench::new(Engine::TensorrtLlm(settings), blocks, 8);
    bench.config.engine.block_size = block_size;
    bench
}

/// Changes the flags of a bench.
fn with(mut bench: Bench, max_model_len: u32, change: impl Fn(&mut Settings)) -> Bench {
    bench.config.engine.max_model_len = max_model_len;
    if let Some(zoo) = &mut bench.config.engine.zoo
        && let Engine::TensorrtLlm(settings) = &mut zoo.engine
    {
        change(settings);
    }
    bench
}

#[test]
fn prompts_and_tokens_share_a_step_within_its_limit() {
    let bench = with(bench(NO_EVICT, 5, 100, 1), 5, |flags| flags.enable_chunked_context = false);
    let requests = [(0.0, 3, 2), (0.0, 2, 1), (0.0, 1, 1)];
    assert_eq!(bench.schedule(&requests), ["0-1 A3 B2", "1-2 A C1"]);
}

#[test]
fn all_that_may_be_asked_for_is_kept() {
    let bench = with(bench(NO_EVICT, 100, 19, 1), 10, |_| {});
    assert_eq!(bench.schedule(&REQUESTS), ["0-1 A3", "1-2 A", "2-3 A", "3-4 B2", "4-5 C1"]);
    let bench = with(bench, 10, |flags| flags.max_tokens = Reservation::Oracle);
    assert_eq!(bench.schedule(&REQUESTS), ["0-1 A3 B2 C1", "1-2 A", "2-3 A"]);
}

#[test]
fn max_utilization_pauses_who_started_last() {
    let bench = bench(CapacityPolicy::MaxUtilization, 100, 8, 1);
    let requests = [(0.0, 3, 4), (0.0, 3, 3)];
    assert_eq!(bench.schedule(&requests), ["0-1 A3 B3", "1-2 A B", "2-3 A", "3-4 A", "4-5 B5"]);
    let b = record(&bench.play(&requests), 1).clone();
    assert_eq!((b.num_preemptions, b.num_lost_tokens), (1, 4));
}

/// Where vLLM V0 would preempt B because no block is free, nobody needs one here.
#[test]
fn max_utilization_pauses_nobody_who_needs_no_block() {
    let bench = bench(CapacityPolicy::MaxUtilization, 100, 3, 4);
    assert_eq!(bench.schedule(&[(0.0, 5, 3), (0.0, 3, 2)]), ["0-1 A5 B3", "1-2 A B", "2-3 A"]);
}

#[test]
fn a_static_batch_lets_nobody_in() {
    let bench = with(bench(CapacityPolicy::StaticBatch, 100, 100, 1), 10, |flags| flags.max_batch_size = 2);
    assert_eq!(bench.schedule(&REQUESTS), ["0-1 A3 B2", "1-2 A", "2-3 A", "3-4 C1"]);
}

#[test]
fn parts_of_prompts_are_whole_blocks() {
    let bench = with(bench(NO_EVICT, 7, 100, 4), 20, |_| {});
    assert_eq!(bench.schedule(&[(0.0, 10, 2), (0.0, 2, 1)]), ["0-1 A4 B2", "1-2 A6", "2-3 A"]);
}
