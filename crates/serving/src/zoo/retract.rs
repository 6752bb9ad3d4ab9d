//! Two ways out of the batch that not every engine has: back to the end of the queue, and with an error.

use super::request::Stage;
use super::{Rejection, Slot, State};

impl State {
    /// Throws a running request out to the back of the queue, where `kept` of its tokens stay in a cache. Its blocks are the
    /// policy's business, which has given them back.
    pub fn retract(&mut self, slot: Slot, kept: u32) {
        self.leave_batch(slot);
        let request = &mut self.requests[slot as usize];
        let computed = std::mem::take(&mut request.computed);
        request.stage = Stage::Waiting;
        request.life.num_lost_tokens += u64::from(computed - kept);
        request.life.recompute_until = request.life.recompute_until.max(computed);
        self.kv.remove_tokens(u64::from(computed));
        self.throw_out(slot);
        self.queue.push_back(slot, &self.requests[slot as usize]);
    }

    /// The server gives a running request up with an error. It leaves as soon as the policy has returned, which is then asked
    /// again: a policy that fails a request plans nothing else in the same call.
    pub fn fail(&mut self, slot: Slot, reason: Rejection) {
        self.requests[slot as usize].life.failure = Some(reason);
        self.failed.push(slot);
    }
}
