//! Invariants 3 and 4, checked on one engine between two steps.

use super::request::Stage;
use super::{Slot, State};

impl State {
    /// Checks invariants 3 and 4 between two steps: requests, tokens and blocks add up.
    pub(super) fn check(&self) -> Result<(), String> {
        let count = |stage| self.slots().filter(|&slot| self.request(slot).stage == stage).count();
        let running = count(Stage::Prefilling) + count(Stage::Decoding);
        if running != self.running().len() || count(Stage::Decoding) as u64 != self.decoding.rows {
            return Err(format!("{running} requests run, {} are listed", self.running().len()));
        }
        if count(Stage::Waiting) != self.queue.len() || count(Stage::SwappedOut) != self.swapped().len() {
            return Err(format!("{} requests are in the queue, which is wrong", self.queue.len()));
        }
        let in_memory = |&slot: &Slot| self.request(slot).stage != Stage::SwappedOut;
        let tokens: u64 = self.slots().filter(in_memory).map(|slot| u64::from(self.computed(slot))).sum();
        if tokens != self.kv.held_tokens() {
            return Err(format!("{} held tokens are counted, requests hold {tokens}", self.kv.held_tokens()));
        }
        let of_requests: u64 = self.slots().filter(in_memory).map(|slot| u64::from(self.blocks(slot))).sum();
        let blocks = of_requests + u64::from(self.padding.blocks);
        if blocks != self.kv.held_blocks() || self.kv.used_blocks() > self.kv.num_blocks() {
            return Err(format!("{} held blocks are counted, requests hold {blocks}", self.kv.held_blocks()));
        }
        let context: u64 = self
            .running()
            .iter()
            .filter(|&&slot| self.request(slot).stage == Stage::Decoding)
            .map(|&slot| u64::from(self.computed(slot)) + 1)
            .sum();
        if context != self.decoding.context {
            return Err(format!(
                "a context of {} is counted, requests have {context}",
                self.decoding.context
            ));
        }
        Ok(())
    }
}
