//! M/G/1 with priorities among classes.

use super::error::{QueueingError, Result, not_negative, parameter, positive, stable};

/// One class of M/G/1; classes are listed with the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriorityClass {
    /// Arrival rate.
    pub lambda: f64,
    /// `E[S]`.
    pub mean: f64,
    /// `E[S^2]`.
    pub second_moment: f64,
}

impl PriorityClass {
    /// A class with exponential service.
    pub fn exponential(lambda: f64, mean: f64) -> Self {
        Self { lambda, mean, second_moment: 2.0 * mean * mean }
    }

    fn load(&self) -> f64 {
        self.lambda * self.mean
    }

    fn residual(&self) -> f64 {
        self.lambda * self.second_moment / 2.0
    }
}

fn check(classes: &[PriorityClass], class: usize) -> Result<()> {
    for class in classes {
        not_negative("lambda", class.lambda)?;
        positive("mean", class.mean)?;
        let least = class.mean * class.mean * (1.0 - 1e-12);
        if !class.second_moment.is_finite() || class.second_moment < least {
            return Err(parameter("second moment", class.second_moment, "at least the square of the mean"));
        }
    }
    if class < classes.len() { Ok(()) } else { Err(parameter("class", class, "one of the classes")) }
}

/// Loads of the classes before `class`, and up to it.
fn loads(classes: &[PriorityClass], class: usize) -> (f64, f64) {
    let before: f64 = classes[..class].iter().map(PriorityClass::load).sum();
    (before, before + classes[class].load())
}

/// Mean wait of a class (from 0) when a service is never interrupted.
///
/// `W0 / ((1 - s_(k-1)) (1 - s_k))`, `W0 = sum lambda_i E[S_i^2] / 2` over all classes (A. Cobham, *Operations Research* 2,
/// 1954). Domain: total load below 1.
///
/// # Errors
/// Outside the domain.
pub fn nonpreemptive_mean_wait(classes: &[PriorityClass], class: usize) -> Result<f64> {
    check(classes, class)?;
    stable(classes.iter().map(PriorityClass::load).sum(), 1.0)?;
    let (before, up_to) = loads(classes, class);
    let residual: f64 = classes.iter().map(PriorityClass::residual).sum();
    Ok(residual / ((1.0 - before) * (1.0 - up_to)))
}

/// Mean time in system of a class (from 0) when urgent work interrupts and the rest resumes where it was.
///
/// `E[S_k] / (1 - s_(k-1)) + sum_(i<=k) lambda_i E[S_i^2] / 2 / ((1 - s_(k-1)) (1 - s_k))` (Kleinrock, *Queueing Systems* II,
/// section 3.4). Domain: load up to the class below 1; less urgent classes do not matter.
///
/// # Errors
/// Outside the domain.
pub fn preemptive_mean_sojourn(classes: &[PriorityClass], class: usize) -> Result<f64> {
    check(classes, class)?;
    let (before, up_to) = loads(classes, class);
    if up_to >= 1.0 {
        return Err(QueueingError::Unstable { utilization: up_to });
    }
    let residual: f64 = classes[..=class].iter().map(PriorityClass::residual).sum();
    Ok(classes[class].mean / (1.0 - before) + residual / ((1.0 - before) * (1.0 - up_to)))
}

#[cfg(test)]
mod tests {
    use super::{PriorityClass, nonpreemptive_mean_wait, preemptive_mean_sojourn};
    use proptest::prelude::*;

    proptest! {
        // Kleinrock's conservation law: sum rho_k W_k does not depend on the order of the classes.
        #[test]
        fn work_is_conserved(l1 in 0.01_f64..0.4, l2 in 0.01_f64..0.4, m1 in 0.1_f64..1.0, m2 in 0.1_f64..1.0) {
            let (a, b) = (PriorityClass::exponential(l1, m1), PriorityClass::exponential(l2, m2));
            let weighted = |classes: [PriorityClass; 2]| -> f64 {
                (0..2).map(|k| classes[k].load() * nonpreemptive_mean_wait(&classes, k).unwrap()).sum()
            };
            let (ab, ba) = (weighted([a, b]), weighted([b, a]));
            prop_assert!((ab - ba).abs() <= 1e-12 * ab);
        }
    }

    #[test]
    fn the_urgent_class_does_not_see_the_rest_when_it_preempts() {
        let urgent = PriorityClass::exponential(0.5, 1.0);
        let flood = PriorityClass::exponential(50.0, 1.0);
        assert!((preemptive_mean_sojourn(&[urgent, flood], 0).unwrap() - 2.0).abs() < 1e-14);
        assert!(preemptive_mean_sojourn(&[urgent, flood], 1).is_err());
        assert!(nonpreemptive_mean_wait(&[urgent, flood], 0).is_err());
        assert!(nonpreemptive_mean_wait(&[urgent], 1).is_err());
    }
}
