//! How evenly classes are served.

/// Jain's fairness index (sum x)^2 / (n sum x^2): 1 when all shares are equal, 1/n when one takes all.
///
/// Jain, Chiu & Hawe, *A quantitative measure of fairness*, DEC-TR-301 (1984). `None` for no shares, a share that is
/// negative or not finite, or when all are 0.
pub fn jain_index(shares: &[f64]) -> Option<f64> {
    if shares.iter().any(|x| !(x.is_finite() && *x >= 0.0)) {
        return None;
    }
    // Relative to the largest, so that squares neither overflow nor vanish.
    let largest = shares.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return None;
    }
    let sum: f64 = shares.iter().map(|x| x / largest).sum();
    let squares: f64 = shares.iter().map(|x| (x / largest) * (x / largest)).sum();
    Some(sum * sum / (shares.len() as f64 * squares))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_properties() {
        let index = |shares: &[f64]| jain_index(shares).unwrap();
        assert!((index(&[3.0, 3.0, 3.0]) - 1.0).abs() < 1e-15);
        assert!((index(&[7.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-15);
        // Independent of scale, even at the ends of the number range; k of n served equally gives k/n.
        assert!((index(&[1e300, 1e300, 0.0]) - 2.0 / 3.0).abs() < 1e-15);
        assert!((index(&[1e-300, 1e-300, 0.0]) - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(jain_index(&[]), None);
        assert_eq!(jain_index(&[0.0, 0.0]), None);
        assert_eq!(jain_index(&[1.0, -1.0]), None);
        assert_eq!(jain_index(&[1.0, f64::NAN]), None);
    }
}
