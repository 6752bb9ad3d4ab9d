//! Orders of the queue and rules at the door, by schedules worked out by hand, with steps of 1 s and one seat.

use kendall_des::SimDuration;
use proptest::prelude::*;

use super::by_class::{ByClass, Turn};
use super::engines::{Engine, orca};
use super::request::Request;
use super::test_schedules::{Bench, Seen, lines, spec};
use super::{
    Admission, KvReservation, Order, PolicyTable, QueueSettings, Rejection, TokenBucket, TtftLimits,
    ZooConfig,
};
use crate::engine::Arrival;
use crate::request::{RequestSpec, SessionTurn};

/// Orca with so many seats, a KV cache that is never full, and the rest as given.
fn bench(seats: u32, set: impl FnOnce(&mut ZooConfig)) -> Bench {
    let settings = orca::Settings { max_batch_size: seats, reservation: orca::Reservation::Oracle };
    let mut bench = Bench::new(Engine::Orca(settings), 1_000, 100);
    set(bench.config.engine.zoo.as_mut().expect("an engine of the zoo"));
    bench
}

fn of_class(class: u16, request: (f64, u32, u32)) -> RequestSpec {
    let session = Some(SessionTurn { class, ..SessionTurn::new(0, 0) });
    RequestSpec { session, ..spec(request) }
}

/// Letters of the requests in the order of their first steps.
fn starts(seen: &Seen) -> String {
    let mut admitted: Vec<_> = seen
        .records
        .iter()
        .filter_map(|record| record.first_scheduled.map(|at| (at, record.index)))
        .collect();
    admitted.sort_unstable();
    admitted.iter().map(|&(_, index)| char::from(b'A' + index as u8)).collect()
}

fn played(order: Order, specs: &[RequestSpec]) -> String {
    starts(&bench(1, |zoo| zoo.order = order).play_specs(specs.to_vec()))
}

/// A runs from 0 to 3; B, C and D come while it does.
fn queue_of_three() -> Vec<RequestSpec> {
    let mut requests: Vec<_> =
        [(0.0, 1, 3), (0.5, 9, 2), (0.6, 2, 9), (0.7, 5, 5)].map(spec).into_iter().collect();
    for (request, priority) in requests.iter_mut().zip([0, 2, 1, 0]) {
        request.priority = priority;
    }
    requests
}

#[test]
fn each_order_ranks_by_what_it_says() {
    for (order, expected) in [
        (Order::Fcfs, "ABCD"),
        // 2, 1, 0.
        (Order::Priority, "ADCB"),
        // Prompts of 9, 2, 5.
        (Order::ShortestPrompt, "ACDB"),
        // 11, 11, 10 tokens: B came before C.
        (Order::OracleSjf, "ADBC"),
        // Outputs of 2, 9, 5.
        (Order::OracleSrpt, "ABDC"),
    ] {
        assert_eq!(played(order, &queue_of_three()), expected, "{order}");
    }
}

#[test]
fn a_perfect_prediction_is_the_oracle_and_errors_are_drawn_by_number() {
    let with = |sigma| {
        let bench = bench(1, |zoo| {
            zoo.order = Order::PredictedSjf;
            zoo.queue.prediction_sigma = sigma;
        });
        starts(&bench.play_specs((0..20).map(|i| spec((f64::from(i) / 100.0, 1, 1 + i * 7 % 20))).collect()))
    };
    let oracle = played(
        Order::OracleSjf,
        &(0..20).map(|i| spec((f64::from(i) / 100.0, 1, 1 + i * 7 % 20))).collect::<Vec<_>>(),
    );
    assert_eq!(with(0.0), oracle);
    assert_ne!(with(2.0), oracle);
    assert_eq!(with(2.0), with(2.0));
}

/// Class 0 has 10 s, class 1 has 2 s, class 2 no limit. Deadlines: C (class 0) 10.5, D (class 1) 2.6, E (class 1) 2.7, B (class 2)
/// none.
#[test]
fn deadlines_are_arrival_plus_the_limit_of_the_class() {
    let bench = bench(1, |zoo| {
        zoo.order = Order::EarliestDeadline;
        let limit = |s| Some(SimDuration::from_secs(s));
        zoo.ttft_limits = TtftLimits { default: None, by_class: vec![limit(10), limit(2)] };
    });
    let requests = [(0, 0.0), (0, 0.5), (1, 0.6), (1, 0.7), (2, 0.1)];
    let mut specs: Vec<_> = requests.iter().map(|&(class, at)| of_class(class, (at, 1, 3))).collect();
    specs.sort_by_key(|spec| spec.arrival);
    // Sorted: A (0 at 0), B (2 at 0.1), C (0 at 0.5), D (1 at 0.6), E (1 at 0.7).
    assert_eq!(starts(&bench.play_specs(specs)), "ADECB");
}

