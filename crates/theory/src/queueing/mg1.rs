//! M/G/1 under FCFS: moments by Pollaczek and Khinchine, the law of the wait by an exact method for each service law.

use nalgebra::Complex;

use super::error::{Result, level, not_negative, positive, stable};
use super::lattice::{Batches, LatticeQueue};
use super::numeric::{invert_laplace, quantile};
use super::phase_type::RestartedTail;
use super::service::{LognormalNodes, Service};

/// Poisson arrivals, one server, any service law, FCFS. Domain: `lambda E[S] < 1` and a finite third moment.
#[derive(Debug, Clone)]
pub struct Mg1 {
    lambda: f64,
    service: Service,
    moments: [f64; 3],
}

impl Mg1 {
    /// # Errors
    /// `lambda` must be positive and `lambda E[S] < 1`.
    pub fn new(lambda: f64, service: Service) -> Result<Self> {
        let moments = service.moments()?;
        stable(positive("lambda", lambda)? * moments[0], 1.0)?;
        Ok(Self { lambda, service, moments })
    }

    /// `rho = lambda E[S]`.
    pub fn utilization(&self) -> f64 {
        self.lambda * self.moments[0]
    }

    /// `E[W] = lambda E[S^2] / (2 (1 - rho))`. Pollaczek-Khinchine; Gross et al., section 5.1.
    pub fn mean_wait(&self) -> f64 {
        self.lambda * self.moments[1] / (2.0 * (1.0 - self.utilization()))
    }

    /// `Var W = E[W]^2 + lambda E[S^3] / (3 (1 - rho))`, from the recursion of L. Takacs (*Operations Research* 10, 1962).
    pub fn var_wait(&self) -> f64 {
        let mean = self.mean_wait();
        mean * mean + self.lambda * self.moments[2] / (3.0 * (1.0 - self.utilization()))
    }

    /// Mean time in system.
    pub fn mean_sojourn(&self) -> f64 {
        self.mean_wait() + self.moments[0]
    }

    /// Variance of the time in system: wait and service are independent.
    pub fn var_sojourn(&self) -> f64 {
        self.var_wait() + self.moments[1] - self.moments[0] * self.moments[0]
    }

    /// Mean number waiting.
    pub fn mean_queue(&self) -> f64 {
        self.lambda * self.mean_wait()
    }

    /// Mean number in system.
    pub fn mean_number(&self) -> f64 {
        self.lambda * self.mean_sojourn()
    }

    /// The law of the wait, prepared once for many evaluations.
    ///
    /// # Errors
    /// When the service law is degenerate in double precision.
    pub fn wait(&self) -> Result<WaitLaw> {
        let rho = self.utilization();
        let scale = self.mean_wait();
        let method = match &self.service {
            Service::Deterministic(value) => {
                Method::Lattice(LatticeQueue::new(Batches::deterministic(self.lambda, *value), rho))
            }
            Service::Empirical(law) => {
                Method::Lattice(LatticeQueue::new(Batches::empirical(self.lambda, law), rho))
            }
            Service::PhaseType(law) => {
                let residual = law.equilibrium_phases()?;
                let restart = residual.into_iter().map(|p| rho * p).collect();
                Method::Phases(RestartedTail::new(law, restart))
            }
            Service::Lognormal { mu_log, sigma } => Method::Transform {
                nodes: LognormalNodes::new(*mu_log, *sigma, 0.08 / sigma.max(1.0)),
                mean: self.moments[0],
            },
        };
        Ok(WaitLaw { rho, scale, method })
    }
}

/// The law of the wait in M/G/1: `P(W > t) = rho` at 0, and
///
/// - deterministic and empirical service: exact recursions on the lattice of the service times (see `lattice`); values
///   without a common span are split onto 512 steps, with an error of the order of `(1/512)^2`;
/// - phase-type service: a geometric number of residual services is again phase type (Neuts 1981, section 3.3), evaluated by
///   uniformisation, absolute error about 1e-17;
/// - lognormal service: inversion of the Pollaczek-Khinchine transform, absolute error about 1e-11.
pub struct WaitLaw {
    rho: f64,
    scale: f64,
    method: Method,
}

