//! Markov-modulated Poisson processes: the rate jumps between states that last exponential times.
//!
//! Fischer & Meier-Hellstern, The Markov-modulated Poisson process (MMPP) cookbook, Performance Evaluation 18 (1993), 149-171.

use kendall_des::{Distribution, Stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::field_error::{FieldError, not_negative, positive};

/// One state of a Markov-modulated Poisson process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MmppState {
    /// Arrival rate in this state, in requests per second; may be 0.
    pub rate_per_s: f64,
    /// Mean time in this state (s), exponentially distributed.
    pub mean_s: f64,
    /// Weight of each state as the next one, in the order of `states`, 0 for this one; equal for all others if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Vec<f64>>,
}

/// Most states: the moments take time in the cube of their number.
const MAX_STATES: usize = 64;

/// A chain that jumps so much more often than requests arrive is a constant rate, at a great cost.
const MOST_JUMPS_PER_ARRIVAL: f64 = 1e5;

/// A checked process.
#[derive(Debug, Clone)]
pub(super) struct Mmpp {
    states: Vec<Sojourn>,
    /// Fraction of time in each state.
    pub stationary: Vec<f64>,
}

#[derive(Debug, Clone)]
struct Sojourn {
    rate_per_s: f64,
    mean_s: f64,
    /// Probability of each state as the next one.
    next: Vec<f64>,
}

impl Mmpp {
    pub(super) fn new(states: &[MmppState]) -> Result<Self, FieldError> {
        let count = states.len();
        if !(2..=MAX_STATES).contains(&count) {
            return Err(FieldError::at("states", format!("{count} states: it must have 2 to {MAX_STATES}")));
        }
        let read = |(at, state): (usize, &MmppState)| {
            sojourn(at, count, state).map_err(|error| error.within(&format!("states.{at}")))
        };
        let states: Vec<_> = states.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let stationary = stationary(&states).ok_or_else(|| {
            FieldError::at(
                "states",
                "some state is never reached again: give every state a way to every other",
            )
        })?;
        let mmpp = Self { states, stationary };
        let (rate, jumps) = (mmpp.rate_per_s(), mmpp.jumps_per_s());
        if rate <= 0.0 {
            return Err(FieldError::at("states", "no state has arrivals: raise a `rate_per_s` above 0"));
        }
        if jumps > MOST_JUMPS_PER_ARRIVAL * rate {
            let message = format!(
                "{jumps:.3e} jumps for {rate:.3e} arrivals a second: lengthen `mean_s`, or use `poisson`, which is the same at \
                 such a pace"
            );
            return Err(FieldError::at("states", message));
        }
        Ok(mmpp)
    }

    /// Long-run arrival rate.
    pub(super) fn rate_per_s(&self) -> f64 {
        self.states.iter().zip(&self.stationary).map(|(state, share)| state.rate_per_s * share).sum()
    }

    fn jumps_per_s(&self) -> f64 {
        self.states.iter().zip(&self.stationary).map(|(state, share)| share / state.mean_s).sum()
    }

    /// Coefficient of variation of the stationary gap between arrivals: `cv^2 = 2 rate * share * (R - Q)^-1 * 1 - 1`, with the
    /// diagonal matrix of rates `R`, the generator `Q` and the row of time shares (Fischer & Meier-Hellstern, section 3.2).
    pub(super) fn gap_cv(&self) -> f64 {
        let n = self.states.len();
        let matrix = (0..n).map(|i| {
            let state = &self.states[i];
            let entry = |j: usize| {
                if i == j { state.rate_per_s + 1.0 / state.mean_s } else { -state.next[j] / state.mean_s }
            };
            (0..n).map(entry).collect()
        });
        let solved = solve(matrix.collect(), vec![1.0; n]);
        let sum: f64 = self.stationary.iter().zip(&solved).map(|(share, x)| share * x).sum();
        libm::sqrt((2.0 * self.rate_per_s() * sum - 1.0).max(0.0))
    }

    /// The rate over time: one path of the chain, begun in its stationary state. Jump `k` draws from entity `k` of the stream.
    pub(super) fn path(&self, states: Stream) -> RandomRate {
        let distribution = |weights: &[f64]| {
            let table: Vec<_> =
                weights.iter().enumerate().map(|(state, &weight)| (state as f64, weight)).collect();
            // Checked: weights are finite, not negative and not all 0.
            Distribution::empirical(&table).expect("weights that were checked")
        };
        let next = self.states.iter().map(|state| distribution(&state.next)).collect();
        let mut path = RandomRate {
            rates: self.states.iter().map(|state| (state.rate_per_s, state.mean_s)).collect(),
            first: distribution(&self.stationary),
            next,
            draws: states,
            jump: 0,
            state: 0,
            left_s: 0.0,
        };
        path.enter_next();
        path
    }
}

