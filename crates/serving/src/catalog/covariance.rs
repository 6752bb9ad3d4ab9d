//! How far the parameters of a calibrated profile may be off, together: their covariance.

use serde::{Deserialize, Serialize};

use super::profile::Profile;

/// The key of the front end among the parameters.
const FRONT_END: &str = "front_end_overhead_ms";
/// That of tokenising.
const TOKENISING: &str = "tokenising_us_per_token";

/// Covariance of the estimated parameters of a profile; parameters that are not named are taken as exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covariance {
    /// Keys of the profile: coefficients or factors, `front_end_overhead_ms`, `tokenising_us_per_token`.
    pub parameters: Vec<String>,
    /// Covariances in the units of the keys (ps, ms, us), row by row.
    pub matrix: Vec<Vec<f64>>,
}

impl Covariance {
    /// Checks that keys are those of the profile and the matrix is square, symmetric, finite and without a negative variance.
    ///
    /// # Errors
    /// What does not hold, in words.
    pub fn check(&self, profile: &Profile) -> Result<(), String> {
        let n = self.parameters.len();
        let mut profile = profile.clone();
        for key in &self.parameters {
            if slot(&mut profile, key).is_none() {
                return Err(format!("covariance.parameters: \"{key}\" is no parameter of a profile"));
            }
        }
        if self.matrix.len() != n || self.matrix.iter().any(|row| row.len() != n) {
            return Err(format!(
                "covariance.matrix: expected {n} rows of {n} numbers, one for each parameter"
            ));
        }
        for i in 0..n {
            for j in 0..n {
                let (here, there) = (self.matrix[i][j], self.matrix[j][i]);
                if !here.is_finite() || (here - there).abs() > 1e-6 * here.abs().max(there.abs()) {
                    return Err(format!(
                        "covariance.matrix: {here} in row {i}, column {j}: it must be symmetric and finite"
                    ));
                }
            }
            if self.matrix[i][i] < 0.0 {
                return Err(format!(
                    "covariance.matrix: {} in row {i}: a variance is not negative",
                    self.matrix[i][i]
                ));
            }
        }
        Ok(())
    }

    /// The profile with its parameters moved by a normal draw with this covariance, `standard` being independent standard
    /// normals, as many as parameters. What would become negative becomes zero, and a factor at least a hundredth.
    pub fn shift(&self, standard: &[f64], profile: &Profile) -> Profile {
        let root = lower_root(&self.matrix);
        let mut moved = profile.clone();
        for (key, row) in self.parameters.iter().zip(&root) {
            let by: f64 = row.iter().zip(standard).map(|(weight, normal)| weight * normal).sum();
            match slot(&mut moved, key) {
                Some(Slot::Ps(ps)) => *ps = libm::round((*ps as f64 + by).max(0.0)) as u64,
                Some(Slot::Time(time)) => *time = (*time + by).max(0.0),
                Some(Slot::Factor(factor)) => *factor = (*factor + by).clamp(0.01, 100.0),
                None => {}
            }
        }
        moved
    }
}

/// Lower triangular `l` with `l * transpose(l)` equal to the matrix (Cholesky). Where the matrix is singular, or by rounding
/// not quite positive, that direction does not vary.
fn lower_root(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    const SINGULAR: f64 = 1e-12;
    let n = matrix.len();
    let mut root = vec![vec![0.0; n]; n];
    for j in 0..n {
        let known: f64 = (0..j).map(|k| root[j][k] * root[j][k]).sum();
        let rest = matrix[j][j] - known;
        if rest <= SINGULAR * matrix[j][j] {
            continue;
        }
        root[j][j] = libm::sqrt(rest);
        for i in j + 1..n {
            let known: f64 = (0..j).map(|k| root[i][k] * root[j][k]).sum();
            root[i][j] = (matrix[i][j] - known) / root[j][j];
        }
    }
    root
}

impl Profile {
    /// Sets a parameter by its key among those of a [`Covariance`], in its unit (ps, ms, us, factors); coefficients are
    /// rounded to whole picoseconds. Returns whether the profile has such a parameter.
    pub fn set(&mut self, key: &str, value: f64) -> bool {
        match slot(self, key) {
            Some(Slot::Ps(ps)) => *ps = libm::round(value.max(0.0)) as u64,
            Some(Slot::Time(slot) | Slot::Factor(slot)) => *slot = value,
            None => return false,
        }
        true
    }
}

