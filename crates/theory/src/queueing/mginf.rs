//! M/G/inf: no queue at all.

use super::error::{Result, positive};
use super::numeric::{poisson_pmf, poisson_upper};

/// M/G/inf: the number present is Poisson with mean `lambda E[S]` for any service law (Gross et al., section 5.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MgInf {
    mean: f64,
}

impl MgInf {
    /// # Errors
    /// Both must be positive.
    pub fn new(lambda: f64, mean_service: f64) -> Result<Self> {
        let mean = positive("lambda", lambda)? * positive("mean_service", mean_service)?;
        Ok(Self { mean: positive("lambda E[S]", mean)? })
    }

    /// Mean number present.
    pub fn mean_number(&self) -> f64 {
        self.mean
    }

    /// `P(N = n)`.
    pub fn probability(&self, n: u32) -> f64 {
        poisson_pmf(n as usize, self.mean)
    }

    /// `P(N > n)`.
    pub fn tail(&self, n: u32) -> f64 {
        poisson_upper(n as usize + 1, self.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::MgInf;

    #[test]
    fn tail_and_probabilities_make_one() {
        let system = MgInf::new(35.0, 2.0).unwrap();
        for n in [0, 40, 70, 120] {
            let below: f64 = (0..=n).map(|k| system.probability(k)).sum();
            assert!((below + system.tail(n) - 1.0).abs() < 1e-13, "{n}");
        }
        assert!(MgInf::new(0.0, 1.0).is_err());
    }
}
