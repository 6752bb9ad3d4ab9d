//! Phase-type laws: the time to absorption of a small Markov chain.

use std::cell::RefCell;

use nalgebra::{DMatrix, DVector};

use super::error::{QueueingError, Result, not_negative, parameter, positive};
use super::numeric::poisson_window;

/// Terms of a uniformised chain that are kept, 32 MB.
const MAX_TERMS: usize = 4_000_000;

/// A phase-type law `PH(alpha, T)`: starts in phase `i` with probability `alpha_i`, moves by the rates off the diagonal
/// of `T` and is absorbed at the rates `-T 1`. Neuts, *Matrix-Geometric Solutions in Stochastic Models* (1981), chapter 2.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseType {
    start: Vec<f64>,
    generator: DMatrix<f64>,
    exit: Vec<f64>,
}

impl PhaseType {
    /// # Errors
    /// `alpha` must be a probability vector, `T` square of its size with rates of at least 0 off the diagonal, row sums of at
    /// most 0, and every phase must lead to absorption.
    pub fn new(alpha: &[f64], rows: &[Vec<f64>]) -> Result<Self> {
        let phases = alpha.len();
        if phases == 0 || rows.len() != phases || rows.iter().any(|row| row.len() != phases) {
            return Err(parameter("T", format!("{} rows", rows.len()), "square, of the size of alpha"));
        }
        probability_vector("alpha", alpha)?;
        let mut exit = Vec::with_capacity(phases);
        for (i, row) in rows.iter().enumerate() {
            for (j, &rate) in row.iter().enumerate() {
                if !rate.is_finite() || (i != j && rate < 0.0) {
                    return Err(parameter("T", rate, "finite, and at least 0 off the diagonal"));
                }
            }
            let sum: f64 = row.iter().sum();
            if row[i] >= 0.0 || sum > 1e-9 * row[i].abs() {
                return Err(parameter("T", sum, "negative on the diagonal, with row sums of at most 0"));
            }
            // A sum that is 0 but for rounding must not become a tiny exit rate.
            exit.push(if sum < -1e-14 * row[i].abs() { -sum } else { 0.0 });
        }
        let generator = DMatrix::from_fn(phases, phases, |i, j| rows[i][j]);
        let law = Self { start: alpha.to_vec(), generator, exit };
        if law.phases_that_end() < phases {
            return Err(parameter("T", "a phase without end", "such that every phase leads to absorption"));
        }
        Ok(law)
    }

    /// `k` stages in a row with this total mean.
    ///
    /// # Errors
    /// `stages` at least 1, `mean` positive.
    pub fn erlang(stages: u32, mean: f64) -> Result<Self> {
        let k = stages as usize;
        if k == 0 {
            return Err(parameter("k", stages, "at least 1"));
        }
        let rate = f64::from(stages) / positive("mean", mean)?;
        let generator = DMatrix::from_fn(k, k, |i, j| match j.wrapping_sub(i) {
            0 => -rate,
            1 => rate,
            _ => 0.0,
        });
        let start = (0..k).map(|i| if i == 0 { 1.0 } else { 0.0 }).collect();
        let exit = (0..k).map(|i| if i + 1 == k { rate } else { 0.0 }).collect();
        Ok(Self { start, generator, exit })
    }

    /// A mixture of exponentials.
    ///
    /// # Errors
    /// Probabilities must sum to 1 and be as many as the positive rates.
    pub fn hyperexponential(probabilities: &[f64], rates: &[f64]) -> Result<Self> {
        if probabilities.is_empty() || probabilities.len() != rates.len() {
            return Err(parameter("rates", rates.len(), "as many as p, at least 1"));
        }
        probability_vector("p", probabilities)?;
        for &rate in rates {
            positive("rates", rate)?;
        }
        let generator =
            DMatrix::from_diagonal(&DVector::from_iterator(rates.len(), rates.iter().map(|r| -r)));
        Ok(Self { start: probabilities.to_vec(), generator, exit: rates.to_vec() })
    }