/// A parameter in its unit.
enum Slot<'a> {
    Ps(&'a mut u64),
    /// In the unit of its key.
    Time(&'a mut f64),
    Factor(&'a mut f64),
}

fn slot<'a>(profile: &'a mut Profile, key: &str) -> Option<Slot<'a>> {
    if key == FRONT_END {
        return Some(Slot::Time(&mut profile.front_end_overhead_ms));
    }
    if key == TOKENISING {
        return Some(Slot::Time(&mut profile.tokenising_us_per_token));
    }
    if let Some(corrections) = &mut profile.corrections {
        return corrections.get_mut(key).map(Slot::Factor);
    }
    let coefficients = profile.coefficients.as_mut()?;
    Some(Slot::Ps(match key {
        "base_ps" => &mut coefficients.base_ps,
        "per_prefill_token_ps" => &mut coefficients.per_prefill_token_ps,
        "per_prefill_context_token_ps" => &mut coefficients.per_prefill_context_token_ps,
        "per_prefill_attention_ps" => &mut coefficients.per_prefill_attention_ps,
        "per_decode_seq_ps" => &mut coefficients.per_decode_seq_ps,
        "per_decode_context_token_ps" => &mut coefficients.per_decode_context_token_ps,
        "per_new_seq_ps" => &mut coefficients.per_new_seq_ps,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step_time::LinearCoefficients;

    fn covariance(matrix: Vec<Vec<f64>>) -> Covariance {
        Covariance { parameters: vec!["base_ps".into(), FRONT_END.into()], matrix }
    }

    fn profile(base_ps: u64) -> Profile {
        let mut profile = crate::catalog::profiles()[0].clone();
        profile.coefficients = Some(LinearCoefficients { base_ps, ..LinearCoefficients::default() });
        (profile.corrections, profile.front_end_overhead_ms) = (None, 10.0);
        profile
    }

    fn moved(by: &Covariance, standard: &[f64], base_ps: u64) -> (u64, f64) {
        let moved = by.shift(standard, &profile(base_ps));
        (moved.coefficients.expect("linear").base_ps, moved.front_end_overhead_ms)
    }

    #[test]
    fn a_draw_has_the_covariance_that_was_asked_for() {
        let given = covariance(vec![vec![4e10, -3e5], vec![-3e5, 9.0]]);
        given.check(&profile(1)).expect("a covariance");
        let root = lower_root(&given.matrix);
        for i in 0..2 {
            for j in 0..2 {
                let product: f64 = (0..2).map(|k| root[i][k] * root[j][k]).sum();
                assert!((product - given.matrix[i][j]).abs() <= 1e-9 * given.matrix[i][j].abs());
            }
        }
        let (base_ps, front_end_ms) = moved(&given, &[1.0, 0.0], 1_000_000);
        assert_eq!(base_ps, 1_200_000);
        assert!((front_end_ms - 8.5).abs() < 1e-12);
        // Nothing becomes negative.
        let (base_ps, front_end_ms) = moved(&given, &[-9.0, -9.0], 1_000_000);
        assert!(base_ps == 0 && front_end_ms >= 0.0);
    }

    #[test]
    fn a_singular_covariance_moves_in_the_direction_that_it_has() {
        let given = covariance(vec![vec![1e6, 1e3], vec![1e3, 1.0]]);
        let (base_ps, front_end_ms) = moved(&given, &[2.0, 7.0], 5_000);
        assert!(base_ps == 7_000 && (front_end_ms - 12.0).abs() < 1e-12);
    }

    #[test]
    fn parameters_are_set_by_their_keys() {
        let mut linear = profile(1);
        assert!(linear.set("base_ps", 7.6e9 + 0.4) && linear.set(FRONT_END, 6.5));
        assert_eq!(linear.coefficients.expect("linear").base_ps, 7_600_000_000);
        assert!((linear.front_end_overhead_ms - 6.5).abs() < 1e-12);
        assert!(!linear.set("fixed", 1.0), "a linear profile has no factors");
        (linear.coefficients, linear.corrections) =
            (None, Some(crate::step_time::roofline::Corrections::default()));
        assert!(linear.set("tokens", 1.25) && !linear.set("base_ps", 1.0));
        assert!((linear.corrections.expect("factors").tokens - 1.25).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        for (matrix, word) in [
            (vec![vec![1.0]], "2 rows"),
            (vec![vec![1.0, 0.5], vec![0.2, 1.0]], "symmetric"),
            (vec![vec![-1.0, 0.0], vec![0.0, 1.0]], "negative"),
            (vec![vec![f64::NAN, 0.0], vec![0.0, 1.0]], "finite"),
        ] {
            let error = covariance(matrix).check(&profile(1)).expect_err("no covariance");
            assert!(error.contains(word), "{error}");
        }
        let mut unknown = covariance(vec![vec![1.0, 0.0], vec![0.0, 1.0]]);
        unknown.parameters[0] = "base".into();
        assert!(unknown.check(&profile(1)).expect_err("no such key").contains("\"base\""));
    }
}
