//! Loss systems that share one resource among classes: Kaufman-Roberts, and processor sharing with a memory limit.

use super::error::{Result, not_negative, parameter, positive};
use super::numeric::scale;

/// Weights above this are scaled down together.
const LARGE: f64 = 1e200;

/// Units of a multi-rate loss system: a state each.
const MAX_UNITS: u32 = 10_000_000;

/// Units of memory that are shared: the convolutions take their square in time.
const MAX_MEMORY: u32 = 20_000;

/// A class of a multi-rate loss system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossClass {
    /// Offered load: arrival rate times mean holding time.
    pub load: f64,
    /// Units of the resource that one customer holds.
    pub size: u32,
}

/// The multi-rate Erlang loss system: each class holds `size` of `capacity` units; who does not fit is lost. Any holding
/// law (insensitivity), any load.
///
/// `j g(j) = sum_i load_i size_i g(j - size_i)` (J. S. Kaufman, *IEEE Trans. Communications* 29, 1981; J. W. Roberts, 1981). All
/// terms are positive: no accuracy is lost.
#[derive(Debug, Clone)]
pub struct KaufmanRoberts {
    classes: Vec<LossClass>,
    occupancy: Vec<f64>,
}

impl KaufmanRoberts {
    /// # Errors
    /// Loads must be at least 0 and sizes at least 1.
    pub fn new(capacity: u32, classes: &[LossClass]) -> Result<Self> {
        for class in classes {
            not_negative("a", class.load)?;
            if class.size == 0 {
                return Err(parameter("b", class.size, "at least 1"));
            }
        }
        if capacity > MAX_UNITS {
            return Err(parameter("C", capacity, "at most 10 million"));
        }
        let mut g = vec![1.0];
        for j in 1..=capacity as usize {
            let fitting = classes.iter().filter(|class| class.size as usize <= j);
            let sum: f64 =
                fitting.map(|class| class.load * f64::from(class.size) * g[j - class.size as usize]).sum();
            g.push(sum / j as f64);
            if g[j] > LARGE {
                scale(&mut g, 1.0 / LARGE);
            }
        }
        let total: f64 = g.iter().sum();
        scale(&mut g, 1.0 / total);
        Ok(Self { classes: classes.to_vec(), occupancy: g })
    }

    /// `P(j units are held)`; 0 beyond the capacity.
    pub fn occupancy_probability(&self, j: usize) -> f64 {
        self.occupancy.get(j).copied().unwrap_or(0.0)
    }

    /// Share of a class (from 0) that is lost: arrivals find less than its size free. None if there is no such class.
    pub fn blocking(&self, class: usize) -> Option<f64> {
        let size = self.classes.get(class)?.size as usize;
        Some(self.occupancy[self.occupancy.len().saturating_sub(size)..].iter().sum())
    }

    /// Mean units held.
    pub fn mean_occupancy(&self) -> f64 {
        self.occupancy.iter().enumerate().map(|(j, p)| j as f64 * p).sum()
    }
}

/// A class of [`SharingLoss`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharingClass {
    /// Arrival rate.
    pub lambda: f64,
    /// Memory that one customer holds while present.
    pub size: u32,
    /// Mean work that one customer brings.
    pub mean_work: f64,
}

/// Processor sharing with a memory limit: all present share a total speed `phi(n)` equally, whoever does not fit into the
/// memory is lost.
///
/// A symmetric, hence insensitive, network (J. W. Cohen, *Acta Informatica* 12, 1979; F. P. Kelly 1979): a state with `n` customers
/// has weight `n! / prod phi(1..n) * prod load_i^(n_i) / n_i!`. Summed over the classes, the weight of `n` customers that hold
/// `k` is the n-fold convolution of the loads by size: computed directly, all terms positive.
#[derive(Debug, Clone)]
pub struct SharingLoss {
    classes: Vec<SharingClass>,
    /// Probability of each memory occupancy.
    occupancy: Vec<f64>,
    /// Probability of each number present.
    number: Vec<f64>,
}

