//! Warm-up removal: where to cut a run that started from an empty system.

use super::interval::mean_and_variance;

/// How far what MSER cuts must lie from what it keeps to be taken for warm-up. Far, because MSER picks the cut that
/// makes the two differ.
const CLEAR_STANDARD_ERRORS: f64 = 4.0;
/// Batch size of MSER-5.
const FIVE: usize = 5;

/// Where MSER cuts a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WarmUp {
    /// Observations to leave out at the start: a multiple of the batch size.
    pub truncation: usize,
    /// Mean of the observations kept, in the unit of the series.
    pub truncated_mean: f64,
    /// The minimum sits at the end of the search: the series may never have settled, and the cut cannot be trusted.
    pub at_bound: bool,
}

/// MSER-5: White, Cobb & Spratt, *A comparison of five steady-state truncation heuristics for simulation*, WSC 2000.
///
/// Batches of five, the cut that minimises the squared standard error of the mean of what remains, the search kept to
/// the first half. `None` with fewer than two batches, or for a value that is not finite.
pub fn mser5(values: &[f64]) -> Option<WarmUp> {
    mser(values, FIVE)
}

/// MSER with batches of `batch_size` observations; a remainder at the end is left out. See [`mser5`].
pub fn mser(values: &[f64], batch_size: usize) -> Option<WarmUp> {
    let batches = values.len().checked_div(batch_size)?;
    if batches < 2 || values.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let mean = |batch: &[f64]| batch.iter().sum::<f64>() / batch_size as f64;
    let means: Vec<f64> = values.chunks_exact(batch_size).map(mean).collect();
    let (cut, truncated_mean) = minimum(&means);
    Some(WarmUp { truncation: cut * batch_size, truncated_mean, at_bound: cut == batches / 2 })
}

/// How many batches to leave out of a run of `means.len()` long batches; `None` if the run has not settled.
///
/// Always the first: a queue forgets its start as fast as it forgets anything, so a batch that hardly depends on its
/// neighbour is longer than the warm-up. More only where MSER asks for it and what it leaves out clearly differs from
/// what it keeps. Without that condition MSER cuts off real excursions at the start of stationary runs, which lowers
/// the coverage of the 95 % interval of the mean on M/M/1 by one to two points (measured, `docs/output-analysis.md`).
pub(super) fn batches_to_cut(means: &[f64]) -> Option<usize> {
    let warm_up = mser(means, 1)?;
    let cut = warm_up.truncation;
    if cut <= 1 {
        return Some(1);
    }
    let (before, kept) = means[1..].split_at(cut - 1);
    let (kept_mean, variance) = mean_and_variance(kept)?;
    let before_mean = before.iter().sum::<f64>() / before.len() as f64;
    let error = (variance * (1.0 / before.len() as f64 + 1.0 / kept.len() as f64)).sqrt();
    let clear = (before_mean - kept_mean).abs() > CLEAR_STANDARD_ERRORS * error;
    match (clear, warm_up.at_bound) {
        (true, true) => None,
        (true, false) => Some(cut),
        (false, _) => Some(1),
    }
}

/// The cut d <= k/2 that minimises sum over i >= d of `(z_i - mean_d)^2 / (k - d)^2`, and the mean that it leaves; the
/// earliest of equals. Runs backwards with Welford's update, so that it takes O(k) and never cancels.
fn minimum(means: &[f64]) -> (usize, f64) {
    let (mut kept, mut mean, mut squares) = (0.0, 0.0, 0.0);
    let mut best = (f64::INFINITY, 0, 0.0);
    for (cut, &z) in means.iter().enumerate().rev() {
        kept += 1.0;
        let delta = z - mean;
        mean += delta / kept;
        squares += delta * (z - mean);
        let squared_error = squares / (kept * kept);
        if cut <= means.len() / 2 && squared_error <= best.0 {
            best = (squared_error, cut, mean);
        }
    }
    (best.1, best.2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, read aloud: for every cut, its mean, its sum of squares, divided by the squared count.
    fn by_definition(values: &[f64]) -> (usize, f64) {
        let means: Vec<f64> = values.chunks_exact(5).map(|batch| batch.iter().sum::<f64>() / 5.0).collect();
        let statistic = |cut: usize| {
            let kept = &means[cut..];
            let mean = kept.iter().sum::<f64>() / kept.len() as f64;
            let squares: f64 = kept.iter().map(|z| (z - mean) * (z - mean)).sum();
            (squares / (kept.len() * kept.len()) as f64, mean)
        };
        let cuts = 0..=means.len() / 2;
        let best = cuts.min_by(|&a, &b| statistic(a).0.total_cmp(&statistic(b).0)).unwrap();
        (best * 5, statistic(best).1)
    }

    proptest! {
        #[test]
        fn one_pass_backwards_is_the_definition(values in prop::collection::vec(-1e3_f64..1e3, 10..400)) {
            let (truncation, mean) = by_definition(&values);
            let warm_up = mser5(&values).unwrap();
            prop_assert_eq!(warm_up.truncation, truncation);
            prop_assert!((warm_up.truncated_mean - mean).abs() < 1e-9);
        }
    }

    #[test]
    fn a_series_that_still_grows_is_flagged() {
        let growing: Vec<f64> = (0..200).map(f64::from).collect();
        assert!(mser5(&growing).unwrap().at_bound);
        assert_eq!(mser5(&[1.0; 9]), None);
        assert_eq!(mser5(&[f64::NAN; 20]), None);
        assert_eq!(mser5(&[2.0; 20]).map(|w| (w.truncation, w.truncated_mean)), Some((0, 2.0)));
    }
}
