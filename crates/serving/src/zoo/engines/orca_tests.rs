//! The schedules of `orca.rs`.

use super::Engine;
use super::orca::{Reservation, Settings};
use crate::zoo::test_schedules::Bench;

const REQUESTS: [(f64, u32, u32); 3] = [(0.0, 3, 3), (0.0, 2, 1), (0.0, 1, 1)];

fn bench(max_batch_size: u32, kv_tokens: u32, reservation: Reservation) -> Bench {
    Bench::new(Engine::Orca(Settings { max_batch_size, reservation }), kv_tokens, 10)
}

#[test]
fn requests_join_and_leave_at_every_iteration() {
    let steps = bench(2, 100, Reservation::Max).schedule(&REQUESTS);
    assert_eq!(steps, ["0-1 A3 B2", "1-2 A C1", "2-3 A"]);
}

#[test]
fn the_longest_output_is_reserved() {
    let steps = bench(8, 19, Reservation::Max).schedule(&REQUESTS);
    assert_eq!(steps, ["0-1 A3", "1-2 A", "2-3 A", "3-4 B2", "4-5 C1"]);
}

#[test]
fn an_oracle_reserves_what_is_needed() {
    let steps = bench(8, 19, Reservation::Oracle).schedule(&REQUESTS);
    assert_eq!(steps, ["0-1 A3 B2 C1", "1-2 A", "2-3 A"]);
    // 3 + 4, 2 + 1 and 1 + 1 tokens, the first power of two from the output on.
    let seen = bench(8, 12, Reservation::OraclePow2).play(&REQUESTS);
    assert_eq!(seen.gauges.iter().map(|(_, gauges)| gauges.held_blocks).max(), Some(12));
}
