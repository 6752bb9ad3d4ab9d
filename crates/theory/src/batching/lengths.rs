//! Laws of token counts: any distribution on 1, 2, 3, ... as a table of probabilities.

use thiserror::Error;

/// Probabilities of the lengths 1, 2, ..., up to a largest one.
#[derive(Debug, Clone, PartialEq)]
pub struct LengthLaw {
    /// `mass[i]` is the probability of `i` tokens; `mass[0]` is zero.
    mass: Vec<f64>,
    mean: f64,
    mean_square: f64,
    scv: f64,
}

/// Probabilities or parameters that describe no law of token counts.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LengthLawError {
    /// A weight is negative or not finite, or all are zero.
    #[error("length law: weight {value} of {tokens} tokens; give finite weights >= 0 that are not all zero")]
    Weight {
        /// The length that carries the weight (tokens); 0 if all weights are zero.
        tokens: usize,
        /// The weight.
        value: f64,
    },
    /// A parameter of a family is out of its range.
    #[error("length law: {name} = {value}; give {range}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
}

impl LengthLaw {
    /// A law from weights: `weights[i]` belongs to `i + 1` tokens. They are scaled to sum to one.
    ///
    /// # Errors
    /// A weight that is negative or not finite, or no positive weight.
    pub fn from_weights(weights: &[f64]) -> Result<Self, LengthLawError> {
        for (i, &value) in weights.iter().enumerate() {
            if !(value.is_finite() && value >= 0.0) {
                return Err(LengthLawError::Weight { tokens: i + 1, value });
            }
        }
        let total: f64 = weights.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return Err(LengthLawError::Weight { tokens: 0, value: total });
        }
        let largest = weights.iter().rposition(|&w| w > 0.0).map_or(0, |i| i + 1);
        let mut mass = Vec::with_capacity(largest + 1);
        mass.push(0.0);
        mass.extend(weights[..largest].iter().map(|w| w / total));
        let expect =
            |of: &dyn Fn(f64) -> f64| -> f64 { mass.iter().enumerate().map(|(k, p)| p * of(k as f64)).sum() };
        let mean = expect(&|k| k);
        let (mean_square, scv) = (expect(&|k| k * k), expect(&|k| (k - mean) * (k - mean)) / (mean * mean));
        Ok(Self { mass, mean, mean_square, scv })
    }

    /// `max(1, floor(X))` with `ln X` normal of mean `ln median` and deviation `sigma`; longer ones have `largest` tokens.
    ///
    /// # Errors
    /// `median` or `sigma` not positive, or `largest` zero.
    pub fn floored_lognormal(median: f64, sigma: f64, largest: usize) -> Result<Self, LengthLawError> {
        positive("median", median)?;
        positive("sigma", sigma)?;
        let upper_tail = |x: f64| {
            let z = (libm::log(x) - libm::log(median)) / sigma;
            0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)
        };
        Self::from_upper_tail(|k| if k <= 1 { 1.0 } else { upper_tail(k as f64) }, largest)
    }

    /// Geometric on 1, 2, ... with this mean; longer ones have `largest` tokens.
    ///
    /// # Errors
    /// `mean` below 1 or not finite, or `largest` zero.
    pub fn geometric(mean: f64, largest: usize) -> Result<Self, LengthLawError> {
        if !(mean.is_finite() && mean >= 1.0) {
            let range = "a finite mean >= 1 token";
            return Err(LengthLawError::Parameter { name: "mean", value: mean, range });
        }
        let go_on = 1.0 - 1.0 / mean;
        Self::from_upper_tail(|k| libm::pow(go_on, k.saturating_sub(1) as f64), largest)
    }

    /// Always this many tokens.
    ///
    /// # Errors
    /// Zero tokens.
    pub fn constant(tokens: usize) -> Result<Self, LengthLawError> {
        Self::uniform(tokens, tokens)
    }

    /// Each length from `smallest` to `largest` alike.
    ///
    /// # Errors
    /// `smallest` zero or above `largest`.
    pub fn uniform(smallest: usize, largest: usize) -> Result<Self, LengthLawError> {
        if smallest == 0 || smallest > largest {
            let range = "1 <= smallest <= largest";
            return Err(LengthLawError::Parameter { name: "smallest", value: smallest as f64, range });
        }
        let mut weights = vec![0.0; largest];
        weights[smallest - 1..].fill(1.0);
        Self::from_weights(&weights)
    }

    /// From `P(X >= k)`, which must not increase. What lies above `largest` is put there, as a cap on lengths does.
    fn from_upper_tail(at_least: impl Fn(usize) -> f64, largest: usize) -> Result<Self, LengthLawError> {
        let mass = |k: usize| at_least(k) - if k < largest { at_least(k + 1) } else { 0.0 };
        let weights: Vec<f64> = (1..=largest).map(mass).collect();
        Self::from_weights(&weights)
    }

    /// Probability of `tokens` tokens.
    pub fn probability(&self, tokens: usize) -> f64 {
        self.mass.get(tokens).copied().unwrap_or_default()
    }

    /// Probabilities, by number of tokens from 0.
    pub fn masses(&self) -> &[f64] {
        &self.mass
    }

    /// The largest length that occurs (tokens).
    pub fn largest(&self) -> usize {
        self.mass.len() - 1
    }

    /// The smallest length that occurs (tokens).
    pub fn smallest(&self) -> usize {
        self.mass.iter().position(|&p| p > 0.0).unwrap_or(0)
    }

    /// Mean of a function of the length.
    pub fn expect(&self, of: impl Fn(f64) -> f64) -> f64 {
        self.mass.iter().enumerate().map(|(k, p)| p * of(k as f64)).sum()
    }

    /// Mean (tokens).
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Mean square (tokens squared).
    pub fn mean_square(&self) -> f64 {
        self.mean_square
    }

    /// Variance over squared mean.
    pub fn scv(&self) -> f64 {
        self.scv
    }
}

