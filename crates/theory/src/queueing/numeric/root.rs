//! Roots of monotone functions and quantiles of tails.

use crate::queueing::error::{QueueingError, Result, level};

const MAX_STEPS: u32 = 200;

/// The root of `f` between `low` and `high`, where it changes sign: bisection with inverse quadratic interpolation
/// where that is safe (T. R. Chandrupatla, *Advances in Engineering Software* 28, 1997). Precise to the last bits.
pub(crate) fn root(f: impl Fn(f64) -> f64, low: f64, high: f64) -> Result<f64> {
    // Points as (argument, value): the newest, and one on the other side of the root.
    let mut other = (low, f(low));
    let mut newest = (high, f(high));
    if other.1 == 0.0 || newest.1 == 0.0 {
        return Ok(if other.1 == 0.0 { low } else { high });
    }
    if newest.1.is_nan() || other.1.is_nan() || newest.1.signum() * other.1.signum() > 0.0 {
        return Err(no_root());
    }
    let mut part = 0.5;
    for _ in 0..MAX_STEPS {
        let argument = newest.0 + part * (other.0 - newest.0);
        let next = (argument, f(argument));
        if next.1.is_nan() {
            return Err(no_root());
        }
        let replaced = if next.1.signum() * newest.1.signum() > 0.0 {
            newest
        } else {
            std::mem::replace(&mut other, newest)
        };
        newest = next;
        let best = if newest.1.abs() < other.1.abs() { newest } else { other };
        let tolerance = f64::EPSILON * best.0.abs();
        let width = (other.0 - newest.0).abs();
        if best.1 == 0.0 || width <= (2.0 * tolerance).max(f64::MIN_POSITIVE) {
            return Ok(best.0);
        }
        let least = tolerance / width;
        part = interpolated(newest, other, replaced).unwrap_or(0.5).clamp(least, 1.0 - least);
    }
    Err(no_root())
}

/// Chandrupatla's test and step: how far from `newest` to `other` inverse quadratic interpolation puts the root, if it
/// can be trusted.
fn interpolated(newest: (f64, f64), other: (f64, f64), replaced: (f64, f64)) -> Option<f64> {
    let ((a, fa), (b, fb), (c, fc)) = (newest, other, replaced);
    let xi = (a - b) / (c - b);
    let phi = (fa - fb) / (fc - fb);
    let trusted = phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi;
    trusted
        .then(|| fa / (fb - fa) * (fc / (fb - fc)) + (c - a) / (b - a) * (fa / (fc - fa)) * (fb / (fc - fb)))
}

fn no_root() -> QueueingError {
    QueueingError::NoConvergence { method: "the search for a root", limit: format!("{MAX_STEPS} steps") }
}

/// The smallest `t >= 0` with `P(X > t) <= 1 - p`, for a decreasing tail `P(X > t)`. It is 0 when the atom at zero is
/// large enough. `scale` is any time of the order of the answer.
pub(crate) fn quantile(tail: impl Fn(f64) -> Result<f64>, p: f64, scale: f64) -> Result<f64> {
    let beyond = 1.0 - level(p)?;
    if tail(0.0)? <= beyond {
        return Ok(0.0);
    }
    let mut high = scale;
    let mut doublings = 0;
    while tail(high)? > beyond {
        high *= 2.0;
        doublings += 1;
        if doublings > MAX_STEPS {
            return Err(no_root());
        }
    }
    let mut low = 0.0;
    while high > scale * f64::EPSILON {
        let middle = high / 2.0;
        if tail(middle)? > beyond {
            low = middle;
            break;
        }
        high = middle;
    }
    // A tail bends like an exponential: its logarithm is nearly straight, so the search takes few steps.
    let target = libm::log(beyond);
    root(|t| tail(t).map_or(f64::NAN, |value| libm::log(value) - target), low, high)
}

#[cfg(test)]
mod tests {
    use super::{quantile, root};

    #[test]
    fn finds_roots_to_the_last_bits() {
        let x = root(|x| x * x * x - 2.0, 0.0, 2.0).unwrap();
        assert!((x - 1.259_921_049_894_873_2).abs() < 4e-16);
        assert!(root(|x| x * x + 1.0, 0.0, 2.0).is_err());
    }

    #[test]
    fn quantiles_honour_the_atom_at_zero() {
        let tail = |t: f64| Ok(0.3 * libm::exp(-t));
        assert!(quantile(tail, 0.5, 1.0).unwrap().abs() < 1e-300);
        let p99 = quantile(tail, 0.99, 1e-3).unwrap();
        assert!((p99 - libm::log(30.0)).abs() < 1e-14, "{p99}");
        assert!(quantile(tail, 1.0, 1.0).is_err());
    }
}
