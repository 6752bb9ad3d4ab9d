//! A sum of squares of 64-bit numbers that is exact, so that credit in bulk and one by one give the same bits.

/// An unsigned integer of 192 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct WideSum {
    low: u128,
    high: u64,
}

impl WideSum {
    /// Adds `number` squared, `times` times.
    pub(super) fn add_square(&mut self, number: u64, times: u64) {
        let square = u128::from(number) * u128::from(number);
        let (upper, lower) = (square >> 64, square & u128::from(u64::MAX));
        let upper = upper * u128::from(times);
        let shifted = Self { low: upper << 64, high: (upper >> 64) as u64 };
        let lower = Self { low: lower * u128::from(times), high: 0 };
        *self = self.plus(shifted).plus(lower);
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { low, high: self.high + other.high + u64::from(carry) }
    }

    pub(super) fn as_f64(self) -> f64 {
        self.high as f64 * 2.0 * (1_u128 << 127) as f64 + self.low as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_carry() {
        let mut sum = WideSum::default();
        sum.add_square(u64::MAX, 1 << 20);
        let mut single = WideSum::default();
        for _ in 0..1 << 20 {
            single.add_square(u64::MAX, 1);
        }
        assert_eq!(sum, single);
        let expected = libm::ldexp(1.0, 148);
        assert!((sum.as_f64() / expected - 1.0).abs() < 1e-15);
    }
}
