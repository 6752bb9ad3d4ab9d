//! Numbers as people write them, read exactly: counts, and decimal times in picoseconds.

use crate::error::TraceErrorKind;

pub(crate) const EXPECTED_COUNT: &str = "a whole number from 0 to 4294967295";
const EXPECTED_TIME: &str = "a decimal number, at least 0";

/// Decimal places of a picosecond in one second.
pub(crate) const PS_PLACES_PER_SEC: i32 = 12;
/// Decimal places of a picosecond in one millisecond.
pub(crate) const PS_PLACES_PER_MILLI: i32 = 9;

/// Twenty digits hold every 64-bit number of picoseconds.
const MAX_PS_DIGITS: i32 = 20;
/// No time within the horizon has a larger exponent.
const MAX_EXPONENT: i32 = 1_000;

/// A number of tokens: digits only, no sign, no decimal point.
pub(crate) fn parse_count(field: &str, text: &str) -> Result<u32, TraceErrorKind> {
    let parsed = if is_digits(text) { text.parse().ok() } else { None };
    parsed.ok_or_else(|| TraceErrorKind::value(field, text, EXPECTED_COUNT))
}

/// A decimal time such as `12.5` or `1e-05`, in picoseconds; `places` is how many decimal places of the unit make
/// one picosecond. No floating point takes part: digits finer than a picosecond are rounded to the nearest, ties up.
pub(crate) fn parse_time_ps(field: &'static str, text: &str, places: i32) -> Result<u64, TraceErrorKind> {
    let number = Decimal::split(text).ok_or_else(|| TraceErrorKind::value(field, text, EXPECTED_TIME))?;
    number
        .scaled(places)
        .ok_or_else(|| TraceErrorKind::BeyondHorizon { field, value: crate::error::shown(text) })
}

/// `digits` with the point `exponent` places to the right of the last digit of `whole`.
struct Decimal<'a> {
    whole: &'a str,
    fraction: &'a str,
    exponent: i32,
}

impl<'a> Decimal<'a> {
    /// Digits, then optionally a point and digits, then optionally an exponent. No sign: times are not negative.
    fn split(text: &'a str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let has_digits = !(whole.is_empty() && fraction.is_empty());
        let only_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        (has_digits && only_digits).then_some(Self { whole, fraction, exponent })
    }

    /// The number times 10^`places`, rounded to the nearest integer; `None` beyond 64 bits.
    fn scaled(&self, places: i32) -> Option<u64> {
        let digits = || self.whole.bytes().chain(self.fraction.bytes()).skip_while(|&byte| byte == b'0');
        let num_digits = i32::try_from(digits().count()).ok()?;
        if num_digits == 0 {
            return Some(0);
        }
        let num_fraction = i32::try_from(self.fraction.len()).ok()?;
        // How many of the digits stand before the point once scaled.
        let kept = num_digits.checked_sub(num_fraction)?.checked_add(self.exponent)?.checked_add(places)?;
        if kept > MAX_PS_DIGITS {
            return None;
        }
        let Ok(num_kept) = usize::try_from(kept) else { return Some(0) };
        let mut value: u128 = 0;
        for digit in digits().chain(std::iter::repeat(b'0')).take(num_kept) {
            value = value * 10 + u128::from(digit - b'0');
        }
        let rounds_up = digits().nth(num_kept).is_some_and(|digit| digit >= b'5');
        u64::try_from(value + u128::from(rounds_up)).ok()
    }
}

fn parse_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // An exponent of any length is a number; beyond the bound only its sign matters.
    let size = if is_digits(digits) {
        digits.parse().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT)
    } else {
        return None;
    };
    Some(if text.starts_with('-') { -size } else { size })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        parse_time_ps("arrival_s", text, PS_PLACES_PER_SEC).ok()
    }

    #[test]
    fn seconds_are_exact_to_the_picosecond() {
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("000.000"), Some(0));
        assert_eq!(seconds("0.1"), Some(100_000_000_000));
        assert_eq!(seconds(".5"), Some(500_000_000_000));
        assert_eq!(seconds("7."), Some(7_000_000_000_000));
        assert_eq!(seconds("3600.000000000001"), Some(3_600_000_000_000_001));
        assert_eq!(seconds("1e-05"), Some(10_000_000));
        assert_eq!(seconds("1.5E+3"), Some(1_500_000_000_000_000));
        assert_eq!(seconds("18446744.073709551615"), Some(u64::MAX));
    }

    #[test]
    fn digits_below_a_picosecond_round_to_the_nearest() {
        assert_eq!(seconds("0.30000000000000004"), Some(300_000_000_000));
        assert_eq!(seconds("0.0000000000005"), Some(1));
        assert_eq!(seconds("0.00000000000049999"), Some(0));
        assert_eq!(seconds("1e-13"), Some(0));
        assert_eq!(seconds("9.9999999999999"), Some(10_000_000_000_000));
        assert_eq!(seconds("1e-99999999999999999999"), Some(0));
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in
            ["", ".", "-1", "+1", "NaN", "inf", "1.2.3", "1e", "1e+", "1e1e1", "1 2", "0x10", "1_000", "١"]
        {
            let error = parse_time_ps("arrival_s", text, PS_PLACES_PER_SEC);
            assert!(matches!(error, Err(TraceErrorKind::Value { .. })), "{text}");
        }
        for text in ["18446744.073709551616", "1e9", "1e99999999999999999999", "99999999999999999999999"] {
            let error = parse_time_ps("arrival_s", text, PS_PLACES_PER_SEC);
            assert!(matches!(error, Err(TraceErrorKind::BeyondHorizon { .. })), "{text}");
        }
    }

    #[test]
    fn counts_are_plain_digits() {
        assert_eq!(parse_count("n", "4294967295").ok(), Some(u32::MAX));
        for text in ["", "-1", "+1", "1.0", "4294967296", "NaN", "1e3"] {
            assert!(parse_count("n", text).is_err(), "{text}");
        }
    }
}
