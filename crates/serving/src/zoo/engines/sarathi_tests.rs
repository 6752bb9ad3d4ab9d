//! The schedules of `sarathi.rs`.

use super::Engine;
use super::sarathi::Settings;
use crate::zoo::test_schedules::{Bench, record};

fn bench(chunk_size: u32, kv_tokens: u32, max_model_len: u32) -> Bench {
    Bench::new(Engine::Sarathi(Settings { chunk_size, ..Settings::default() }), kv_tokens, max_model_len)
}

#[test]
fn decodes_never_wait_for_prompts() {
    let steps = bench(4, 100, 20).schedule(&[(0.0, 6, 2), (0.5, 2, 3), (0.5, 3, 1)]);
    assert_eq!(steps, ["0-1 A4", "1-2 A2 B2", "2-3 A B C2", "3-4 B C"]);
}

#[test]
fn decodes_use_up_the_budget_first() {
    let steps = bench(2, 100, 20).schedule(&[(0.0, 1, 3), (0.0, 1, 3), (0.0, 2, 1)]);
    assert_eq!(steps, ["0-1 A1 B1", "1-2 A B", "2-3 A B", "3-4 C2"]);
}

#[test]
fn the_last_is_preempted_and_recomputed() {
    let (bench, requests) = (bench(16, 8, 7), [(0.0, 3, 4), (0.0, 3, 3)]);
    assert_eq!(bench.schedule(&requests), ["0-1 A3 B3", "1-2 A B", "2-3 A", "3-4 A", "4-5 B5"]);
    let b = record(&bench.play(&requests), 1).clone();
    assert_eq!((b.num_preemptions, b.num_lost_tokens), (1, 4));
}

/// A prompt under way is a victim as any other, and the blocks of its whole prompt come back.
#[test]
fn a_prompt_under_way_is_preempted() {
    let (bench, requests) = (bench(3, 7, 6), [(0.0, 2, 4), (0.0, 4, 1)]);
    let steps = ["0-1 A2 B1", "1-2 A B2", "2-3 A", "3-4 A", "4-5 B3", "5-6 B"];
    assert_eq!(bench.schedule(&requests), steps);
    let seen = bench.play(&requests);
    assert_eq!((record(&seen, 1).num_preemptions, record(&seen, 1).num_lost_tokens), (1, 3));
    let held: Vec<_> =
        seen.gauges.iter().map(|(_, gauges)| (gauges.held_blocks, gauges.held_tokens)).collect();
    assert_eq!(held[..3], [(6, 3), (7, 6), (4, 4)]);
}
