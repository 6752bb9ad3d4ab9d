//! Random scenarios: every switch of the engine, sizes that starve it, and requests that collide.

use std::sync::LazyLock;

use kendall_des::{SimDuration, SimTime};
use kendall_serving::catalog::{gpu, model};
use kendall_serving::step_time::roofline::{Deployment, Efficiencies, Limits};
use kendall_serving::{
    EngineConfig, LinearCoefficients, PromptContent, RequestSpec, RooflineSteps, RouterConfig, RouterPolicy,
    SchedulingPolicy, SelfPreemption, SimulationConfig, StepTimeModel, TokenSegment, TokenStream,
};
use proptest::prelude::*;

/// Times are multiples of this where arrivals, aborts and step ends are meant to coincide.
const TICK_PS: u64 = 1_000_000_000;

/// A configuration and a workload sorted by arrival.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub config: SimulationConfig,
    pub requests: Vec<RequestSpec>,
}

/// Scenarios with all features.
pub(crate) fn scenarios() -> impl Strategy<Value = Scenario> {
    let front_end = prop_oneof![2 => Just(0), 1 => Just(TICK_PS), 1 => 0..20 * TICK_PS];
    let replicas = prop_oneof![3 => Just(1_u32), 1 => 2..=4_u32];
    (engines(), step_times(), replicas, routers(), front_end, drafts(), any::<bool>()).prop_map(
        |(engine, step_time, replicas, router, front_end, drafts, ids_reversed)| {
            let requests = build(&drafts, engine.max_model_len, ids_reversed);
            let front_end = SimDuration::from_ps(front_end).into();
            Scenario { config: SimulationConfig { engine, step_time, replicas, router, front_end }, requests }
        },
    )
}

/// Scenarios whose router looks at nothing, so that what happens on one replica stays there.
pub(crate) fn round_robin_scenarios() -> impl Strategy<Value = Scenario> {
    scenarios().prop_map(|mut scenario| {
        scenario.config.router = RouterConfig::default();
        scenario
    })
}

/// Every router, with reports that come at once, that coincide with other things, or that are old.
fn routers() -> impl Strategy<Value = RouterConfig> {
    let policy = prop_oneof![
        3 => Just(RouterPolicy::RoundRobin),
        1 => Just(RouterPolicy::Random),
        1 => Just(RouterPolicy::LeastOutstanding),
        1 => Just(RouterPolicy::JoinShortestQueue),
        1 => Just(RouterPolicy::PowerOfTwoChoices),
        2 => Just(RouterPolicy::LeastKvUse),
    ];
    let interval = prop_oneof![2 => Just(0), 2 => Just(TICK_PS), 1 => 1..50 * TICK_PS];
    (policy, interval)
        .prop_map(|(policy, ps)| RouterConfig { policy, refresh_interval: SimDuration::from_ps(ps) })
}

/// Engine configurations that vLLM accepts, with a bias to the edge of what it accepts.
fn engines() -> impl Strategy<Value = EngineConfig> {
    let block_size = prop_oneof![1 => Just(1_u32), 2 => 2..=8_u32, 2 => Just(16_u32), 1 => 1..=64_u32];
    let spare_blocks = prop_oneof![4 => 0..=4_u32, 2 => 0..=20_u32, 1 => 0..=200_u32];
    let spare_budget = prop_oneof![1 => Just(0_u32), 3 => 0..=20_u32, 2 => 0..=300_u32];
    let active = prop_oneof![3 => Just(None), 1 => (1..=10_u32).prop_map(Some)];
    let sizes = (block_size, 2..=200_u32, spare_blocks, 1..=10_u32, spare_budget, active);
    let threshold = prop_oneof![2 => Just(0_u32), 2 => 1..=30_u32, 1 => 1..=200_u32];
    let watermark = prop_oneof![2 => Just(0.0), 1 => 0.0..0.4_f64];
    let shares = (threshold, any::<bool>(), watermark);
    let switches = (any::<[bool; 8]>(), prop::bool::weighted(0.8));
    (sizes, shares, switches).prop_map(|(sizes, (threshold, adaptive, watermark), (switches, chunked))| {
        let (block_size, max_model_len, spare_blocks, max_num_seqs, spare_budget, active) = sizes;
        let [caching, priority, reserve, asynchronous, ids, exempt, lifo, goes_on] = switches;
        let budget = max_num_seqs + spare_budget;
        EngineConfig {
            max_num_seqs,
            max_num_batched_tokens: if chunked { budget } else { budget.max(max_model_len) },
            max_model_len,
            block_size,
            num_gpu_blocks: max_model_len.div_ceil(block_size) + 1 + spare_blocks,
            long_prefill_token_threshold: threshold.min(max_model_len),
            long_prefill_token_threshold_adaptive: adaptive,
            max_num_active_seqs: active.map(|active| active.min(max_num_seqs)),
            enable_chunked_prefill: chunked,
            enable_prefix_caching: caching,
            scheduling_policy: if priority { SchedulingPolicy::Priority } else { SchedulingPolicy::Fcfs },
            watermark,
            scheduler_reserve_full_isl: reserve,
            async_scheduling: asynchronous,
            lone_request_exempt: exempt,
            lifo_unhashed: lifo,
            self_preemption: if goes_on { SelfPreemption::Continue } else { SelfPreemption::Stop },
            track_block_ids: ids,
            one_by_one: false,
            zoo: None,
        }
    })
}

