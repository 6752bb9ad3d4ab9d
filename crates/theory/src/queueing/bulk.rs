//! M/M^[b]/1: a server that takes up to `b` customers at once, for one exponential time.

use super::error::{Result, at_least_one, positive, stable};
use super::numeric::root;

/// Bulk service: when free, the server takes whoever waits, at most `b`; later arrivals wait for the next batch. Domain:
/// `lambda < b mu`.
///
/// With the server busy the number waiting is geometric, its ratio the root in (0, 1) of `mu r^(b+1) - (lambda + mu) r +
/// lambda = 0` (N. T. J. Bailey 1954; Gross et al., section 3.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BulkService {
    lambda: f64,
    mu: f64,
    /// `1 - r`: what is left when `r` nears 1 at high load.
    complement: f64,
}

impl BulkService {
    /// # Errors
    /// Rates must be positive, `b` at least 1, `lambda < b mu`.
    pub fn new(lambda: f64, mu: f64, b: u32) -> Result<Self> {
        let size = f64::from(at_least_one("b", b)?);
        stable(positive("lambda", lambda)?, size * positive("mu", mu)?)?;
        // Divided by (1 - r), the equation reads r + r^2 + ... + r^b = lambda / mu: increasing in r.
        let load = lambda / mu;
        let excess = |e: f64| (1.0 - e) * (-libm::expm1(size * libm::log1p(-e))) / e - load;
        let complement = root(excess, f64::MIN_POSITIVE.sqrt(), 1.0)?;
        Ok(Self { lambda, mu, complement })
    }

    /// The ratio of the geometric law.
    pub fn ratio(&self) -> f64 {
        1.0 - self.complement
    }

    /// `P(busy, nobody waits)`.
    fn busy_empty(&self) -> f64 {
        1.0 / (1.0 / self.complement + self.mu / self.lambda)
    }

    /// Share of time in which the server is idle.
    pub fn idle_probability(&self) -> f64 {
        self.mu / self.lambda * self.busy_empty()
    }

    /// Mean number waiting.
    pub fn mean_queue(&self) -> f64 {
        self.busy_empty() * self.ratio() / (self.complement * self.complement)
    }

    /// Mean time before service.
    pub fn mean_wait(&self) -> f64 {
        self.mean_queue() / self.lambda
    }
}

#[cfg(test)]
mod tests {
    use super::BulkService;
    use crate::queueing::mm1::Mm1;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_of_one_are_mm1(rho in 0.01_f64..0.999) {
            let (bulk, single) = (BulkService::new(rho, 1.0, 1).unwrap(), Mm1::new(rho, 1.0).unwrap());
            prop_assert!((bulk.mean_queue() / single.mean_queue() - 1.0).abs() < 1e-9);
            prop_assert!((bulk.idle_probability() - (1.0 - rho)).abs() < 1e-12);
        }

        #[test]
        fn the_ratio_solves_its_equation(load in 0.001_f64..0.9999, b in 1_u32..500) {
            let lambda = load * f64::from(b);
            let r = BulkService::new(lambda, 1.0, b).unwrap().ratio();
            let residual = libm::pow(r, f64::from(b + 1)) - (lambda + 1.0) * r + lambda;
            prop_assert!(r > 0.0 && r < 1.0 && residual.abs() < 1e-12 * (1.0 + lambda), "{r} {residual}");
        }
    }

    #[test]
    fn capacity_must_exceed_the_load() {
        assert!(BulkService::new(8.0, 1.0, 8).is_err());
        assert!(BulkService::new(1.0, 1.0, 0).is_err());
    }
}
