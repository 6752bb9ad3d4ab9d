//! Families of arrivals: a request, those that arrive during its prefill, those that arrive during theirs, and so on.

use crate::queueing::numeric::poisson_pmf;

/// Longest family.
const LONGEST: usize = 400;
/// What longer families may weigh.
const REST: f64 = 1e-12;

/// `P(family > k)` for k = 0, 1, ...: Otter and Dwass, `P(family = y) = P(y requests have y - 1 children) / y` (M. Dwass, *The
/// total progeny in a branching process*, 1969). Children come at `share` per mean prefill; the prefills of `y`
/// requests together are taken as gamma with the variance of prompts.
pub(super) fn family_tail(share: f64, scv: f64) -> Vec<f64> {
    let mut tail = vec![1.0];
    let mut left = 1.0;
    for y in 1..LONGEST {
        left -= children(y, y - 1, share, scv) / y as f64;
        if left < REST {
            break;
        }
        tail.push(left);
    }
    tail
}

/// `P(children >= k)` of one request for k = 0, 1, ...
pub(super) fn children_tail(share: f64, scv: f64) -> Vec<f64> {
    let mut tail = vec![1.0];
    let mut left = 1.0;
    for k in 0..LONGEST {
        left -= children(1, k, share, scv);
        if left < REST {
            break;
        }
        tail.push(left);
    }
    tail
}

/// `P(so many requests have k children)`: Poisson mixed over a gamma law, that is, negative binomial.
fn children(requests: usize, k: usize, share: f64, scv: f64) -> f64 {
    let (count, mean) = (k as f64, requests as f64 * share);
    if share <= 0.0 {
        return f64::from(u8::from(k == 0));
    }
    if scv < 1e-9 {
        return poisson_pmf(k, mean);
    }
    let stages = requests as f64 / scv;
    let log = libm::lgamma(count + stages) - libm::lgamma(stages) - libm::lgamma(count + 1.0)
        + stages * libm::log(stages / (stages + mean))
        + count * libm::log(mean / (stages + mean));
    libm::exp(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean `1 / (1 - share)`, variance `(share + share^2 scv) / (1 - share)^3`.
    #[test]
    fn families_have_the_moments_of_a_branching_process() {
        for (share, scv) in [(0.1, 0.0), (0.3, 0.354), (0.5, 1.0), (0.0, 0.5)] {
            let tail = family_tail(share, scv);
            let mean: f64 = tail.iter().sum();
            let square: f64 = tail.iter().enumerate().map(|(k, p)| (2 * k + 1) as f64 * p).sum();
            assert!((mean - 1.0 / (1.0 - share)).abs() < 1e-6, "share {share}: mean {mean}");
            let children_variance = share + share * share * scv;
            let exact = children_variance / libm::pow(1.0 - share, 3.0);
            assert!((square - mean * mean - exact).abs() < 1e-4 * exact.max(1.0), "share {share}, scv {scv}");
        }
    }
}
