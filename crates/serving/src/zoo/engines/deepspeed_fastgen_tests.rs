//! The schedules of `deepspeed_fastgen.rs`.

use super::Engine;
use super::deepspeed_fastgen::Settings;
use crate::zoo::test_schedules::{Bench, record};

fn bench(budget: u32, kv_tokens: u32, max_model_len: u32) -> Bench {
    let settings = Settings { max_ragged_batch_size: budget, max_ragged_sequence_count: 4 };
    Bench::new(Engine::DeepspeedFastgen(settings), kv_tokens, max_model_len)
}

#[test]
fn steps_are_filled_exactly() {
    let (bench, requests) = (bench(4, 100, 20), [(0.0, 3, 2), (0.0, 3, 2), (0.0, 3, 1)]);
    assert_eq!(bench.schedule(&requests), ["0-1 A3 B1", "1-2 A B2 C1", "2-3 B C2"]);
}

#[test]
fn who_finds_no_block_is_skipped() {
    let (bench, requests) = (bench(8, 7, 7), [(0.0, 3, 2), (0.0, 3, 3)]);
    assert_eq!(bench.schedule(&requests), ["0-1 A3 B3", "1-2 A", "2-3 B", "3-4 B"]);
    let seen = bench.play(&requests);
    assert_eq!(record(&seen, 1).num_preemptions, 0);
    let running: Vec<_> = seen.gauges.iter().map(|(_, gauges)| gauges.num_running).collect();
    assert_eq!(running, [2, 2, 1, 1, 0]);
}

#[test]
fn a_deadlock_drops_all_kv() {
    let (bench, requests) = (bench(8, 7, 7), [(0.0, 3, 3), (0.0, 3, 3)]);
    assert_eq!(bench.schedule(&requests), ["0-1 A3 B3", "1-2 A", "2-3 A5", "3-4 B4", "4-5 B"]);
    let seen = bench.play(&requests);
    let lost = |index| (record(&seen, index).num_preemptions, record(&seen, index).num_lost_tokens);
    assert_eq!((lost(0), lost(1)), ((1, 4), (1, 3)));
    assert_eq!(seen.steps[2].preempted, [1, 0]);
}

/// A prompt does not begin while its rest does not fit, and nobody overtakes it.
#[test]
fn a_prompt_that_does_not_fit_stops_those_behind_it() {
    let (bench, requests) = (bench(8, 10, 10), [(0.0, 6, 2), (0.0, 5, 1), (0.0, 1, 1)]);
    assert_eq!(bench.schedule(&requests), ["0-1 A6", "1-2 A", "2-3 B5 C1"]);
}