fn sojourn(at: usize, count: usize, state: &MmppState) -> Result<Sojourn, FieldError> {
    let rate_per_s = not_negative("rate_per_s", state.rate_per_s)?;
    let mean_s = positive("mean_s", state.mean_s)?;
    let weights = match &state.next {
        None => (0..count).map(|other| if other == at { 0.0 } else { 1.0 }).collect(),
        Some(weights) if weights.len() != count => {
            let message = format!("{} weights: give one for each of the {count} states", weights.len());
            return Err(FieldError::at("next", message));
        }
        Some(weights) => weights.clone(),
    };
    for (other, &weight) in weights.iter().enumerate() {
        not_negative("next", weight)?;
        if other == at && weight > 0.0 {
            return Err(FieldError::at(
                "next",
                "a state cannot follow itself: lengthen its `mean_s` instead",
            ));
        }
    }
    let total: f64 = weights.iter().sum();
    positive("next", total)
        .map_err(|error| FieldError::at("next", format!("the sum of weights is {}", error.message)))?;
    Ok(Sojourn { rate_per_s, mean_s, next: weights.iter().map(|weight| weight / total).collect() })
}

/// Fractions of time in each state, by state reduction without subtractions: Grassmann, Taksar & Heyman, Operations Research 33
/// (1985), 1107-1116. `None` if some state is never reached again.
fn stationary(states: &[Sojourn]) -> Option<Vec<f64>> {
    let n = states.len();
    let mut q: Vec<Vec<f64>> =
        states.iter().map(|state| state.next.iter().map(|weight| weight / state.mean_s).collect()).collect();
    for k in (1..n).rev() {
        let out: f64 = q[k][..k].iter().sum();
        if out <= 0.0 {
            return None;
        }
        for i in 0..k {
            q[i][k] /= out;
            for j in (0..k).filter(|&j| j != i) {
                q[i][j] += q[i][k] * q[k][j];
            }
        }
    }
    let mut share = vec![1.0; n];
    for k in 1..n {
        share[k] = (0..k).map(|i| share[i] * q[i][k]).sum();
    }
    let total: f64 = share.iter().sum();
    (share.iter().all(|&share| share > 0.0) && total.is_finite())
        .then(|| share.iter().map(|share| share / total).collect())
}

/// Solves a system of linear equations by elimination; the matrix here is diagonally dominant and needs no pivots.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for k in 0..n {
        let (done, below) = matrix.split_at_mut(k + 1);
        let pivot = &done[k];
        for (row, i) in below.iter_mut().zip(k + 1..) {
            let factor = row[k] / pivot[k];
            for (entry, above) in row.iter_mut().zip(pivot).skip(k) {
                *entry -= factor * above;
            }
            right[i] -= factor * right[k];
        }
    }
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| matrix[k][j] * right[j]).sum();
        right[k] = (right[k] - known) / matrix[k][k];
    }
    right
}

/// The rate along one path of the chain.
#[derive(Debug)]
pub(super) struct RandomRate {
    /// Rate and mean duration of each state.
    rates: Vec<(f64, f64)>,
    /// The state to begin in.
    first: Distribution,
    /// The state after each one.
    next: Vec<Distribution>,
    draws: Stream,
    /// Number of the next jump.
    jump: u64,
    state: usize,
    /// Time left in this state (s).
    left_s: f64,
}

impl RandomRate {
    /// Draws a state, and how long it lasts.
    fn enter_next(&mut self) {
        let mut rng = self.draws.entity(self.jump);
        let states = if self.jump == 0 { &self.first } else { &self.next[self.state] };
        self.jump += 1;
        self.state = states.sample(&mut rng) as usize;
        self.left_s = -self.rates[self.state].1 * libm::log1p(-rng.next_open01());
    }

    /// Goes on until the expected number of arrivals has grown by `mass`; returns the time that passes (s).
    pub(super) fn advance(&mut self, mut mass: f64) -> f64 {
        let mut elapsed = 0.0;
        loop {
            let (rate, _) = self.rates[self.state];
            if rate > 0.0 && mass <= rate * self.left_s {
                let time = mass / rate;
                self.left_s -= time;
                return elapsed + time;
            }
            mass -= rate * self.left_s;
            elapsed += self.left_s;
            self.enter_next();
        }
    }
}
