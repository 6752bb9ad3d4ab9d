//! Parameters from latencies alone, of requests or of whole runs: simulated ones are matched to measured ones by least squares.
//!
//! The caller brings the simulator ([`Simulate`]): this crate knows no scenario. The minimiser is Levenberg and
//! Marquardt's damped Gauss-Newton method (Marquardt, SIAM Journal 11, 1963) in the logarithms of the parameters, which
//! keeps them positive and makes one step size fit milliseconds and picoseconds alike, with derivatives by central
//! differences. Residuals are logarithms of simulated over measured latencies, bounded by Huber's weights: what a
//! replayed request meets is a matter of the arrivals, but single stalls are not.

mod untold;

use serde::Serialize;

pub use untold::{Alike, Untold};

use crate::measured::MeasuredRequest;

/// A simulator of the measured runs: same arrivals, same lengths, as many latencies in the same order.
pub trait Simulate {
    /// The latencies (s) with these parameter values, which come in the order in which they were named; `None` where
    /// there is none.
    ///
    /// # Errors
    /// Why it cannot, in words.
    fn simulate(&mut self, values: &[f64]) -> Result<Vec<Option<f64>>, String>;
}

/// A latency that is to be met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// What was measured (s); `None` where it was not.
    pub seconds: Option<f64>,
    /// The relative error that counts as much as such an error of another latency. Only ratios matter.
    pub tolerance: f64,
}

impl Target {
    /// TTFT and TPOT of every request, each counting alike.
    pub fn of_requests(requests: &[MeasuredRequest]) -> Vec<Self> {
        latencies(requests).into_iter().map(|seconds| Self { seconds, tolerance: 1.0 }).collect()
    }
}

/// TTFT and TPOT of every request (s), in the order of [`Target::of_requests`].
pub fn latencies(requests: &[MeasuredRequest]) -> Vec<Option<f64>> {
    requests.iter().flat_map(|request| [request.ttft_s, request.tpot_s()]).collect()
}

/// A parameter to be found, positive, with a first guess.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// Name, unit last.
    pub name: String,
    /// First guess, above zero.
    pub value: f64,
    /// How far the truth may be from the guess, as a standard deviation of the logarithm; `None` for "anywhere". What
    /// the requests do not tell then stays at the guess.
    pub spread: Option<f64>,
}

/// A parameter that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matched {
    /// Name, unit last.
    pub name: String,
    /// Value.
    pub value: f64,
    /// Standard error from the curvature at the minimum, as if latencies were independent; infinite where they do not
    /// depend on the parameter.
    pub std_error: f64,
}

/// The result of a match.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Match {
    /// The parameters.
    pub parameters: Vec<Matched>,
    /// Covariance of the parameters in their units, in their order.
    pub covariance: Vec<Vec<f64>>,
    /// Root mean square of the residuals: about the relative error of a typical latency.
    pub rms: f64,
    /// Residuals: latencies that both sides have.
    pub residuals: usize,
    /// Simulations that it took.
    pub simulations: usize,
    /// Whether it came to rest, rather than to the last of its rounds.
    pub converged: bool,
}

/// Why there is no match.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum MatchError {
    /// A first guess that has no logarithm.
    #[error("{name} begins at {value}; expected a number above zero")]
    Guess {
        /// The parameter.
        name: String,
        /// Its first guess.
        value: f64,
    },
    /// The simulator failed.
    #[error("the simulation failed: {0}")]
    Simulation(String),
    /// The simulator does not answer for what was measured.
    #[error("{simulated} latencies were simulated for {measured} measured ones; expected as many")]
    Unequal {
        /// How many were simulated.
        simulated: usize,
        /// How many were measured.
        measured: usize,
    },
    /// Nothing to compare.
    #[error(
        "{found} latencies to compare; expected more than the {parameters} parameters: give more requests or rows with TTFT and \
         TPOT"
    )]
    TooFew {
        /// Latencies that both sides have.
        found: usize,
        /// Parameters.
        parameters: usize,
    },
}

const ROUNDS: usize = 30;
/// Relative step of the differences: above the granularity that scheduling gives a simulation (a request that arrives
/// just after a step began waits for all of it), below the curvature.
const DIFFERENCE: f64 = 0.05;
/// A loss that falls by less than this share has come to rest.
const AT_REST: f64 = 1e-5;
const HUBER: f64 = 1.345;
/// Largest step of a logarithm in one round: a factor of e.
const LARGEST_STEP: f64 = 1.0;

