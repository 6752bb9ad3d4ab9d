//! Finite continuous-time Markov chains, given by their generator.

use super::error::{QueueingError, Result, not_negative, parameter};
use super::numeric::{poisson_window, scale};

/// Multiplications that uniformisation of a vector may take before squaring of the matrix is the cheaper way.
const MAX_VECTOR_WORK: f64 = 2e8;

/// A continuous-time Markov chain on few states.
#[derive(Debug, Clone)]
pub struct Ctmc {
    /// Rates; the diagonal is 0 here.
    rates: Vec<Vec<f64>>,
    /// Total rate out of each state.
    out: Vec<f64>,
}

impl Ctmc {
    /// From a generator `Q` with rates off the diagonal and rows that sum to 0.
    ///
    /// # Errors
    /// When it is not square, a rate is negative, or a row does not sum to 0 within 1e-9 of its diagonal.
    pub fn new(generator: &[Vec<f64>]) -> Result<Self> {
        let states = generator.len();
        if states == 0 || generator.iter().any(|row| row.len() != states) {
            return Err(parameter("Q", format!("{states} rows"), "square, with at least 1 row"));
        }
        let mut rates = generator.to_vec();
        let mut out = Vec::with_capacity(states);
        for (i, row) in rates.iter_mut().enumerate() {
            let diagonal = std::mem::replace(&mut row[i], 0.0);
            if row.iter().any(|rate| !(rate.is_finite() && *rate >= 0.0)) {
                return Err(parameter("Q", format!("{:?}", generator[i]), "at least 0 off the diagonal"));
            }
            // The sum, not the diagonal: an entry that was rounded must not create or destroy probability.
            let total: f64 = row.iter().sum();
            let excess = (total + diagonal).abs();
            if !excess.is_finite() || excess > 1e-9 * total.max(diagonal.abs()) {
                return Err(parameter("Q", format!("{:?}", generator[i]), "with rows that sum to 0"));
            }
            out.push(total);
        }
        Ok(Self { rates, out })
    }

