//! The schedules of `dynamic.rs`.

use super::Engine;
use super::dynamic::Settings;
use crate::zoo::test_schedules::Bench;

const REQUESTS: [(f64, u32, u32); 3] = [(0.0, 2, 2), (0.5, 3, 1), (0.7, 1, 2)];

fn bench(delay_s: u64, preferred_batch_size: Vec<u32>) -> Bench {
    let settings = Settings {
        max_batch_size: 4,
        max_queue_delay_microseconds: delay_s * 1_000_000,
        preferred_batch_size,
    };
    Bench::new(Engine::Dynamic(settings), 40, 10)
}

#[test]
fn who_waits_when_the_instance_is_free_is_a_batch() {
    assert_eq!(bench(0, vec![]).schedule(&REQUESTS), ["0-1 A2", "1-2 A", "2-3 B3 C1", "3-4 C"]);
    let seen = bench(0, vec![]).play(&REQUESTS);
    let rows: Vec<_> =
        seen.steps.iter().map(|step| (step.shape.prefill_tokens, step.shape.decode_seqs)).collect();
    assert_eq!(rows, [(2, 0), (0, 1), (6, 0), (0, 2)]);
}

#[test]
fn a_delay_gathers() {
    assert_eq!(bench(2, vec![]).schedule(&REQUESTS), ["2-3 A2 B3 C1", "3-4 A C"]);
}

#[test]
fn a_preferred_size_starts_at_once() {
    let steps = ["0.5-1.5 A2 B3", "1.5-2.5 A", "2.7-3.7 C1", "3.7-4.7 C"];
    assert_eq!(bench(2, vec![2]).schedule(&REQUESTS), steps);
}