fn positive(name: &'static str, value: f64) -> Result<(), LengthLawError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(LengthLawError::Parameter { name, value, range: "a finite value > 0" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_their_moments() {
        let geometric = LengthLaw::geometric(20.0, 5000).unwrap();
        assert!((geometric.mean() - 20.0).abs() < 1e-9);
        assert!((geometric.scv() - 0.95).abs() < 1e-9, "scv of a geometric law is 1 - 1/mean");
        let uniform = LengthLaw::uniform(3, 8).unwrap();
        assert!((uniform.mean() - 5.5).abs() < 1e-12);
        assert!((uniform.scv() - 35.0 / 12.0 / 30.25).abs() < 1e-12);
        assert_eq!(LengthLaw::constant(7).unwrap().largest(), 7);
        // The study's workload: E[P] = 297.30 and E[G] = 163.04 tokens, with squared variations 0.354 and 0.636.
        let prompt = LengthLaw::floored_lognormal(256.0, 0.55, 16384).unwrap();
        let output = LengthLaw::floored_lognormal(128.0, 0.70, 16384).unwrap();
        assert!((prompt.mean() - 297.30).abs() < 0.01 && (prompt.scv() - 0.354).abs() < 1e-3);
        assert!((output.mean() - 163.04).abs() < 0.01 && (output.scv() - 0.636).abs() < 1e-3);
    }

    #[test]
    fn what_is_no_law_is_refused() {
        assert!(LengthLaw::from_weights(&[]).is_err());
        assert!(LengthLaw::from_weights(&[0.0, 0.0]).is_err());
        let told = LengthLaw::from_weights(&[1.0, -2.0]).unwrap_err().to_string();
        assert!(told.contains("-2 of 2 tokens"), "{told}");
        assert!(LengthLaw::floored_lognormal(0.0, 1.0, 10).is_err());
        assert!(LengthLaw::floored_lognormal(10.0, 1.0, 0).is_err());
        assert!(LengthLaw::geometric(0.5, 10).is_err());
        assert!(LengthLaw::uniform(5, 4).is_err());
    }
}
