//! The stochastic knapsack: whom to let into a shared memory.

use std::collections::BTreeMap;

use super::smdp::{Action, Choice, Event, Smdp, Solution};
use crate::queueing::{QueueingError, Result};

const MAX_STATES: usize = 200_000;

/// A class of customers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnapsackClass {
    /// Units of the capacity that one customer holds.
    pub size: u32,
    /// Arrival rate.
    pub lambda: f64,
    /// Service rate; every accepted customer is in service.
    pub mu: f64,
    /// Reward of an accepted customer.
    pub reward: f64,
}

/// Customers hold `size` of `capacity` units until served; which of those that fit are accepted? K. W. Ross and D. H. K. Tsang,
/// *IEEE Trans. Communications* 37, 1989. State: the number of each class present.
#[derive(Debug, Clone)]
pub struct StochasticKnapsack {
    classes: Vec<KnapsackClass>,
    states: Vec<Vec<u32>>,
    index: BTreeMap<Vec<u32>, usize>,
    capacity: u32,
}

/// The optimal rule.
#[derive(Debug, Clone)]
pub struct KnapsackPolicy {
    /// Long-run reward per unit of time.
    pub gain: f64,
    /// For each state (in lexicographic order) and class, whether an arrival is accepted; ties accept.
    pub accepts: Vec<Vec<bool>>,
}

impl StochasticKnapsack {
    /// # Errors
    /// Sizes must be at least 1, rates positive, rewards at least 0; at most 200,000 states.
    pub fn new(capacity: u32, classes: &[KnapsackClass]) -> Result<Self> {
        let error = |name, value: String, must| QueueingError::Parameter { name, value, must };
        if classes.is_empty() {
            return Err(error("size", "no class".into(), "at least one class"));
        }
        for class in classes {
            if class.size == 0 {
                return Err(error("size", "0".into(), "at least 1"));
            }
            for (name, value) in [("lam", class.lambda), ("mu", class.mu)] {
                if !(value.is_finite() && value > 0.0) {
                    return Err(error(name, value.to_string(), "a finite number above 0"));
                }
            }
            if !(class.reward.is_finite() && class.reward >= 0.0) {
                return Err(error("reward", class.reward.to_string(), "a finite number, at least 0"));
            }
        }
        let states = states(capacity, classes)?;
        let index = states.iter().cloned().enumerate().map(|(at, state)| (state, at)).collect();
        Ok(Self { classes: classes.to_vec(), states, index, capacity })
    }

    /// The states: numbers of each class that fit together.
    pub fn states(&self) -> &[Vec<u32>] {
        &self.states
    }

    /// Where an accepted arrival leads, if it fits.
    fn after_arrival(&self, state: &[u32], class: usize) -> Option<usize> {
        let mut next = state.to_vec();
        next[class] += 1;
        self.index.get(&next).copied()
    }

    fn events(&self, at: usize, state: &[u32]) -> Vec<Event> {
        let mut events = Vec::new();
        for (class, law) in self.classes.iter().enumerate() {
            let mut choices = vec![Choice { reward: 0.0, next: at }];
            if let Some(next) = self.after_arrival(state, class) {
                choices.push(Choice { reward: law.reward, next });
            }
            events.push(Event { rate: law.lambda, choices });
            if state[class] > 0 {
                // One customer fewer also fits: the state exists.
                let mut fewer = state.to_vec();
                fewer[class] -= 1;
                let choices = vec![Choice { reward: 0.0, next: self.index[&fewer] }];
                events.push(Event { rate: law.mu * f64::from(state[class]), choices });
            }
        }
        events
    }

    /// Solves by relative value iteration.
    ///
    /// # Errors
    /// When it does not converge.
    pub fn optimum(&self) -> Result<KnapsackPolicy> {
        let states = self.states.iter().enumerate();
        let actions =
            states.map(|(at, state)| vec![Action { reward_rate: 0.0, events: self.events(at, state) }]);
        let scale: f64 = self.classes.iter().map(|class| class.lambda * class.reward).sum();
        let solution = Smdp::new(actions.collect())?.solve(1e-12 * scale)?;
        let accepts = self.states.iter().enumerate().map(|(at, state)| self.accepted(&solution, at, state));
        Ok(KnapsackPolicy { gain: solution.gain, accepts: accepts.collect() })
    }