/// No time at all, whole ticks, or every coefficient at once.
fn step_times() -> impl Strategy<Value = StepTimeModel> {
    let all = (0..20_000_000_000_u64, any::<[u8; 6]>()).prop_map(|(base_ps, [a, b, c, d, e, f])| {
        LinearCoefficients {
            base_ps,
            per_prefill_token_ps: u64::from(a) * 1_000_001,
            per_prefill_context_token_ps: u64::from(b) * 1_009,
            per_prefill_attention_ps: u64::from(c) * 13,
            per_decode_seq_ps: u64::from(d) * 1_000_003,
            per_decode_context_token_ps: u64::from(e) * 997,
            per_new_seq_ps: u64::from(f) * 10_007,
        }
    });
    let ticks = (1..=4_u64)
        .prop_map(|n| LinearCoefficients { base_ps: n * TICK_PS, ..LinearCoefficients::default() });
    let linear = prop_oneof![1 => Just(LinearCoefficients::default()), 3 => ticks, 4 => all];
    prop_oneof![4 => linear.prop_map(StepTimeModel::from), 1 => Just(roofline())]
}

/// A small model on one GPU: steps that are tabulated and not linear in the number of sequences.
fn roofline() -> StepTimeModel {
    static STEPS: LazyLock<RooflineSteps> = LazyLock::new(|| {
        let of = Deployment {
            gpu: gpu("A10G").expect("in the catalogue"),
            model: model("Qwen/Qwen2.5-1.5B-Instruct").expect("in the catalogue"),
            tensor_parallel_size: 1,
            kv_dtype_bytes: 2,
            async_scheduling: true,
            sorts_logits: false,
        };
        let limits = Limits { max_num_seqs: 16, max_num_batched_tokens: 512, max_model_len: 512 };
        RooflineSteps::new(&of, limits, Efficiencies::built_in()).expect("every fact is known")
    });
    STEPS.clone().into()
}

/// A request before it is known how long a sequence may be and which requests came before it.
#[derive(Debug, Clone)]
struct Draft {
    gap_ps: u64,
    /// Prompt length in thousandths of `max_model_len`; 1000 is refused.
    prompt_share: u32,
    max_tokens: u32,
    content: Content,
    priority: i32,
    /// Ticks from the arrival to the abort.
    abort: Option<i64>,
}

#[derive(Debug, Clone)]
enum Content {
    Unique,
    /// So many thousandths of the prompt are from a shared text.
    SharedPrefix(u64, u32),
    /// The next turn of a conversation: an earlier request's prompt and output, then something new.
    FollowUp(prop::sample::Index),
}

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let gap_ps =
        prop_oneof![4 => Just(0), 3 => (0..=12_u64).prop_map(|ticks| ticks * TICK_PS), 2 => 0..20 * TICK_PS];
    let prompt_share = prop_oneof![1 => Just(1_000_u32), 8 => 0..=300_u32, 8 => 0..=999_u32];
    let max_tokens = prop_oneof![2 => Just(1_u32), 5 => 2..=12_u32, 3 => 1..=80_u32];
    let content = prop_oneof![
        3 => Just(Content::Unique),
        2 => (0..3_u64, 0..=1_000_u32).prop_map(|(text, share)| Content::SharedPrefix(text, share)),
        1 => (0..3_u64).prop_map(|text| Content::SharedPrefix(text, 1_000)),
        2 => any::<prop::sample::Index>().prop_map(Content::FollowUp),
    ];
    let priority = prop_oneof![2 => Just(0), 1 => -1..=2_i32];
    let abort =
        prop_oneof![8 => Just(None), 1 => (-3..=0_i64).prop_map(Some), 2 => (0..=80_i64).prop_map(Some)];
    let draft = (gap_ps, prompt_share, max_tokens, content, priority, abort).prop_map(
        |(gap_ps, prompt_share, max_tokens, content, priority, abort)| Draft {
            gap_ps,
            prompt_share,
            max_tokens,
            content,
            priority,
            abort,
        },
    );
    prop::collection::vec(draft, 1..=24)
}

