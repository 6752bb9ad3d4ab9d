//! The batches whose results are to come: at most two, kept in place so that steps neither move nor allocate them.

use kendall_des::SimTime;

use crate::record::StepRecord;

use super::scheduler::SchedulerOutput;

/// A scheduled batch whose result has not been processed.
#[derive(Debug, Clone, Default)]
pub(super) struct Flight {
    pub batch: SchedulerOutput,
    pub end: SimTime,
    /// The step's record so far, where steps are recorded.
    pub record: Option<Box<StepRecord>>,
}

impl Flight {
    /// The number of its rows, if its result is one more token for members who all go on, and nobody records it.
    pub(super) fn rows_that_go_on(&self) -> Option<u64> {
        (self.batch.is_plain() && self.record.is_none()).then_some(self.batch.cohort.count)
    }
}

/// A queue of flights, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight {
    places: [Flight; 2],
    /// Where the oldest is, or would be; taken modulo 2 for the compiler, which need not check the bounds then.
    oldest: usize,
    len: usize,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn oldest(&self) -> Option<&Flight> {
        (self.len > 0).then(|| &self.places[self.oldest % 2])
    }

    pub(super) fn oldest_mut(&mut self) -> Option<&mut Flight> {
        (self.len > 0).then(|| &mut self.places[self.oldest % 2])
    }

    pub(super) fn newest(&self) -> Option<&Flight> {
        (self.len > 0).then(|| &self.places[(self.oldest + self.len - 1) % 2])
    }

    #[inline]
    pub(super) fn newest_mut(&mut self) -> Option<&mut Flight> {
        self.iter_mut().next_back()
    }

    /// The one before the newest.
    #[inline]
    pub(super) fn older(&self) -> Option<&Flight> {
        (self.len > 1).then(|| &self.places[self.oldest % 2])
    }

    #[inline]
    pub(super) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Flight> {
        let [first, second] = &mut self.places;
        let ordered = if self.oldest == 0 { [first, second] } else { [second, first] };
        ordered.into_iter().take(self.len)
    }

    /// The place of the next flight, and the flights before it.
    ///
    /// # Panics
    /// If there is no room.
    #[inline]
    pub(super) fn next_place(&mut self) -> (&mut Flight, impl Iterator<Item = &mut Flight>) {
        let [first, second] = &mut self.places;
        let (older, younger) = if self.oldest == 0 { (first, second) } else { (second, first) };
        match self.len {
            0 => (older, None.into_iter()),
            1 => (younger, Some(older).into_iter()),
            _ => panic!("two batches are in flight"),
        }
    }

    /// What was put in the next place is in flight.
    #[inline]
    pub(super) fn push(&mut self) {
        self.len += 1;
    }

    /// The oldest has landed; its vectors are used again.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.oldest = 1 - self.oldest;
        self.len -= 1;
    }
}
