//! Naor's queue: how long a line should society let grow?

use super::smdp::{Action, Choice, Event, Smdp};
use crate::queueing::{QueueingError, Result};

/// States of the iteration, whose time grows with their cube at loads near 1.
const MAX_STATES: usize = 2000;

/// M/M/1 with a reward for each service and a cost per customer and unit of time in system (P. Naor, *Econometrica* 37,
/// 1969). Domain: any load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NaorQueue {
    /// Arrival rate.
    pub lambda: f64,
    /// Service rate.
    pub mu: f64,
    /// Reward of one service.
    pub reward: f64,
    /// Cost of one customer in system per unit of time.
    pub holding_cost: f64,
}

/// The best rule for all together.
#[derive(Debug, Clone, PartialEq)]
pub struct NaorPolicy {
    /// Arrivals join while fewer than this many are in system.
    pub threshold: usize,
    /// Long-run net reward per unit of time.
    pub gain: f64,
}

impl NaorQueue {
    fn check(&self) -> Result<()> {
        for (name, value) in [
            ("lambda", self.lambda),
            ("mu", self.mu),
            ("reward", self.reward),
            ("holding_cost", self.holding_cost),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(QueueingError::Parameter {
                    name,
                    value: value.to_string(),
                    must: "a finite number above 0",
                });
            }
        }
        Ok(())
    }

    /// The line at which each would join for himself: `floor(reward mu / cost)`, himself included.
    ///
    /// # Errors
    /// All parameters must be positive.
    pub fn individual_threshold(&self) -> Result<f64> {
        self.check()?;
        let ratio = self.reward * self.mu / self.holding_cost;
        // A ratio that is an integer but for rounding is that integer.
        Ok((ratio * (1.0 + 4.0 * f64::EPSILON)).floor())
    }

    /// The social threshold in closed form: the largest `n` with `sum_(i<=n) (1 + rho + .. + rho^(i-1)) <= reward mu / cost`
    /// (Naor 1969, eq. 26, with the geometric sums written out).
    fn social_threshold(&self) -> usize {
        let ratio = self.reward * self.mu / self.holding_cost * (1.0 + 4.0 * f64::EPSILON);
        let rho = self.lambda / self.mu;
        let (mut power, mut line, mut total) = (1.0, 1.0, 1.0);
        let mut n = 0;
        while total <= ratio && n < MAX_STATES {
            n += 1;
            power *= rho;
            line += power;
            total += line;
        }
        n
    }

    /// The social optimum by relative value iteration, on two states more than Naor's threshold needs, so that the
    /// iteration is free to find another.
    ///
    /// # Errors
    /// All parameters must be positive, the threshold below 2000, and the iteration must converge.
    pub fn social_optimum(&self) -> Result<NaorPolicy> {
        self.check()?;
        let places = self.social_threshold() + 2;
        if places > MAX_STATES {
            return Err(QueueingError::NoConvergence {
                method: "Naor's relative value iteration",
                limit: format!("{MAX_STATES} states"),
            });
        }
        self.solve(places)
    }

    fn solve(&self, places: usize) -> Result<NaorPolicy> {
        let states = (0..=places).map(|n| {
            let stay = Choice { reward: 0.0, next: n };
            let mut join = vec![stay];
            if n < places {
                join.push(Choice { reward: self.reward, next: n + 1 });
            }
            let mut events = vec![Event { rate: self.lambda, choices: join }];
            if n > 0 {
                events.push(Event { rate: self.mu, choices: vec![Choice { reward: 0.0, next: n - 1 }] });
            }
            vec![Action { reward_rate: -self.holding_cost * n as f64, events }]
        });
        let scale = self.lambda.min(self.mu) * self.reward;
        let solution = Smdp::new(states.collect())?.solve(1e-12 * scale)?;
        let joins = |n: &usize| {
            let join = solution.worth(Choice { reward: self.reward, next: n + 1 });
            join >= solution.values[*n] - 1e-9 * self.reward
        };
        Ok(NaorPolicy { threshold: (0..places).take_while(joins).count(), gain: solution.gain })
    }
}

#[cfg(test)]
mod tests {
    use super::NaorQueue;
    use proptest::prelude::*;

    /// Net reward when arrivals join below `n`: a geometric law on `0..=n`.
    fn gain_of(queue: &NaorQueue, n: usize) -> f64 {
        let rho = queue.lambda / queue.mu;
        let weights: Vec<f64> = (0..=n).map(|k| libm::pow(rho, k as f64)).collect();
        let total: f64 = weights.iter().sum();
        let number: f64 = weights.iter().enumerate().map(|(k, w)| k as f64 * w).sum::<f64>() / total;
        queue.lambda * queue.reward * (1.0 - weights[n] / total) - queue.holding_cost * number
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        // No other threshold earns more, and society is never more eager than the individual (Naor 1969).
        #[test]
        fn the_iteration_finds_the_best_threshold(
            lambda in 0.1_f64..2.0, mu in 0.5_f64..2.0, reward in 1.0_f64..15.0, holding_cost in 0.3_f64..2.0,
        ) {
            let queue = NaorQueue { lambda, mu, reward, holding_cost };
            let individual = queue.individual_threshold().unwrap() as usize;
            let policy = queue.social_optimum().unwrap();
            let best = (0..=individual).map(|n| gain_of(&queue, n)).fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((policy.gain - best).abs() < 1e-8 * best.abs().max(1.0), "{} {best}", policy.gain);
            prop_assert!(policy.threshold <= individual);
            prop_assert!((gain_of(&queue, policy.threshold) - best).abs() < 1e-8);
        }
    }

    #[test]
    fn nobody_joins_what_costs_more_than_it_gives() {
        let queue = NaorQueue { lambda: 1.0, mu: 1.0, reward: 1.0, holding_cost: 3.0 };
        assert_eq!(queue.social_optimum().unwrap().threshold, 0);
        assert!(NaorQueue { mu: -1.0, ..queue }.social_optimum().is_err());
    }
}
