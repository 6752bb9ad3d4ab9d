//! How many replications for a precision: go on until the interval is narrow enough.

use super::interval::{Interval, t_interval};

/// Fewer replications tell too little of their own spread to stop on. Law & Kelton, section 9.4.1.
pub const FEWEST_REPLICATIONS: usize = 10;

/// Whether a sequential experiment may stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stopping {
    /// Precise enough.
    Stop(Interval),
    /// Make so many replications in all, then ask again.
    Continue {
        /// Replications in all, by the spread so far: more than there are now, at most twice as many.
        replications: usize,
    },
    /// A mean of 0, or a value that is not finite: no relative precision can be reached.
    Impossible,
}

/// The rule for a relative half-width of `precision` (0.05 for 5 %): stop at `half_width / mean <= g / (1 + g)`.
///
/// The smaller bound makes the relative error *of the true mean* at most g with the stated confidence. Law & Kelton,
/// section 9.4.1; Law, Kelton & Koenig (1981).
pub fn sequential_stopping(values: &[f64], precision: f64, confidence: f64) -> Stopping {
    if values.iter().any(|x| !x.is_finite()) || !(precision > 0.0 && precision.is_finite()) {
        return Stopping::Impossible;
    }
    if values.len() < FEWEST_REPLICATIONS {
        return Stopping::Continue { replications: FEWEST_REPLICATIONS };
    }
    let Some(interval) = t_interval(values, confidence) else { return Stopping::Impossible };
    let Some(relative) = interval.relative_half_width() else { return Stopping::Impossible };
    let bound = precision / (1.0 + precision);
    if relative <= bound {
        return Stopping::Stop(interval);
    }
    // The half-width falls as the square root. Never more than double: the spread is known badly at first.
    let now = values.len();
    let factor = (relative / bound) * (relative / bound);
    let replications = (now as f64 * factor.min(2.0)).ceil() as usize;
    Stopping::Continue { replications: replications.max(now + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_the_corrected_bound() {
        let values: Vec<f64> = (0..10).map(|i| 100.0 + f64::from(i)).collect();
        let relative = t_interval(&values, 0.95).unwrap().relative_half_width().unwrap();
        let reached = relative / (1.0 - relative);
        assert!(matches!(sequential_stopping(&values, reached * 1.000_001, 0.95), Stopping::Stop(_)));
        // A precision equal to the half-width itself is not enough.
        assert_eq!(sequential_stopping(&values, relative, 0.95), Stopping::Continue { replications: 11 });
        assert_eq!(sequential_stopping(&values, 1e-6, 0.95), Stopping::Continue { replications: 20 });
    }

    #[test]
    fn starts_with_ten_and_gives_up_on_nothing() {
        assert_eq!(sequential_stopping(&[1.0, 1.0], 0.5, 0.95), Stopping::Continue { replications: 10 });
        assert_eq!(sequential_stopping(&[0.0; 10], 0.5, 0.95), Stopping::Impossible);
        assert_eq!(sequential_stopping(&[f64::NAN; 10], 0.5, 0.95), Stopping::Impossible);
        assert_eq!(sequential_stopping(&[1.0; 10], 0.0, 0.95), Stopping::Impossible);
    }
}
