//! vLLM's synchronous scheduler once more, as simply as it can be said: one replica, no prefix cache, blocks as numbers,
//! every quantity counted afresh whenever it is needed.
//!
//! Written from the specification of vLLM V1 scheduling (sections 2 to 4, 7 and 8 are quoted below) and not from kendall's
//! engine, with which it shares nothing but the configuration and the request.

use kendall_serving::{EngineConfig, LinearCoefficients, RequestSpec, SchedulingPolicy, SelfPreemption};

/// A request; lengths in tokens, times in picoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    arrival: u64,
    abort: Option<u64>,
    /// Smallest first: priority, arrival, rank of the id.
    key: (i32, u64, u64),
    prompt: u32,
    outputs: u32,
    max_outputs: u32,
    computed: u32,
    blocks: u32,
    place: Place,
    pub preemptions: u32,
    pub first_scheduled: Option<u64>,
    pub first_token: Option<u64>,
    pub left: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Waiting,
    Running,
    Gone,
}

/// One decision: who gets how many tokens after how many, and what it does to the queues and to the blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub scheduled: u64,
    pub end: u64,
    pub rows: Vec<(usize, u32, u32)>,
    pub preempted: Vec<usize>,
    pub finished: Vec<usize>,
    pub aborted: Vec<usize>,
    pub num_waiting: usize,
    pub num_running: usize,
    pub free_blocks: u32,
    pub free_blocks_end: u32,
}

/// The scheduler and everybody that it knows.
pub(crate) struct Naive<'a> {
    config: &'a EngineConfig,
    step_time: &'a LinearCoefficients,
    pub customers: Vec<Customer>,
    waiting: Vec<usize>,
    running: Vec<usize>,
    now: u64,
}

impl<'a> Naive<'a> {
    pub(crate) fn new(
        config: &'a EngineConfig,
        step_time: &'a LinearCoefficients,
        specs: &[RequestSpec],
    ) -> Self {
        let customers = specs.iter().enumerate().map(|(index, spec)| Customer {
            arrival: spec.arrival.as_ps(),
            abort: spec.abort.map(|abort| abort.max(spec.arrival).as_ps()),
            key: (spec.priority, spec.arrival.as_ps(), spec.id_rank.unwrap_or(index as u64)),
            prompt: spec.num_prompt_tokens,
            outputs: 0,
            max_outputs: spec.max_tokens,
            computed: 0,
            blocks: 0,
            place: if spec.num_prompt_tokens < config.max_model_len { Place::Outside } else { Place::Gone },
            preemptions: 0,
            first_scheduled: None,
            first_token: None,
            left: None,
        });
        Self { config, step_time, customers: customers.collect(), waiting: vec![], running: vec![], now: 0 }
    }

    /// Section 2. Plays until nobody is left or `most` decisions are taken.
    pub(crate) fn play(&mut self, most: usize) -> Vec<Decision> {
        let mut decisions = Vec::new();
        while decisions.len() < most {
            self.drain();
            if self.waiting.is_empty() && self.running.is_empty() {
                let outside = self.customers.iter().filter(|customer| customer.place == Place::Outside);
                let Some(next) = outside.map(|customer| customer.arrival).min() else { break };
                self.now = next;
                continue;
            }
            let mut decision = self.schedule();
            self.now = decision.end;
            decision.aborted = self.abort_those_who(|customer| customer.place != Place::Outside);
            self.update(&mut decision);
            decision.free_blocks_end = self.free_blocks();
            decisions.push(decision);
        }
        decisions
    }

    fn drain(&mut self) {
        for index in 0..self.customers.len() {
            let customer = &mut self.customers[index];
            if customer.place == Place::Outside && customer.arrival <= self.now {
                customer.place = Place::Waiting;
                self.waiting.push(index);
            }
        }
        self.abort_those_who(|customer| customer.place != Place::Outside);
    }

    fn abort_those_who(&mut self, may: impl Fn(&Customer) -> bool) -> Vec<usize> {
        let gives_up = |customer: &Customer| {
            customer.place != Place::Gone
                && may(customer)
                && customer.abort.is_some_and(|abort| abort <= self.now)
        };
        let mut aborted: Vec<_> =
            (0..self.customers.len()).filter(|&i| gives_up(&self.customers[i])).collect();
        aborted.sort_by_key(|&i| self.customers[i].abort);
        for &index in &aborted {
            self.leave(index);
        }
        aborted
    }

    fn leave(&mut self, index: usize) {
        let customer = &mut self.customers[index];
        (customer.place, customer.blocks, customer.left) = (Place::Gone, 0, Some(self.now));
        self.waiting.retain(|&other| other != index);
        self.running.retain(|&other| other != index);
    }

    fn free_blocks(&self) -> u32 {
        self.config.num_gpu_blocks - 1 - self.customers.iter().map(|customer| customer.blocks).sum::<u32>()
    }

    /// Section 3.
    fn schedule(&mut self) -> Decision {
        let mut decision = Decision { scheduled: self.now, ..Decision::default() };
        let mut budget = self.config.max_num_batched_tokens;
        let num_requests = (self.running.len() + self.waiting.len()) as u32;
        let mut threshold = self.config.long_prefill_token_threshold;
        if threshold > 0 && self.config.long_prefill_token_threshold_adaptive {
            threshold = threshold.max(self.config.max_num_batched_tokens / num_requests);
        }
        if threshold == 0 || num_requests <= 1 {
            threshold = u32::MAX;
        }
        self.serve_running(&mut decision, &mut budget, threshold);
        if decision.preempted.is_empty() {
            self.admit_waiting(&mut decision, &mut budget, threshold);
        }
        decision.end = self.now + self.duration(&decision.rows);
        for &(index, tokens, computed) in &decision.rows {
            self.customers[index].computed = computed + tokens;
        }
        (decision.num_waiting, decision.num_running) = (self.waiting.len(), self.running.len());
        decision.free_blocks = self.free_blocks();
        decision
    }