/// Finds the parameters under which the simulation is nearest to what was measured.
///
/// # Errors
/// [`MatchError`] for a guess that is not positive, a simulation that fails, or too few latencies.
pub fn match_latencies(
    measured: &[Target],
    guesses: &[Guess],
    simulator: &mut dyn Simulate,
) -> Result<Match, MatchError> {
    if let Some(guess) = guesses.iter().find(|guess| !(guess.value.is_finite() && guess.value > 0.0)) {
        return Err(MatchError::Guess { name: guess.name.clone(), value: guess.value });
    }
    let mut problem = Problem { measured, simulator, simulations: 0 };
    let mut logs: Vec<f64> = guesses.iter().map(|guess| libm::log(guess.value)).collect();
    let mut residuals = problem.residuals(&logs)?;
    if residuals.iter().flatten().count() <= guesses.len() {
        return Err(MatchError::TooFew {
            found: residuals.iter().flatten().count(),
            parameters: guesses.len(),
        });
    }
    let (mut damping, mut converged) = (1e-2, false);
    let mut jacobian = problem.jacobian(&logs)?;
    for _ in 0..ROUNDS {
        let weights = huber_weights(&residuals);
        let prior = Prior::of(guesses, &residuals, &weights);
        let normal = Normal::of(&jacobian, &residuals, &weights, &prior, &logs);
        let before = loss(&residuals, &weights) + prior.loss(&logs);
        let step = normal.damped_step(damping);
        let trial: Vec<f64> = logs.iter().zip(&step).map(|(log, step)| log + step).collect();
        let trial_residuals = problem.residuals(&trial)?;
        let after = loss(&trial_residuals, &weights) + prior.loss(&trial);
        if after < before {
            let gained = (before - after) / before.max(f64::MIN_POSITIVE);
            (logs, residuals, damping) = (trial, trial_residuals, (damping / 5.0).max(1e-9));
            jacobian = problem.jacobian(&logs)?;
            converged = gained < AT_REST;
        } else {
            damping *= 10.0;
            converged = damping > 1e6;
        }
        if converged || before < 1e-18 {
            converged = true;
            break;
        }
    }
    Ok(problem.result(guesses, &logs, &residuals, &jacobian, converged))
}

/// One residual a latency, over its tolerance; `None` where one side lacks it.
type Residuals = Vec<Option<f64>>;

struct Problem<'a> {
    measured: &'a [Target],
    simulator: &'a mut dyn Simulate,
    simulations: usize,
}

impl Problem<'_> {
    fn residuals(&mut self, logs: &[f64]) -> Result<Residuals, MatchError> {
        let values: Vec<f64> = logs.iter().map(|&log| libm::exp(log)).collect();
        let simulated = self.simulator.simulate(&values).map_err(MatchError::Simulation)?;
        self.simulations += 1;
        if simulated.len() != self.measured.len() {
            return Err(MatchError::Unequal { simulated: simulated.len(), measured: self.measured.len() });
        }
        let residual = |(simulated, target): (Option<f64>, &Target)| {
            let (simulated, measured) = (simulated?, target.seconds?);
            let both = simulated > 0.0 && measured > 0.0;
            both.then(|| libm::log(simulated / measured) / target.tolerance)
        };
        Ok(simulated.into_iter().zip(self.measured).map(residual).collect())
    }

    /// Derivatives of each residual by each parameter's logarithm.
    fn jacobian(&mut self, logs: &[f64]) -> Result<Vec<Vec<f64>>, MatchError> {
        let mut columns = Vec::with_capacity(logs.len());
        for i in 0..logs.len() {
            let shifted = |by: f64| {
                logs.iter().enumerate().map(|(j, &log)| if i == j { log + by } else { log }).collect()
            };
            let (up, down): (Vec<f64>, Vec<f64>) = (shifted(DIFFERENCE), shifted(-DIFFERENCE));
            let (up, down) = (self.residuals(&up)?, self.residuals(&down)?);
            let slope = |(up, down): (&Option<f64>, &Option<f64>)| match (up, down) {
                (Some(up), Some(down)) => (up - down) / (2.0 * DIFFERENCE),
                _ => 0.0,
            };
            columns.push(up.iter().zip(&down).map(slope).collect());
        }
        Ok(columns)
    }

    fn result(
        &self,
        guesses: &[Guess],
        logs: &[f64],
        residuals: &Residuals,
        jacobian: &[Vec<f64>],
        converged: bool,
    ) -> Match {
        let weights = huber_weights(residuals);
        let prior = Prior::of(guesses, residuals, &weights);
        let normal = Normal::of(jacobian, residuals, &weights, &prior, logs);
        let count = residuals.iter().flatten().count();
        let freedom = (count - guesses.len()) as f64;
        let variance = loss(residuals, &weights) / freedom;
        let values: Vec<f64> = logs.iter().map(|&log| libm::exp(log)).collect();
        let column = |i: usize| {
            let unit: Vec<f64> = (0..logs.len()).map(|j| f64::from(u8::from(i == j))).collect();
            normal.solve(&unit, 0.0)
        };
        let covariance: Vec<Vec<f64>> = (0..logs.len())
            .map(|i| {
                let column = column(i).unwrap_or_else(|| vec![f64::INFINITY; logs.len()]);
                column
                    .iter()
                    .zip(&values)
                    .map(|(inverse, value)| variance * inverse * value * values[i])
                    .collect()
            })
            .collect();
        let parameters = guesses.iter().zip(&values).enumerate().map(|(i, (guess, &value))| Matched {
            name: guess.name.clone(),
            value,
            std_error: libm::sqrt(covariance[i][i]),
        });
        let errors = residuals.iter().zip(self.measured).filter_map(|(r, of)| Some((*r)? * of.tolerance));
        let rms = libm::sqrt(errors.map(|error| error * error).sum::<f64>() / count as f64);
        Match {
            parameters: parameters.collect(),
            covariance,
            rms,
            residuals: count,
            simulations: self.simulations,
            converged,
        }
    }
}

