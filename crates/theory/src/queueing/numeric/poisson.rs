//! Poisson probabilities with full relative accuracy at any mean.

use std::f64::consts::PI;
use std::ops::Range;

/// Terms below this share of the largest one do not change a sum in double precision.
const NEGLIGIBLE: f64 = 1e-18;

/// `P(N = n)` for a Poisson variable of this mean: Loader's saddle-point form (C. Loader, *Fast and accurate
/// computation of binomial probabilities*, 2000), which has no cancellation where `n ln mean - mean - ln n!` has.
pub(crate) fn poisson_pmf(n: usize, mean: f64) -> f64 {
    if mean <= 0.0 {
        return if n == 0 { 1.0 } else { 0.0 };
    }
    if n == 0 {
        return libm::exp(-mean);
    }
    let count = n as f64;
    libm::exp(-stirling_error(count) - deviance(count, mean)) / (2.0 * PI * count).sqrt()
}

/// `ln n! - ln(sqrt(2 pi n) (n/e)^n)`, from the exact factorial where that is small and from Stirling's series else.
fn stirling_error(n: f64) -> f64 {
    if n <= 15.0 {
        let factorial = (2..=n as u32).fold(1.0, |product, k| product * f64::from(k));
        return libm::log(factorial) - 0.5 * libm::log(2.0 * PI * n) - n * libm::log(n) + n;
    }
    let square = n * n;
    (1.0 / 12.0
        - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / square) / square) / square) / square)
        / n
}

/// `n ln(n / mean) + mean - n`, by its series where the two are close.
fn deviance(n: f64, mean: f64) -> f64 {
    let difference = n - mean;
    if difference.abs() >= 0.1 * (n + mean) {
        return n * libm::log(n / mean) - difference;
    }
    let v = difference / (n + mean);
    let mut sum = difference * v;
    let mut term = 2.0 * n * v;
    for j in 1..1000 {
        term *= v * v;
        let next = sum + term / f64::from(2 * j + 1);
        if next.to_bits() == sum.to_bits() {
            break;
        }
        sum = next;
    }
    sum
}

/// `P(N >= n)`, as a sum of positive terms on whichever side of the mean is short.
pub(crate) fn poisson_upper(n: usize, mean: f64) -> f64 {
    if n == 0 {
        return 1.0;
    }
    if (n as f64) > mean {
        let mut term = poisson_pmf(n, mean);
        let mut sum = term;
        let mut k = n;
        while term > sum * NEGLIGIBLE {
            k += 1;
            term *= mean / k as f64;
            sum += term;
        }
        return sum;
    }
    let mut term = poisson_pmf(n - 1, mean);
    let mut sum = term;
    for k in (1..n).rev() {
        term *= k as f64 / mean;
        sum += term;
        if term < sum * NEGLIGIBLE {
            break;
        }
    }
    1.0 - sum
}

/// The indices that matter, and their probabilities: what lies outside is below 1e-18 of the largest. The weights are
/// built outward from the mode, so that none under- or overflows.
pub(crate) fn poisson_window(mean: f64) -> (Range<usize>, Vec<f64>) {
    let mode = mean.floor() as usize;
    let top = poisson_pmf(mode, mean);
    let mut below = Vec::new();
    let mut weight = top;
    let mut n = mode;
    while n > 0 && weight > top * NEGLIGIBLE {
        weight *= n as f64 / mean;
        n -= 1;
        below.push(weight);
    }
    let start = mode - below.len();
    below.reverse();
    let mut weights = below;
    weights.push(top);
    weight = top;
    n = mode;
    while weight > top * NEGLIGIBLE {
        n += 1;
        weight *= mean / n as f64;
        weights.push(weight);
    }
    (start..start + weights.len(), weights)
}

#[cfg(test)]
mod tests {
    use super::{poisson_pmf, poisson_upper, poisson_window};

    // 30-digit values: mpmath, exp(-m) m^n / n!.
    #[test]
    fn probabilities_keep_their_relative_accuracy() {
        for (n, mean, value) in [
            (3, 3.0, 0.224_041_807_655_387_75),
            (40, 2.0, 1.823_752_056_398_282e-37),
            (1_000_000, 1_000_000.0, 3.989_422_471_562_440_3e-4),
            (1000, 1200.0, 2.649_863_734_860_788_6e-10),
        ] {
            let got = poisson_pmf(n, mean);
            assert!((got / value - 1.0).abs() < 1e-12, "n {n} mean {mean}: {got}");
        }
    }

    #[test]
    fn windows_and_tails_agree() {
        for mean in [0.01, 0.7, 12.0, 900.0, 45_000.0] {
            let (range, weights) = poisson_window(mean);
            let total: f64 = weights.iter().sum();
            assert!((total - 1.0).abs() < 1e-11, "mean {mean}: {total}");
            let from = (mean + 2.0 * mean.sqrt()) as usize + 1;
            let tail: f64 = range.zip(&weights).filter(|(n, _)| *n >= from).map(|(_, weight)| weight).sum();
            assert!((poisson_upper(from, mean) / tail - 1.0).abs() < 1e-10, "mean {mean}");
        }
    }
}
