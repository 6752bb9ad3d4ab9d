//! Random scenarios: KV caches just large enough, bursts, ties, aborts, refusals, routers, every step-time model.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::zoo::engines::Engine;
use kendall_serving::zoo::{Admission, KvReservation, Order, TokenBucket, TtftLimits};
use kendall_serving::{
    CurveCoefficients, CurveSteps, EngineConfig, LinearCoefficients, PromptContent, RequestSpec,
    RequestStatus, RouterConfig, RouterPolicy, SessionTurn, SimulationConfig, StepTimeModel, TokenSegment,
    TokenStream, ZooConfig,
};
use kendall_tests::tape::{Played, Watch, play};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::Particulars;

/// Times are multiples of this where arrivals, aborts and step ends are meant to coincide.
const TICK_PS: u64 = 1_000_000_000;

/// A configuration and a workload sorted by arrival.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub config: SimulationConfig,
    pub requests: Vec<RequestSpec>,
}

impl Scenario {
    /// The engine's batch limit.
    pub(crate) fn max_batch(&self) -> u32 {
        self.config.engine.zoo.as_ref().map_or(0, |zoo| zoo.engine.max_batch())
    }

    /// Plays it to its end, with or without the records of its steps: who does not ask for them lets replicas sleep through runs
    /// of them.
    pub(crate) fn play(&self, wants_steps: bool) -> Played {
        let workload = self.requests.clone().into_iter().map(Ok);
        play(&self.config, Box::new(workload), Watch { patience: usize::MAX, wants_steps })
    }
}

pub(crate) fn scenarios(
    engines: impl Strategy<Value = Engine>,
    particulars: Particulars,
) -> impl Strategy<Value = Scenario> {
    let sizes = (prop_oneof![Just(1_u32), 2..=16_u32], 2..=60_u32, prop_oneof![Just(0_u32), 0..=60_u32]);
    let replicas = prop_oneof![3 => Just(1_u32), 1 => 2..=3_u32];
    let front_end = prop_oneof![2 => Just(0), 1 => 0..5 * TICK_PS];
    let doors = (orders(particulars), admissions());
    (engines, sizes, step_times(), replicas, routers(), front_end, doors, drafts()).prop_map(
        move |(engine, sizes, step_time, replicas, router, front_end, (order, admission), drafts)| {
            let (block_size, max_model_len, spare_blocks) = sizes;
            let rows = if particulars.reserves_full_batch { engine.max_batch() } else { 1 };
            let zoo = ZooConfig {
                order,
                admission,
                ttft_limits: TtftLimits {
                    default: Some(SimDuration::from_ps(15 * TICK_PS)),
                    by_class: vec![None, Some(SimDuration::from_ps(4 * TICK_PS))],
                },
                ..ZooConfig::new(engine)
            };
            let mut engine = EngineConfig {
                max_num_seqs: zoo.engine.max_batch(),
                max_num_batched_tokens: 100_000,
                max_model_len,
                block_size,
                num_gpu_blocks: rows * max_model_len.div_ceil(block_size) + 1 + spare_blocks,
                enable_prefix_caching: false,
                zoo: Some(zoo),
                ..EngineConfig::default()
            };
            while too_small(&engine) {
                engine.num_gpu_blocks += 1;
            }
            let requests = build(&drafts, max_model_len);
            let front_end = SimDuration::from_ps(front_end).into();
            Scenario { config: SimulationConfig { engine, step_time, replicas, router, front_end }, requests }
        },
    )
}

/// Whether the KV cache is too small for a sequence of `max_model_len` and what the engine keeps free beside it.
fn too_small(engine: &EngineConfig) -> bool {
    let verdict = engine.zoo.as_ref().map(|zoo| zoo.validate(engine));
    matches!(verdict, Some(Err(error)) if error.field == "max_model_len")
}

/// Orders that know output lengths are for engines that know them, too: invariant 7 is not asked of these.
fn orders(particulars: Particulars) -> impl Strategy<Value = Order> {
    let mut orders = vec![
        Order::Fcfs,
        Order::Fcfs,
        Order::Priority,
        Order::ShortestPrompt,
        Order::EarliestDeadline,
        Order::FairShare,
        Order::RoundRobin,
    ];
    if particulars.foresees {
        orders.extend([Order::OracleSjf, Order::OracleSrpt, Order::PredictedSjf]);
    }
    prop::sample::select(orders)
}

fn admissions() -> impl Strategy<Value = Admission> {
    let limit = (1..=4_u32).prop_map(|limit| Admission { queue_limit: Some(limit), ..Admission::default() });
    let bucket = (1.0..2_000.0_f64, 1.0..100.0_f64).prop_map(|(tokens_per_s, burst_tokens)| Admission {
        token_bucket: Some(TokenBucket { tokens_per_s, burst_tokens }),
        ..Admission::default()
    });
    let kv = (0..=20_u32, 0.2..3.0_f64).prop_map(|(output_tokens, share)| Admission {
        kv_reservation: Some(KvReservation { output_tokens, share }),
        ..Admission::default()
    });
    let slo = Just(Admission { slo_aware: true, ..Admission::default() });
    prop_oneof![6 => Just(Admission::default()), 2 => limit, 1 => bucket, 1 => kv, 1 => slo]
}

