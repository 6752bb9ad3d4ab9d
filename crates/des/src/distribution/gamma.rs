//! The gamma distribution with scale 1: draws, distribution function and quantiles.

use super::normal::standard_normal_quantile;
use crate::EntityRng;

/// Gamma with scale 1, by rejection from a cubed normal. Marsaglia & Tsang, ACM TOMS 26 (2000), 363-372; below shape 1
/// through `Gamma(shape) = Gamma(shape + 1) * U^(1/shape)`.
pub(super) fn standard_gamma(shape: f64, rng: &mut EntityRng) -> f64 {
    if shape < 1.0 {
        let boost = libm::pow(rng.next_open01(), 1.0 / shape);
        return boost * standard_gamma(shape + 1.0, rng);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = standard_normal_quantile(rng.next_open01());
        let v = 1.0 + c * x;
        let v = v * v * v;
        if v > 0.0 && libm::log(rng.next_open01()) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

/// Terms after which the expansions of [`cdf`] have converged for every shape that a user can mean.
const MAX_TERMS: u32 = 100_000;

/// The regularised lower incomplete gamma function: the probability of a value up to `x`.
///
/// Below `shape + 1` by its power series (Abramowitz & Stegun 6.5.29), above from the continued fraction of its complement.
pub(super) fn cdf(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = libm::exp(shape * libm::log(x) - x - libm::lgamma(shape));
    if x >= shape + 1.0 {
        return (1.0 - front * complement_fraction(shape, x)).max(0.0);
    }
    let (mut term, mut sum) = (1.0 / shape, 1.0 / shape);
    for n in 1..MAX_TERMS {
        term *= x / (shape + f64::from(n));
        sum += term;
        if term < sum * f64::EPSILON {
            break;
        }
    }
    (front * sum).min(1.0)
}

/// Abramowitz & Stegun 6.5.31, evaluated from the front as Lentz proposed (Applied Optics 15 (1976), 668-671).
fn complement_fraction(shape: f64, x: f64) -> f64 {
    let tiny = f64::MIN_POSITIVE / f64::EPSILON;
    let away_from_zero = |value: f64| if value.abs() < tiny { tiny } else { value };
    let mut denominator = x + 1.0 - shape;
    let (mut upper, mut lower) = (1.0 / tiny, 1.0 / denominator);
    let mut fraction = lower;
    for n in 1..MAX_TERMS {
        let numerator = f64::from(n) * (shape - f64::from(n));
        denominator += 2.0;
        lower = 1.0 / away_from_zero(numerator * lower + denominator);
        upper = away_from_zero(denominator + numerator / upper);
        fraction *= lower * upper;
        if (lower * upper - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    fraction
}

/// The value that is exceeded with probability `1 - u`, for `u` in (0, 1): Wilson and Hilferty's cube, then Newton's
/// method within a bracket.
pub(super) fn quantile(shape: f64, u: f64) -> f64 {
    let ninth = 1.0 / (9.0 * shape);
    let cube = 1.0 - ninth + standard_normal_quantile(u) * libm::sqrt(ninth);
    let mut x = shape * cube * cube * cube;
    // In the lower tail the distribution function is x^shape / Gamma(shape + 1).
    let power = libm::exp((libm::log(u) + libm::lgamma(shape + 1.0)) / shape);
    if !(x.is_finite() && x > power) {
        x = power;
    }
    let (mut low, mut high) = (0.0, f64::INFINITY);
    for _ in 0..200 {
        let excess = cdf(shape, x) - u;
        if excess > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let density = libm::exp((shape - 1.0) * libm::log(x) - x - libm::lgamma(shape));
        let step = excess / density;
        let newton = x - step;
        let next = if newton > low && newton < high {
            newton
        } else if high.is_finite() {
            low + (high - low) / 2.0
        } else {
            2.0 * x
        };
        if (next - x).abs() <= 4.0 * f64::EPSILON * x {
            return next;
        }
        x = next;
    }
    x
}
