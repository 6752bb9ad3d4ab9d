//! The sum of two independent exponential times, which several queues end in.

/// `P(X + Y > t)` for exponentials of rates `a` and `b`, equal or not: written without the difference of two nearly equal
/// exponentials that the usual formula has.
pub(crate) fn sum_of_two_tail(a: f64, b: f64, t: f64) -> f64 {
    let (fast, slow) = if a >= b { (a, b) } else { (b, a) };
    let gap = fast - slow;
    // integral of exp(-gap s) over (0, t)
    let overlap = if gap * t < 1e-300 { t } else { -libm::expm1(-gap * t) / gap };
    libm::exp(-fast * t) + fast * libm::exp(-slow * t) * overlap
}

#[cfg(test)]
mod tests {
    use super::sum_of_two_tail;

    #[test]
    fn is_smooth_where_the_rates_meet() {
        // Equal rates: Erlang-2.
        let erlang = 3.0 * libm::exp(-2.0);
        for nudge in [0.0, 1e-15, 1e-9, -1e-9] {
            let tail = sum_of_two_tail(1.0 + nudge, 1.0, 2.0);
            assert!((tail - erlang).abs() < 2e-9, "{nudge}: {tail}");
        }
        let apart = sum_of_two_tail(3.0, 0.5, 1.0);
        let formula = (3.0 * libm::exp(-0.5) - 0.5 * libm::exp(-3.0)) / 2.5;
        assert!((apart - formula).abs() < 1e-15);
    }
}