fn routers() -> impl Strategy<Value = RouterConfig> {
    let policy = prop_oneof![
        3 => Just(RouterPolicy::RoundRobin),
        1 => Just(RouterPolicy::LeastOutstanding),
        1 => Just(RouterPolicy::JoinShortestQueue),
        1 => Just(RouterPolicy::LeastKvUse),
    ];
    let interval = prop_oneof![2 => Just(0), 2 => Just(TICK_PS), 1 => 1..20 * TICK_PS];
    (policy, interval)
        .prop_map(|(policy, ps)| RouterConfig { policy, refresh_interval: SimDuration::from_ps(ps) })
}

fn step_times() -> impl Strategy<Value = StepTimeModel> {
    let all = (1..5_000_000_000_u64, any::<[u8; 6]>()).prop_map(|(base_ps, [a, b, c, d, e, f])| {
        LinearCoefficients {
            base_ps,
            per_prefill_token_ps: u64::from(a) * 1_000_001,
            per_prefill_context_token_ps: u64::from(b) * 1_009,
            per_prefill_attention_ps: u64::from(c) * 13,
            per_decode_seq_ps: u64::from(d) * 1_000_003,
            per_decode_context_token_ps: u64::from(e) * 997,
            per_new_seq_ps: u64::from(f) * 10_007,
        }
        .into()
    });
    let ticks = (1..=4_u64)
        .prop_map(|n| LinearCoefficients { base_ps: n * TICK_PS, ..LinearCoefficients::default() }.into());
    let curve = Just(CurveSteps::new(CurveCoefficients::default(), 8, 100_000).expect("the study's").into());
    prop_oneof![3 => ticks, 3 => all, 1 => curve]
}

#[derive(Debug, Clone)]
struct Draft {
    gap_ps: u64,
    /// Prompt length in thousandths of `max_model_len`; 1000 is refused.
    prompt_share: u32,
    max_tokens: u32,
    priority: i32,
    /// A text that the prompt begins with, and how much of it, in thousandths of the prompt.
    text: Option<(u64, u32)>,
    /// Ticks from the arrival to the abort.
    abort: Option<u64>,
}

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let gap_ps =
        prop_oneof![4 => Just(0), 3 => (0..=12_u64).prop_map(|ticks| ticks * TICK_PS), 2 => 0..20 * TICK_PS];
    let prompt_share = prop_oneof![1 => Just(1_000_u32), 8 => 0..=300_u32, 8 => 0..=999_u32];
    let max_tokens = prop_oneof![2 => Just(1_u32), 5 => 2..=12_u32, 3 => 1..=80_u32];
    let abort = prop_oneof![8 => Just(None), 2 => (0..=80_u64).prop_map(Some)];
    let text = prop::option::of((1..=2_u64, 0..=1_000_u32));
    let draft = (gap_ps, prompt_share, max_tokens, -1..=2_i32, text, abort).prop_map(
        |(gap_ps, prompt_share, max_tokens, priority, text, abort)| Draft {
            gap_ps,
            prompt_share,
            max_tokens,
            priority,
            text,
            abort,
        },
    );
    prop::collection::vec(draft, 1..=24)
}

fn build(drafts: &[Draft], max_model_len: u32) -> Vec<RequestSpec> {
    let mut now_ps = 0;
    drafts
        .iter()
        .map(|draft| {
            now_ps += draft.gap_ps;
            let prompt = (max_model_len * draft.prompt_share).div_ceil(1_000).max(1);
            let mut request = RequestSpec::new(SimTime::from_ps(now_ps), prompt, draft.max_tokens);
            request.priority = draft.priority;
            request.session = Some(SessionTurn { class: (prompt % 3) as u16, ..SessionTurn::new(0, 0) });
            if let Some((text, share)) = draft.text {
                let shared = prompt * share / 1_000;
                request.prompt = PromptContent::Segments(Box::new([
                    TokenSegment { stream: TokenStream::Shared(text), start: 0, len: shared },
                    TokenSegment { stream: TokenStream::Own, start: 0, len: prompt - shared },
                ]));
            }
            request.abort = draft.abort.map(|ticks| SimTime::from_ps(now_ps + ticks * TICK_PS));
            request
        })
        .collect()
}

/// Of 100 scenarios some finish, abort, reject and preempt requests, wait, and take many steps without being asked.
pub(crate) fn reach(scenarios: &impl Strategy<Value = Scenario>, particulars: Particulars) {
    let config = Config { rng_seed: RngSeed::Fixed(7), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let (mut finished, mut aborted, mut rejected, mut waited, mut in_runs, mut preempted) =
        (0, 0, 0, 0, 0, 0);
    for _ in 0..100 {
        let scenario = scenarios.new_tree(&mut runner).expect("a case").current();
        let played = scenario.play(false);
        finished += played.ended(RequestStatus::Finished).count();
        aborted += played.ended(RequestStatus::Aborted).count();
        rejected += played.ended(RequestStatus::Rejected).count();
        waited += played.tape.gauges.iter().filter(|(_, _, gauges)| gauges.num_waiting > 0).count();
        in_runs += played.tape.runs;
        preempted += played.tape.records.iter().filter(|record| record.num_preemptions > 0).count();
    }
    for (count, what) in [
        (finished, "finished"),
        (aborted, "aborted"),
        (rejected, "rejected"),
        (waited, "waited"),
        (in_runs, "ran through steps at once"),
    ] {
        assert!(count >= 10, "{count} {what} in 100 scenarios");
    }
    assert_eq!(preempted >= 10, particulars.preempts, "{preempted} were preempted in 100 scenarios");
}
