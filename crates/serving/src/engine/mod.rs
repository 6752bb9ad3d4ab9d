//! One vLLM V1 engine core: scheduler, KV cache and the bookkeeping between them.
//!
//! [`Engine`] holds the state and knows the rules; [`Replica`] drives it through time. Neither reads a clock: the
//! simulation tells them what time it is.

mod block_needs;
mod cohort;
mod config;
mod in_flight;
mod output;
mod replica;
mod request;
mod runs;
mod scheduler;
mod version;
mod waiting;

pub use config::{ConfigError, EngineConfig, SchedulingPolicy, SelfPreemption};
pub use replica::{Replica, Wake};
pub use version::{BatchDefaults, BatchSettings, EngineVersion, VersionDefaults, VersionError};

use kendall_des::SimTime;

use crate::kv::{KvCacheManager, RequestBlocks, TokenKeys};
use crate::record::{RequestRecord, RequestStatus, TtftParts};
use crate::request::{PromptContent, RequestSpec};
use crate::step_time::StepTimeModel;

use cohort::Cohort;
use request::{EngineRequest, Life, Status};
use waiting::WaitingQueue;

/// Place of a request in the engine's table; reused after it has left.
type Slot = u32;

/// A request as it reaches an engine.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Number of the request in the workload.
    pub index: u64,
    /// When it reached the engine: the client's send and the way through the front end.
    pub received: SimTime,
    /// What the client sent.
    pub spec: RequestSpec,
}

impl Arrival {
    /// The record of a request that no engine took in.
    pub(crate) fn record(&self, status: RequestStatus, replica: u32, now: SimTime) -> RequestRecord {
        RequestRecord {
            index: self.index,
            replica,
            status,
            rejection: None,
            arrival: self.spec.arrival,
            received: self.received,
            queued: None,
            first_scheduled: None,
            first_token: None,
            last_token: None,
            finish: now,
            num_prompt_tokens: self.spec.num_prompt_tokens,
            num_output_tokens: 0,
            num_cached_tokens: 0,
            num_preemptions: 0,
            num_lost_tokens: 0,
            preempted_for: None,
            session: self.spec.session,
            priority: self.spec.priority,
            ttft_parts: TtftParts::default(),
        }
    }
}

/// Counts over the life of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineTotals {
    /// Requests that left: finished or aborted.
    pub num_departed: u64,
    /// Preemptions.
    pub num_preemptions: u64,
    /// Known tokens of first admissions: the denominator of the prefix cache hit rate.
    pub prefix_cache_queries: u64,
    /// Tokens found in the prefix cache at first admissions.
    pub prefix_cache_hits: u64,
    /// Steps that computed something.
    pub num_steps: u64,
    /// Prompt tokens computed, recomputation included.
    pub num_prefill_tokens: u64,
    /// Decode tokens computed.
    pub num_decode_tokens: u64,
}

/// State of one engine.
#[derive(Debug, Clone)]
pub struct Engine {
    config: EngineConfig,
    step_time: StepTimeModel,
    requests: Vec<EngineRequest>,
    free_slots: Vec<Slot>,
    running: Vec<Slot>,
    waiting: WaitingQueue,
    kv: KvCacheManager,
    /// Sum over requests that hold blocks of the tokens in them.
    held_tokens: u64,
    totals: EngineTotals,
    cohort: Cohort,
    /// Number of the next batch to be scheduled.
    next_batch: u64,
    /// Number of the batch whose result comes next.
    next_result: u64,
    /// When the last result was processed.
    last_completion: SimTime,
    next_admission: u64,
    /// Whether no two requests have tokens in common.
    unshared: bool,
    /// Requests in the system that were preempted.
    preempted_here: u32,
}

/// What an engine looks like between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineGauges {
    /// Requests in the waiting queue, preempted ones included.
    pub num_waiting: u32,
    /// Requests in the running list.
    pub num_running: u32,
    /// Blocks in use by somebody.
    pub used_blocks: u32,
    /// Sum over requests of blocks held.
    pub held_blocks: u64,
    /// Sum over requests of tokens stored in them.
    pub held_tokens: u64,
}

