//! From a plan to a step, and what happens when its result is known.

use kendall_des::{SimDuration, SimTime};

use crate::observe::Observer;
use crate::record::{RequestStatus, RowKind, StepRecord, StepRow};
use crate::step_time::BatchShape;

use super::decoding::Decoding;
use super::draft::Chunk;
use super::policy::Policy;
use super::replica::{Flight, ZooReplica};
use super::request::Stage;
use super::{Slot, State};

impl State {
    /// What the step-time model sees of the step that was put together, and what it takes beside that.
    pub(super) fn shape(&self) -> (BatchShape, SimDuration) {
        let draft = &self.draft;
        let mut shape = draft.padding;
        for chunk in &draft.chunks {
            shape.add_prefill(u64::from(chunk.tokens), u64::from(chunk.before + chunk.tokens));
            shape.new_seqs += u64::from(chunk.kind != RowKind::Running);
        }
        if draft.decode {
            shape.decode_seqs = self.decoding.rows + self.padding.rows;
            shape.decode_context_tokens = self.decoding.context + self.padding.context;
        }
        let in_batch = self.running().len() as u64 + self.padding.rows;
        shape.idle_seqs = in_batch - shape.prefill_seqs - shape.decode_seqs;
        (shape, draft.extra)
    }

    /// The step's decodes are handed to the device: their tokens take their places.
    pub(super) fn launch_decoding(&mut self) {
        if !self.draft.decode {
            return;
        }
        self.kv.take(self.kv.needed_at(self.decoding.launched));
        self.kv.add_tokens(self.decoding.rows);
        self.decoding.launched += 1;
        self.decoding.context += self.decoding.rows;
        self.padding.context += self.padding.rows;
    }

    /// The record of the step that was put together, without its outcome.
    pub(super) fn record_step(
        &self,
        replica: u32,
        step: u64,
        shape: BatchShape,
        prefill_delivers: bool,
    ) -> StepRecord {
        let number = |slot: Slot| self.request(slot).index;
        let decodes = |slot: &&Slot| self.draft.decode && self.request(**slot).stage == Stage::Decoding;
        let decode_row = |&slot: &Slot| StepRow {
            request: number(slot),
            num_tokens: 1,
            num_computed_tokens: self.computed(slot),
            kind: RowKind::Running,
            delivers: true,
            blocks: Vec::new(),
        };
        let chunk_row = |chunk: &Chunk| StepRow {
            request: number(chunk.slot),
            num_tokens: chunk.tokens,
            num_computed_tokens: chunk.before,
            kind: chunk.kind,
            delivers: chunk.is_last && prefill_delivers,
            blocks: Vec::new(),
        };
        let rows = self.running().iter().filter(decodes).map(decode_row);
        let gauges = self.gauges();
        StepRecord {
            replica,
            step,
            scheduled: self.now,
            start: self.now,
            end: self.now,
            rows: rows.chain(self.draft.chunks.iter().map(chunk_row)).collect(),
            preempted: self.draft.preempted.clone(),
            finished: Vec::new(),
            aborted: Vec::new(),
            num_waiting: gauges.num_waiting,
            num_running: gauges.num_running,
            free_blocks: self.kv.free_blocks() - if self.draft.decode { self.blocks_to_decode() } else { 0 },
            free_blocks_end: 0,
            shape,
        }
    }

    /// Books the time since the last account of a request that has no token yet: `alone` is what its own work in this step would
    /// have taken without others.
    fn account(&mut self, slot: Slot, alone: &BatchShape, context: u32, now: SimTime) {
        let life = &mut self.requests[slot as usize].life;
        let elapsed = life.elapsed(now);
        if context <= life.recompute_until {
            life.ttft.preemption += elapsed;
            return;
        }
        let own = self.step_time.step_time(alone).min(elapsed);
        life.ttft.prefill += own;
        life.ttft.interference += elapsed - own;
    }
}

impl ZooReplica {
    /// The result of a step is known at `now`. Returns whether it brought somebody a token.
    pub(super) fn land(&mut self, flight: &Flight, now: SimTime, observer: &mut impl Observer) -> bool {
        let mut delivered = false;
        if flight.decodes {
            delivered = self.land_decoding(now, observer);
        }
        let mut chunks = std::mem::take(&mut self.state.draft.chunks);
        for chunk in chunks.drain(..) {
            delivered |= self.land_chunk(chunk, now, observer);
        }
        self.state.draft.chunks = chunks;
        delivered
    }

    /// Everybody who decodes is given a token; whose last one it is leaves, in order of admission.
    fn land_decoding(&mut self, now: SimTime, observer: &mut impl Observer) -> bool {
        let state = &mut self.state;
        let before = state.decoding.last_end;
        state.decoding.landed += 1;
        state.decoding.last_end = now;
        let rows = state.decoding.rows;
        let mut newcomers = std::mem::take(&mut state.decoding.newcomers);
        newcomers.retain(|&newcomer| Decoding::still_new(&state.requests, newcomer));
        observer.token_gaps(now - before, rows - newcomers.len() as u64);
        for &(slot, _) in &newcomers {
            if state.request(slot).life.first_token.is_none() {
                let mut alone = BatchShape::default();
                let context = state.computed(slot);
                alone.add_decode(u64::from(context));
                state.account(slot, &alone, context, now);
            }
            if let Some(gap) = state.requests[slot as usize].life.deliver(now) {
                observer.token_gaps(gap, 1);
            }
        }
        newcomers.clear();
        state.decoding.newcomers = newcomers;
        while let Some(slot) = self.state.decoding.pop_ended(&self.state.requests) {
            self.finish(slot, now, observer);
        }
        rows > 0
    }

    /// Part of a prompt is computed; if it was the last, the request goes on to decode. Returns whether it brought a token.
    fn land_chunk(&mut self, chunk: Chunk, now: SimTime, observer: &mut impl Observer) -> bool {
        let Chunk { slot, stamp, tokens, before, is_last, kind } = chunk;
        let state = &mut self.state;
        let request = state.request(slot);
        // A client may have given up in the meantime.
        if request.stamp != stamp || request.stage != Stage::Prefilling {
            return false;
        }
        if request.life.first_token.is_none() {
            let mut alone = BatchShape::default();
            alone.add_prefill(u64::from(tokens), u64::from(before + tokens));
            alone.new_seqs = u64::from(kind != RowKind::Running);
            state.account(slot, &alone, before + tokens, now);
        }
        if !is_last {
            return false;
        }
        let delivers = self.policy.first_token_from_prefill();
        if delivers {
            let request = &mut state.requests[slot as usize];
            request.outputs += 1;
            state.queue.first_token(request);
            if let Some(gap) = request.life.deliver(now) {
                observer.token_gaps(gap, 1);
            }
            if request.outputs >= request.output_tokens {
                self.finish(slot, now, observer);
                return true;
            }
        }
        self.state.join_decoding(slot);
        delivers
    }

    fn finish(&mut self, slot: Slot, now: SimTime, observer: &mut impl Observer) {
        self.finished.push(self.state.request(slot).index);
        self.depart(slot, RequestStatus::Finished, now, observer);
    }
}