enum Method {
    Lattice(LatticeQueue),
    Phases(RestartedTail),
    Transform { nodes: LognormalNodes, mean: f64 },
}

impl WaitLaw {
    /// `P(W > t)`.
    ///
    /// # Errors
    /// `t` must be at least 0; far tails of long services give up beyond a bound of work.
    pub fn tail(&self, t: f64) -> Result<f64> {
        if not_negative("t", t)? == 0.0 {
            return Ok(self.rho);
        }
        match &self.method {
            Method::Lattice(queue) => queue.wait_tail(t),
            Method::Phases(tail) => tail.tail(t),
            Method::Transform { nodes, mean } => {
                let transform =
                    |s: Complex<f64>| tail_transform(self.rho, residual_complement(nodes, *mean, s), s);
                Ok(invert_laplace(transform, t).clamp(0.0, self.rho))
            }
        }
    }

    /// Quantile of the wait; 0 when `p <= 1 - rho`.
    ///
    /// # Errors
    /// `p` must be above 0 and below 1; otherwise as [`Self::tail`].
    pub fn quantile(&self, p: f64) -> Result<f64> {
        if 1.0 - level(p)? >= self.rho {
            return Ok(0.0);
        }
        quantile(|t| self.tail(t), p, self.scale)
    }
}

/// Transform of `P(W > t)`: `rho (1 - r) / (s (1 - rho r))` with `r` the transform of the residual service, from
/// Pollaczek-Khinchine `W = (1 - rho) / (1 - rho r)`. The atom at 0 is not in it.
fn tail_transform(rho: f64, complement: Complex<f64>, s: Complex<f64>) -> Complex<f64> {
    complement * rho / (s * (complement * rho + (1.0 - rho)))
}

/// `1 - r(s)` for lognormal service, `r(s) = E[1 - exp(-sX)] / (s E[X])`, without the cancellation at small `s`.
fn residual_complement(nodes: &LognormalNodes, mean: f64, s: Complex<f64>) -> Complex<f64> {
    nodes.turned(s, |x| one_minus_decay_ratio(s * x) * x) / mean
}

/// `1 - (1 - exp(-y)) / y`.
fn one_minus_decay_ratio(y: Complex<f64>) -> Complex<f64> {
    if y.norm_sqr() < 0.0025 {
        // y/2! - y^2/3! + y^3/4! - ...
        let mut term = Complex::new(1.0, 0.0);
        let mut sum = Complex::new(0.0, 0.0);
        for k in 2..10 {
            term *= y / f64::from(k);
            sum += if k % 2 == 0 { term } else { -term };
        }
        return sum;
    }
    let decay = Complex::new(libm::cos(y.im), -libm::sin(y.im)) * libm::exp(-y.re);
    Complex::new(1.0, 0.0) - (Complex::new(1.0, 0.0) - decay) / y
}

#[cfg(test)]
mod tests {
    use super::Mg1;
    use crate::queueing::mm1::Mm1;
    use crate::queueing::service::{Empirical, Service};
    use proptest::prelude::*;

    fn tail(lambda: f64, service: Service, t: f64) -> f64 {
        Mg1::new(lambda, service).unwrap().wait().unwrap().tail(t).unwrap()
    }

    #[test]
    fn exponential_service_is_mm1() {
        let (general, simple) =
            (Mg1::new(0.9, Service::exponential(1.0).unwrap()).unwrap(), Mm1::new(0.9, 1.0).unwrap());
        assert!((general.mean_wait() - simple.mean_wait()).abs() < 1e-12);
        assert!((general.var_wait() - simple.var_wait()).abs() < 1e-10);
        let law = general.wait().unwrap();
        for p in [0.05, 0.5, 0.95, 0.999] {
            let (got, exact) = (law.quantile(p).unwrap(), simple.wait_quantile(p).unwrap());
            assert!((got - exact).abs() <= 1e-11 * exact.max(1.0), "{p}: {got} {exact}");
        }
    }