    /// Number of states.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Never: a chain has at least one state.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    fn state(&self, name: &'static str, state: usize) -> Result<usize> {
        if state < self.len() { Ok(state) } else { Err(parameter(name, state, "one of the states")) }
    }

    /// States that can be reached from `start` without passing through `stop`.
    fn reachable(&self, start: usize, stop: Option<usize>) -> Vec<bool> {
        let mut seen = vec![false; self.len()];
        seen[start] = true;
        let mut open = vec![start];
        while let Some(state) = open.pop() {
            if Some(state) == stop {
                continue;
            }
            for (next, rate) in self.rates[state].iter().enumerate() {
                if *rate > 0.0 && !seen[next] {
                    seen[next] = true;
                    open.push(next);
                }
            }
        }
        seen
    }

    fn reversed(&self) -> Self {
        let states = self.len();
        let rates = (0..states).map(|i| (0..states).map(|j| self.rates[j][i]).collect()).collect();
        Self { rates, out: self.out.clone() }
    }

    /// The states that are visited forever.
    fn recurrent(&self) -> Result<Vec<bool>> {
        let reversed = self.reversed();
        let mut visited = vec![false; self.len()];
        let mut candidate = 0;
        for state in 0..self.len() {
            if !visited[state] {
                candidate = state;
                for (seen, reached) in visited.iter_mut().zip(reversed.reachable(state, None)) {
                    *seen |= reached;
                }
            }
        }
        // If any state is reached from all others, the last root of this search is one.
        if reversed.reachable(candidate, None).iter().all(|reached| *reached) {
            return Ok(self.reachable(candidate, None));
        }
        Err(QueueingError::NotApplicable(
            "the chain has more than one closed class: its limit depends on the start",
        ))
    }

    /// The stationary distribution, by elimination without subtraction: W. K. Grassmann, M. I. Taksar and D. P. Heyman
    /// (*Operations Research* 33, 1985). Each probability has full relative accuracy, however stiff the rates.
    ///
    /// # Errors
    /// When there is more than one closed class.
    pub fn stationary(&self) -> Result<Vec<f64>> {
        let recurrent = self.recurrent()?;
        let members: Vec<usize> = (0..self.len()).filter(|&state| recurrent[state]).collect();
        let mut q: Vec<Vec<f64>> =
            members.iter().map(|&i| members.iter().map(|&j| self.rates[i][j]).collect()).collect();
        let count = members.len();
        let mut leaves = vec![0.0; count];
        for n in (1..count).rev() {
            let pivot = q[n][..n].to_vec();
            leaves[n] = pivot.iter().sum();
            for row in &mut q[..n] {
                let share = row[n] / leaves[n];
                if share > 0.0 {
                    row.iter_mut().zip(&pivot).for_each(|(rate, onward)| *rate += share * onward);
                }
            }
        }
        let mut p = vec![1.0; count];
        for n in 1..count {
            p[n] = (0..n).map(|i| p[i] * q[i][n]).sum::<f64>() / leaves[n];
        }
        let total: f64 = p.iter().sum();
        let mut result = vec![0.0; self.len()];
        for (state, weight) in members.into_iter().zip(p) {
            result[state] = weight / total;
        }
        Ok(result)
    }

    /// The distribution at time `t` from a given start, by uniformisation (A. Jensen 1953): sums of positive terms. When `t`
    /// is so long that a vector would take too many steps, the uniformised matrix is squared instead.
    ///
    /// # Errors
    /// `t` must be at least 0 and `start` a state.
    pub fn transient(&self, start: usize, t: f64) -> Result<Vec<f64>> {
        self.state("start", start)?;
        let theta = self.out.iter().copied().fold(0.0, f64::max);
        let mean = theta * not_negative("t", t)?;
        if mean == 0.0 {
            return Ok(unit(self.len(), start));
        }
        let entries = self.rates.iter().flatten().filter(|rate| **rate > 0.0).count() + self.len();
        if mean * entries as f64 <= MAX_VECTOR_WORK {
            return Ok(self.uniformised(unit(self.len(), start), mean, theta));
        }
        // A step of mean below 1, then doublings.
        let doublings = libm::ceil(libm::log2(mean)).max(0.0);
        if !doublings.is_finite() {
            return Err(parameter("t", t, "shorter: the rates are too high for it"));
        }
        let step = mean / libm::exp2(doublings);
        let mut matrix: Vec<Vec<f64>> =
            (0..self.len()).map(|i| self.uniformised(unit(self.len(), i), step, theta)).collect();
        for _ in 0..doublings as u32 {
            matrix = squared(&matrix);
        }
        Ok(matrix.swap_remove(start))
    }

    fn uniformised(&self, mut state: Vec<f64>, mean: f64, theta: f64) -> Vec<f64> {
        let (range, weights) = poisson_window(mean);
        let mut result = vec![0.0; state.len()];
        for n in 0..range.end {
            if let Some(weight) = n.checked_sub(range.start).map(|at| weights[at]) {
                result.iter_mut().zip(&state).for_each(|(total, p)| *total += weight * p);
            }
            state = self.jump(&state, theta);
        }
        let total: f64 = result.iter().sum();
        scale(&mut result, 1.0 / total);
        result
    }

    fn jump(&self, state: &[f64], theta: f64) -> Vec<f64> {
        let mut next: Vec<f64> =
            state.iter().zip(&self.out).map(|(p, out)| p * (1.0 - out / theta)).collect();
        for (p, row) in state.iter().zip(&self.rates) {
            if *p > 0.0 {
                next.iter_mut().zip(row).for_each(|(total, rate)| *total += p * rate / theta);
            }
        }
        next
    }

    /// Mean time from `start` until `target` is first entered; 0 from the target itself.
    ///
    /// The other states are eliminated one by one, their times passed to those before them: no subtraction, so stiff chains
    /// lose nothing.
    ///
    /// # Errors
    /// When a state from which the target cannot be reached may come first: the mean is infinite.
    pub fn mean_hitting_time(&self, start: usize, target: usize) -> Result<f64> {
        if self.state("start", start)? == self.state("target", target)? {
            return Ok(0.0);
        }
        let reached = self.reachable(start, Some(target));
        let leads = self.reversed().reachable(target, None);
        if reached.iter().zip(&leads).any(|(reached, leads)| *reached && !*leads) {
            return Err(QueueingError::NotApplicable(
                "the target may never be reached: the mean time is infinite",
            ));
        }
        let mut q = self.rates.clone();
        let mut time = vec![1.0; self.len()];
        let mut alive: Vec<usize> = (0..self.len()).filter(|&i| reached[i] && i != target).collect();
        while let Some(k) = alive.pop() {
            if k == start {
                if alive.is_empty() {
                    return Ok(time[start] / q[start][target]);
                }
                // The start goes last.
                alive.insert(0, start);
                continue;
            }
            let out: f64 = alive.iter().chain([&target]).map(|&j| q[k][j]).sum();
            for &i in &alive {
                let share = q[i][k] / out;
                if share > 0.0 {
                    time[i] += share * time[k];
                    for j in alive.iter().copied().chain([target]).filter(|&j| j != i) {
                        let onward = q[k][j];
                        q[i][j] += share * onward;
                    }
                }
            }
        }
        Err(QueueingError::NotApplicable("the start is not a state of the chain"))
    }
}

