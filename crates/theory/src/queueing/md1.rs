//! M/D/1: the number in system. Its wait is [`super::Mg1`] with deterministic service.

use super::error::{Result, parameter, positive, stable};
use super::lattice::{Batches, LatticeQueue};

/// The recursion takes a step for each customer.
const MAX_NUMBER: u32 = 1_000_000;

/// `P(N = n)` in M/D/1 with service time `d`. Domain: `lambda d < 1`.
///
/// Crommelin's closed form alternates in sign and needs 60 digits at high load; here the queue is a geometric number of
/// residual services' arrivals, a recursion of positive terms (see `lattice`).
///
/// # Errors
/// `lambda` and `d` must be positive with `lambda d < 1`.
pub fn md1_number_probability(lambda: f64, d: f64, n: u32) -> Result<f64> {
    if n > MAX_NUMBER {
        return Err(parameter("n", n, "at most a million"));
    }
    let rho = positive("lambda", lambda)? * positive("D", d)?;
    stable(rho, 1.0)?;
    Ok(LatticeQueue::new(Batches::deterministic(lambda, d), rho).number_probability(n as usize))
}

#[cfg(test)]
mod tests {
    use super::md1_number_probability;

    // Crommelin: p_1 = (1 - rho)(e^rho - 1), p_2 = (1 - rho) e^rho (e^rho - rho - 1).
    #[test]
    fn first_terms_of_crommelin() {
        for rho in [0.1, 0.6, 0.99] {
            let e = libm::exp(rho);
            let exact = [1.0 - rho, (1.0 - rho) * libm::expm1(rho), (1.0 - rho) * e * (e - rho - 1.0)];
            for (n, value) in exact.into_iter().enumerate() {
                let got = md1_number_probability(rho, 1.0, n as u32).unwrap();
                assert!((got - value).abs() < 1e-14, "rho {rho} n {n}: {got} {value}");
            }
        }
    }

    #[test]
    fn probabilities_sum_to_one_at_high_load() {
        let total: f64 = (0..1500).map(|n| md1_number_probability(0.98, 1.0, n).unwrap()).sum();
        assert!((total - 1.0).abs() < 1e-11, "{total}");
    }
}
