//! Quantiles of the Student t and the normal distribution.
//!
//! Own code for two reasons. These numbers stand in results that must be the same bits on every system, and `statrs`
//! takes logarithms from the platform. And the inverse incomplete beta function of statrs 0.18 misses t(0.8, 2) by 2 %
//! (its own tests carry the note).

use std::f64::consts::{PI, SQRT_2};

/// Beyond this many degrees of freedom the expansion about the normal quantile is exact to the last digits, while the
/// difference of two large log-gammas is not.
const LARGE_DOF: f64 = 1e5;

/// The `p` quantile of Student's t distribution with `dof` degrees of freedom; `None` unless 0 < p < 1 and dof > 0.
///
/// Newton's method on the incomplete beta function, kept inside a bracket. Relative error below 1e-10.
pub fn student_t_quantile(p: f64, dof: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0 && dof > 0.0) {
        return None;
    }
    let tail = p.min(1.0 - p);
    let magnitude = if dof > LARGE_DOF {
        large_dof_quantile(tail, dof)
    } else {
        let log_norm =
            libm::lgamma(f64::midpoint(dof, 1.0)) - libm::lgamma(dof / 2.0) - 0.5 * libm::log(PI * dof);
        let density = |t: f64| libm::exp(log_norm - f64::midpoint(dof, 1.0) * libm::log1p(t * t / dof));
        upper_point(tail, |t| student_t_tail(t, dof), density)
    };
    Some(if p < 0.5 { -magnitude } else { magnitude })
}

/// The `p` quantile of the standard normal distribution; `None` unless 0 < p < 1.
pub fn normal_quantile(p: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    let magnitude = normal_upper_point(p.min(1.0 - p));
    Some(if p < 0.5 { -magnitude } else { magnitude })
}

/// P(Z > z) of the standard normal distribution.
pub(super) fn normal_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / SQRT_2)
}

fn normal_upper_point(tail: f64) -> f64 {
    let density = |z: f64| libm::exp(-z * z / 2.0) / (2.0 * PI).sqrt();
    upper_point(tail, normal_tail, density)
}

/// Abramowitz & Stegun 26.7.5: expansion of the t quantile in powers of 1/dof, to the second.
fn large_dof_quantile(tail: f64, dof: f64) -> f64 {
    let z = normal_upper_point(tail);
    let (z2, z3) = (z * z, z * z * z);
    z + (z3 + z) / (4.0 * dof) + (5.0 * z2 * z3 + 16.0 * z3 + 3.0 * z) / (96.0 * dof * dof)
}

/// P(T > t) for t >= 0: half the regularised incomplete beta function at dof / (dof + t^2). Abramowitz & Stegun 26.7.1.
pub(super) fn student_t_tail(t: f64, dof: f64) -> f64 {
    let (half_dof, half) = (dof / 2.0, 0.5);
    // Both arguments are formed without subtraction, so that neither tail loses digits.
    let (x, complement) = (dof / (dof + t * t), t * t / (dof + t * t));
    let log_beta = libm::lgamma(half_dof) + libm::lgamma(half) - libm::lgamma(half_dof + half);
    let front = libm::exp(half_dof * libm::log(x) - log_beta) * complement.sqrt();
    let both_tails = if x < (half_dof + 1.0) / (half_dof + half + 2.0) {
        front * beta_fraction(half_dof, half, x) / half_dof
    } else {
        1.0 - front * beta_fraction(half, half_dof, complement) / half
    };
    both_tails / 2.0
}

/// Continued fraction of the incomplete beta function by Lentz's method. DLMF 8.17.22; converges in O(sqrt(max(a, b)))
/// terms on the side of the mean where it is used.
#[allow(clippy::many_single_char_names, reason = "the names of the formula")]
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut upper = 1.0;
    let mut lower = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut value = lower;
    for term in 1..10_000 {
        let m = f64::from(term);
        for numerator in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            lower = 1.0 / guard(1.0 + numerator * lower);
            upper = guard(1.0 + numerator / upper);
            value *= upper * lower;
        }
        if (upper * lower - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// The point t >= 0 whose upper tail is `tail` <= 1/2.
fn upper_point(tail: f64, upper_tail: impl Fn(f64) -> f64, density: impl Fn(f64) -> f64) -> f64 {
    if tail >= 0.5 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while upper_tail(high) > tail && high < 1e300 {
        (low, high) = (high, high * 4.0);
    }
    let mut t = f64::midpoint(low, high);
    for _ in 0..200 {
        let excess = upper_tail(t) - tail;
        if excess > 0.0 {
            low = t;
        } else {
            high = t;
        }
        let newton = t + excess / density(t);
        let next = if newton > low && newton < high { newton } else { f64::midpoint(low, high) };
        if (next - t).abs() <= 1e-15 * next {
            return next;
        }
        t = next;
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_quantiles_are_the_published_ones() {
        // Incomplete beta root at 40 digits; the last three from the closed forms for 1, 2 and 4 degrees of freedom.
        for (p, dof, expected) in [
            (0.975, 1.0, 12.706_204_736_174_705),
            (0.995, 4.0, 4.604_094_871_349_993),
            (0.995, 99.0, 2.626_405_457_280_827_5),
            (0.8, 2.0, 1.060_660_171_779_821_3),
            (0.75, 1.0, 1.0),
        ] {
            let t = student_t_quantile(p, dof).unwrap();
            assert!((t / expected - 1.0).abs() < 1e-12, "t({p}, {dof}) = {t}");
            assert!((student_t_quantile(1.0 - p, dof).unwrap() + t).abs() < 1e-11 * t);
        }
    }

    #[test]
    fn many_degrees_of_freedom_join_the_normal_without_a_step() {
        assert!((normal_quantile(0.975).unwrap() - 1.959_963_984_540_054).abs() < 1e-14);
        let below = student_t_quantile(0.999, LARGE_DOF).unwrap();
        let above = student_t_quantile(0.999, LARGE_DOF * (1.0 + 1e-12)).unwrap();
        assert!((below - above).abs() < 1e-10, "{below} {above}");
    }

    #[test]
    fn impossible_arguments_have_no_quantile() {
        for (p, dof) in [(0.0, 5.0), (1.0, 5.0), (f64::NAN, 5.0), (0.5, 0.0), (0.5, f64::NAN)] {
            assert_eq!(student_t_quantile(p, dof), None);
        }
        assert_eq!(student_t_quantile(0.5, 3.0).map(f64::abs), Some(0.0));
    }
}
