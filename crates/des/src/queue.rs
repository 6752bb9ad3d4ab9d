//! The event queue: a binary heap whose order is total, so that a run never depends on how a heap breaks ties.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::SimTime;

/// The rank of an event among events at the same instant; smaller comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phase(pub u64);

/// Future events in the order (time, phase, sequence).
///
/// The sequence number is the order of scheduling, so events that agree in time and phase come out first in, first
/// out. Popping advances the clock; nothing can be scheduled before it.
#[derive(Debug)]
pub struct EventQueue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    now: SimTime,
    next_sequence: u64,
}

#[derive(Debug)]
struct Entry<E> {
    key: (SimTime, Phase, u64),
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> EventQueue<E> {
    /// An empty queue with its clock at [`SimTime::ZERO`].
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), now: SimTime::ZERO, next_sequence: 0 }
    }

    /// The time of the last event popped.
    #[inline]
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Schedules `event` at `time`.
    ///
    /// # Panics
    /// If `time` is in the past (invariant 2: the clock never goes back).
    pub fn schedule(&mut self, time: SimTime, phase: Phase, event: E) {
        assert!(time >= self.now, "an event at {time} was scheduled when the clock stood at {}", self.now);
        let key = (time, phase, self.next_sequence);
        self.next_sequence += 1;
        self.heap.push(Reverse(Entry { key, event }));
    }

    /// Takes the next event and sets the clock to its time.
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        let Reverse(Entry { key: (time, _, _), event }) = self.heap.pop()?;
        self.now = time;
        Some((time, event))
    }

    /// When the next event is due, and its phase.
    #[inline]
    pub fn next_key(&self) -> Option<(SimTime, Phase)> {
        self.heap.peek().map(|Reverse(entry)| (entry.key.0, entry.key.1))
    }

    /// Something outside the queue happened: the clock stands at `time`.
    ///
    /// # Panics
    /// If `time` is in the past, or an event is due before.
    #[inline]
    pub fn advance_to(&mut self, time: SimTime) {
        let due = self.next_key().map(|(due, _)| due);
        assert!(
            time >= self.now && due.is_none_or(|due| time <= due),
            "the clock stood at {} and was set to {time}",
            self.now
        );
        self.now = time;
    }

    /// How many events are waiting.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no event is waiting.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SimDuration;

    proptest! {
        #[test]
        fn events_come_out_in_time_phase_sequence_order(keys in prop::collection::vec((0_u64..20, 0_u64..4), 0..200)) {
            let mut queue = EventQueue::new();
            for (sequence, &(time, phase)) in keys.iter().enumerate() {
                queue.schedule(SimTime::from_ps(time), Phase(phase), sequence);
            }
            let popped: Vec<_> =
                std::iter::from_fn(|| queue.pop()).map(|(time, i)| (time.as_ps(), keys[i].1, i)).collect();
            let mut expected: Vec<_> = keys.iter().enumerate().map(|(i, &(t, p))| (t, p, i)).collect();
            expected.sort_unstable();
            prop_assert_eq!(popped, expected);
        }
    }

    #[test]
    #[should_panic(expected = "was scheduled when the clock stood at")]
    fn the_past_is_closed() {
        let mut queue = EventQueue::new();
        queue.schedule(SimTime::ZERO + SimDuration::from_millis(1), Phase(0), ());
        queue.pop();
        queue.schedule(SimTime::ZERO, Phase(0), ());
    }
}
