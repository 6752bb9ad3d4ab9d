//! The schedules of `tgi.rs`.

use super::Engine;
use super::declared::DeclaredOutput;
use super::tgi::Settings;
use crate::record::RequestStatus;
use crate::zoo::Rejection;
use crate::zoo::test_schedules::{Bench, record};

fn bench(settings: Settings, kv_tokens: u32, max_model_len: u32) -> Bench {
    Bench::new(Engine::Tgi(settings), kv_tokens, max_model_len)
}

#[test]
fn prompts_interrupt_those_who_run() {
    let steps = bench(Settings::default(), 100, 10).schedule(&[(0.0, 3, 4), (0.5, 2, 2)]);
    assert_eq!(steps, ["0-1 A3", "1-2 B2", "2-3 A B", "3-4 A", "4-5 A"]);
}

#[test]
fn after_max_waiting_tokens_anybody_interrupts() {
    let settings = Settings { waiting_served_ratio: 1.0, max_waiting_tokens: 3, ..Settings::default() };
    let requests = [(0.0, 1, 5), (0.0, 1, 5), (0.5, 1, 1)];
    let steps = bench(settings, 100, 10).schedule(&requests);
    assert_eq!(steps, ["0-1 A1 B1", "1-2 A B", "2-3 A B", "3-4 C1", "4-5 A B", "5-6 A B"]);
}

#[test]
fn a_ratio_lets_many_interrupt_at_once() {
    let settings = Settings { waiting_served_ratio: 1.0, ..Settings::default() };
    let requests = [(0.0, 1, 4), (0.0, 1, 4), (0.5, 1, 1), (1.5, 1, 1)];
    let steps = bench(settings, 100, 10).schedule(&requests);
    assert_eq!(steps, ["0-1 A1 B1", "1-2 A B", "2-3 C1 D1", "3-4 A B", "4-5 A B"]);
}

#[test]
fn whole_outputs_are_reserved() {
    let settings = Settings { max_batch_prefill_tokens: Some(4), ..Settings::default() };
    let requests = [(0.0, 3, 2), (0.0, 3, 2)];
    let steps = bench(settings.clone(), 7, 7).schedule(&requests);
    assert_eq!(steps, ["0-1 A3", "1-2 A", "2-3 B3", "3-4 B"]);
    // With room for both, the second interrupts the first.
    let steps = bench(settings, 8, 7).schedule(&requests);
    assert_eq!(steps, ["0-1 A3", "1-2 B3", "2-3 A B"]);
    // Clients that declare nothing reserve the longest sequence.
    let longest = Settings { max_new_tokens: DeclaredOutput::Longest, ..Settings::default() };
    let seen = bench(longest, 12, 7).play(&requests);
    assert_eq!(seen.gauges.iter().map(|(_, gauges)| gauges.held_blocks).max(), Some(12));
}

#[test]
fn the_door_counts_whoever_is_inside() {
    let settings = Settings { max_concurrent_requests: 1, ..Settings::default() };
    let seen = bench(settings, 100, 10).play(&[(0.0, 2, 2), (0.5, 2, 2), (5.0, 2, 2)]);
    assert_eq!(record(&seen, 1).rejection, Some(Rejection::QueueFull));
    assert_eq!(record(&seen, 2).status, RequestStatus::Finished);
    let settings = Settings { max_input_tokens: Some(4), ..Settings::default() };
    let seen = bench(settings, 100, 10).play(&[(0.0, 5, 2), (0.0, 4, 2)]);
    assert_eq!(record(&seen, 0).rejection, Some(Rejection::TooLong));
    assert_eq!(record(&seen, 1).status, RequestStatus::Finished);
}