    /// Number of phases.
    pub fn phases(&self) -> usize {
        self.start.len()
    }

    pub(crate) fn start(&self) -> &[f64] {
        &self.start
    }

    pub(crate) fn generator(&self) -> &DMatrix<f64> {
        &self.generator
    }

    pub(crate) fn exit(&self) -> &[f64] {
        &self.exit
    }

    fn phases_that_end(&self) -> usize {
        let mut ends: Vec<bool> = self.exit.iter().map(|&rate| rate > 0.0).collect();
        loop {
            let before = ends.iter().filter(|&&end| end).count();
            for i in 0..ends.len() {
                ends[i] =
                    ends[i] || (0..ends.len()).any(|j| j != i && ends[j] && self.generator[(i, j)] > 0.0);
            }
            if ends.iter().filter(|&&end| end).count() == before {
                return before;
            }
        }
    }

    /// `(-T)^-1 v`: the mean of `v` collected until absorption, by phase of start. `-T` is an M-matrix, so its LU
    /// factors lose nothing.
    pub(crate) fn collected(&self, v: &DVector<f64>) -> Result<DVector<f64>> {
        (-&self.generator).lu().solve(v).ok_or(singular())
    }

    /// The first three moments: `E[X^k] = k! alpha (-T)^-k 1`.
    ///
    /// # Errors
    /// When `T` is singular to working precision.
    pub fn moments(&self) -> Result<[f64; 3]> {
        let mut moments = [0.0; 3];
        let mut v = DVector::from_element(self.phases(), 1.0);
        let mut factorial = 1.0;
        for (k, moment) in moments.iter_mut().enumerate() {
            v = self.collected(&v)?;
            factorial *= (k + 1) as f64;
            *moment = factorial * self.start.iter().zip(v.iter()).map(|(a, x)| a * x).sum::<f64>();
        }
        Ok(moments)
    }

    /// The phase of a service that is met at a random instant: `alpha (-T)^-1 / E[X]`.
    pub(crate) fn equilibrium_phases(&self) -> Result<Vec<f64>> {
        let start = DVector::from_column_slice(&self.start);
        let solved = (-self.generator.transpose()).lu().solve(&start).ok_or(singular())?;
        let total: f64 = solved.iter().sum();
        Ok(solved.iter().map(|x| x / total).collect())
    }
}

fn singular() -> QueueingError {
    QueueingError::NotApplicable("the phase-type generator is singular to working precision")
}

fn probability_vector(name: &'static str, p: &[f64]) -> Result<()> {
    let sum: f64 = p.iter().sum();
    if p.iter().all(|&x| (0.0..=1.0).contains(&x)) && (sum - 1.0).abs() < 1e-9 {
        return Ok(());
    }
    Err(parameter(name, format!("{p:?}"), "probabilities that sum to 1"))
}

/// The tail of the time to the last absorption of a chain that restarts: every absorption from rate `exit` starts anew with
/// the (defective) law `restart`. This is the waiting time of M/PH/1, a geometric number of residual services.
///
/// Uniformised: `P(X > t) = sum_n Poisson(n; theta t) c_n` with `c_n >= 0`: nothing cancels, and the
/// error is about 1e-17 plus 1e-13 of the value. The `c_n` do not depend on `t` and are kept.
#[derive(Debug)]
pub(crate) struct RestartedTail {
    theta: f64,
    /// Off-diagonal moves `(from, to, probability)` and the probability to stay, of the uniformised chain.
    moves: Vec<(usize, usize, f64)>,
    stay: Vec<f64>,
    exit: Vec<f64>,
    restart: Vec<f64>,
    terms: RefCell<Terms>,
}

#[derive(Debug)]
struct Terms {
    c: Vec<f64>,
    state: Vec<f64>,
}

