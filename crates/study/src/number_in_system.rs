//! How many requests are in the system over time, in few numbers however long the run is: what the drift test looks at.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::EngineGauges;
use kendall_theory::output::{Drift, NoInterval, drift_test};

/// Most instants that are kept; when there are so many, every other one is dropped.
const MOST: usize = 2_048;

/// A microsecond, nearly: no step is shorter.
const FIRST_SPACING: SimDuration = SimDuration::from_ps(1 << 20);

/// The number of waiting and running requests of all replicas at equally spaced instants.
#[derive(Debug, Clone)]
pub struct NumberInSystem {
    spacing: SimDuration,
    next: SimTime,
    /// At 0, `spacing`, 2 `spacing`, ...
    seen: Vec<u64>,
    replicas: Vec<u64>,
    now: u64,
    last_arrival: SimTime,
}

impl NumberInSystem {
    /// Nobody in it.
    pub fn new(replicas: u32) -> Self {
        Self {
            spacing: FIRST_SPACING,
            next: SimTime::ZERO + FIRST_SPACING,
            seen: vec![0],
            replicas: vec![0; replicas as usize],
            now: 0,
            last_arrival: SimTime::ZERO,
        }
    }

    /// A request that had arrived then has left.
    #[inline]
    pub fn departed(&mut self, arrival: SimTime) {
        self.last_arrival = self.last_arrival.max(arrival);
    }

    /// A replica's state changed.
    #[inline]
    pub fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        let level = u64::from(gauges.num_waiting) + u64::from(gauges.num_running);
        let before = std::mem::replace(&mut self.replicas[replica as usize], level);
        // Until now nothing has changed. Whether something does now nobody can predict, but that it is time to look is rare.
        if now > self.next && level != before {
            self.look_up_to(now);
        }
        self.now = self.now + level - before;
    }

    #[cold]
    fn look_up_to(&mut self, now: SimTime) {
        while now > self.next {
            self.seen.push(self.now);
            if self.seen.len() == MOST {
                self.seen = self.seen.iter().copied().step_by(2).collect();
                self.spacing = SimDuration::from_ps(self.spacing.as_ps().saturating_mul(2));
            }
            // Beyond the horizon there is nothing more to see.
            self.next = SimTime::from_ps(self.spacing.as_ps().saturating_mul(self.seen.len() as u64));
        }
    }

    /// Whether it grew, from the first arrival to the last one: after that it can only fall.
    ///
    /// # Errors
    /// [`NoInterval`] of a run too short to say.
    pub fn drift(&self, confidence: f64) -> Result<Drift, NoInterval> {
        let end = ((self.last_arrival - SimTime::ZERO).as_ps() / self.spacing.as_ps()) as usize + 1;
        let levels: Vec<f64> = self.seen.iter().take(end).map(|&level| level as f64).collect();
        drift_test(&levels, self.spacing.as_secs_f64(), confidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_millis(ms)
    }

    fn gauges(num_running: u32) -> EngineGauges {
        EngineGauges { num_waiting: 0, num_running, used_blocks: 0, held_blocks: 0, held_tokens: 0 }
    }

    /// One more every 10 ms for 100 s, then nobody: growth of 100 a second, whatever follows the last arrival.
    #[test]
    fn growth_is_seen_until_the_last_arrival() {
        let mut number = NumberInSystem::new(2);
        for i in 0..10_000_u32 {
            number.gauges(i % 2, at(u64::from(i) * 10), gauges(i / 2 + 1));
            number.departed(at(u64::from(i) * 10));
        }
        number.gauges(0, at(101_000), gauges(0));
        number.gauges(1, at(300_000), gauges(0));
        assert!(number.seen.len() < MOST);
        let drift = number.drift(0.95).expect("long enough");
        assert!(drift.grows && (drift.growth_per_s.mean - 100.0).abs() < 1.0, "{drift:?}");
        assert!(NumberInSystem::new(1).drift(0.95).is_err());
    }
}