impl SharingLoss {
    /// `phi(n)` is the total speed with `n >= 1` present.
    ///
    /// # Errors
    /// Rates, works and speeds must be positive, sizes at least 1.
    pub fn new(capacity: u32, classes: &[SharingClass], phi: impl Fn(u32) -> Result<f64>) -> Result<Self> {
        for class in classes {
            not_negative("lam", class.lambda)?;
            positive("mean_work", class.mean_work)?;
            if class.size == 0 {
                return Err(parameter("size", class.size, "at least 1"));
            }
        }
        if capacity > MAX_MEMORY {
            return Err(parameter("K", capacity, "at most 20,000"));
        }
        let places = capacity as usize + 1;
        let mut layer = vec![0.0; places];
        layer[0] = 1.0;
        let mut occupancy = layer.clone();
        let mut number = vec![1.0];
        for n in 1..=capacity {
            let speed = positive("phi", phi(n)?)?;
            let mut next = vec![0.0; places];
            for class in classes {
                let (load, size) = (class.lambda * class.mean_work / speed, class.size as usize);
                for k in size..places {
                    next[k] += load * layer[k - size];
                }
            }
            layer = next;
            let weight: f64 = layer.iter().sum();
            if weight == 0.0 {
                break;
            }
            number.push(weight);
            for (total, weight) in occupancy.iter_mut().zip(&layer) {
                *total += weight;
            }
            if weight > LARGE {
                for weights in [&mut layer, &mut occupancy, &mut number] {
                    scale(weights, 1.0 / LARGE);
                }
            }
        }
        let total: f64 = number.iter().sum();
        scale(&mut number, 1.0 / total);
        scale(&mut occupancy, 1.0 / total);
        Ok(Self { classes: classes.to_vec(), occupancy, number })
    }

    /// `P(nobody is present)`.
    pub fn empty_probability(&self) -> f64 {
        self.number[0]
    }

    /// `P(N = n)`; 0 beyond what fits.
    pub fn number_probability(&self, n: usize) -> f64 {
        self.number.get(n).copied().unwrap_or(0.0)
    }

    /// Mean number present.
    pub fn mean_number(&self) -> f64 {
        self.number.iter().enumerate().map(|(n, p)| n as f64 * p).sum()
    }

    /// Share of a class (from 0) that is lost. None if there is no such class.
    pub fn blocking(&self, class: usize) -> Option<f64> {
        let size = self.classes.get(class)?.size as usize;
        Some(self.occupancy[self.occupancy.len().saturating_sub(size)..].iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::{KaufmanRoberts, LossClass, SharingClass, SharingLoss};
    use crate::queueing::birth_death::BirthDeath;
    use crate::queueing::erlang::erlang_b;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_class_of_one_unit_is_erlang_b(load in 0.01_f64..300.0, capacity in 1_u32..300) {
            let system = KaufmanRoberts::new(capacity, &[LossClass { load, size: 1 }]).unwrap();
            let erlang = erlang_b(load, capacity).unwrap();
            prop_assert!((system.blocking(0).unwrap() - erlang).abs() <= 1e-12 * erlang.max(1e-3));
        }

        // With speed n each customer has a server of its own: Kaufman-Roberts.
        #[test]
        fn sharing_without_sharing_is_kaufman_roberts(
            loads in proptest::collection::vec((0.0_f64..6.0, 1_u32..9), 1..4), capacity in 1_u32..60,
        ) {
            let loss: Vec<_> = loads.iter().map(|&(load, size)| LossClass { load, size }).collect();
            let sharing: Vec<_> =
                loads.iter().map(|&(lambda, size)| SharingClass { lambda, size, mean_work: 1.0 }).collect();
            let exact = KaufmanRoberts::new(capacity, &loss).unwrap();
            let got = SharingLoss::new(capacity, &sharing, |n| Ok(f64::from(n))).unwrap();
            for class in 0..loads.len() {
                let (a, b) = (exact.blocking(class).unwrap(), got.blocking(class).unwrap());
                prop_assert!((a - b).abs() < 1e-12, "{a} {b}");
            }
        }
    }

    // One class of one unit: a birth-death chain with death rates phi.
    #[test]
    fn one_class_is_a_birth_death_chain() {
        let speed = |n: u32| f64::from(n) / (1.0 + 0.1 * f64::from(n));
        let class = SharingClass { lambda: 3.0, size: 1, mean_work: 1.0 };
        let sharing = SharingLoss::new(20, &[class], |n| Ok(speed(n))).unwrap();
        let chain = BirthDeath::with_arrival_rate(3.0, (1..=20).map(speed).collect()).unwrap();
        assert!((sharing.mean_number() - chain.mean_number()).abs() < 1e-12);
        assert!((sharing.blocking(0).unwrap() - chain.full_probability()).abs() < 1e-14);
    }

    #[test]
    fn extreme_loads_stay_finite() {
        let flooded = KaufmanRoberts::new(5000, &[LossClass { load: 1e9, size: 3 }]).unwrap();
        assert!((flooded.blocking(0).unwrap() - 1.0).abs() < 1e-5);
        let class = SharingClass { lambda: 1e9, size: 2, mean_work: 1.0 };
        assert!(SharingLoss::new(3000, &[class], |_| Ok(1.0)).unwrap().mean_number() > 1499.0);
        assert!(
            KaufmanRoberts::new(3, &[LossClass { load: 1.0, size: 7 }]).unwrap().blocking(0).unwrap() > 0.999
        );
    }
}
