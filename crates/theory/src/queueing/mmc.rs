//! M/M/c: many exponential servers behind one line.

use super::erlang::erlang_c;
use super::error::{Result, at_least_one, level, not_negative, positive, stable};
use super::hypo::sum_of_two_tail;
use super::numeric::quantile;

/// Poisson arrivals, `c` exponential servers of rate `mu` each, FCFS. Domain: `lambda < c mu`.
///
/// An arrival waits with Erlang C's probability, then for an exponential time of rate `c mu - lambda`. Gross et al.,
/// section 2.3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mmc {
    lambda: f64,
    mu: f64,
    servers: u32,
    waits: f64,
}

impl Mmc {
    /// # Errors
    /// Rates must be positive, `servers` at least 1, `lambda < servers mu`.
    pub fn new(lambda: f64, mu: f64, servers: u32) -> Result<Self> {
        let capacity = f64::from(at_least_one("c", servers)?) * positive("mu", mu)?;
        stable(positive("lambda", lambda)?, capacity)?;
        let waits = erlang_c(lambda / mu, servers)?;
        Ok(Self { lambda, mu, servers, waits })
    }

    /// Rate of the waiting time of those who wait.
    fn slack(&self) -> f64 {
        f64::from(self.servers) * self.mu - self.lambda
    }

    /// Erlang C: the share of arrivals that wait.
    pub fn wait_probability(&self) -> f64 {
        self.waits
    }

    /// Mean time before service.
    pub fn mean_wait(&self) -> f64 {
        self.waits / self.slack()
    }

    /// Mean time in system.
    pub fn mean_sojourn(&self) -> f64 {
        self.mean_wait() + 1.0 / self.mu
    }

    /// Mean number waiting.
    pub fn mean_queue(&self) -> f64 {
        self.lambda * self.mean_wait()
    }

    /// Mean number in system.
    pub fn mean_number(&self) -> f64 {
        self.mean_queue() + self.lambda / self.mu
    }

    /// Variance of the time before service, `C (2 - C) / (c mu - lambda)^2`.
    pub fn var_wait(&self) -> f64 {
        self.waits * (2.0 - self.waits) / (self.slack() * self.slack())
    }

    /// Variance of the time in system: wait and service are independent.
    pub fn var_sojourn(&self) -> f64 {
        self.var_wait() + 1.0 / (self.mu * self.mu)
    }

    /// `P(W > t)`.
    ///
    /// # Errors
    /// `t` must be at least 0.
    pub fn wait_tail(&self, t: f64) -> Result<f64> {
        Ok(self.waits * libm::exp(-self.slack() * not_negative("t", t)?))
    }

    /// `P(T > t)` for the time in system.
    ///
    /// # Errors
    /// `t` must be at least 0.
    pub fn sojourn_tail(&self, t: f64) -> Result<f64> {
        let served_at_once = libm::exp(-self.mu * not_negative("t", t)?);
        Ok((1.0 - self.waits) * served_at_once + self.waits * sum_of_two_tail(self.slack(), self.mu, t))
    }

    /// Quantile of the time before service; 0 when `p <= 1 - C`.
    ///
    /// # Errors
    /// `p` must be above 0 and below 1.
    pub fn wait_quantile(&self, p: f64) -> Result<f64> {
        Ok(libm::log(self.waits / (1.0 - level(p)?)).max(0.0) / self.slack())
    }

    /// Quantile of the time in system: the root of its tail.
    ///
    /// # Errors
    /// `p` must be above 0 and below 1.
    pub fn sojourn_quantile(&self, p: f64) -> Result<f64> {
        quantile(|t| self.sojourn_tail(t), p, self.mean_sojourn())
    }
}

#[cfg(test)]
mod tests {
    use super::Mmc;
    use crate::queueing::mm1::Mm1;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_server_is_mm1(lambda in 0.01_f64..0.999, p in 0.05_f64..0.999) {
            let (one, many) = (Mm1::new(lambda, 1.0).unwrap(), Mmc::new(lambda, 1.0, 1).unwrap());
            let close = |x: f64, y: f64| (x - y).abs() <= 1e-10 * y.abs().max(1.0);
            prop_assert!(close(many.mean_wait(), one.mean_wait()));
            prop_assert!(close(many.var_sojourn(), one.var_sojourn()));
            prop_assert!(close(many.sojourn_quantile(p).unwrap(), one.sojourn_quantile(p).unwrap()));
            prop_assert!(close(many.wait_quantile(p).unwrap(), one.wait_quantile(p).unwrap()));
        }
    }

    #[test]
    fn capacity_must_exceed_the_load() {
        assert!(Mmc::new(3.0, 1.0, 3).is_err());
        assert!(Mmc::new(1.0, 1.0, 0).is_err());
    }
}
