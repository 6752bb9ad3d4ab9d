//! Dynamic batching with service time linear in the batch: take all that wait, or at most a cap.

use super::error::{QueueingError, Result, at_least_one, not_negative, positive, stable};
use super::numeric::{poisson_window, root};

/// A GPU that serves a batch of `b` jobs in `alpha b + tau0`, deterministic, and takes whatever waits when it is free.
/// Poisson arrivals. Y. Inoue, *Queueing analysis of GPU-based inference servers with dynamic batching* (Performance
/// Evaluation 147, 2021). Latency includes service. Domain: `lambda alpha < 1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DynamicBatching {
    lambda: f64,
    alpha: f64,
    tau0: f64,
}

impl DynamicBatching {
    /// # Errors
    /// `lambda` and `tau0` must be positive, `alpha` at least 0, `lambda alpha < 1`.
    pub fn new(lambda: f64, alpha: f64, tau0: f64) -> Result<Self> {
        stable(positive("lambda", lambda)? * not_negative("alpha", alpha)?, 1.0)?;
        Ok(Self { lambda, alpha, tau0: positive("tau0", tau0)? })
    }

    /// `P(no arrival during a service)`.
    ///
    /// The generating function of the batch size obeys `G(z) = exp(-lambda tau0 (1 - z)) G(h(z)) - p (1 - z)` with
    /// `h(z) = exp(-lambda alpha (1 - z))` and `p` this probability. Iterating from `z = 0`, where `G` is 0, to the fixed
    /// point `z = 1` gives `p` as a ratio of positive terms.
    fn nobody_waits(&self) -> f64 {
        let mut gap = 1.0; // 1 - z
        let (mut product, mut sum) = (1.0, 0.0);
        while gap > 1e-18 {
            sum += product * gap;
            product *= libm::exp(-self.lambda * self.tau0 * gap);
            gap = -libm::expm1(-self.lambda * self.alpha * gap);
        }
        product / sum
    }

    /// Mean batch size: it takes what arrived during the last batch, or one that came later.
    pub fn mean_batch(&self) -> f64 {
        (self.lambda * self.tau0 + self.nobody_waits()) / (1.0 - self.lambda * self.alpha)
    }

    /// Exact mean latency.
    pub fn mean_latency(&self) -> f64 {
        self.latency_with(self.mean_batch())
    }

    /// The latency is decreasing in the mean batch size and exact at the true one: with `r = E[B^2] / E[B]`,
    /// `E[W] = (r - 1) / (2 lambda) + alpha r + tau0`, `r = (1 + 2 l^2 a t + l^2 t^2 / E[B]) / (1 - l^2 a^2)`.
    fn latency_with(&self, mean_batch: f64) -> f64 {
        let (l, a, t) = (self.lambda, self.alpha, self.tau0);
        let spare = 1.0 - l * l * a * a;
        let r = (1.0 + 2.0 * l * l * a * t + l * l * t * t / mean_batch) / spare;
        // (r - 1) / (2 l), without the difference that vanishes at low rates.
        let wait = l * (2.0 * a * t + t * t / mean_batch + a * a) / (2.0 * spare);
        wait + a * r + t
    }

    /// Upper bound phi0, from `E[B] >= 1`; tight at low load.
    pub fn bound_low_load(&self) -> f64 {
        self.latency_with(1.0)
    }

    /// Upper bound phi1, from `E[B] >= lambda tau0 / (1 - lambda alpha)`; tight at high load.
    pub fn bound_high_load(&self) -> f64 {
        self.latency_with(self.lambda * self.tau0 / (1.0 - self.lambda * self.alpha))
    }

    /// The lesser of the two bounds.
    pub fn bound(&self) -> f64 {
        self.bound_low_load().min(self.bound_high_load())
    }
}

/// [`DynamicBatching`] with at most `cap` jobs in a batch.
///
/// Embedded chain of the number waiting at ends of service, truncated where its geometric tail is below 1e-17 and solved by
/// elimination without subtraction (GTH) within its band. Domain: `lambda (alpha cap + tau0) < cap`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CappedBatching {
    lambda: f64,
    alpha: f64,
    tau0: f64,
    cap: u32,
}

/// Work that the elimination may take, in multiplications.
const MAX_WORK: f64 = 3e9;

impl CappedBatching {
    /// # Errors
    /// As [`DynamicBatching::new`], with `cap` at least 1 and `lambda (alpha cap + tau0) < cap`.
    pub fn new(lambda: f64, alpha: f64, tau0: f64, cap: u32) -> Result<Self> {
        let largest = f64::from(at_least_one("bmax", cap)?);
        let service = not_negative("alpha", alpha)? * largest + positive("tau0", tau0)?;
        stable(positive("lambda", lambda)? * service, largest)?;
        Ok(Self { lambda, alpha, tau0, cap })
    }

    fn service(&self, batch: usize) -> f64 {
        self.alpha * batch as f64 + self.tau0
    }