    fn accepted(&self, solution: &Solution, at: usize, state: &[u32]) -> Vec<bool> {
        let accept = |(class, law): (usize, &KnapsackClass)| {
            self.after_arrival(state, class).is_some_and(|next| {
                let worth = solution.worth(Choice { reward: law.reward, next });
                worth >= solution.values[at] - 1e-8 * law.reward
            })
        };
        self.classes.iter().enumerate().map(accept).collect()
    }

    /// Units of the capacity.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }
}

fn states(capacity: u32, classes: &[KnapsackClass]) -> Result<Vec<Vec<u32>>> {
    let mut states: Vec<(Vec<u32>, u32)> = vec![(Vec::new(), capacity)];
    for class in classes {
        let mut longer = Vec::new();
        for (state, left) in &states {
            for count in 0..=left / class.size {
                let mut next = state.clone();
                next.push(count);
                longer.push((next, left - count * class.size));
                if longer.len() > MAX_STATES {
                    return Err(QueueingError::Parameter {
                        name: "C",
                        value: capacity.to_string(),
                        must: "small enough for 200,000 states",
                    });
                }
            }
        }
        states = longer;
    }
    Ok(states.into_iter().map(|(state, _)| state).collect())
}

#[cfg(test)]
mod tests {
    use super::{KnapsackClass, StochasticKnapsack};
    use crate::mdp::TrunkReservation;
    use crate::queueing::{KaufmanRoberts, LossClass};

    fn class(size: u32, lambda: f64, mu: f64, reward: f64) -> KnapsackClass {
        KnapsackClass { size, lambda, mu, reward }
    }

    // Units of one size and rate: trunk reservation, whose state needs no classes.
    #[test]
    fn unit_sizes_are_trunk_reservation() {
        let knapsack =
            StochasticKnapsack::new(10, &[class(1, 6.0, 1.0, 5.0), class(1, 6.0, 1.0, 1.0)]).unwrap();
        let trunk = TrunkReservation { servers: 10, lambda: [6.0, 6.0], mu: 1.0, reward: [5.0, 1.0] };
        let (got, exact) = (knapsack.optimum().unwrap(), trunk.optimum().unwrap());
        assert!((got.gain - exact.gain).abs() < 1e-9, "{} {}", got.gain, exact.gain);
        assert_eq!(knapsack.states().len(), 66);
        for (state, accepts) in knapsack.states().iter().zip(&got.accepts) {
            let free = 10 - state.iter().sum::<u32>();
            assert_eq!(accepts[1], free > exact.reserved_servers, "{state:?}");
            assert_eq!(accepts[0], free > 0, "{state:?}");
        }
    }

    // Accepting whoever fits earns what Kaufman-Roberts says; the optimum earns no less.
    #[test]
    fn the_optimum_beats_complete_sharing() {
        let classes = [class(3, 3.0, 0.8, 1.0), class(8, 1.5, 0.4, 1.5)];
        let optimum = StochasticKnapsack::new(24, &classes).unwrap().optimum().unwrap().gain;
        let loss: Vec<_> = classes
            .iter()
            .map(|class| LossClass { load: class.lambda / class.mu, size: class.size })
            .collect();
        let sharing = KaufmanRoberts::new(24, &loss).unwrap();
        let shared: f64 = (0..2)
            .map(|k| classes[k].lambda * classes[k].reward * (1.0 - sharing.blocking(k).unwrap()))
            .sum();
        assert!(optimum > shared + 0.01, "{optimum} {shared}");
    }

    #[test]
    fn what_is_no_knapsack_is_refused() {
        assert!(StochasticKnapsack::new(5, &[]).is_err());
        assert!(StochasticKnapsack::new(5, &[class(0, 1.0, 1.0, 1.0)]).is_err());
        assert!(StochasticKnapsack::new(5, &[class(1, -1.0, 1.0, 1.0)]).is_err());
        assert!(StochasticKnapsack::new(4_000_000, &[class(1, 1.0, 1.0, 1.0)]).is_err());
    }
}
