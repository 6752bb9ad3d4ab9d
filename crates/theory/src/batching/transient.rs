//! A run that begins with an empty system and ends: the chain over the number inside, by uniformisation.
//!
//! The chain goes up at the rate of accepted arrivals of the stationary model and down such that its stationary law is that
//! model's: the model's levels as a birth-death chain. What a level means for the time to first token is the stationary
//! model's too; only how often arrivals find it is that of the run.

use crate::queueing::numeric::poisson_pmf;

/// Most products of a state and a uniformised step.
const MOST_WORK: f64 = 3e8;

/// A birth-death chain over 0, 1, ..., `deaths.len()`.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    /// Rates from 0, 1, ... up (1/s).
    pub births: Vec<f64>,
    /// Rates from 1, 2, ... down (1/s).
    pub deaths: Vec<f64>,
}

/// The number inside over a run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Law of the number inside at a moment of the run that is picked at random.
    pub mean_law: Vec<f64>,
    /// Mean time from the last arrival until the system is empty (s).
    pub drain_s: f64,
}

impl Counts {
    /// From a stationary law and the rates up: down at the rate that balances each cut. Levels that are never there end it.
    pub(super) fn balanced(law: &[f64], births: &[f64]) -> Self {
        let most = law.iter().take_while(|p| **p > 0.0).count().max(1);
        let deaths = (1..most).map(|n| births[n - 1] * law[n - 1] / law[n]).collect();
        Self { births: births[..most - 1].to_vec(), deaths }
    }

    /// From empty, over `horizon_s` of arrivals; `None` if that takes too many steps.
    pub(super) fn run(&self, horizon_s: f64) -> Option<Run> {
        let states = self.deaths.len() + 1;
        let up = |n: usize| self.births.get(n).copied().unwrap_or(0.0);
        let down = |n: usize| if n > 0 { self.deaths[n - 1] } else { 0.0 };
        let rate = (0..states).map(|n| up(n) + down(n)).fold(0.0, f64::max);
        let mean = rate * horizon_s;
        if !(mean > 0.0 && mean * (states as f64) < MOST_WORK) {
            return None;
        }
        let mut now = vec![0.0; states];
        now[0] = 1.0;
        let (mut mean_law, mut last_law) = (vec![0.0; states], vec![0.0; states]);
        let steps = (mean + 9.0 * mean.sqrt() + 40.0) as usize;
        // P(more jumps than k), from the far end: sums of positive terms.
        let mut more = vec![0.0; steps + 1];
        for k in (0..steps).rev() {
            more[k] = more[k + 1] + poisson_pmf(k + 1, mean);
        }
        for (k, &more_jumps) in more.iter().enumerate() {
            let here = if k == 0 { poisson_pmf(0, mean) } else { more[k - 1] - more_jumps };
            for n in 0..states {
                mean_law[n] += more_jumps / mean * now[n];
                last_law[n] += here.max(0.0) * now[n];
            }
            let mut next = vec![0.0; states];
            for (n, p) in now.iter().enumerate() {
                next[n] += p * (1.0 - (up(n) + down(n)) / rate);
                if n > 0 {
                    next[n - 1] += p * down(n) / rate;
                }
                if n + 1 < states {
                    next[n + 1] += p * up(n) / rate;
                }
            }
            now = next;
        }
        let total: f64 = mean_law.iter().sum();
        for p in &mut mean_law {
            *p /= total;
        }
        let mut until_empty = 0.0;
        let mut drain_s = 0.0;
        for (p, per_s) in last_law[1..].iter().zip(&self.deaths) {
            until_empty += 1.0 / per_s;
            drain_s += p * until_empty;
        }
        Some(Run { mean_law, drain_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queueing::Ctmc;

    fn chain() -> Counts {
        Counts { births: vec![1.3, 0.9, 0.4], deaths: vec![0.7, 1.1, 1.6] }
    }

    /// The mean over time is the integral of the transient law, here by Simpson's rule over the general chain's.
    #[test]
    fn the_mean_over_a_run_is_the_integral_of_the_transient_law() {
        let counts = chain();
        let mut rates = vec![vec![0.0; 4]; 4];
        for n in 0..3 {
            (rates[n][n + 1], rates[n + 1][n]) = (counts.births[n], counts.deaths[n]);
        }
        for (n, row) in rates.iter_mut().enumerate() {
            row[n] = -row.iter().sum::<f64>();
        }
        let general = Ctmc::new(&rates).unwrap();
        let (horizon_s, parts) = (2.5, 200);
        let mut integral = [0.0; 4];
        for i in 0..=parts {
            let weight = if i == 0 || i == parts { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
            let law = general.transient(0, horizon_s * f64::from(i) / f64::from(parts)).unwrap();
            integral.iter_mut().zip(&law).for_each(|(sum, p)| *sum += weight * p / (3.0 * f64::from(parts)));
        }
        let run = counts.run(horizon_s).unwrap();
        for (ours, exact) in run.mean_law.iter().zip(integral) {
            assert!((ours - exact).abs() < 1e-9, "{:?} {integral:?}", run.mean_law);
        }
    }

    #[test]
    fn a_long_run_has_the_stationary_law_and_a_run_of_no_length_none() {
        let counts = chain();
        let mut law = vec![1.0];
        for n in 0..3 {
            law.push(law[n] * counts.births[n] / counts.deaths[n]);
        }
        let total: f64 = law.iter().sum();
        for p in &mut law {
            *p /= total;
        }
        let balanced = Counts::balanced(&law, &[1.3, 0.9, 0.4, 0.2]);
        assert!(balanced.deaths.iter().zip(&counts.deaths).all(|(a, b)| (a - b).abs() < 1e-12));
        let run = balanced.run(1e5).unwrap();
        for (ours, exact) in run.mean_law.iter().zip(&law) {
            assert!((ours / exact - 1.0).abs() < 1e-4, "{:?} {law:?}", run.mean_law);
        }
        assert!(counts.run(0.0).is_none() && counts.run(f64::NAN).is_none() && counts.run(1e12).is_none());
    }
}
