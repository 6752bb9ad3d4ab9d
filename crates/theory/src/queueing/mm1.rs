//! M/M/1: the queue whose every law is a formula.

use super::error::{Result, level, not_negative, positive, stable};

/// Poisson arrivals, exponential service, one server, FCFS. Domain: `lambda < mu`.
///
/// Number in system geometric with ratio rho; sojourn time exponential with rate `mu - lambda`. Gross, Shortle, Thompson
/// and Harris, *Fundamentals of Queueing Theory*, 4th ed., section 2.2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mm1 {
    lambda: f64,
    mu: f64,
}

impl Mm1 {
    /// A queue with `lambda` arrivals and a capacity of `mu` services per unit of time.
    ///
    /// # Errors
    /// Rates must be positive and `lambda < mu`.
    pub fn new(lambda: f64, mu: f64) -> Result<Self> {
        stable(positive("lambda", lambda)?, positive("mu", mu)?)?;
        Ok(Self { lambda, mu })
    }

    /// `rho = lambda / mu`.
    pub fn utilization(&self) -> f64 {
        self.lambda / self.mu
    }

    /// Rate of the exponential sojourn time.
    fn slack(&self) -> f64 {
        self.mu - self.lambda
    }

    /// Mean number in system, `lambda / (mu - lambda)`.
    pub fn mean_number(&self) -> f64 {
        self.lambda / self.slack()
    }

    /// Mean number waiting, without the one in service.
    pub fn mean_queue(&self) -> f64 {
        self.utilization() * self.mean_number()
    }

    /// Mean time in system.
    pub fn mean_sojourn(&self) -> f64 {
        1.0 / self.slack()
    }

    /// Mean time before service.
    pub fn mean_wait(&self) -> f64 {
        self.utilization() / self.slack()
    }

    /// Variance of the time in system.
    pub fn var_sojourn(&self) -> f64 {
        1.0 / (self.slack() * self.slack())
    }

    /// Variance of the time before service, `rho (2 - rho) / (mu - lambda)^2`.
    pub fn var_wait(&self) -> f64 {
        let rho = self.utilization();
        rho * (2.0 - rho) * self.var_sojourn()
    }

    /// `P(W > t)`, `rho exp(-(mu - lambda) t)`.
    ///
    /// # Errors
    /// `t` must be at least 0.
    pub fn wait_tail(&self, t: f64) -> Result<f64> {
        Ok(self.utilization() * libm::exp(-self.slack() * not_negative("t", t)?))
    }

    /// `P(T > t)` for the time in system.
    ///
    /// # Errors
    /// `t` must be at least 0.
    pub fn sojourn_tail(&self, t: f64) -> Result<f64> {
        Ok(libm::exp(-self.slack() * not_negative("t", t)?))
    }

    /// Quantile of the time before service; 0 when `p <= 1 - rho`.
    ///
    /// # Errors
    /// `p` must be above 0 and below 1.
    pub fn wait_quantile(&self, p: f64) -> Result<f64> {
        let ratio = self.utilization() / (1.0 - level(p)?);
        Ok(libm::log(ratio).max(0.0) / self.slack())
    }

    /// Quantile of the time in system.
    ///
    /// # Errors
    /// `p` must be above 0 and below 1.
    pub fn sojourn_quantile(&self, p: f64) -> Result<f64> {
        Ok(-libm::log1p(-level(p)?) / self.slack())
    }

    /// `P(N = n)` for the number in system, `(1 - rho) rho^n`.
    pub fn number_probability(&self, n: u32) -> f64 {
        self.slack() / self.mu * libm::pow(self.utilization(), f64::from(n))
    }
}

#[cfg(test)]
mod tests {
    use super::Mm1;

    // Gross et al., example 2.2 style: 2 of 3 an hour.
    #[test]
    fn textbook_values() {
        let queue = Mm1::new(2.0, 3.0).unwrap();
        assert!((queue.mean_number() - 2.0).abs() < 1e-15);
        assert!((queue.mean_queue() - 4.0 / 3.0).abs() < 1e-15);
        assert!((queue.mean_wait() - 2.0 / 3.0).abs() < 1e-15);
        assert!((queue.number_probability(2) - 4.0 / 27.0).abs() < 1e-15);
        let p90 = queue.wait_quantile(0.9).unwrap();
        assert!((queue.wait_tail(p90).unwrap() - 0.1).abs() < 1e-15);
        assert!(queue.wait_quantile(0.3).unwrap().abs() < 1e-300);
    }

    #[test]
    fn no_answer_outside_the_domain() {
        for (lambda, mu) in [(1.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert!(Mm1::new(lambda, mu).is_err(), "{lambda} {mu}");
        }
    }
}