    // Crommelin 1932: within one service time P(W <= t) = (1 - rho) exp(lambda t).
    #[test]
    fn deterministic_service_starts_like_crommelin() {
        for t in [0.1, 0.5, 0.99] {
            let got = tail(0.7, Service::deterministic(1.0).unwrap(), t);
            assert!((got - (1.0 - 0.3 * libm::exp(0.7 * t))).abs() < 1e-14, "{t}: {got}");
        }
    }

    // One law in two guises, so two unlike methods: Erlang-50 by uniformisation, and its histogram on a lattice.
    #[test]
    fn methods_agree_on_one_law() {
        let erlang = tail(0.8, Service::erlang(50, 1.0).unwrap(), 3.0);
        let cells = 400;
        let width = 2.5 / f64::from(cells);
        let density = |x: f64| libm::exp(49.0 * libm::log(x) - 50.0 * x);
        let values: Vec<f64> = (0..cells).map(|i| (f64::from(i) + 0.5) * width).collect();
        let weights: Vec<f64> = values.iter().map(|x| density(*x)).collect();
        let lattice = tail(0.8, Service::Empirical(Empirical::new(&values, &weights).unwrap()), 3.0);
        assert!((erlang - lattice).abs() < 1e-4, "{erlang} {lattice}");
    }

    // The mean of the law of the wait is the formula's mean, for each method.
    #[test]
    fn tails_integrate_to_pollaczek_khinchine() {
        let two_points = Empirical::new(&[0.25, 1.5], &[0.6, 0.4]).unwrap();
        let irregular = Empirical::new(&[0.2, 0.2 * std::f64::consts::PI, 1.7], &[0.3, 0.3, 0.4]).unwrap();
        for (service, precision) in [
            (Service::deterministic(0.8).unwrap(), 1e-4),
            (Service::hyperexponential(&[0.7, 0.3], &[2.0, 0.7]).unwrap(), 1e-5),
            (Service::lognormal(-0.5, 0.7).unwrap(), 1e-4),
            (Service::Empirical(two_points), 1e-3),
            (Service::Empirical(irregular), 1e-3),
        ] {
            let queue = Mg1::new(0.7, service).unwrap();
            let law = queue.wait().unwrap();
            let (step, count) = (0.1, 300);
            // Simpson, with the atom at 0 as the first ordinate.
            let weight = |k: u32| if k % 2 == 1 { 4.0 } else { 2.0 };
            let inner: f64 = (1..count).map(|k| weight(k) * law.tail(f64::from(k) * step).unwrap()).sum();
            let integral = step / 3.0 * (inner + queue.utilization());
            assert!(
                (integral / queue.mean_wait() - 1.0).abs() < precision,
                "{integral} {}",
                queue.mean_wait()
            );
        }
    }

    proptest! {
        #[test]
        fn tails_fall_and_quantiles_invert_them(rho in 0.05_f64..0.98, p in 0.3_f64..0.995, kind in 0_usize..4) {
            let service = match kind {
                0 => Service::deterministic(1.0).unwrap(),
                1 => Service::erlang(3, 1.0).unwrap(),
                2 => Service::hyperexponential(&[0.9, 0.1], &[2.0, 2.0 / 11.0]).unwrap(),
                _ => Service::lognormal(-0.32, 0.8).unwrap(),
            };
            let queue = Mg1::new(rho / service.moments().unwrap()[0], service).unwrap();
            let law = queue.wait().unwrap();
            let t = law.quantile(p).unwrap();
            if t > 0.0 {
                prop_assert!((law.tail(t).unwrap() - (1.0 - p)).abs() < 1e-9);
                prop_assert!(law.tail(t * 1.5).unwrap() < law.tail(t).unwrap());
            } else {
                prop_assert!(queue.utilization() <= 1.0 - p + 1e-12);
            }
        }
    }

    #[test]
    fn no_answer_outside_the_domain() {
        assert!(Mg1::new(1.0, Service::deterministic(1.0).unwrap()).is_err());
        assert!(Mg1::new(-0.5, Service::deterministic(1.0).unwrap()).is_err());
        let law = Mg1::new(0.5, Service::deterministic(1.0).unwrap()).unwrap().wait().unwrap();
        assert!(law.tail(-1.0).is_err());
        assert!(law.quantile(1.0).is_err());
    }
}
