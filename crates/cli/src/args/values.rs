//! Values that several commands read in the same way.

/// Most threads: more than any machine has cores, fewer than an operating system refuses.
const MAX_THREADS: usize = 4_096;

pub(super) fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=MAX_THREADS) => Ok(threads),
        _ => Err(format!("write a number of threads between 1 and {MAX_THREADS}")),
    }
}

/// A share strictly between 0 and 1, as `0.05` or `5%`.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let (digits, unit) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100.0),
        None => (text, 1.0),
    };
    let share = digits.trim().parse::<f64>().ok().map(|number| number / unit);
    share
        .filter(|share| *share > 0.0 && *share < 1.0)
        .ok_or_else(|| "write a share between 0 and 1, such as `0.05` or `5%`".into())
}

/// A length of time from the command line.
pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x: &f64| x.is_finite() && *x >= 0.0);
    number.ok_or_else(|| "expected a number, not negative".to_owned())
}
