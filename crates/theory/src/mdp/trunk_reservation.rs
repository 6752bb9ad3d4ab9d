//! Trunk reservation: a loss system keeps its last servers for the class that pays more.

use super::smdp::{Action, Choice, Event, Smdp};
use crate::queueing::{QueueingError, Result};

/// A state each.
const MAX_SERVERS: u32 = 5_000;

/// `servers` of one rate and two classes of arrivals with rewards; who is refused is lost. The optimal rule accepts the
/// class that pays less only while enough servers are free (B. L. Miller, *Management Science* 16, 1969).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrunkReservation {
    /// Number of servers.
    pub servers: u32,
    /// Arrival rates of the two classes.
    pub lambda: [f64; 2],
    /// Service rate of both.
    pub mu: f64,
    /// Reward of an accepted customer of each class.
    pub reward: [f64; 2],
}

/// The optimal rule.
#[derive(Debug, Clone, PartialEq)]
pub struct TrunkPolicy {
    /// Free servers that are kept from the class that pays less.
    pub reserved_servers: u32,
    /// Long-run reward per unit of time.
    pub gain: f64,
}

impl TrunkReservation {
    /// Solves by relative value iteration.
    ///
    /// # Errors
    /// `mu` must be positive, at least one server, rates and rewards at least 0 with something to earn.
    pub fn optimum(&self) -> Result<TrunkPolicy> {
        self.check()?;
        let c = self.servers as usize;
        let states = (0..=c).map(|n| {
            let mut events: Vec<Event> = (0..2)
                .map(|class| {
                    let mut choices = vec![Choice { reward: 0.0, next: n }];
                    if n < c {
                        choices.push(Choice { reward: self.reward[class], next: n + 1 });
                    }
                    Event { rate: self.lambda[class], choices }
                })
                .collect();
            if n > 0 {
                let down = Choice { reward: 0.0, next: n - 1 };
                events.push(Event { rate: self.mu * n as f64, choices: vec![down] });
            }
            vec![Action { reward_rate: 0.0, events }]
        });
        let scale: f64 = self.lambda.iter().zip(self.reward).map(|(rate, reward)| rate * reward).sum();
        let solution = Smdp::new(states.collect())?.solve(1e-13 * scale)?;
        let lesser = usize::from(self.reward[1] <= self.reward[0]);
        let reward = self.reward[lesser];
        let accepts =
            |n: &usize| solution.worth(Choice { reward, next: n + 1 }) >= solution.values[*n] - 1e-9 * reward;
        let accepting = (0..c).take_while(accepts).count();
        Ok(TrunkPolicy { reserved_servers: (c - accepting) as u32, gain: solution.gain })
    }

    fn check(&self) -> Result<()> {
        let error = |name, value: String, must| QueueingError::Parameter { name, value, must };
        if self.servers == 0 || self.servers > MAX_SERVERS {
            return Err(error("c", self.servers.to_string(), "at least 1 and at most 5,000"));
        }
        if !(self.mu.is_finite() && self.mu > 0.0) {
            return Err(error("mu", self.mu.to_string(), "a finite number above 0"));
        }
        for (name, values) in [("lambda", self.lambda), ("r", self.reward)] {
            if values.iter().any(|value| !value.is_finite() || *value < 0.0)
                || values.iter().sum::<f64>() <= 0.0
            {
                return Err(error(name, format!("{values:?}"), "finite, at least 0, not all 0"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::TrunkReservation;
    use crate::queueing::BirthDeath;
    use proptest::prelude::*;

    /// Reward per unit of time with `reserved` servers kept for class 0: a birth-death chain.
    fn gain_of(system: &TrunkReservation, reserved: u32) -> f64 {
        let limit = system.servers - reserved;
        let second = |n: u32| if n < limit { system.lambda[1] } else { 0.0 };
        let births = (0..system.servers).map(|n| system.lambda[0] + second(n)).collect();
        let deaths = (1..=system.servers).map(|n| system.mu * f64::from(n)).collect();
        let chain = BirthDeath::new(births, deaths).unwrap();
        (0..system.servers)
            .map(|n| {
                let rate = system.lambda[0] * system.reward[0] + second(n) * system.reward[1];
                chain.probability(n as usize) * rate
            })
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn no_other_reservation_earns_more(
            servers in 1_u32..25, l0 in 0.5_f64..20.0, l1 in 0.5_f64..20.0, r0 in 1.0_f64..6.0,
        ) {
            let system = TrunkReservation { servers, lambda: [l0, l1], mu: 1.0, reward: [r0, 1.0] };
            let policy = system.optimum().unwrap();
            let best = (0..=servers).map(|reserved| gain_of(&system, reserved)).fold(0.0, f64::max);
            prop_assert!((policy.gain / best - 1.0).abs() < 1e-9, "{} {best}", policy.gain);
            prop_assert!((gain_of(&system, policy.reserved_servers) / best - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn equal_rewards_reserve_nothing() {
        let system = TrunkReservation { servers: 5, lambda: [4.0, 4.0], mu: 1.0, reward: [2.0, 2.0] };
        assert_eq!(system.optimum().unwrap().reserved_servers, 0);
        assert!(TrunkReservation { mu: 0.0, ..system }.optimum().is_err());
    }
}
