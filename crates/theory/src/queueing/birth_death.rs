//! Birth-death chains with any rates: finite queues whose service rate depends on the number present.

use super::error::{QueueingError, Result, not_negative, parameter, positive};
use super::numeric::{Sum, poisson_window, quantile, scale};

/// Places of M/M/c/K: a state each.
const MAX_PLACES: u32 = 10_000_000;

/// A stationary birth-death chain on `0..=N`.
///
/// `p_n` is proportional to `prod (lambda_(i-1) / mu_i)` over `i <= n` (Gross et al., section 2.1). The weights are kept
/// as logarithms, summed with compensation, so that no load and no size under- or overflows.
#[derive(Debug, Clone)]
pub struct BirthDeath {
    births: Vec<f64>,
    deaths: Vec<f64>,
    probabilities: Vec<f64>,
}

impl BirthDeath {
    /// `births[n]` is the rate from `n` to `n + 1`, `deaths[n]` the rate from `n + 1` to `n`. In state
    /// `N = births.len()` arrivals are lost.
    ///
    /// # Errors
    /// Both lists must have the same length, at least 1; births finite and at least 0, deaths positive.
    pub fn new(births: Vec<f64>, deaths: Vec<f64>) -> Result<Self> {
        if births.is_empty() || births.len() != deaths.len() {
            return Err(parameter(
                "lambda_n",
                format!("{} births, {} deaths", births.len(), deaths.len()),
                "as long as mu_n, at least 1 long",
            ));
        }
        let mut log_weight = Sum::default();
        let mut log_weights = vec![0.0];
        for (&birth, &death) in births.iter().zip(&deaths) {
            not_negative("lambda_n", birth)?;
            positive("mu_n", death)?;
            log_weight.add(libm::log(birth));
            log_weight.add(-libm::log(death));
            // Beyond a birth rate of 0 nothing is reached: the weight is exp(-inf) from there on.
            let reached = birth > 0.0 && log_weights.last().is_none_or(|weight: &f64| weight.is_finite());
            log_weights.push(if reached { log_weight.value() } else { f64::NEG_INFINITY });
        }
        let top = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut probabilities: Vec<f64> = log_weights.iter().map(|weight| libm::exp(weight - top)).collect();
        let total: Sum = probabilities.iter().copied().collect();
        scale(&mut probabilities, 1.0 / total.value());
        Ok(Self { births, deaths, probabilities })
    }

    /// A chain with one arrival rate in all states.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_arrival_rate(lambda: f64, deaths: Vec<f64>) -> Result<Self> {
        Self::new(vec![positive("lambda", lambda)?; deaths.len()], deaths)
    }

    /// `P(N = n)` for every state.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// `P(N = n)`; 0 beyond the last state.
    pub fn probability(&self, n: usize) -> f64 {
        self.probabilities.get(n).copied().unwrap_or(0.0)
    }

    /// Probability of the last state. With one arrival rate this is the share of arrivals that are lost (PASTA).
    pub fn full_probability(&self) -> f64 {
        self.probabilities[self.probabilities.len() - 1]
    }

    /// Accepted arrivals per unit of time.
    pub fn throughput(&self) -> f64 {
        self.births.iter().zip(&self.probabilities).map(|(birth, p)| birth * p).collect::<Sum>().value()
    }

    /// Mean number in system.
    pub fn mean_number(&self) -> f64 {
        self.mean_above(0)
    }

    /// `E[(N - n)^+]`: the mean number waiting when `n` can be in service.
    pub fn mean_above(&self, n: usize) -> f64 {
        let above = self.probabilities.iter().enumerate().skip(n);
        above.map(|(state, p)| (state - n) as f64 * p).collect::<Sum>().value()
    }

    /// Mean time in system of the accepted (Little).
    pub fn mean_sojourn(&self) -> f64 {
        self.mean_number() / self.throughput()
    }

    /// Mean time before service of the accepted, when `servers` can be in service (Little).
    pub fn mean_wait(&self, servers: usize) -> f64 {
        self.mean_above(servers) / self.throughput()
    }

    /// The waiting time of the accepted under FCFS, when `servers` can be in service.
    ///
    /// # Errors
    /// The service rate must be the same in all states from `servers` on: only then is a wait a sum of equal exponential
    /// times, whatever arrives later.
    pub fn wait(&self, servers: usize) -> Result<ErlangMixture> {
        let last = self.deaths[self.deaths.len() - 1];
        if servers == 0 || servers > self.deaths.len() {
            return Err(parameter("c", servers, "at least 1 and at most the number of places"));
        }
        if self.deaths[servers - 1..].iter().any(|death| (death - last).abs() > 1e-12 * last) {
            return Err(QueueingError::NotApplicable(
                "the law of the wait needs one service rate in all states from c on",
            ));
        }
        let throughput = self.throughput();
        let found = self.births.iter().zip(&self.probabilities).map(|(birth, p)| birth * p / throughput);
        // Found n >= c: n - c + 1 departures are ahead.
        let stages = found.skip(servers).collect();
        Ok(ErlangMixture::new(last, stages))
    }
}

