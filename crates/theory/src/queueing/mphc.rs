//! M/PH/c by matrix-analytic methods.

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector, RowDVector};

use super::error::{QueueingError, Result, at_least_one, parameter, positive, stable};
use super::phase_type::PhaseType;

/// Phases of all busy servers beyond this many are refused: the solution takes cubic time.
const MAX_CONFIGURATIONS: usize = 600;

/// Poisson arrivals, `c` servers with phase-type service, FCFS. Domain: `lambda E[S] < c`.
///
/// Level = number in system, phase = how many servers are in each phase of service. From level `c` on the chain is a QBD:
/// `pi_(n+1) = pi_n R`, with `R` from `G` by logarithmic reduction (G. Latouche and V. Ramaswami, *J. Appl. Prob.* 30, 1993). Below
/// `c` the levels are eliminated from the top, `pi_n = pi_(n-1) R_n`; all inverses are of M-matrices.
#[derive(Debug, Clone)]
pub struct MPhC {
    lambda: f64,
    offered: f64,
    /// `P(all servers busy)`.
    all_busy: f64,
    mean_queue: f64,
}

impl MPhC {
    /// # Errors
    /// `lambda` positive, `servers` at least 1, `lambda E[S] < servers`, at most 600 configurations of busy servers.
    pub fn new(lambda: f64, service: &PhaseType, servers: u32) -> Result<Self> {
        let offered = positive("lambda", lambda)? * service.moments()?[0];
        stable(offered, f64::from(at_least_one("c", servers)?))?;
        let levels = levels(service.phases(), servers as usize)?;
        let chain = Chain { lambda, service, levels };
        let top = servers as usize;
        let rate = chain.rate_matrix(top)?;
        // pi_n = pi_(n-1) R_n, from the top down.
        let mut down = rate.clone() * chain.departures_refilled(top);
        let mut ratios = Vec::with_capacity(top);
        for n in (1..=top).rev() {
            let local = chain.local(n) + &down;
            let ratio = chain.arrivals(n - 1) * inverse_of_negative(local)?;
            down = &ratio * chain.departures(n);
            ratios.push(ratio);
        }
        let mut level = RowDVector::from_element(1, 1.0);
        let mut below = 0.0;
        for ratio in ratios.iter().rev() {
            below += level.sum();
            level *= ratio;
        }
        // Sums over the geometric part: pi_c (I - R)^-1 1 and pi_c R (I - R)^-2 1.
        let states = rate.nrows();
        let factors = (DMatrix::identity(states, states) - &rate).lu();
        let ones = DVector::from_element(states, 1.0);
        let once = factors.solve(&ones).ok_or(singular())?;
        let twice = factors.solve(&once).ok_or(singular())?;
        let busy = (&level * &once)[0];
        let queue = (level * rate * twice)[0];
        Ok(Self { lambda, offered, all_busy: busy / (below + busy), mean_queue: queue / (below + busy) })
    }

    /// Probability that all servers are busy, which is the share of arrivals that wait.
    pub fn all_busy_probability(&self) -> f64 {
        self.all_busy
    }

    /// Mean number waiting.
    pub fn mean_queue(&self) -> f64 {
        self.mean_queue
    }

    /// Mean time before service.
    pub fn mean_wait(&self) -> f64 {
        self.mean_queue / self.lambda
    }

    /// Mean number in system.
    pub fn mean_number(&self) -> f64 {
        self.mean_queue + self.offered
    }

    /// Mean time in system.
    pub fn mean_sojourn(&self) -> f64 {
        self.mean_number() / self.lambda
    }
}

fn singular() -> QueueingError {
    QueueingError::NotApplicable("the chain of M/PH/c is singular to working precision")
}

fn inverse_of_negative(matrix: DMatrix<f64>) -> Result<DMatrix<f64>> {
    (-matrix).try_inverse().ok_or(singular())
}

/// The configurations of one level: how many servers are in each phase.
struct Level {
    states: Vec<Vec<u32>>,
    index: BTreeMap<Vec<u32>, usize>,
}

fn levels(phases: usize, servers: usize) -> Result<Vec<Level>> {
    let mut states = vec![vec![0; phases]];
    let mut levels = Vec::with_capacity(servers + 1);
    for _ in 0..=servers {
        if states.len() > MAX_CONFIGURATIONS {
            return Err(parameter("c", servers, "small enough for 600 configurations of phases"));
        }
        let index: BTreeMap<_, _> =
            states.iter().cloned().enumerate().map(|(at, state)| (state, at)).collect();
        let mut more: Vec<Vec<u32>> = Vec::new();
        for state in &states {
            for phase in 0..phases {
                let mut next = state.clone();
                next[phase] += 1;
                more.push(next);
            }
        }
        more.sort_unstable();
        more.dedup();
        levels.push(Level { states: std::mem::replace(&mut states, more), index });
    }
    Ok(levels)
}

struct Chain<'a> {
    lambda: f64,
    service: &'a PhaseType,
    levels: Vec<Level>,
}