impl RestartedTail {
    pub(crate) fn new(law: &PhaseType, restart: Vec<f64>) -> Self {
        let phases = law.phases();
        let theta = (0..phases).map(|i| -law.generator[(i, i)]).fold(0.0, f64::max);
        let mut moves = Vec::new();
        for i in 0..phases {
            for j in 0..phases {
                if i != j && law.generator[(i, j)] > 0.0 {
                    moves.push((i, j, law.generator[(i, j)] / theta));
                }
            }
        }
        let stay = (0..phases).map(|i| 1.0 + law.generator[(i, i)] / theta).collect();
        let exit = law.exit.iter().map(|rate| rate / theta).collect();
        let terms = Terms { c: vec![restart.iter().sum()], state: restart.clone() };
        Self { theta, moves, stay, exit, restart, terms: RefCell::new(terms) }
    }

    pub(crate) fn tail(&self, t: f64) -> Result<f64> {
        let mean = self.theta * not_negative("t", t)?;
        if mean > MAX_TERMS as f64 {
            return Err(QueueingError::NoConvergence {
                method: "uniformisation of the waiting time",
                limit: format!("{MAX_TERMS} terms"),
            });
        }
        let (range, weights) = poisson_window(mean);
        let mut terms = self.terms.borrow_mut();
        while terms.c.len() < range.end {
            self.advance(&mut terms);
        }
        Ok(range.zip(weights).map(|(n, weight)| weight * terms.c[n]).sum())
    }

    fn advance(&self, terms: &mut Terms) {
        let ended: f64 = terms.state.iter().zip(&self.exit).map(|(x, exit)| x * exit).sum();
        let mut next: Vec<f64> = terms.state.iter().zip(&self.stay).map(|(x, stay)| x * stay).collect();
        for &(from, to, probability) in &self.moves {
            next[to] += terms.state[from] * probability;
        }
        for (x, restart) in next.iter_mut().zip(&self.restart) {
            *x += ended * restart;
        }
        terms.c.push(next.iter().sum());
        terms.state = next;
    }
}

#[cfg(test)]
mod tests {
    use super::{PhaseType, RestartedTail};

    #[test]
    fn moments_of_known_laws() {
        let erlang = PhaseType::erlang(4, 2.0).unwrap().moments().unwrap();
        for (got, exact) in erlang.iter().zip([2.0, 5.0, 15.0]) {
            assert!((got - exact).abs() < 1e-13, "{got}");
        }
        let mixture = PhaseType::hyperexponential(&[0.4, 0.6], &[0.5, 3.0]).unwrap().moments().unwrap();
        assert!((mixture[0] - 1.0).abs() < 1e-15);
        assert!((mixture[1] - 10.0 / 3.0).abs() < 1e-14);
    }

    #[test]
    fn without_restart_the_tail_is_the_law() {
        let law = PhaseType::erlang(2, 1.0).unwrap();
        let tail = RestartedTail::new(&PhaseType { exit: vec![0.0, 0.0], ..law.clone() }, vec![1.0, 0.0]);
        for t in [0.0, 0.3, 2.0, 9.0] {
            let exact = libm::exp(-2.0 * t) * (1.0 + 2.0 * t);
            let got = tail.tail(t).unwrap();
            assert!((got - exact).abs() < 1e-12 * exact + 1e-17, "{t}: {got} {exact}");
        }
    }

    #[test]
    fn what_is_no_law_is_refused() {
        assert!(PhaseType::new(&[0.5, 0.4], &[vec![-1.0, 0.0], vec![0.0, -1.0]]).is_err());
        assert!(PhaseType::new(&[1.0, 0.0], &[vec![-1.0, 1.0], vec![1.0, -1.0]]).is_err());
        assert!(PhaseType::new(&[1.0], &[vec![1.0]]).is_err());
        assert!(PhaseType::new(&[1.0], &[vec![-1.0, 0.0]]).is_err());
        assert!(PhaseType::erlang(0, 1.0).is_err());
        assert!(PhaseType::hyperexponential(&[1.0], &[1.0, 2.0]).is_err());
    }
}