    /// Numbers waiting beyond this have probability below 1e-17: the tail is geometric with ratio `1/z`, `z > 1` the root of
    /// `z^cap = exp(lambda tau (z - 1))`.
    fn states(&self) -> Result<usize> {
        let cap = f64::from(self.cap);
        let arrivals = self.lambda * self.service(self.cap as usize);
        let decay = |y: f64| cap * libm::log1p(y) - arrivals * y;
        let mut high = 1.0;
        while decay(high) > 0.0 {
            high *= 2.0;
        }
        // The maximum lies at y = cap / arrivals - 1; the root beyond it.
        let y = root(decay, cap / arrivals - 1.0, high)?;
        let states = f64::from(self.cap) + 40.0 / libm::log1p(y) + arrivals + 10.0 * arrivals.sqrt();
        let band = arrivals + 10.0 * arrivals.sqrt() + 30.0;
        if states * cap * band > MAX_WORK {
            return Err(QueueingError::NoConvergence {
                method: "elimination of the chain of capped batches",
                limit: format!("{MAX_WORK} operations ({states:.0} states)"),
            });
        }
        Ok(states.ceil() as usize + 1)
    }

    /// Exact mean latency, service included.
    ///
    /// # Errors
    /// When load and cap need more states than the elimination handles.
    pub fn mean_latency(&self) -> Result<f64> {
        let waiting = self.stationary(self.states()?);
        let (mut area, mut time) = (0.0, 0.0);
        for (q, p) in waiting.iter().enumerate() {
            let present = q.max(1);
            let service = self.service(present.min(self.cap as usize));
            // Jobs present at the start stay for the service; those that arrive in it are there for half of it on average.
            area += p * (present as f64 * service + self.lambda * service * service / 2.0);
            time += p * (service + if q == 0 { 1.0 / self.lambda } else { 0.0 });
        }
        Ok(area / time / self.lambda)
    }

    fn stationary(&self, states: usize) -> Vec<f64> {
        let cap = self.cap as usize;
        // Rows hold the probabilities from column `from[i]` on; from q a service leads no lower than q - cap.
        let mut rows: Vec<(usize, Vec<f64>)> = (0..states)
            .map(|q| {
                let batch = q.max(1).min(cap);
                let left = q.saturating_sub(cap);
                let (range, weights) = poisson_window(self.lambda * self.service(batch));
                let mut row = vec![0.0; (range.end + left).min(states) - left];
                for (arrivals, weight) in range.zip(weights) {
                    let place = arrivals.min(states - 1 - left);
                    row[place] += weight;
                }
                (left, row)
            })
            .collect();
        let mut leaves = vec![0.0; states];
        for n in (1..states).rev() {
            let (pivot_from, pivot) = rows[n].clone();
            let below = n - pivot_from;
            let out: f64 = pivot[..below.min(pivot.len())].iter().sum();
            leaves[n] = out;
            for (from, row) in &mut rows[..n] {
                let Some(entry) = n.checked_sub(*from).and_then(|at| row.get(at)).copied() else { continue };
                if entry == 0.0 {
                    continue;
                }
                for (offset, weight) in pivot[..below.min(pivot.len())].iter().enumerate() {
                    // A lower row starts no higher than the pivot's.
                    row[pivot_from + offset - *from] += entry * weight / out;
                }
            }
        }
        let mut p = vec![0.0; states];
        p[0] = 1.0;
        for n in 1..states {
            let inflow: f64 = rows[..n]
                .iter()
                .enumerate()
                .filter_map(|(i, (from, row))| Some(p[i] * row.get(n.checked_sub(*from)?)?))
                .sum();
            p[n] = inflow / leaves[n];
        }
        p
    }
}

#[cfg(test)]
mod tests {
    use super::{CappedBatching, DynamicBatching};
    use crate::queueing::mg1::Mg1;
    use crate::queueing::service::Service;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bounds_hold(load in 0.001_f64..0.99, alpha in 0.001_f64..2.0, tau0 in 0.001_f64..5.0) {
            let queue = DynamicBatching::new(load / alpha, alpha, tau0).unwrap();
            prop_assert!(queue.mean_latency() <= queue.bound() * (1.0 + 1e-12));
            prop_assert!(queue.mean_batch() >= 1.0 - 1e-12);
        }

        // A cap of one is M/D/1.
        #[test]
        fn batches_of_one_are_md1(rho in 0.02_f64..0.97, tau0 in 0.1_f64..3.0) {
            let service = tau0 + 0.5;
            let lambda = rho / service;
            let capped = CappedBatching::new(lambda, 0.5, tau0, 1).unwrap().mean_latency().unwrap();
            let exact = Mg1::new(lambda, Service::deterministic(service).unwrap()).unwrap().mean_sojourn();
            prop_assert!((capped / exact - 1.0).abs() < 1e-9, "{capped} {exact}");
        }
    }

    // Two unlike methods: the series of generating functions, and the chain whose cap never binds.
    #[test]
    fn a_cap_out_of_reach_changes_nothing() {
        for (lambda, alpha, tau0) in [(4.0, 0.1, 1.0), (0.2, 0.5, 1.0), (8.0, 0.02, 0.3), (20.0, 0.02, 0.3)] {
            let free = DynamicBatching::new(lambda, alpha, tau0).unwrap().mean_latency();
            let capped = CappedBatching::new(lambda, alpha, tau0, 200).unwrap().mean_latency().unwrap();
            assert!((free / capped - 1.0).abs() < 1e-10, "{free} {capped}");
        }
    }

    // Inoue 2021, as in the paper: with alpha = 0, E[B] >= 1 and >= lambda tau0 give both bounds in closed form.
    #[test]
    fn no_answer_outside_the_domain() {
        assert!(DynamicBatching::new(10.0, 0.1, 1.0).is_err());
        assert!(DynamicBatching::new(1.0, 0.1, 0.0).is_err());
        assert!(CappedBatching::new(10.0, 0.02, 0.4, 4).is_err());
        assert!(CappedBatching::new(1.0, 0.02, 0.4, 0).is_err());
    }
}