/// A, B and C are of class 0, D and E of class 1, F of class 2; all but A wait when A ends.
#[test]
fn round_robin_takes_one_of_each_class() {
    let classes = [0, 0, 0, 1, 1, 2];
    let specs: Vec<_> =
        classes.iter().enumerate().map(|(i, &class)| of_class(class, (i as f64 / 10.0, 1, 2))).collect();
    assert_eq!(played(Order::RoundRobin, &specs), "ADFBEC");
}

/// Weights 1 and 2. A (class 0, 10 + 3 tokens) costs 10 at 0 and 2 with its first token at 1. There the others begin to wait, and
/// class 1 is lifted to the 12 of class 0. A ends at 3 with 16. D (1 + 1 tokens) takes class 1 to 15, E to 18; B takes class 0 from
/// 16 to 28; F and C are left.
#[test]
fn fair_share_serves_who_was_served_least() {
    let specs = vec![
        of_class(0, (0.0, 10, 3)),
        of_class(0, (0.2, 10, 1)),
        of_class(0, (0.3, 10, 1)),
        of_class(1, (0.4, 1, 1)),
        of_class(1, (0.5, 1, 1)),
        of_class(1, (0.6, 1, 1)),
    ];
    let bench = bench(1, |zoo| zoo.order = Order::FairShare);
    let seen = bench.play_specs(specs);
    assert_eq!(starts(&seen), "ADEBFC");
}

/// Alone, without the engine: a class that idled is lifted, and admissions are charged.
#[test]
fn idling_earns_no_credit() {
    let mut queue = ByClass::new(Turn::LeastServed { prompt_weight: 1, output_weight: 2 });
    let request = |index, class, prompt| {
        let spec = of_class(class, (0.0, prompt, 5));
        Request::new(Arrival { index, received: spec.arrival, spec }, 100)
    };
    let (a, b, c) = (request(0, 0, 30), request(1, 0, 7), request(2, 1, 4));
    queue.push_back(0, &a);
    queue.remove(0, 0, true);
    queue.joined(0, 0);
    queue.count_steps(5);
    assert_eq!(queue.served(0), 30 + 2 * 5);
    queue.push_back(2, &c);
    assert_eq!(queue.served(1), 40, "lifted to the class that left last");
    queue.push_back(1, &b);
    assert_eq!((queue.head(), queue.len()), (Some(1), 2));
    queue.parted(0, 8);
    assert_eq!(queue.served(0), 46);
    assert_eq!(queue.head(), Some(2));
    assert_eq!(queue.iter().collect::<Vec<_>>(), [2, 1]);
}

proptest! {
    /// Sheng et al., Theorem 4.4: while two classes both wait, their service differs by at most
    /// 2 max(prompt weight x longest prompt, output weight x tokens in the batch).
    #[test]
    fn fair_share_keeps_its_bound(
        sizes in prop::collection::vec((1..=30_u32, 1..=30_u32), 40..=80),
        seats in 1..=4_u32,
    ) {
        let bench = bench(seats, |zoo| zoo.order = Order::FairShare);
        // All come at once: class 0 in the first half, class 1 in the second.
        let half = sizes.len() / 2;
        let specs: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(i, &(prompt, output))| of_class(u16::from(i >= half), (0.0, prompt, output)))
            .collect();
        let seen = bench.play_specs(specs);
        let QueueSettings { prompt_weight, output_weight, .. } = QueueSettings::default();
        let bound = 2 * (30 * prompt_weight).max(output_weight * seats * 60);
        let mut served = [0_u64; 2];
        let mut admitted = [0; 2];
        for step in &seen.steps {
            for row in &step.rows {
                let class = usize::from(row.request as usize >= half);
                if row.kind != crate::record::RowKind::Running {
                    served[class] += u64::from(prompt_weight * row.num_tokens);
                    admitted[class] += 1;
                }
                served[class] += u64::from(row.delivers) * u64::from(output_weight);
            }
            if admitted[0] == half || admitted[1] == sizes.len() - half {
                break;
            }
            prop_assert!(served[0].abs_diff(served[1]) <= u64::from(bound), "{served:?} > {bound}");
        }
    }
}

fn refusals(seen: &Seen) -> Vec<(u64, Rejection)> {
    let mut refused: Vec<_> =
        seen.records.iter().filter_map(|record| record.rejection.map(|why| (record.index, why))).collect();
    refused.sort_unstable();
    refused
}

