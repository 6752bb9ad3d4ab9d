//! Time multiplied by a floating-point factor, in integers.

use kendall_des::SimDuration;

const MANTISSA_BITS: i32 = 52;
const EXPONENT_BIAS: i32 = 1_023;
/// More than a product of 64 and 53 bits has.
const MAX_SHIFT: u32 = 118;

/// A factor `mantissa * 2^exponent`: every finite double is exactly such a number.
///
/// This is the one door by which a float scales time. The product is exact and rounded once, to the nearest picosecond
/// with ties to even, so the order of arrivals is kept and a factor of 1 changes nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeScale {
    factor: f64,
    mantissa: u64,
    exponent: i32,
}

impl TimeScale {
    /// `None` unless the factor is finite and above 0.
    pub(crate) fn new(factor: f64) -> Option<Self> {
        if !(factor.is_finite() && factor > 0.0) {
            return None;
        }
        let bits = factor.to_bits();
        let fraction = bits & ((1 << MANTISSA_BITS) - 1);
        let biased = (bits >> MANTISSA_BITS) as i32;
        // Subnormal numbers have no implied leading one, and the exponent of the smallest normal ones.
        let (mantissa, biased) =
            if biased == 0 { (fraction, 1) } else { (fraction | 1 << MANTISSA_BITS, biased) };
        Some(Self { factor, mantissa, exponent: biased - EXPONENT_BIAS - MANTISSA_BITS })
    }

    /// The factor as given, for messages.
    pub(crate) const fn factor(self) -> f64 {
        self.factor
    }

    /// The scaled time, or `None` beyond the horizon.
    pub(crate) fn apply(self, time: SimDuration) -> Option<SimDuration> {
        let product = u128::from(time.as_ps()) * u128::from(self.mantissa);
        let shift = self.exponent.unsigned_abs();
        let scaled = if product == 0 {
            0
        } else if self.exponent < 0 {
            shifted_right(product, shift)
        } else if shift < product.leading_zeros() {
            product << shift
        } else {
            return None;
        };
        u64::try_from(scaled).ok().map(SimDuration::from_ps)
    }
}

/// `product / 2^shift` to the nearest integer, ties to even.
fn shifted_right(product: u128, shift: u32) -> u128 {
    if shift > MAX_SHIFT {
        return 0;
    }
    let quotient = product >> shift;
    let remainder = product - (quotient << shift);
    let half = 1 << (shift - 1);
    let rounds_up = remainder > half || (remainder == half && quotient % 2 == 1);
    quotient + u128::from(rounds_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(ps: u64, factor: f64) -> Option<u64> {
        TimeScale::new(factor)?.apply(SimDuration::from_ps(ps)).map(SimDuration::as_ps)
    }

    #[test]
    fn products_are_exact_and_rounded_once() {
        assert_eq!(scaled(u64::MAX, 1.0), Some(u64::MAX));
        assert_eq!(scaled(3_600_000_000_000_001, 1.0), Some(3_600_000_000_000_001));
        assert_eq!(scaled(10, 0.1), Some(1));
        assert_eq!(scaled(1_000_000_000_000, 0.1), Some(100_000_000_000));
        assert_eq!(scaled(7, 1e6), Some(7_000_000));
        assert_eq!((scaled(1, 0.5), scaled(3, 0.5)), (Some(0), Some(2)), "ties go to even");
        assert_eq!(scaled(u64::MAX, f64::from_bits(1)), Some(0));
        assert_eq!(scaled(0, f64::MAX), Some(0));
    }

    #[test]
    fn beyond_the_horizon_is_seen() {
        assert_eq!(scaled(u64::MAX, 1.5), None);
        assert_eq!(scaled(1, f64::MAX), None);
        assert_eq!(scaled(1 << 63, 2.0), None);
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(TimeScale::new(factor).is_none());
        }
    }
}
