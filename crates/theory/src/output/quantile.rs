//! Quantiles of a sample.

/// Quantile `p` by linear interpolation between order statistics: type 7 of Hyndman & Fan (1996), the default of numpy
/// and R. `None` for no values, a value that is not a number, or p outside [0, 1].
pub fn quantile_type7(values: &[f64], p: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_type7_of_sorted(&sorted, p)
}

/// [`quantile_type7`] of values that are in ascending order already.
pub fn quantile_type7_of_sorted(sorted: &[f64], p: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&p) || sorted.iter().any(|x| x.is_nan()) {
        return None;
    }
    let last = sorted.len().checked_sub(1)?;
    let position = p * last as f64;
    let below = (position as usize).min(last);
    let above = (below + 1).min(last);
    Some(sorted[below] + (position - below as f64) * (sorted[above] - sorted[below]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numpy_agrees() {
        // numpy.quantile([1, 3, 4, 10], [0, .25, .5, .9, 1])
        let values = [10.0, 1.0, 4.0, 3.0];
        for (p, expected) in [(0.0, 1.0), (0.25, 2.5), (0.5, 3.5), (0.9, 8.2), (1.0, 10.0)] {
            let quantile = quantile_type7(&values, p).unwrap();
            assert!((quantile - expected).abs() < 1e-12, "{p}: {quantile}");
        }
        assert_eq!(quantile_type7(&[2.0], 0.99), Some(2.0));
        assert_eq!(quantile_type7(&[], 0.5), None);
        assert_eq!(quantile_type7(&[1.0, f64::NAN], 0.5), None);
        assert_eq!(quantile_type7(&values, 1.1), None);
    }
}
