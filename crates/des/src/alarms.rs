//! One alarm each for a fixed number of parties, the earliest first: for events that move again and again.
//!
//! A server that is often interrupted would leave a stale event in an [`EventQueue`](crate::EventQueue) each time. An alarm
//! is set anew instead. A tournament tree finds the earliest; setting one costs the logarithm of the number of parties.

use crate::SimTime;

/// Alarms of parties 0, 1, ..., each set or not.
#[derive(Debug, Clone)]
pub struct Alarms {
    /// `None` stands for "not set".
    times: Vec<Option<SimTime>>,
    /// Node `i` has the children `2 i` and `2 i + 1`; leaf `size + p` is party `p`; a node holds the winner below it.
    winners: Vec<u32>,
    size: usize,
}

impl Alarms {
    /// No alarm is set for any of `parties` parties.
    pub fn new(parties: u32) -> Self {
        let size = (parties as usize).next_power_of_two();
        let leaf = |node: usize| node.saturating_sub(size) as u32;
        let mut alarms = Self { times: vec![None; size], winners: (0..2 * size).map(leaf).collect(), size };
        for node in (1..size).rev() {
            alarms.play(node);
        }
        alarms
    }

    /// Sets the alarm of a party, in place of the one it had; `None` takes it away.
    ///
    /// # Panics
    /// If there is no such party.
    #[inline]
    pub fn set(&mut self, party: u32, time: Option<SimTime>) {
        self.times[party as usize] = time;
        let mut node = self.size + party as usize;
        while node > 1 {
            node /= 2;
            self.play(node);
        }
    }

    /// The earliest alarm and its party; of equal ones that of the smallest number.
    #[inline]
    pub fn next(&self) -> Option<(SimTime, u32)> {
        let party = if self.size == 1 { 0 } else { self.winners[1] };
        self.times[party as usize].map(|time| (time, party))
    }

    #[inline]
    fn play(&mut self, node: usize) {
        let [left, right] = [self.winners[2 * node], self.winners[2 * node + 1]];
        let key = |party: u32| self.times[party as usize].map_or((true, SimTime::MAX), |time| (false, time));
        self.winners[node] = if key(right) < key(left) { right } else { left };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_earliest_alarm_comes_first(parties in 1_u32..20, changes in prop::collection::vec((0_u32..20, prop::option::of(0_u64..9)), 0..60)) {
            let mut alarms = Alarms::new(parties);
            let mut naive = vec![None; parties as usize];
            for (party, time) in changes {
                let party = party % parties;
                let time = time.map(SimTime::from_ps);
                alarms.set(party, time);
                naive[party as usize] = time;
                let earliest = naive.iter().zip(0..).filter_map(|(time, party)| time.map(|time| (time, party))).min();
                prop_assert_eq!(alarms.next(), earliest);
            }
        }
    }
}