/// A time that is 0 or a random number of exponential stages of one rate.
#[derive(Debug, Clone)]
pub struct ErlangMixture {
    rate: f64,
    /// `longer[k]` is the probability of more than `k` stages.
    longer: Vec<f64>,
}

impl ErlangMixture {
    /// `weights[k]` is the probability of `k + 1` stages; the rest is an atom at 0.
    fn new(rate: f64, weights: Vec<f64>) -> Self {
        let mut longer = weights;
        for k in (1..longer.len()).rev() {
            longer[k - 1] += longer[k];
        }
        Self { rate, longer }
    }

    /// `P(X > t)`: k stages outlast `t` when fewer than k events of a Poisson process have come by then. A sum of positive
    /// terms.
    ///
    /// # Errors
    /// `t` must be at least 0.
    pub fn tail(&self, t: f64) -> Result<f64> {
        let mean = self.rate * not_negative("t", t)?;
        // So far beyond the most stages that the window below would hold nothing.
        if mean > 1e4 + 4.0 * self.longer.len() as f64 {
            return Ok(0.0);
        }
        let (events, weights) = poisson_window(mean);
        Ok(events.zip(weights).map_while(|(j, weight)| Some(weight * self.longer.get(j)?)).sum())
    }

    /// Quantile; 0 inside the atom.
    ///
    /// # Errors
    /// `p` must be above 0 and below 1.
    pub fn quantile(&self, p: f64) -> Result<f64> {
        quantile(|t| self.tail(t), p, 1.0 / self.rate)
    }
}

/// M/M/c/K: `c` servers of rate `mu`, at most `capacity` in system, those in service included. Gross et al., section 2.5.
///
/// # Errors
/// Rates must be positive and `1 <= c <= capacity`.
pub fn mmck(lambda: f64, mu: f64, servers: u32, capacity: u32) -> Result<BirthDeath> {
    positive("mu", mu)?;
    if servers == 0 || servers > capacity {
        return Err(parameter("c", servers, "at least 1 and at most K"));
    }
    if capacity > MAX_PLACES {
        return Err(parameter("K", capacity, "at most 10 million"));
    }
    let deaths = (1..=capacity).map(|n| mu * f64::from(n.min(servers))).collect();
    BirthDeath::with_arrival_rate(lambda, deaths)
}

#[cfg(test)]
mod tests {
    use super::{BirthDeath, mmck};
    use crate::queueing::erlang::erlang_b;
    use crate::queueing::mmc::Mmc;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_queue_without_places_is_erlang_b(a in 0.01_f64..400.0, c in 1_u32..300) {
            let blocking = mmck(a, 1.0, c, c).unwrap().full_probability();
            let erlang = erlang_b(a, c).unwrap();
            prop_assert!((blocking - erlang).abs() <= 1e-12 * erlang.max(1e-3), "{blocking} {erlang}");
        }

        // Flow out of each state equals flow in, whatever the rates.
        #[test]
        fn cuts_balance(rates in proptest::collection::vec((1e-6_f64..1e6, 1e-6_f64..1e6), 1..60)) {
            let (births, deaths): (Vec<f64>, Vec<f64>) = rates.into_iter().unzip();
            let chain = BirthDeath::new(births.clone(), deaths.clone()).unwrap();
            let p = chain.probabilities();
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for n in 0..births.len() {
                let (up, down) = (p[n] * births[n], p[n + 1] * deaths[n]);
                prop_assert!((up - down).abs() <= 1e-10 * up.max(1e-290));
            }
        }
    }

    #[test]
    fn ample_places_are_mmc() {
        let (finite, infinite) = (mmck(6.8, 1.0, 8, 600).unwrap(), Mmc::new(6.8, 1.0, 8).unwrap());
        assert!((finite.mean_wait(8) - infinite.mean_wait()).abs() < 1e-12);
        let (p99, exact) =
            (finite.wait(8).unwrap().quantile(0.99).unwrap(), infinite.wait_quantile(0.99).unwrap());
        assert!((p99 - exact).abs() < 1e-12, "{p99} {exact}");
    }

    #[test]
    fn extreme_loads_stay_finite() {
        let flooded = mmck(1e9, 1e-3, 4, 5000).unwrap();
        assert!((flooded.mean_number() - 5000.0).abs() < 1e-6);
        let idle = mmck(1e-9, 1e3, 4, 5000).unwrap();
        assert!((idle.probability(0) - 1.0).abs() < 1e-11);
    }

    #[test]
    fn a_closed_door_is_never_passed() {
        let chain = BirthDeath::new(vec![1.0, 0.0, 5.0], vec![1.0; 3]).unwrap();
        assert!((chain.probability(1) - 0.5).abs() < 1e-15);
        assert!(chain.probability(2).abs() < 1e-300 && chain.probability(3).abs() < 1e-300);
    }

    #[test]
    fn waits_need_a_constant_rate() {
        let growing = BirthDeath::with_arrival_rate(1.0, vec![1.0, 2.0, 3.0]).unwrap();
        assert!(growing.wait(1).is_err());
        assert!(growing.wait(3).is_ok());
        assert!(growing.wait(4).is_err());
    }
}
