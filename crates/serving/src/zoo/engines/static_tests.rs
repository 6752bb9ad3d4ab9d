//! The schedules of `static_batching.rs`.

use super::Engine;
use super::static_batching::Settings;
use crate::zoo::test_schedules::{Bench, record};

fn bench(timeout_ms: f64) -> Bench {
    Bench::new(Engine::Static(Settings { batch_size: 2, timeout_ms }), 20, 10)
}

#[test]
fn a_full_batch_runs_until_its_longest_ends() {
    let (bench, requests) = (bench(10_000.0), [(0.0, 3, 1), (2.0, 5, 3)]);
    assert_eq!(bench.schedule(&requests), ["2-3 A3 B5", "3-4 B", "4-5 B"]);
    let shapes: Vec<_> = bench.play(&requests).steps.iter().map(|step| step.shape).collect();
    assert_eq!((shapes[0].prefill_tokens, shapes[0].prefill_attention, shapes[0].prefill_seqs), (10, 50, 2));
    let decodes = |i: usize| (shapes[i].decode_seqs, shapes[i].decode_context_tokens);
    assert_eq!((decodes(1), decodes(2)), ((2, 12), (2, 14)));
}

#[test]
fn a_partial_batch_waits_for_its_time_out() {
    let steps = bench(10_000.0).schedule(&[(0.0, 3, 1), (2.0, 5, 3), (2.5, 2, 1)]);
    assert_eq!(steps, ["2-3 A3 B5", "3-4 B", "4-5 B", "12.5-13.5 C2"]);
}

#[test]
fn who_comes_later_waits_for_the_whole_batch() {
    let (bench, requests) = (bench(1_000.0), [(0.0, 2, 3), (1.5, 2, 1)]);
    assert_eq!(bench.schedule(&requests), ["1-2 A2", "2-3 A", "3-4 A", "4-5 B2"]);
    let queue = record(&bench.play(&requests), 1).ttft_parts.queue;
    assert!((queue.as_secs_f64() - 2.5).abs() < 1e-12);
}

/// Every row holds room for the longest sequence until the batch ends.
#[test]
fn rows_keep_their_blocks() {
    let seen = bench(10_000.0).play(&[(0.0, 3, 1), (2.0, 5, 3)]);
    let held: Vec<_> =
        seen.gauges.iter().map(|(_, gauges)| (gauges.held_blocks, gauges.held_tokens)).collect();
    assert_eq!(held, [(0, 0), (20, 8), (20, 6), (20, 7), (0, 0)]);
}