    fn serve_running(&mut self, decision: &mut Decision, budget: &mut u32, threshold: u32) {
        // Who has had a turn; the list itself shrinks under the scan.
        let mut served: Vec<usize> = Vec::new();
        while *budget > 0 {
            let Some(&index) = self.running.iter().find(|index| !served.contains(index)) else { return };
            let customer = &self.customers[index];
            let room = self.config.max_model_len - 1 - customer.computed;
            let tokens = (customer.known() - customer.computed).min(threshold).min(*budget).min(room);
            assert!(tokens > 0, "a running request always has a token to compute");
            while self.customers[index].place == Place::Running && !self.allocate(index, tokens, false) {
                let victim = self.victim();
                if let Some(row) = decision.rows.iter().position(|row| row.0 == victim) {
                    *budget += decision.rows.remove(row).1;
                }
                self.preempt(victim);
                decision.preempted.push(victim);
            }
            if self.customers[index].place == Place::Running {
                decision.rows.push((index, tokens, self.customers[index].computed));
                *budget -= tokens;
                served.push(index);
            } else if self.config.self_preemption == SelfPreemption::Stop {
                return;
            }
        }
    }

    fn victim(&self) -> usize {
        let worst = self.running.iter().map(|&i| (self.customers[i].key.0, self.customers[i].key.1)).max();
        let is_worst = |i: &&usize| Some((self.customers[**i].key.0, self.customers[**i].key.1)) == worst;
        let victim = match self.config.scheduling_policy {
            SchedulingPolicy::Fcfs => self.running.last(),
            SchedulingPolicy::Priority => self.running.iter().find(is_worst),
        };
        *victim.expect("somebody runs")
    }

    fn preempt(&mut self, victim: usize) {
        self.running.retain(|&other| other != victim);
        self.waiting.insert(0, victim);
        let customer = &mut self.customers[victim];
        (customer.place, customer.computed, customer.blocks) = (Place::Waiting, 0, 0);
        customer.preemptions += 1;
    }

    fn admit_waiting(&mut self, decision: &mut Decision, budget: &mut u32, threshold: u32) {
        let limit = self.config.max_num_active_seqs.unwrap_or(self.config.max_num_seqs) as usize;
        while *budget > 0 && self.running.len() < limit {
            let head = match self.config.scheduling_policy {
                SchedulingPolicy::Fcfs => self.waiting.first(),
                SchedulingPolicy::Priority => self.waiting.iter().min_by_key(|&&i| self.customers[i].key),
            };
            let Some(&index) = head else { return };
            let wanted = self.customers[index].known().min(threshold);
            if !self.config.enable_chunked_prefill && wanted > *budget {
                return;
            }
            let tokens = wanted.min(*budget);
            if !self.allocate(index, tokens, true) {
                return;
            }
            self.waiting.retain(|&other| other != index);
            self.running.push(index);
            self.customers[index].place = Place::Running;
            self.customers[index].first_scheduled.get_or_insert(self.now);
            decision.rows.push((index, tokens, 0));
            *budget -= tokens;
        }
    }

    /// Section 4.
    fn allocate(&mut self, index: usize, tokens: u32, admission: bool) -> bool {
        let customer = &self.customers[index];
        let blocks_for = |tokens: u32| tokens.min(self.config.max_model_len).div_ceil(self.config.block_size);
        let more = |tokens: u32| blocks_for(tokens).saturating_sub(customer.blocks);
        let mut spare = 0;
        if admission && !self.running.is_empty() {
            spare = (self.config.watermark * f64::from(self.config.num_gpu_blocks)).floor() as u32;
        }
        let full = admission && self.config.scheduler_reserve_full_isl;
        let free = self.free_blocks();
        if full && more(customer.known()) + spare > free || more(customer.computed + tokens) + spare > free {
            return false;
        }
        self.customers[index].blocks += more(customer.computed + tokens);
        true
    }

    fn duration(&self, rows: &[(usize, u32, u32)]) -> u64 {
        let c = self.step_time;
        let of_row = |&(index, tokens, computed): &(usize, u32, u32)| {
            let (tokens, context) = (u64::from(tokens), u64::from(computed + tokens));
            let customer = &self.customers[index];
            let decodes = tokens == 1 && computed >= customer.prompt && computed + 1 == customer.known();
            let admission = if customer.computed == 0 && computed == 0 { c.per_new_seq_ps } else { 0 };
            admission
                + if decodes {
                    c.per_decode_seq_ps + c.per_decode_context_token_ps * context
                } else {
                    c.per_prefill_token_ps * tokens
                        + c.per_prefill_context_token_ps * context
                        + c.per_prefill_attention_ps * tokens * context
                }
        };
        if rows.is_empty() { 0 } else { c.base_ps + rows.iter().map(of_row).sum::<u64>() }
    }

    /// Section 8.
    fn update(&mut self, decision: &mut Decision) {
        for &(index, _, _) in &decision.rows {
            let customer = &mut self.customers[index];
            if customer.place == Place::Gone || customer.computed < customer.known() {
                continue;
            }
            customer.outputs += 1;
            customer.first_token.get_or_insert(self.now);
            if customer.known() >= self.config.max_model_len || customer.outputs >= customer.max_outputs {
                self.leave(index);
                decision.finished.push(index);
            }
        }
    }
}

impl Customer {
    fn known(&self) -> u32 {
        self.prompt + self.outputs
    }
}
