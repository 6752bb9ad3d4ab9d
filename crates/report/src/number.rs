//! Numbers for people: thousands separated, as many digits as carry meaning.

/// A whole number with commas between thousands.
pub(crate) fn whole(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Four significant digits, never fewer than the whole part; a dash for nothing.
pub(crate) fn significant(value: Option<f64>) -> String {
    let Some(value) = value else { return "-".into() };
    let size = value.abs();
    if size >= 1_000.0 {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}", whole(size.round() as u64));
    }
    let decimals = match size {
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// A share as a percentage.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.1} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(whole(1_234_567), "1,234,567");
        assert_eq!(whole(12), "12");
        assert_eq!(significant(Some(12_345.6)), "12,346");
        assert_eq!(significant(Some(123.45)), "123.5");
        assert_eq!(significant(Some(0.012_34)), "0.012");
        assert_eq!(significant(None), "-");
        assert_eq!(percent(Some(0.123)), "12.3 %");
    }
}
