//! Who may join the waiting queue at all: rules at the door, which every engine of the zoo takes as arguments.
//!
//! A request must pass every rule that is set, then the engine's own; the first that refuses it gives the reason. The rules are
//! asked in the order of the fields of [`Admission`], and only a request that passed all of them is charged.

use std::sync::Arc;

use kendall_des::{SimDuration, SimTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::request::RequestSpec;
use crate::step_time::BatchShape;

use super::policy_table::PolicyTable;
use super::request::Request;
use super::{Rejection, State, TtftLimits};

/// Rules at the door.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Admission {
    /// Nobody while so many wait.
    pub queue_limit: Option<u32>,
    /// Tokens pass at a rate.
    pub token_bucket: Option<TokenBucket>,
    /// Everybody inside has room in the KV cache, as far as can be foreseen.
    pub kv_reservation: Option<KvReservation>,
    /// Nobody whose first token is expected beyond the limit of its class.
    pub slo_aware: bool,
    /// Whom a table lets in.
    pub table: Option<Arc<PolicyTable>>,
}

/// A bucket of prompt tokens: a request takes its prompt out of it, or is refused.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBucket {
    /// Prompt tokens that flow in (1/s).
    pub tokens_per_s: f64,
    /// Most that the bucket holds; it begins full.
    pub burst_tokens: f64,
}

/// Room in the KV cache for all that wait and run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvReservation {
    /// Output tokens that are set aside for a request, beside its prompt.
    pub output_tokens: u32,
    /// Share of the KV cache that may be promised; above 1 it is overcommitted. 1 if absent.
    #[serde(default = "one")]
    pub share: f64,
}

fn one() -> f64 {
    1.0
}

/// What the rules remember.
#[derive(Debug, Clone)]
pub(super) struct Door {
    rules: Admission,
    limits: TtftLimits,
    /// Tokens in the bucket at `filled`.
    level_tokens: f64,
    filled: SimTime,
    /// Blocks that are promised.
    promised_blocks: u64,
    /// Requests inside, by class of the table.
    inside: Vec<u32>,
}

impl Door {
    pub(super) fn new(rules: &Admission, limits: &TtftLimits) -> Self {
        Self {
            rules: rules.clone(),
            limits: limits.clone(),
            level_tokens: rules.token_bucket.map_or(0.0, |bucket| bucket.burst_tokens),
            filled: SimTime::ZERO,
            promised_blocks: 0,
            inside: vec![0; rules.table.as_ref().map_or(0, |table| table.num_classes())],
        }
    }

    /// Why a request must go, if it must. `num_waiting` counts those that the engine has not looked at.
    pub(super) fn refuses(
        &self,
        spec: &RequestSpec,
        now: SimTime,
        num_waiting: u32,
        state: &State,
    ) -> Option<Rejection> {
        let Admission { queue_limit, token_bucket, kv_reservation, slo_aware, table } = &self.rules;
        if queue_limit.is_some_and(|limit| num_waiting >= limit) {
            return Some(Rejection::QueueFull);
        }
        if token_bucket.is_some_and(|bucket| f64::from(spec.num_prompt_tokens) > self.level(bucket, now)) {
            return Some(Rejection::RateLimited);
        }
        if let Some(rule) = kv_reservation {
            let promised = self.promised_blocks + rule.blocks(spec.num_prompt_tokens, state);
            if promised as f64 > rule.share * f64::from(state.kv().num_blocks()) {
                return Some(Rejection::KvPromised);
            }
        }
        if *slo_aware
            && let Some(limit) = self.limits.of(spec.class())
            && expected_ttft(spec, now, num_waiting, state) > limit
        {
            return Some(Rejection::SloMiss);
        }
        let table = table.as_ref()?;
        let class = table.class_of(oracle_size(spec.num_prompt_tokens, state.oracle_output_of(spec)));
        (!table.accepts(&self.inside, class)).then_some(Rejection::PolicyTable)
    }

    /// Tokens in the bucket.
    fn level(&self, bucket: TokenBucket, now: SimTime) -> f64 {
        let filled = (now - self.filled).as_secs_f64() * bucket.tokens_per_s;
        (self.level_tokens + filled).min(bucket.burst_tokens)
    }

    /// A request that nobody refused goes in.
    pub(super) fn entered(&mut self, request: &Request, state: &State) {
        if let Some(bucket) = self.rules.token_bucket {
            self.level_tokens = self.level(bucket, request.received) - f64::from(request.num_prompt_tokens);
            self.filled = request.received;
        }
        if let Some(rule) = self.rules.kv_reservation {
            self.promised_blocks += rule.blocks(request.num_prompt_tokens, state);
        }
        if let Some(table) = &self.rules.table {
            self.inside[table.class_of(oracle_size(request.num_prompt_tokens, request.output_tokens))] += 1;
        }
    }

    /// A request that went in leaves.
    pub(super) fn left(&mut self, request: &Request, state: &State) {
        if let Some(rule) = self.rules.kv_reservation {
            self.promised_blocks -= rule.blocks(request.num_prompt_tokens, state);
        }
        if let Some(table) = &self.rules.table {
            self.inside[table.class_of(oracle_size(request.num_prompt_tokens, request.output_tokens))] -= 1;
        }
    }
}

impl KvReservation {
    /// Blocks for a prompt and the output that is set aside.
    fn blocks(self, num_prompt_tokens: u32, state: &State) -> u64 {
        let tokens = num_prompt_tokens.saturating_add(self.output_tokens).min(state.max_model_len());
        u64::from(state.kv().blocks_for(tokens))
    }
}

/// Size of a request as the table's classes have it, its true output included.
fn oracle_size(num_prompt_tokens: u32, output_tokens: u32) -> u32 {
    num_prompt_tokens.saturating_add(output_tokens)
}

/// When the first token of a request is expected, from its client's send: as many admissions as wait before it, at the pace of
/// the last ones, and its own prompt alone.
fn expected_ttft(spec: &RequestSpec, now: SimTime, num_waiting: u32, state: &State) -> SimDuration {
    let mut alone = BatchShape::default();
    let prompt = u64::from(spec.num_prompt_tokens);
    alone.add_prefill(prompt, prompt);
    alone.new_seqs = 1;
    (now - spec.arrival) + state.pace.wait_behind(num_waiting) + state.step_time.step_time(&alone)
}

/// How fast the waiting queue moves: the mean time between admissions while somebody waited, over about the last 32.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    mean_gap_ps: u64,
    num_gaps: u64,
    /// The last admission, if somebody was left waiting.
    last: Option<SimTime>,
}

/// So many gaps have half of the weight or more.
const MEMORY: u64 = 32;

impl Pace {
    /// A request is admitted; `left_waiting` says whether others wait on.
    pub(super) fn admitted(&mut self, now: SimTime, left_waiting: bool) {
        if let Some(last) = self.last {
            let gap = (now - last).as_ps();
            self.num_gaps = (self.num_gaps + 1).min(MEMORY);
            // A mean of so many, with each new gap in the place of an average one.
            let mean = u128::from(self.mean_gap_ps) * u128::from(self.num_gaps - 1) + u128::from(gap);
            // At most the larger of the two.
            self.mean_gap_ps = (mean / u128::from(self.num_gaps)) as u64;
        }
        self.last = left_waiting.then_some(now);
    }

    /// Time until so many are admitted.
    fn wait_behind(&self, num_waiting: u32) -> SimDuration {
        SimDuration::from_ps(self.mean_gap_ps.saturating_mul(u64::from(num_waiting)).min(u64::MAX / 4))
    }
}
