//! The schedules of `reserve.rs`.

use super::Engine;
use super::reserve::Settings;
use crate::record::RequestStatus;
use crate::zoo::Rejection;
use crate::zoo::test_schedules::{Bench, record};

fn bench(max_batch_size: u32, kv_tokens: u32) -> Bench {
    Bench::new(Engine::Reserve(Settings { max_batch_size, kv_tokens: None }), kv_tokens, 1_000)
}

#[test]
fn one_after_another() {
    let bench = bench(1, 10);
    let steps = ["0-1 A3", "1-2 A", "2-3 A", "3-4 B3", "4-5 B", "5-6 B"];
    let requests = [(0.0, 3, 2), (0.0, 3, 2)];
    assert_eq!(bench.schedule(&requests), steps);
    let seen = bench.play(&requests);
    let ttft = |index| record(&seen, index).ttft().map(kendall_des::SimDuration::as_secs_f64);
    assert_eq!((ttft(0), ttft(1)), (Some(2.0), Some(5.0)));
    let parts = record(&seen, 1).ttft_parts;
    assert_eq!((parts.queue.as_secs_f64(), parts.prefill.as_secs_f64()), (3.0, 2.0));
}

/// A request that finds the cache full is lost although it would have waited; one that comes with a departure is not.
#[test]
fn what_does_not_fit_is_lost() {
    let requests = [(0.0, 3, 2), (0.0, 3, 2), (2.5, 1, 1), (3.0, 1, 1), (3.0, 9, 2)];
    let steps = ["0-1 A3", "1-2 A", "2-3 A", "3-4 B3", "4-5 B", "5-6 B", "6-7 D1", "7-8 D"];
    assert_eq!(bench(1, 10).schedule(&requests), steps);
    let seen = bench(1, 10).play(&requests);
    let outcome = |index| (record(&seen, index).status, record(&seen, index).rejection);
    assert_eq!(outcome(2), (RequestStatus::Rejected, Some(Rejection::KvFull)));
    assert_eq!(outcome(3), (RequestStatus::Finished, None));
    assert_eq!(outcome(4), (RequestStatus::Rejected, Some(Rejection::NeverFits)));
}

#[test]
fn a_prefill_stops_everybody() {
    let steps = ["0-1 A3", "1-2 B2", "2-3 A B", "3-4 A B", "4-5 A"];
    assert_eq!(bench(2, 20).schedule(&[(0.0, 3, 3), (0.5, 2, 2)]), steps);
}
