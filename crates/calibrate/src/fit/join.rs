//! Steps of a log and whole servers together: each tells what the other does not.

use super::{Fit, ParameterSource, Term};
use crate::matching::Match;

/// A coefficient below so many standard errors is not told by the steps: servers go far beyond a benchmark's batches, and an
/// error of it goes with them.
const TOLD: f64 = 10.0;

impl Fit {
    /// Whether the steps say what this term is: neither physics nor nothing, and not lost in its own standard error.
    pub fn tells(&self, term: Term) -> bool {
        let parameter = &self.parameters[term as usize];
        match parameter.source {
            ParameterSource::Given => true,
            ParameterSource::Data => {
                parameter.std_error_ps.is_none_or(|error| parameter.value_ps as f64 >= TOLD * error)
            }
            _ => false,
        }
    }

    /// This fit with the coefficients that were matched to whole servers in the place of its own. What servers and
    /// steps say is taken as independent. Names that are no coefficients stay in [`Fit::matched`] alone.
    #[must_use]
    pub fn with_matched(mut self, matched: Match) -> Self {
        let terms: Vec<Option<Term>> =
            matched.parameters.iter().map(|parameter| Term::from_key(&parameter.name)).collect();
        for (term, found) in terms.iter().zip(&matched.parameters) {
            let Some(term) = *term else { continue };
            let parameter = &mut self.parameters[term as usize];
            parameter.value_ps = libm::round(found.value.max(0.0)) as u64;
            parameter.std_error_ps = Some(found.std_error);
            parameter.source = ParameterSource::Matched;
            *term.of_mut(&mut self.coefficients) = parameter.value_ps;
            for other in 0..self.covariance_ps2.len() {
                self.covariance_ps2[term as usize][other] = 0.0;
                self.covariance_ps2[other][term as usize] = 0.0;
            }
        }
        for (i, first) in terms.iter().enumerate() {
            for (j, second) in terms.iter().enumerate() {
                if let (Some(first), Some(second)) = (*first, *second) {
                    self.covariance_ps2[first as usize][second as usize] = matched.covariance[i][j];
                }
            }
        }
        self.matched = Some(matched);
        self
    }
}