impl Chain<'_> {
    /// Adds, for each configuration of `from`, what `moves` yields: configurations of `to` with their rates.
    fn matrix(
        &self,
        from: usize,
        to: usize,
        moves: impl Fn(&[u32], &mut dyn FnMut(Vec<u32>, f64)),
    ) -> DMatrix<f64> {
        let (from, to) = (&self.levels[from], &self.levels[to]);
        let mut matrix = DMatrix::zeros(from.states.len(), to.states.len());
        for (row, state) in from.states.iter().enumerate() {
            moves(state, &mut |next, rate| {
                if let Some(&column) = to.index.get(&next) {
                    matrix[(row, column)] += rate;
                }
            });
        }
        matrix
    }

    /// Arrivals below level `c`: the new customer starts at once.
    fn arrivals(&self, level: usize) -> DMatrix<f64> {
        self.matrix(level, level + 1, |state, add| {
            for (phase, start) in self.service.start().iter().enumerate() {
                add(with(state, phase), self.lambda * start);
            }
        })
    }

    /// Departures while nobody waits: the server falls idle.
    fn departures(&self, level: usize) -> DMatrix<f64> {
        self.matrix(level, level - 1, |state, add| {
            for (phase, exit) in self.service.exit().iter().enumerate() {
                if state[phase] > 0 {
                    add(without(state, phase), f64::from(state[phase]) * exit);
                }
            }
        })
    }

    /// Departures while somebody waits: the server starts anew.
    fn departures_refilled(&self, level: usize) -> DMatrix<f64> {
        self.matrix(level, level, |state, add| {
            for (phase, exit) in self.service.exit().iter().enumerate() {
                if state[phase] > 0 {
                    for (next, start) in self.service.start().iter().enumerate() {
                        add(with(&without(state, phase), next), f64::from(state[phase]) * exit * start);
                    }
                }
            }
        })
    }

    /// Changes of phase, with all outflow on the diagonal.
    fn local(&self, level: usize) -> DMatrix<f64> {
        let generator = self.service.generator();
        let mut matrix = self.matrix(level, level, |state, add| {
            for phase in (0..state.len()).filter(|&phase| state[phase] > 0) {
                for next in (0..state.len()).filter(|&next| next != phase) {
                    add(
                        with(&without(state, phase), next),
                        f64::from(state[phase]) * generator[(phase, next)],
                    );
                }
            }
        });
        for (row, state) in self.levels[level].states.iter().enumerate() {
            let out: f64 = state
                .iter()
                .enumerate()
                .map(|(phase, &count)| f64::from(count) * generator[(phase, phase)])
                .sum();
            matrix[(row, row)] += out - self.lambda;
        }
        matrix
    }

    /// `R = lambda (-A1 - lambda G)^-1`, with `G` the phase at the first passage to the level below.
    fn rate_matrix(&self, top: usize) -> Result<DMatrix<f64>> {
        let local = self.local(top);
        let inverse = inverse_of_negative(local.clone())?;
        let mut up = &inverse * self.lambda;
        let mut down = &inverse * self.departures_refilled(top);
        let states = up.nrows();
        let identity = DMatrix::<f64>::identity(states, states);
        let mut first_passage = down.clone();
        let mut path = up.clone();
        for _ in 0..60 {
            let middle = &identity - (&up * &down + &down * &up);
            let factors = middle.lu();
            up = factors.solve(&(&up * &up)).ok_or(singular())?;
            down = factors.solve(&(&down * &down)).ok_or(singular())?;
            first_passage += &path * &down;
            path = &path * &up;
            if path.amax() < 1e-17 {
                let ahead = local + first_passage * self.lambda;
                return Ok(inverse_of_negative(ahead)? * self.lambda);
            }
        }
        Err(QueueingError::NoConvergence { method: "logarithmic reduction", limit: "60 steps".into() })
    }
}

fn with(state: &[u32], phase: usize) -> Vec<u32> {
    let mut next = state.to_vec();
    next[phase] += 1;
    next
}

fn without(state: &[u32], phase: usize) -> Vec<u32> {
    let mut next = state.to_vec();
    next[phase] -= 1;
    next
}

#[cfg(test)]
mod tests {
    use super::MPhC;
    use crate::queueing::mg1::Mg1;
    use crate::queueing::mmc::Mmc;
    use crate::queueing::phase_type::PhaseType;
    use crate::queueing::service::Service;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn one_server_is_mg1(rho in 0.05_f64..0.99, stages in 1_u32..6) {
            let law = PhaseType::erlang(stages, 1.0).unwrap();
            let many = MPhC::new(rho, &law, 1).unwrap();
            let one = Mg1::new(rho, Service::PhaseType(law)).unwrap();
            prop_assert!((many.mean_wait() / one.mean_wait() - 1.0).abs() < 1e-9);
            prop_assert!((many.all_busy_probability() - rho).abs() < 1e-11);
        }

        // Two exponential phases of one rate are one exponential.
        #[test]
        fn exponential_service_is_mmc(load in 0.05_f64..0.99, c in 1_u32..12) {
            let law = PhaseType::hyperexponential(&[0.3, 0.7], &[2.0, 2.0]).unwrap();
            let lambda = load * f64::from(c) * 2.0;
            let (got, exact) = (MPhC::new(lambda, &law, c).unwrap(), Mmc::new(lambda, 2.0, c).unwrap());
            prop_assert!((got.mean_wait() / exact.mean_wait() - 1.0).abs() < 1e-9);
            prop_assert!((got.all_busy_probability() - exact.wait_probability()).abs() < 1e-11);
        }
    }

    #[test]
    fn no_answer_outside_the_domain() {
        let law = PhaseType::erlang(3, 1.0).unwrap();
        assert!(MPhC::new(2.0, &law, 2).is_err());
        assert!(MPhC::new(1.0, &law, 0).is_err());
        assert!(MPhC::new(1.0, &law, 500).is_err());
    }
}
