//! Decoding in lockstep: requests that only decode are advanced together, and ended when their number comes up.
//!
//! In every engine of the zoo a step either gives a token to all requests that decode or to none. So a member is described by
//! the number of the decode step at which it joined, and a step costs what is decided in it, not what runs in it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use kendall_des::SimTime;

use super::Slot;
use super::request::{Request, Stage};

/// The requests that decode and what they add up to.
#[derive(Debug, Clone, Default)]
pub(super) struct Decoding {
    /// How many there are.
    pub rows: u64,
    /// Sum of the contexts that they will have after the next decode step.
    pub context: u64,
    /// Decode steps that were handed to the device, and those whose result is known: equal, or one less while one runs.
    pub launched: u64,
    pub landed: u64,
    /// When the last one ended.
    pub last_end: SimTime,
    /// Who joined since then: the gap before their next token is their own.
    pub newcomers: Vec<(Slot, u64)>,
    /// The number of everybody's last decode step, then of its admission. Who left before stays in here until then.
    ends: BinaryHeap<Reverse<(u64, u64, Slot)>>,
}

impl Decoding {
    /// Decode steps that a request took part in since it joined, of the first `count`.
    pub(super) fn steps_of(request: &Request, count: u64) -> u32 {
        if request.stage == Stage::Decoding { count.saturating_sub(request.joined) as u32 } else { 0 }
    }

    pub(super) fn join(&mut self, slot: Slot, request: &Request) {
        self.rows += 1;
        self.context += u64::from(request.computed) + 1;
        self.newcomers.push((slot, request.stamp));
        let last = self.launched + u64::from(request.output_tokens - request.outputs) - 1;
        self.ends.push(Reverse((last, request.stamp, slot)));
    }

    /// A request with so many computed tokens decodes no longer.
    pub(super) fn part(&mut self, request: &Request, computed: u32) {
        self.rows -= 1;
        // What runs has counted this step already.
        debug_assert_eq!(request.stage, Stage::Decoding);
        self.context -= u64::from(computed) + 1;
    }

    /// Whether an entry is about a request as it is now.
    fn is_current(requests: &[Request], slot: Slot, stamp: u64) -> bool {
        let request = &requests[slot as usize];
        request.stamp == stamp && request.stage == Stage::Decoding
    }

    /// The decode step in which the next member ends.
    pub(super) fn next_end(&mut self, requests: &[Request]) -> Option<u64> {
        while let Some(&Reverse((last, stamp, slot))) = self.ends.peek() {
            if Self::is_current(requests, slot, stamp) {
                return Some(last);
            }
            self.ends.pop();
        }
        None
    }

    /// The next member whose last token is known.
    pub(super) fn pop_ended(&mut self, requests: &[Request]) -> Option<Slot> {
        let last = self.next_end(requests)?;
        if last >= self.landed {
            return None;
        }
        self.ends.pop().map(|Reverse((_, _, slot))| slot)
    }

    /// Whether a newcomer is still there.
    pub(super) fn still_new(requests: &[Request], newcomer: (Slot, u64)) -> bool {
        Self::is_current(requests, newcomer.0, newcomer.1)
    }
}