impl Engine {
    /// An idle engine.
    ///
    /// # Errors
    /// If vLLM would refuse the configuration.
    pub fn new(config: EngineConfig, step_time: StepTimeModel) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            kv: KvCacheManager::new(&config),
            waiting: WaitingQueue::new(config.scheduling_policy),
            cohort: Cohort::new(config.block_size),
            next_batch: 0,
            next_result: 0,
            last_completion: SimTime::ZERO,
            next_admission: 0,
            unshared: false,
            preempted_here: 0,
            config,
            step_time,
            requests: Vec::new(),
            free_slots: Vec::new(),
            running: Vec::new(),
            held_tokens: 0,
            totals: EngineTotals::default(),
        })
    }

    /// Lets it count blocks where that changes nothing: no two requests that will come have tokens in common, and nobody asks
    /// for the numbers of blocks. Only an engine that has no request yet can be told.
    pub(crate) fn expect_unshared_tokens(&mut self) {
        self.unshared =
            self.config.enable_prefix_caching && !self.config.track_block_ids && !self.config.one_by_one;
        self.forget_names();
    }

    /// From now on counts blocks, if cached ones can be found by nobody: only who was preempted has left some behind.
    fn forget_names(&mut self) {
        if self.unshared && self.preempted_here == 0 {
            self.kv.forget_names();
        }
    }

    /// A request loses its blocks and may find them in the cache: they are no longer only counted. No request is a member.
    fn name_blocks(&mut self) {
        if !self.unshared || !self.kv.counts_only() {
            return;
        }
        for request in self.requests.iter_mut().filter(|request| request.status != Status::Finished) {
            request.keys = TokenKeys::new(request.index, request.num_prompt_tokens, &PromptContent::Unique);
            if request.status == Status::Running {
                let with_key = self.kv.num_cached_tokens(&request.blocks).max(request.num_known_tokens);
                request.keys.extend_to(with_key, self.config.block_size);
            }
        }
        let holders = self.requests.iter_mut().filter(|request| request.blocks.num_blocks > 0);
        self.kv.name_blocks(holders.map(|request| (&mut request.blocks, &request.keys)));
    }

    /// The configuration.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Counts so far.
    pub fn totals(&self) -> EngineTotals {
        self.totals
    }

    /// The state that metrics sample.
    pub fn gauges(&self) -> EngineGauges {
        EngineGauges {
            num_waiting: self.waiting.len() as u32,
            num_running: self.running.len() as u32,
            used_blocks: self.kv.num_used(),
            held_blocks: self.kv.held_blocks(),
            held_tokens: self.held_tokens,
        }
    }

    /// Whether some request is waiting or running.
    pub fn has_unfinished(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    /// Whether the server's front door refuses the request: nothing to compute, or no room for an output token.
    pub fn rejects(&self, spec: &RequestSpec) -> bool {
        spec.num_prompt_tokens == 0 || spec.num_prompt_tokens >= self.config.max_model_len
    }

    /// A request leaves the input queue and joins the waiting queue.
    fn add_request(&mut self, arrival: &Arrival, now: SimTime) -> Slot {
        let spec = &arrival.spec;
        debug_assert!(!self.unshared || spec.prompt == PromptContent::Unique);
        let keys = if self.kv.wants_keys() {
            TokenKeys::new(arrival.index, spec.num_prompt_tokens, &spec.prompt)
        } else {
            TokenKeys::none()
        };
        let request = EngineRequest {
            index: arrival.index,
            status: Status::Waiting,
            priority: spec.priority,
            session: spec.session,
            received: arrival.received,
            id_rank: spec.id_rank.unwrap_or(arrival.index),
            num_prompt_tokens: spec.num_prompt_tokens,
            max_tokens: spec.max_tokens,
            num_known_tokens: spec.num_prompt_tokens,
            num_computed_tokens: 0,
            num_output_placeholders: 0,
            in_flight_tokens: 0,
            stale_tokens: 0,
            admission: 0,
            membership: None,
            blocks: RequestBlocks::default(),
            keys,
            life: Life {
                arrival: spec.arrival,
                queued: now,
                first_scheduled: None,
                first_token: None,
                last_token: now,
                num_preemptions: 0,
                num_cached_tokens: 0,
                num_lost_tokens: 0,
                ttft: TtftParts { front_end: arrival.received - spec.arrival, ..TtftParts::default() },
                accounted: arrival.received,
                recompute_until: 0,
            },
        };
        let slot = if let Some(slot) = self.free_slots.pop() {
            self.requests[slot as usize] = request;
            slot
        } else {
            self.requests.push(request);
            (self.requests.len() - 1) as Slot
        };
        self.waiting.push_back(slot, &self.requests[slot as usize]);
        slot
    }

    /// The slots of all requests in the system, for tests and reports; in no order that means anything.
    fn slots_in_system(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.requests.len() as Slot)
            .filter(|&slot| self.requests[slot as usize].status != Status::Finished)
    }

    /// Numbers of the requests that wait or run, in order.
    pub fn requests_in_system(&self) -> Vec<u64> {
        let mut numbers: Vec<_> =
            self.slots_in_system().map(|slot| self.requests[slot as usize].index).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Checks invariants 3, 4 and 6 of the state between two steps.
    ///
    /// # Errors
    /// Says which is broken. Costs O(blocks): for tests.
    pub fn check(&self) -> Result<(), String> {
        if self.cohort.formed {
            let mut written_down = self.clone();
            written_down.dissolve_cohort(std::iter::empty());
            return written_down.check();
        }
        if self.running.len() > self.config.max_num_seqs as usize {
            return Err(format!(
                "{} requests run, `max_num_seqs` is {}",
                self.running.len(),
                self.config.max_num_seqs
            ));
        }
        let in_system = self.slots_in_system().count();
        if in_system != self.running.len() + self.waiting.len() {
            return Err(format!(
                "{in_system} requests are in the system, {} run and {} wait",
                self.running.len(),
                self.waiting.len()
            ));
        }
        for slot in self.slots_in_system() {
            let request = &self.requests[slot as usize];
            let runs = self.running.contains(&slot);
            if runs != (request.status == Status::Running) || !runs && request.blocks.num_blocks > 0 {
                return Err(format!(
                    "request {} is {:?}; in the running list: {runs}",
                    request.index, request.status
                ));
            }
            if request.num_computed_tokens > request.blocks.num_blocks * self.config.block_size {
                return Err(format!(
                    "request {} has computed more tokens than its blocks hold",
                    request.index
                ));
            }
        }
        let tokens: u64 =
            self.slots_in_system().map(|s| u64::from(self.requests[s as usize].num_computed_tokens)).sum();
        if tokens != self.held_tokens {
            return Err(format!("{} held tokens are counted, requests hold {tokens}", self.held_tokens));
        }
        self.kv.check(self.requests.iter().map(|request| &request.blocks))
    }
}
