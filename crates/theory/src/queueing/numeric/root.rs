//! Roots of monotone functions and quantiles of tails.

use crate::queueing::error::{QueueingError, Result, level};

const MAX_STEPS: u32 = 200;

/// The root of `f` between `low` and `high`, where it changes sign: bisection with inverse quadratic interpolation
/// where that is safe (T. R. Chandrupatla, *Advances in Engineering Software* 28, 1997). Precise to the last bits.
pub(crate) fn root(f: impl Fn(f64) -> f64, low: f64, high: f64) -> Result<f64> {
    let (mut b, mut a) = (low, high);
    let (mut fb, mut fa) = (f(b), f(a));
    if fb == 0.0 {
        return Ok(b);
    }
    if fa == 0.0 {
        return Ok(a);
    }
    if fa.is_nan() || fb.is_nan() || fa.signum() * fb.signum() > 0.0 {
        return Err(no_root());
    }
    let mut t = 0.5;
    for _ in 0..MAX_STEPS {
        let x = a + t * (b - a);
        let fx = f(x);
        if fx.is_nan() {
            return Err(no_root());
        }
        let (c, fc);
        if fx.signum() * fa.signum() > 0.0 {
            (c, fc) = (a, fa);
        } else {
            (c, fc) = (b, fb);
            (b, fb) = (a, fa);
        }
        (a, fa) = (x, fx);
        let (best, f_best) = if fa.abs() < fb.abs() { (a, fa) } else { (b, fb) };
        let tolerance = f64::EPSILON * best.abs();
        let width = (b - a).abs();
        if f_best == 0.0 || width <= (2.0 * tolerance).max(f64::MIN_POSITIVE) {
            return Ok(best);
        }
        let share = tolerance / width;
        let xi = (a - b) / (c - b);
        let phi = (fa - fb) / (fc - fb);
        let inside = phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi;
        t = if inside {
            fa / (fb - fa) * (fc / (fb - fc)) + (c - a) / (b - a) * (fa / (fc - fa)) * (fb / (fc - fb))
        } else {
            0.5
        };
        t = t.clamp(share, 1.0 - share);
    }
    Err(no_root())
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
