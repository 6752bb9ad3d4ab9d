//! M/M/1 under policies that know the sizes of jobs.

use super::error::{Result, positive, stable};
use super::numeric::integrate_half_line;

/// Load in units of the server, with sizes in units of their mean.
fn load(lambda: f64, mu: f64) -> Result<f64> {
    stable(positive("lambda", lambda)?, positive("mu", mu)?)?;
    Ok(lambda / mu)
}

/// `1 - rho(x)`, the capacity left by jobs shorter than `x` mean sizes: `rho(x) = rho (1 - (1 + x) exp(-x))`.
fn spare(rho: f64, x: f64) -> f64 {
    (1.0 - rho) + rho * (1.0 + x) * libm::exp(-x)
}

/// Mean wait in M/M/1 when the shortest waiting job goes next and is not interrupted.
///
/// `E[W] = W0 integral f(x) / (1 - rho(x))^2 dx`, `W0 = lambda E[S^2] / 2` (T. E. Phipps, *Operations Research* 4, 1956).
/// Domain: `lambda < mu`.
///
/// # Errors
/// Outside the domain.
pub fn sjf_mean_wait(lambda: f64, mu: f64) -> Result<f64> {
    let rho = load(lambda, mu)?;
    let integral = integrate_half_line(|x| {
        let spare = spare(rho, x);
        libm::exp(-x) / (spare * spare)
    });
    Ok(rho * integral / mu)
}

/// Mean time in system of M/M/1 under shortest remaining processing time.
///
/// Wait of size `x`: `lambda (integral_0^x t^2 f + x^2 P(S > x)) / (2 (1 - rho(x))^2)`, then residence `integral_0^x dt / (1 -
/// rho(t))` (L. E. Schrage and L. W. Miller, *Operations Research* 14, 1966). Domain: `lambda < mu`.
///
/// # Errors
/// Outside the domain.
pub fn srpt_mean_sojourn(lambda: f64, mu: f64) -> Result<f64> {
    let rho = load(lambda, mu)?;
    let integral = integrate_half_line(|x| {
        let (spare, density) = (spare(rho, x), libm::exp(-x));
        // For exponential sizes the numerator is 2 (1 - (1 + x) exp(-x)); exchanging the integrals makes the residence single.
        let shorter = -libm::expm1(-x) - x * density;
        density * (rho * shorter / (spare * spare) + 1.0 / spare)
    });
    Ok(integral / mu)
}

#[cfg(test)]
mod tests {
    use super::{sjf_mean_wait, srpt_mean_sojourn};
    use crate::queueing::mm1::Mm1;
    use proptest::prelude::*;

    proptest! {
        // SRPT has the least mean number of all policies (Schrage 1968), FCFS has more than SJF.
        #[test]
        fn knowing_sizes_helps(rho in 0.01_f64..0.999, mu in 0.1_f64..10.0) {
            let fcfs = Mm1::new(rho * mu, mu).unwrap().mean_sojourn();
            let sjf = sjf_mean_wait(rho * mu, mu).unwrap() + 1.0 / mu;
            let srpt = srpt_mean_sojourn(rho * mu, mu).unwrap();
            prop_assert!(1.0 / mu < srpt && srpt < sjf && sjf < fcfs, "{srpt} {sjf} {fcfs}");
        }
    }

    #[test]
    fn an_idle_server_makes_nobody_wait() {
        assert!((srpt_mean_sojourn(1e-9, 2.0).unwrap() - 0.5).abs() < 1e-8);
        assert!(sjf_mean_wait(1.0, 1.0).is_err());
    }
}
