//! The schedules of `vllm_v0.rs`.

use super::Engine;
use super::vllm_v0::{PreemptionMode, Settings};
use crate::engine::EngineConfig;
use crate::zoo::ZooConfig;
use crate::zoo::test_schedules::{Bench, record};

fn bench(settings: Settings, kv_tokens: u32, max_model_len: u32) -> Bench {
    Bench::new(Engine::VllmV0(settings), kv_tokens, max_model_len)
}

/// As many blocks of 4 tokens.
fn in_fours(settings: Settings, blocks: u32) -> Bench {
    let mut bench = bench(settings, blocks, 8);
    bench.config.engine.block_size = 4;
    bench
}

#[test]
fn a_new_prompt_comes_before_decodes() {
    let steps = bench(Settings::default(), 100, 20).schedule(&[(0.0, 3, 3), (0.5, 2, 2)]);
    assert_eq!(steps, ["0-1 A3", "1-2 B2", "2-3 A B", "3-4 A"]);
}

const SCARCE: [(f64, u32, u32); 2] = [(0.0, 3, 4), (0.0, 3, 3)];

#[test]
fn the_last_is_preempted_and_recomputed() {
    let bench = bench(Settings::default(), 8, 7);
    assert_eq!(bench.schedule(&SCARCE), ["0-1 A3 B3", "1-2 A B", "2-3 A", "3-4 A", "4-5 B5"]);
    let seen = bench.play(&SCARCE);
    let b = record(&seen, 1);
    assert_eq!((b.num_preemptions, b.num_lost_tokens, b.num_output_tokens), (1, 4, 3));
    assert_eq!(record(&seen, 0).num_preemptions, 0);
    assert_eq!(seen.steps[2].preempted, [1]);
}

/// 1 GB a token and 4 GB/s.
fn swapping(swap_space: f64) -> Settings {
    Settings {
        preemption_mode: PreemptionMode::Swap,
        swap_space,
        pcie_bandwidth_gb_per_s: 4.0,
        kv_bytes_per_token: Some(1_000_000_000),
        ..Settings::default()
    }
}

#[test]
fn a_swap_costs_its_bytes_over_pcie_twice() {
    let bench = bench(swapping(4.0), 8, 7);
    assert_eq!(bench.schedule(&SCARCE), ["0-1 A3 B3", "1-2 A B", "2-4 A", "4-5 A", "5-7 B"]);
    let b = record(&bench.play(&SCARCE), 1).clone();
    assert_eq!((b.num_preemptions, b.num_lost_tokens), (1, 0));
}

#[test]
fn without_swap_space_it_is_recomputed() {
    let steps = bench(swapping(3.0), 8, 7).schedule(&SCARCE);
    assert_eq!(steps, ["0-1 A3 B3", "1-2 A B", "2-3 A", "3-4 A", "4-5 B5"]);
}

/// Who is swapped out goes before anybody who waits.
#[test]
fn nobody_is_admitted_while_somebody_is_swapped_out() {
    let requests = [(0.0, 3, 4), (0.0, 3, 3), (2.5, 1, 1)];
    let steps = bench(swapping(4.0), 8, 7).schedule(&requests);
    assert_eq!(steps, ["0-1 A3 B3", "1-2 A B", "2-4 A", "4-5 A", "5-7 B", "7-8 C1"]);
}

/// V0's append test wants a free block whether one is needed or not.
#[test]
fn a_block_is_kept_in_hand() {
    let steps = in_fours(Settings::default(), 3).schedule(&[(0.0, 5, 3), (0.0, 3, 2)]);
    assert_eq!(steps, ["0-1 A5 B3", "1-2 A", "2-3 B4", "3-4 A"]);
}

/// 25 % of 8 blocks must stay free: of four prompts of 4 tokens in blocks of 2 the last does not fit.
#[test]
fn admissions_leave_the_watermark() {
    let settings = Settings { watermark: 0.25, ..Settings::default() };
    let mut bench = bench(settings, 8, 8);
    bench.config.engine.block_size = 2;
    let requests = [(0.0, 4, 1), (0.0, 4, 1), (0.0, 4, 1), (0.0, 4, 1)];
    assert_eq!(bench.schedule(&requests), ["0-1 A4 B4 C4", "1-2 D4"]);
}

#[test]
fn chunks_share_a_step_with_decodes() {
    let settings = Settings {
        enable_chunked_prefill: true,
        max_num_batched_tokens: Some(4),
        max_num_seqs: 4,
        ..Settings::default()
    };
    let bench = bench(settings, 100, 20);
    let requests = [(0.0, 3, 3), (0.0, 5, 2)];
    assert_eq!(bench.schedule(&requests), ["0-1 A3 B1", "1-2 A B3", "2-3 A B", "3-4 B"]);
    // B's whole prompt has its blocks from its first chunk on.
    assert_eq!(bench.play(&requests).gauges[0].1.held_blocks, 8);
}

#[test]
fn flags_that_vllm_would_refuse() {
    let sizes =
        EngineConfig { max_model_len: 100, num_gpu_blocks: 64, block_size: 16, ..EngineConfig::default() };
    let refused = |settings: Settings| {
        let zoo = ZooConfig::new(Engine::VllmV0(settings));
        zoo.validate(&sizes).map_err(|error| error.field)
    };
    let chunked = Settings { enable_chunked_prefill: true, ..Settings::default() };
    assert_eq!(refused(Settings::default()), Ok(()));
    assert_eq!(refused(chunked.clone()), Ok(()));
    let small =
        |settings: Settings| Settings { max_num_batched_tokens: Some(99), max_num_seqs: 64, ..settings };
    assert_eq!(refused(small(Settings::default())), Err("vllm-v0.max_num_batched_tokens"));
    assert_eq!(refused(small(chunked)), Ok(()));
    let no_bytes = Settings { kv_bytes_per_token: None, ..swapping(4.0) };
    assert_eq!(refused(no_bytes), Err("vllm-v0.kv_bytes_per_token"));
    assert_eq!(refused(Settings { watermark: 0.95, ..Settings::default() }), Err("max_model_len"));
}