fn build(drafts: &[Draft], max_model_len: u32, ids_reversed: bool) -> Vec<RequestSpec> {
    let mut requests: Vec<RequestSpec> = Vec::with_capacity(drafts.len());
    let mut now_ps = 0;
    for (index, draft) in drafts.iter().enumerate() {
        now_ps += draft.gap_ps;
        let num_prompt_tokens = (max_model_len * draft.prompt_share).div_ceil(1_000).max(1);
        let mut request = RequestSpec::new(SimTime::from_ps(now_ps), num_prompt_tokens, draft.max_tokens);
        request.priority = draft.priority;
        request.id_rank = ids_reversed.then(|| (drafts.len() - index) as u64);
        request.abort = draft.abort.map(|ticks| {
            let offset = ticks.unsigned_abs() * TICK_PS;
            SimTime::from_ps(if ticks < 0 { now_ps.saturating_sub(offset) } else { now_ps + offset })
        });
        request.prompt = content(&draft.content, num_prompt_tokens, index as u64, &requests);
        requests.push(request);
    }
    requests
}

fn content(draft: &Content, len: u32, index: u64, earlier: &[RequestSpec]) -> PromptContent {
    let shared = match draft {
        Content::SharedPrefix(text, share) => {
            vec![TokenSegment { stream: TokenStream::Shared(*text), start: 0, len: len * share / 1_000 }]
        }
        Content::FollowUp(turn) if !earlier.is_empty() => history(turn.index(earlier.len()), earlier),
        Content::Unique | Content::FollowUp(_) => return PromptContent::Unique,
    };
    let mut segments = Vec::new();
    let mut left = len;
    let own = TokenSegment { stream: TokenStream::Prompt(index), start: 0, len };
    for mut segment in shared.into_iter().chain([own]) {
        segment.len = segment.len.min(left);
        left -= segment.len;
        segments.push(segment);
    }
    PromptContent::Segments(segments.into())
}

/// What request `turn` was sent and what it answered.
fn history(turn: usize, earlier: &[RequestSpec]) -> Vec<TokenSegment> {
    let RequestSpec { num_prompt_tokens, max_tokens, ref prompt, .. } = earlier[turn];
    let mut segments = match prompt {
        PromptContent::Segments(segments) => segments.to_vec(),
        PromptContent::Unique => {
            vec![TokenSegment { stream: TokenStream::Prompt(turn as u64), start: 0, len: num_prompt_tokens }]
        }
    };
    segments.push(TokenSegment { stream: TokenStream::Output(turn as u64), start: 0, len: max_tokens });
    segments
}

/// The scenario of one replica alone: its requests, renumbered.
pub(crate) fn share_of(scenario: &Scenario, replica: u32) -> Scenario {
    let replicas = u64::from(scenario.config.replicas);
    let number = |index: u64| {
        // Requests of other replicas get numbers that nobody has.
        if index % replicas == u64::from(replica) { index / replicas } else { index + (1 << 40) }
    };
    let renumber = |mut segment: TokenSegment| {
        segment.stream = match segment.stream {
            TokenStream::Prompt(index) => TokenStream::Prompt(number(index)),
            TokenStream::Output(index) => TokenStream::Output(number(index)),
            other @ (TokenStream::Shared(_) | TokenStream::Own) => other,
        };
        segment
    };
    let mut share = scenario.clone();
    share.config.replicas = 1;
    share.requests =
        scenario.requests.iter().skip(replica as usize).step_by(replicas as usize).cloned().collect();
    for request in &mut share.requests {
        if let PromptContent::Segments(segments) = &mut request.prompt {
            *segments = segments.iter().map(|&segment| renumber(segment)).collect();
        }
    }
    share
}

/// Scenarios of one replica that schedules synchronously, without prefix cache and front end: what the naive scheduler
/// understands. Half of them starve.
pub(crate) fn plain_scenarios() -> impl Strategy<Value = Scenario> {
    (scenarios(), any::<bool>()).prop_map(|(mut scenario, starve)| {
        scenario.config.replicas = 1;
        scenario.config.front_end = kendall_serving::FrontEnd::default();
        // The naive scheduler knows the linear model alone.
        if scenario.config.step_time.as_linear().is_none() {
            scenario.config.step_time = LinearCoefficients { base_ps: TICK_PS, ..Default::default() }.into();
        }
        let engine = &mut scenario.config.engine;
        engine.async_scheduling = false;
        engine.enable_prefix_caching = false;
        engine.lone_request_exempt = true;
        if starve {
            engine.scheduling_policy = SchedulingPolicy::Priority;
            engine.scheduler_reserve_full_isl = false;
            engine.num_gpu_blocks = engine.max_model_len.div_ceil(engine.block_size) + 1;
        }
        scenario
    })
}

/// Scenarios in which the recompute live-lock is possible: a priority queue of equals under a shortage of blocks, where
/// admissions look at their first chunk only.
pub(crate) fn livelock_scenarios() -> impl Strategy<Value = Scenario> {
    let starving = |scenario: &Scenario| {
        let engine = &scenario.config.engine;
        engine.scheduling_policy == SchedulingPolicy::Priority && !engine.scheduler_reserve_full_isl
    };
    plain_scenarios().prop_filter("starving", starving).prop_map(|mut scenario| {
        for request in &mut scenario.requests {
            (request.priority, request.arrival, request.abort) = (0, SimTime::ZERO, None);
        }
        scenario
    })
}
