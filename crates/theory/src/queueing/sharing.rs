//! Processor sharing: one server whose capacity is split equally among all present.

use super::error::{Result, not_negative, positive, stable};

/// M/G/1-PS. Domain: `rho < 1`. Means depend on the service law only through its mean (Kleinrock, *Queueing Systems* II,
/// section 4.4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessorSharing {
    mean_service: f64,
    rho: f64,
}

impl ProcessorSharing {
    /// # Errors
    /// Both must be positive with `lambda mean_service < 1`.
    pub fn new(lambda: f64, mean_service: f64) -> Result<Self> {
        let rho = positive("lambda", lambda)? * positive("mean_service", mean_service)?;
        stable(rho, 1.0)?;
        Ok(Self { mean_service, rho })
    }

    /// Mean time in system, `E[S] / (1 - rho)`.
    pub fn mean_sojourn(&self) -> f64 {
        self.mean_service / (1.0 - self.rho)
    }

    /// Mean time in system of a job of size `x`, `x / (1 - rho)`: the slowdown is the same for all sizes.
    ///
    /// # Errors
    /// `x` must be at least 0.
    pub fn mean_sojourn_of(&self, x: f64) -> Result<f64> {
        Ok(not_negative("x", x)? / (1.0 - self.rho))
    }

    /// Mean number in system; the number is geometric as in M/M/1.
    pub fn mean_number(&self) -> f64 {
        self.rho / (1.0 - self.rho)
    }

    /// Variance of the time in system, exponential service only: `E[S]^2 (2 + rho) / ((1 - rho)^2 (2 - rho))`. Coffman, Muntz
    /// and Trotter (*J. ACM* 17, 1970).
    pub fn var_sojourn_exponential(&self) -> f64 {
        let mean = self.mean_sojourn();
        mean * mean * (2.0 + self.rho) / (2.0 - self.rho)
    }
}

#[cfg(test)]
mod tests {
    use super::ProcessorSharing;

    #[test]
    fn published_values() {
        let queue = ProcessorSharing::new(0.5, 1.0).unwrap();
        assert!((queue.mean_sojourn() - 2.0).abs() < 1e-15);
        assert!((queue.mean_sojourn_of(2.0).unwrap() - 4.0).abs() < 1e-15);
        // 4 * 2.5 / 1.5
        assert!((queue.var_sojourn_exponential() - 20.0 / 3.0).abs() < 1e-14);
        assert!(ProcessorSharing::new(1.0, 1.0).is_err());
    }
}
