//! What latencies do not tell of the parameters that were matched to them.

use serde::Serialize;

use super::{Guess, Match};

/// A parameter whose standard error is more than this share of what its guess allowed was not told.
const TOLD: f64 = 0.8;
/// From this correlation on only a combination of two parameters was told.
const ALIKE: f64 = 0.95;

/// What the latencies do not tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Untold {
    /// Parameters that the latencies say little more of than the guess did: they stay near it.
    pub parameters: Vec<String>,
    /// Pairs of which the latencies tell a combination.
    pub alike: Vec<Alike>,
}

/// Two parameters that do nearly the same to the latencies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alike {
    /// Their names.
    pub parameters: [String; 2],
    /// Correlation of their estimates.
    pub correlation: f64,
}

impl Match {
    /// What is not told; `guesses` are those of the match.
    pub fn untold(&self, guesses: &[Guess]) -> Untold {
        let is_untold = |(found, guess): (&super::Matched, &Guess)| {
            let share = found.std_error / found.value / guess.spread.unwrap_or(1.0);
            (!share.is_finite() || share > TOLD).then(|| found.name.clone())
        };
        let parameters = self.parameters.iter().zip(guesses).filter_map(is_untold).collect();
        let mut alike = Vec::new();
        for (i, first) in self.parameters.iter().enumerate() {
            for (j, second) in self.parameters.iter().enumerate().skip(i + 1) {
                let correlation = self.covariance[i][j] / (first.std_error * second.std_error);
                if correlation.abs() >= ALIKE {
                    alike.push(Alike { parameters: [first.name.clone(), second.name.clone()], correlation });
                }
            }
        }
        Untold { parameters, alike }
    }

    /// Covariance of two parameters in their units; `None` if one of them was not matched.
    pub fn covariance_of(&self, first: &str, second: &str) -> Option<f64> {
        let place = |name: &str| self.parameters.iter().position(|parameter| parameter.name == name);
        Some(self.covariance[place(first)?][place(second)?])
    }
}
