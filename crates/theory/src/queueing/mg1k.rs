//! M/G/1/K: one server and few places.

use nalgebra::{DMatrix, DVector};

use super::error::{QueueingError, Result, at_least_one, parameter, positive};
use super::numeric::{poisson_upper, scale};
use super::phase_type::PhaseType;
use super::service::{LognormalNodes, Service};

/// The recursion takes their square in time.
const MAX_PLACES: usize = 20_000;

/// Nodes times places of a lognormal service.
const MAX_EVALUATIONS: f64 = 5e6;

/// Weights above this are scaled down: an overloaded queue's grow geometrically.
const LARGE: f64 = 1e200;

/// M/G/1/K: Poisson arrivals, one FCFS server, at most `capacity` in system, the one in service included; arrivals
/// that find it full are lost. Domain: any load.
///
/// With `A` the arrivals during a service, the time in states `1..K` and in the full state are
/// `p_n = P(A >= n) p_0 + sum_k P(A > n - k) p_k` and `p_K = E[(A - K + 1)^+] p_0 + sum_k E[(A - K + k)^+] p_k`:
/// each state's time is what the services started in each lower state spend there (H. C. Tijms, *A First Course in Stochastic
/// Models*, 2003, section 9.2, which it is equivalent to). All terms are positive, so small blocking keeps its accuracy.
#[derive(Debug, Clone)]
pub struct Mg1k {
    lambda: f64,
    probabilities: Vec<f64>,
}

impl Mg1k {
    /// # Errors
    /// `lambda` must be positive and `capacity` at least 1.
    pub fn new(lambda: f64, service: &Service, capacity: u32) -> Result<Self> {
        positive("lambda", lambda)?;
        service.moments()?;
        let places = at_least_one("K", capacity)? as usize;
        if places > MAX_PLACES {
            return Err(parameter("K", capacity, "at most 20,000"));
        }
        let arrivals = Arrivals::new(lambda, service, places)?;
        let mut p = vec![1.0];
        for n in 1..places {
            // p_n P(A = 0) = P(A >= n) p_0 + sum over 1 <= k < n of P(A > n - k) p_k
            let ahead: f64 = (1..n).map(|k| arrivals.above[n - k] * p[k]).sum();
            p.push((arrivals.above[n - 1] * p[0] + ahead) / arrivals.none);
            if p[n] > LARGE {
                scale(&mut p, 1.0 / LARGE);
            }
        }
        let full: f64 = (1..places).map(|k| arrivals.excess[places - k] * p[k]).sum();
        p.push(arrivals.excess[places - 1] * p[0] + full);
        let total: f64 = p.iter().sum();
        if !total.is_finite() {
            return Err(QueueingError::NotApplicable(
                "the load is so high that a service without an arrival has no probability in double precision",
            ));
        }
        scale(&mut p, 1.0 / total);
        Ok(Self { lambda, probabilities: p })
    }

    /// `P(N = n)` for the number in system at any time; 0 beyond the capacity.
    pub fn probability(&self, n: usize) -> f64 {
        self.probabilities.get(n).copied().unwrap_or(0.0)
    }

    /// Share of arrivals that are lost.
    pub fn blocking(&self) -> f64 {
        self.probabilities[self.probabilities.len() - 1]
    }

    /// Accepted arrivals per unit of time.
    pub fn throughput(&self) -> f64 {
        let accepting: f64 = self.probabilities[..self.probabilities.len() - 1].iter().sum();
        self.lambda * accepting
    }

    /// Mean number in system.
    pub fn mean_number(&self) -> f64 {
        self.probabilities.iter().enumerate().map(|(n, p)| n as f64 * p).sum()
    }

    /// Mean number waiting.
    pub fn mean_queue(&self) -> f64 {
        self.probabilities.iter().enumerate().skip(1).map(|(n, p)| (n - 1) as f64 * p).sum()
    }

    /// Mean time before service of the accepted (Little).
    pub fn mean_wait(&self) -> f64 {
        self.mean_queue() / self.throughput()
    }

    /// Mean time in system of the accepted (Little).
    pub fn mean_sojourn(&self) -> f64 {
        self.mean_number() / self.throughput()
    }
}

/// What is asked of the Poisson arrivals `A` during one service.
struct Arrivals {
    /// `P(A = 0)`.
    none: f64,
    /// `P(A > n)` for `n` below the number of places.
    above: Vec<f64>,
    /// `E[(A - m)^+]`, likewise.
    excess: Vec<f64>,
}

