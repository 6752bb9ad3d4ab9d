//! Requests that stop decoding for a while and keep their KV: the state of one that an engine skips.

use super::request::Stage;
use super::{Slot, State};

impl State {
    /// A request that decodes is left out of decode steps from the next one on; it keeps its blocks and its place.
    ///
    /// # Panics
    /// If it does not decode.
    pub fn hold(&mut self, slot: Slot) {
        let request = self.request(slot);
        assert_eq!(request.stage, Stage::Decoding, "request {} does not decode", request.index);
        self.part_decoding(slot);
    }

    /// It decodes again.
    ///
    /// # Panics
    /// If it was not held.
    pub fn resume(&mut self, slot: Slot) {
        assert!(self.is_held(slot), "request {} was not held", self.request(slot).index);
        // Its last decode step is another one now.
        self.renew_stamp(slot);
        self.join_decoding(slot);
    }

    /// Whether it could decode and does not.
    pub fn is_held(&self, slot: Slot) -> bool {
        let request = self.request(slot);
        request.stage == Stage::Prefilling && request.outputs > 0 && self.uncomputed(slot) == 1
    }
}