fn unit(len: usize, at: usize) -> Vec<f64> {
    (0..len).map(|i| if i == at { 1.0 } else { 0.0 }).collect()
}

/// The square of a stochastic matrix, with rows made to sum to 1 again so that rounding does not double with each step.
fn squared(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let multiply = |row: &Vec<f64>| {
        let mut next = vec![0.0; row.len()];
        for (p, onward) in row.iter().zip(matrix) {
            next.iter_mut().zip(onward).for_each(|(total, q)| *total += p * q);
        }
        let total: f64 = next.iter().sum();
        scale(&mut next, 1.0 / total);
        next
    };
    matrix.iter().map(multiply).collect()
}

#[cfg(test)]
mod tests {
    use super::Ctmc;
    use crate::queueing::birth_death::BirthDeath;
    use proptest::prelude::*;

    fn two_state(up: f64, down: f64) -> Ctmc {
        Ctmc::new(&[vec![-up, up], vec![down, -down]]).unwrap()
    }

    proptest! {
        // p(t) of two states in closed form, from milliseconds to where squaring takes over.
        #[test]
        fn two_states_in_closed_form(up in 1e-3_f64..1e3, down in 1e-3_f64..1e3, t in 1e-3_f64..1e7) {
            let exact = up / (up + down) * -libm::expm1(-(up + down) * t);
            let got = two_state(up, down).transient(0, t).unwrap()[1];
            prop_assert!((got - exact).abs() <= 1e-11 * exact, "{got} {exact}");
        }

        #[test]
        fn birth_death_chains_agree(rates in proptest::collection::vec((1e-4_f64..1e4, 1e-4_f64..1e4), 1..25)) {
            let (births, deaths): (Vec<f64>, Vec<f64>) = rates.into_iter().unzip();
            let states = births.len() + 1;
            let mut q = vec![vec![0.0; states]; states];
            for n in 0..births.len() {
                q[n][n + 1] = births[n];
                q[n + 1][n] = deaths[n];
            }
            for (n, row) in q.iter_mut().enumerate() {
                row[n] = -row.iter().sum::<f64>();
            }
            let pi = Ctmc::new(&q).unwrap().stationary().unwrap();
            let chain = BirthDeath::new(births, deaths).unwrap();
            for (got, exact) in pi.iter().zip(chain.probabilities()) {
                prop_assert!((got - exact).abs() <= 1e-11 * exact);
            }
        }
    }

    #[test]
    fn hitting_times_of_a_random_walk() {
        // From n to n + 1 on a walk reflected at 0 with rates 1 takes n + 1 on average: 0 to 4 takes 10.
        let mut q = vec![vec![0.0; 6]; 6];
        for n in 0..5 {
            q[n][n + 1] = 1.0;
            q[n + 1][n] = 1.0;
        }
        for (n, row) in q.iter_mut().enumerate() {
            row[n] = -row.iter().sum::<f64>();
        }
        let chain = Ctmc::new(&q).unwrap();
        assert!((chain.mean_hitting_time(0, 4).unwrap() - 10.0).abs() < 1e-12);
        assert!(chain.mean_hitting_time(3, 3).unwrap().abs() < 1e-300);
        assert!(chain.mean_hitting_time(9, 3).is_err());
    }

    #[test]
    fn classes_decide_what_has_an_answer() {
        // 0 is transient; 1 and 2 are a closed class.
        let chain = Ctmc::new(&[vec![-1.0, 1.0, 0.0], vec![0.0, -2.0, 2.0], vec![0.0, 1.0, -1.0]]).unwrap();
        let pi = chain.stationary().unwrap();
        assert!(pi[0].abs() < 1e-300 && (pi[2] - 2.0 / 3.0).abs() < 1e-15);
        assert!(chain.mean_hitting_time(1, 0).is_err());
        // Two absorbing states.
        let split = Ctmc::new(&[vec![-2.0, 1.0, 1.0], vec![0.0; 3], vec![0.0; 3]]).unwrap();
        assert!(split.stationary().is_err());
        assert!(split.mean_hitting_time(0, 1).is_err());
    }

    #[test]
    fn what_is_no_generator_is_refused() {
        assert!(Ctmc::new(&[vec![-1.0, 0.5], vec![1.0, -1.0]]).is_err());
        assert!(Ctmc::new(&[vec![1.0, -1.0], vec![1.0, -1.0]]).is_err());
        assert!(Ctmc::new(&[vec![-1.0, 1.0]]).is_err());
        assert!(Ctmc::new(&[vec![f64::NAN, 1.0], vec![1.0, -1.0]]).is_err());
        assert!(Ctmc::new(&[]).is_err());
    }
}