impl Arrivals {
    fn new(lambda: f64, service: &Service, places: usize) -> Result<Self> {
        match service {
            Service::Deterministic(value) => {
                Ok(Self::mixed(places, || std::iter::once((lambda * value, 1.0))))
            }
            Service::Empirical(law) => {
                Ok(Self::mixed(places, || law.atoms().map(|(value, p)| (lambda * value, p))))
            }
            Service::Lognormal { mu_log, sigma } => {
                // P(A > n | x) rises over a relative width 1/sqrt(n) of x.
                let nodes =
                    LognormalNodes::new(*mu_log, *sigma, 0.5 / (sigma * (places as f64 + 1.0).sqrt()));
                if nodes.real().count() as f64 * places as f64 > MAX_EVALUATIONS {
                    return Err(parameter(
                        "K",
                        places,
                        "smaller for a lognormal service: at most a few thousand",
                    ));
                }
                Ok(Self::mixed(places, || nodes.real().map(|(value, weight)| (lambda * value, weight))))
            }
            Service::PhaseType(law) => Self::phase_type(lambda, law, places),
        }
    }

    /// A mixture of Poisson laws over `(mean, weight)`.
    fn mixed<I: Iterator<Item = (f64, f64)>>(places: usize, means: impl Fn() -> I) -> Self {
        let above = |n: usize| means().map(|(mean, weight)| weight * poisson_upper(n + 1, mean)).sum();
        let excess = |m: usize| {
            let over = |mean: f64| mean * poisson_upper(m, mean) - m as f64 * poisson_upper(m + 1, mean);
            means().map(|(mean, weight)| weight * over(mean)).sum()
        };
        Self {
            none: means().map(|(mean, weight)| weight * libm::exp(-mean)).sum(),
            above: (0..places).map(above).collect(),
            excess: (0..places).map(excess).collect(),
        }
    }

    /// `P(A >= n) = alpha U^n 1` with `U = lambda (lambda I - T)^-1`, the phase at an arrival; and
    /// `E[(A - m)^+] = alpha U^(m+1) (I + lambda (-T)^-1) 1`.
    fn phase_type(lambda: f64, law: &PhaseType, places: usize) -> Result<Self> {
        let phases = law.phases();
        let ones = DVector::from_element(phases, 1.0);
        let killed = DMatrix::from_diagonal_element(phases, phases, lambda) - law.generator();
        let factors = killed.transpose().lu();
        let rest = &ones + law.collected(&ones)? * lambda;
        let mut state = DVector::from_column_slice(law.start());
        let (mut above, mut excess) = (Vec::with_capacity(places), Vec::with_capacity(places));
        let exit = DVector::from_column_slice(law.exit());
        let mut none = 0.0;
        for n in 0..places {
            let Some(solved) = factors.solve(&state) else {
                return Err(QueueingError::NotApplicable(
                    "the phase-type generator is singular to working precision",
                ));
            };
            if n == 0 {
                none = solved.dot(&exit);
            }
            state = solved * lambda;
            above.push(state.sum());
            excess.push(state.dot(&rest));
        }
        Ok(Self { none, above, excess })
    }
}

#[cfg(test)]
mod tests {
    use super::Mg1k;
    use crate::queueing::birth_death::mmck;
    use crate::queueing::mg1::Mg1;
    use crate::queueing::service::{Empirical, Service};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn exponential_service_is_mm1k(lambda in 0.01_f64..20.0, places in 1_u32..60) {
            let general = Mg1k::new(lambda, &Service::exponential(1.0).unwrap(), places).unwrap();
            let simple = mmck(lambda, 1.0, 1, places).unwrap();
            for n in 0..=places as usize {
                let (got, exact) = (general.probability(n), simple.probability(n));
                prop_assert!((got - exact).abs() <= 1e-11 * exact.max(1e-9), "{n}: {got} {exact}");
            }
        }

        // What is accepted is served: the server is busy for the accepted work.
        #[test]
        fn accepted_work_keeps_the_server_busy(lambda in 0.05_f64..5.0, places in 1_u32..40, kind in 0_usize..4) {
            let service = match kind {
                0 => Service::deterministic(0.8).unwrap(),
                1 => Service::lognormal(-0.3, 0.9).unwrap(),
                2 => Service::Empirical(Empirical::new(&[0.1, 2.0], &[3.0, 1.0]).unwrap()),
                _ => Service::erlang(4, 1.3).unwrap(),
            };
            let queue = Mg1k::new(lambda, &service, places).unwrap();
            let work = queue.throughput() * service.moments().unwrap()[0];
            prop_assert!((work - (1.0 - queue.probability(0))).abs() < 1e-10, "{work}");
        }
    }

    #[test]
    fn ample_places_are_mg1() {
        let service = Service::deterministic(1.0).unwrap();
        let (finite, infinite) = (Mg1k::new(0.8, &service, 300).unwrap(), Mg1::new(0.8, service).unwrap());
        assert!((finite.mean_wait() - infinite.mean_wait()).abs() < 1e-11);
    }
}