fn huber_weights(residuals: &Residuals) -> Vec<f64> {
    let mut sizes: Vec<f64> = residuals.iter().flatten().map(|residual| residual.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let scale =
        if sizes.is_empty() { 0.0 } else { crate::summary::quantile_of_sorted(&sizes, 50.0) / 0.6745 };
    let limit = (HUBER * scale).max(1e-6);
    residuals
        .iter()
        .map(|residual| residual.map_or(0.0, |r| if r.abs() <= limit { 1.0 } else { limit / r.abs() }))
        .collect()
}

fn loss(residuals: &Residuals, weights: &[f64]) -> f64 {
    residuals.iter().zip(weights).map(|(residual, weight)| residual.map_or(0.0, |r| weight * r * r)).sum()
}

/// What the guesses say, in the units of the residuals.
struct Prior {
    /// Logarithms of the guesses.
    centres: Vec<f64>,
    /// Variance of a residual over that of the guess.
    weights: Vec<f64>,
}

impl Prior {
    fn of(guesses: &[Guess], residuals: &Residuals, weights: &[f64]) -> Self {
        let count = residuals.iter().flatten().count().max(1);
        let variance = loss(residuals, weights) / count as f64;
        let weight = |guess: &Guess| guess.spread.map_or(0.0, |spread| variance / (spread * spread));
        Self {
            centres: guesses.iter().map(|guess| libm::log(guess.value)).collect(),
            weights: guesses.iter().map(weight).collect(),
        }
    }

    fn loss(&self, logs: &[f64]) -> f64 {
        let away = logs.iter().zip(&self.centres).map(|(log, centre)| log - centre);
        away.zip(&self.weights).map(|(away, weight)| weight * away * away).sum()
    }
}

/// The normal equations of one round.
struct Normal {
    products: Vec<Vec<f64>>,
    targets: Vec<f64>,
}

impl Normal {
    fn of(
        jacobian: &[Vec<f64>],
        residuals: &Residuals,
        weights: &[f64],
        prior: &Prior,
        logs: &[f64],
    ) -> Self {
        let dot = |left: &[f64], right: &dyn Fn(usize) -> f64| -> f64 {
            left.iter().zip(weights).enumerate().map(|(k, (value, weight))| weight * value * right(k)).sum()
        };
        let mut products: Vec<Vec<f64>> = jacobian
            .iter()
            .map(|left| jacobian.iter().map(|right| dot(left, &|k| right[k])).collect())
            .collect();
        let mut targets: Vec<f64> =
            jacobian.iter().map(|left| -dot(left, &|k| residuals[k].unwrap_or_default())).collect();
        for i in 0..logs.len() {
            products[i][i] += prior.weights[i];
            targets[i] -= prior.weights[i] * (logs[i] - prior.centres[i]);
        }
        Self { products, targets }
    }

    /// The step, each part at most [`LARGEST_STEP`]; a parameter that nothing depends on stays.
    fn damped_step(&self, damping: f64) -> Vec<f64> {
        let step = self.solve(&self.targets, damping).unwrap_or_else(|| vec![0.0; self.targets.len()]);
        step.into_iter().map(|part| part.clamp(-LARGEST_STEP, LARGEST_STEP)).collect()
    }

    /// Gauss-Jordan elimination with pivoting on the products with a damped diagonal.
    fn solve(&self, targets: &[f64], damping: f64) -> Option<Vec<f64>> {
        let n = targets.len();
        let largest = (0..n).map(|i| self.products[i][i]).fold(0.0, f64::max);
        let mut rows: Vec<Vec<f64>> = (0..n)
            .map(|i| {
                let mut row = self.products[i].clone();
                row[i] += damping * row[i].max(1e-9 * largest);
                row.push(targets[i]);
                row
            })
            .collect();
        for i in 0..n {
            let pivot = (i..n).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs()))?;
            rows.swap(i, pivot);
            let size = rows[i][i];
            if size.abs() <= 1e-12 * largest || !size.is_finite() {
                return None;
            }
            let normalised: Vec<f64> = rows[i].iter().map(|value| value / size).collect();
            for (k, row) in rows.iter_mut().enumerate() {
                let factor = row[i];
                if k != i {
                    for (value, pivot) in row.iter_mut().zip(&normalised) {
                        *value -= factor * pivot;
                    }
                }
            }
            rows[i] = normalised;
        }
        Some(rows.into_iter().map(|row| row[n]).collect())
    }
}