/// 10 tokens at first, 2 a second: A takes 8 at 0; B's 5 are not there at 1 (4); C's 3 are at 1 and leave 1; D's 5 are at 3.
#[test]
fn a_token_bucket_lets_tokens_pass_at_its_rate() {
    let bucket = TokenBucket { tokens_per_s: 2.0, burst_tokens: 10.0 };
    let bench = bench(8, |zoo| zoo.admission.token_bucket = Some(bucket));
    let seen = bench.play(&[(0.0, 8, 1), (1.0, 5, 1), (1.0, 3, 1), (3.0, 5, 1)]);
    assert_eq!(refusals(&seen), [(1, Rejection::RateLimited)]);
}

/// 1000 tokens, half of them promised: A and B take 200 + 40 each, C's 240 do not fit within 500; A leaves at 2, and D's do.
#[test]
fn a_kv_reservation_is_returned() {
    let rule = KvReservation { output_tokens: 40, share: 0.5 };
    let mut bench = bench(8, |zoo| zoo.admission.kv_reservation = Some(rule));
    bench.config.engine.max_model_len = 300;
    let seen = bench.play(&[(0.0, 200, 2), (0.0, 200, 9), (1.0, 200, 1), (2.5, 200, 1)]);
    assert_eq!(refusals(&seen), [(2, Rejection::KvPromised)]);
}

/// One seat, jobs of 2 s, a limit of 6 s. A starts at 0 and B at 2, when others wait: no pace is known before 4, when C starts,
/// 2 s after B. Who comes at 4.5 behind D and E is expected after 2 x 2 + 1 s; behind D, E and F after 3 x 2 + 1 s: refused.
#[test]
fn slo_aware_admission_refuses_who_would_come_late() {
    let bench = bench(1, |zoo| {
        zoo.admission.slo_aware = true;
        zoo.ttft_limits.default = Some(SimDuration::from_secs(6));
    });
    let arrivals = [0.0, 0.1, 0.2, 0.3, 0.4, 4.5, 4.6];
    let seen = bench.play(&arrivals.map(|at| (at, 1, 2)));
    assert_eq!(refusals(&seen), [(6, Rejection::SloMiss)]);
}

#[test]
fn a_queue_limit_counts_who_waits() {
    let bench = bench(1, |zoo| zoo.admission.queue_limit = Some(2));
    let seen = bench.play(&[(0.0, 1, 9), (1.5, 1, 1), (1.6, 1, 1), (1.7, 1, 1)]);
    assert_eq!(refusals(&seen), [(3, Rejection::QueueFull)]);
}

/// Small ones (up to 10 tokens) up to two inside, large ones only into an empty server.
const TABLE: &str = "\
# class: largest size in tokens; 0: 10; 1: 100
inside_0,inside_1,accept_0,accept_1
0,0,1,1
0,1,1,0
1,0,1,0
1,1,0,0
2,0,0,0
";

/// A (large) at 0 until 4; B (large) is refused, C (small) is not, D (small) is: one of each are inside. All have left at 6.
#[test]
fn a_table_says_who_comes_in() {
    let table = PolicyTable::from_csv(TABLE).expect("a table");
    let bench = bench(8, |zoo| {
        zoo.admission = Admission { table: Some(table.into()), ..Admission::default() };
    });
    let seen = bench.play(&[(0.0, 20, 4), (1.5, 20, 4), (1.6, 5, 4), (1.7, 5, 4), (7.0, 90, 1)]);
    assert_eq!(refusals(&seen), [(1, Rejection::PolicyTable), (3, Rejection::PolicyTable)]);
    assert_eq!(lines(&seen).last().map(String::as_str), Some("7-8 E90"));
}

#[test]
fn mistakes_in_a_table_name_the_line() {
    for (text, part) in [
        ("", "empty"),
        ("inside_0,accept_0\n0,1\n", "line 1"),
        ("# class: largest size in tokens; 0: 10; 1: 5\n", "rising"),
        ("# class: largest size in tokens; 0: 10\ninside_0,accept_1\n", "line 2"),
        ("# class: largest size in tokens; 0: 10\ninside_0,accept_0\n0,1\n1,maybe\n", "line 4"),
        ("# class: largest size in tokens; 0: 10\ninside_0,accept_0\n0,1\n0,0\n", "twice"),
        ("# class: largest size in tokens; 0: 10\ninside_0,accept_0\n1,1\n", "empty server"),
    ] {
        let error = PolicyTable::from_csv(text).expect_err(text);
        assert!(error.contains(part), "{error}");
    }
}
