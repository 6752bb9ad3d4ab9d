//! The step-time model's coefficients from measured steps: robust non-negative least squares on relative errors.
//!
//! | file | what |
//! |---|---|
//! | `terms` | the model's terms as columns |
//! | `gram` | sums of products, additive over blocks |
//! | `nnls` | the solver |
//! | `identify` | what the steps cannot tell apart |
//! | `blocks` | blocks of neighbouring steps: bootstrap and hold-out |
//! | `residuals` | how far the model is from the steps, by kind of step |
//! | `join` | what whole servers tell and steps do not |
//!
//! A term that the steps cannot identify is taken from `physics` (a datasheet estimate) where the caller has one, and
//! the result says so.

mod blocks;
mod gram;
mod identify;
mod join;
mod nnls;
pub(crate) mod plot;
mod residuals;
mod terms;

use kendall_serving::LinearCoefficients;
use kendall_serving::catalog::ProfileRange;
use serde::Serialize;

use blocks::Blocks;
use gram::Gram;
pub use identify::{Confounded, Identification};
pub use plot::residual_plot;
pub use residuals::{ResidualRow, Residuals};
pub use terms::Term;
pub(crate) use terms::predict;
use terms::{PS_PER_S, TERMS, Vector};

use crate::matching::Match;
use crate::steps::{MeasuredStep, StepLog};

/// Fewest steps that are fitted.
pub const MIN_STEPS: usize = 20;

/// Longest and shortest step that is taken for one (s); amounts beyond the last are no batch.
const DURATIONS_S: std::ops::RangeInclusive<f64> = 1e-6..=3_600.0;
const MAX_AMOUNT: f64 = 1e14;

/// Huber's constant: 95 % efficient on normal errors (Huber, Robust Statistics, 1981, section 4.5); beyond so many
/// standard deviations a residual counts by its size, not its square. Servers stall now and then.
const HUBER: f64 = 1.345;
const ROBUST_ROUNDS: usize = 12;

/// Share of the measured duration below which a prediction does not weigh more.
const LEAST_PREDICTION: f64 = 0.1;

/// How a fit is made.
#[derive(Debug, Clone, Default)]
pub struct FitOptions {
    /// Terms with a value of the user's (ps).
    pub given: Vec<(Term, u64)>,
    /// Where the values of terms come from that the steps cannot identify.
    pub physics: Option<LinearCoefficients>,
    /// Terms that are taken from `physics` whatever the steps say.
    pub from_physics: Vec<Term>,
    /// Resamples of the bootstrap.
    pub replicates: u32,
    /// Seed of the bootstrap.
    pub seed: u64,
}

/// Why there is no fit.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum FitError {
    /// Too little data.
    #[error("{found} usable steps; expected at least {MIN_STEPS}: measure longer, or give a step log")]
    TooFewSteps {
        /// Usable steps.
        found: usize,
    },
    /// A coefficient that no server has.
    #[error(
        "{key} comes out as {value_s} s; expected less than an hour: check the units of the step log, whose durations \
         are seconds"
    )]
    NotPhysical {
        /// The coefficient's key.
        key: &'static str,
        /// Its value (s).
        value_s: f64,
    },
}

/// Where a parameter's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterSource {
    /// The steps.
    Data,
    /// The steps: no positive value lowers the error.
    AtZero,
    /// The datasheet estimate, because the steps cannot tell it from others.
    Physics,
    /// The user.
    Given,
    /// Whole servers, by simulating them.
    Matched,
    /// Nothing: no step has any of it, and there is no estimate. Zero.
    Nothing,
}

/// A coefficient with what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parameter {
    /// Which.
    pub term: Term,
    /// Its key in a profile.
    pub key: &'static str,
    /// Value (ps).
    pub value_ps: u64,
    /// Standard error by block bootstrap (ps), where the steps gave it.
    pub std_error_ps: Option<f64>,
    /// Where the value comes from.
    pub source: ParameterSource,
}

/// A fitted step-time model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// The model.
    pub coefficients: LinearCoefficients,
    /// Its coefficients one by one.
    pub parameters: Vec<Parameter>,
    /// Covariance of the coefficients (ps^2), in the order of `parameters`; zero for those that were not fitted.
    pub covariance_ps2: Vec<Vec<f64>>,
    /// Errors on the steps that were fitted.
    pub residuals: Residuals,
    /// Errors on steps that each fit had not seen.
    pub hold_out: Residuals,
    /// How steps were held out.
    pub hold_out_by: String,
    /// Where it was measured.
    pub range: ProfileRange,
    /// What the steps can tell apart, before terms were taken from physics.
    pub identification: Identification,
    /// Steps fitted.
    pub steps: usize,
    /// Steps left out: without a positive duration, or beyond any batch.
    pub left_out: usize,
    /// Share of steps so far off that they count less.
    pub down_weighted: f64,
    /// Resamples behind the standard errors.
    pub replicates: u32,
    /// What was taken from whole servers instead ([`Fit::with_matched`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<Match>,
}

/// Fits the model to the steps of all logs.
///
/// # Errors
/// [`FitError`] if there is too little data, or data of no server.
pub fn fit(logs: &[&StepLog], options: &FitOptions) -> Result<Fit, FitError> {
    let (steps, left_out) = usable(logs);
    if steps.len() < MIN_STEPS {
        return Err(FitError::TooFewSteps { found: steps.len() });
    }
    let relative: Vec<f64> = steps.iter().map(|step| 1.0 / (step.duration_s * step.duration_s)).collect();
    let plain = sums(&steps, &relative);
    let identification = identify::identify(&plain, not_given(options));
    let choice = choose(&plain, options, &identification);
    let (weights, down_weighted) = robust_weights(&steps, relative, &choice);
    let blocks = Blocks::of(&steps, &weights);
    let values = nnls::solve(&blocks.all, choice.free, &choice.fixed);
    let covariance = blocks.bootstrap(&choice, options.replicates, options.seed);
    let (held_out, hold_out_by) = blocks.hold_out(&steps, &choice);
    Ok(Fit {
        coefficients: checked(&values)?,
        parameters: parameters(&values, &covariance, &choice, options.replicates),
        covariance_ps2: covariance
            .iter()
            .map(|row| row.iter().map(|x| x * PS_PER_S * PS_PER_S).collect())
            .collect(),
        residuals: Residuals::of(steps.iter().map(|step| (step, predict(&values, step)))),
        hold_out: Residuals::of(steps.iter().zip(held_out.iter().copied())),
        hold_out_by,
        range: range(&steps),
        identification,
        steps: steps.len(),
        left_out,
        down_weighted,
        replicates: options.replicates,
        matched: None,
    })
}

/// Which terms are fitted, and the values of the others (s).
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    free: [bool; TERMS],
    fixed: Vector,
    sources: [ParameterSource; TERMS],
}

/// Steps of all logs with runs numbered through, and how many were left out.
fn usable(logs: &[&StepLog]) -> (Vec<MeasuredStep>, usize) {
    let (mut steps, mut left_out, mut first_run) = (Vec::new(), 0, 0_u32);
    for log in logs {
        let mut next_run = first_run;
        for step in &log.steps {
            next_run = next_run.max(first_run.saturating_add(step.run).saturating_add(1));
            let sane = terms::amounts(step).iter().all(|amount| (0.0..MAX_AMOUNT).contains(amount));
            if sane && DURATIONS_S.contains(&step.duration_s) {
                steps.push(MeasuredStep { run: first_run.saturating_add(step.run), ..*step });
            } else {
                left_out += 1;
            }
        }
        first_run = next_run;
    }
    (steps, left_out)
}

fn sums(steps: &[MeasuredStep], weights: &[f64]) -> Gram {
    let mut gram = Gram::default();
    for (step, &weight) in steps.iter().zip(weights) {
        gram.add(step, weight);
    }
    gram
}

fn not_given(options: &FitOptions) -> [bool; TERMS] {
    std::array::from_fn(|i| !options.given.iter().any(|&(term, _)| term as usize == i))
}

/// Terms that give way to physics where steps mix them up, in this order: second-order effects first. What decides a
/// step's length (the base, a token, a sequence) is left to the data.
const GIVE_WAY: [Term; 4] =
    [Term::PrefillContextToken, Term::PrefillAttention, Term::DecodeContextToken, Term::NewSeq];

fn choose(gram: &Gram, options: &FitOptions, identification: &Identification) -> Choice {
    let mut choice =
        Choice { free: [true; TERMS], fixed: [0.0; TERMS], sources: [ParameterSource::Data; TERMS] };
    for &(term, value_ps) in &options.given {
        choice.fix(term, value_ps, ParameterSource::Given);
    }
    let physics = |term: Term| options.physics.as_ref().map(|physics| term.of(physics));
    for &term in &options.from_physics {
        if let Some(value_ps) = physics(term).filter(|_| choice.free[term as usize]) {
            choice.fix(term, value_ps, ParameterSource::Physics);
        }
    }
    for &term in &identification.absent {
        if choice.free[term as usize] {
            match physics(term) {
                Some(value_ps) => choice.fix(term, value_ps, ParameterSource::Physics),
                None => choice.fix(term, 0, ParameterSource::Nothing),
            }
        }
    }
    while options.physics.is_some() {
        let found = identify::identify(gram, choice.free);
        let mixed = |term: &Term| found.confounded.iter().any(|group| group.terms.contains(term));
        let Some(term) = GIVE_WAY.into_iter().find(mixed) else { break };
        choice.fix(term, physics(term).unwrap_or_default(), ParameterSource::Physics);
    }
    choice
}

impl Choice {
    fn fix(&mut self, term: Term, value_ps: u64, source: ParameterSource) {
        let i = term as usize;
        (self.free[i], self.fixed[i], self.sources[i]) = (false, value_ps as f64 / PS_PER_S, source);
    }
}

/// Weights of iteratively reweighted least squares, from those that make errors relative to the measured durations; and
/// the share of steps that count less than half.
///
/// A relative error counts, so that a long prefill does not outweigh a thousand decodes, relative to the *predicted*
/// duration: dividing by the noisy measured one would favour short durations and bias the fit low by twice the
/// noise's variance. Huber's factor bounds the pull of a stall.
fn robust_weights(steps: &[MeasuredStep], relative: Vec<f64>, choice: &Choice) -> (Vec<f64>, f64) {
    let mut weights = relative;
    let mut far = 0;
    for _ in 0..ROBUST_ROUNDS {
        let values = nnls::solve(&sums(steps, &weights), choice.free, &choice.fixed);
        // A prediction near zero would make its step count without bound.
        let expected: Vec<f64> =
            steps.iter().map(|step| predict(&values, step).max(LEAST_PREDICTION * step.duration_s)).collect();
        let errors: Vec<f64> = steps
            .iter()
            .zip(&expected)
            .map(|(step, expected)| (step.duration_s / expected - 1.0).abs())
            .collect();
        let mut sorted = errors.clone();
        sorted.sort_by(f64::total_cmp);
        // The median absolute deviation of a normal sample is 0.6745 standard deviations.
        let scale = crate::summary::quantile_of_sorted(&sorted, 50.0) / 0.6745;
        let limit = (HUBER * scale).max(1e-9);
        let huber = |error: f64| if error <= limit { 1.0 } else { limit / error };
        far = errors.iter().filter(|&&error| huber(error) < 0.5).count();
        weights = errors
            .iter()
            .zip(&expected)
            .map(|(&error, expected)| huber(error) / (expected * expected))
            .collect();
    }
    (weights, far as f64 / steps.len() as f64)
}

fn checked(values: &Vector) -> Result<LinearCoefficients, FitError> {
    for (term, &value_s) in Term::ALL.iter().zip(values) {
        if !(0.0..3_600.0).contains(&value_s) {
            return Err(FitError::NotPhysical { key: term.key(), value_s });
        }
    }
    Ok(terms::coefficients(values))
}

fn parameters(
    values: &Vector,
    covariance: &[Vector; TERMS],
    choice: &Choice,
    replicates: u32,
) -> Vec<Parameter> {
    Term::ALL
        .into_iter()
        .enumerate()
        .map(|(i, term)| Parameter {
            term,
            key: term.key(),
            value_ps: libm::round(values[i] * PS_PER_S) as u64,
            std_error_ps: (choice.free[i] && replicates > 1).then(|| libm::sqrt(covariance[i][i]) * PS_PER_S),
            source: if choice.free[i] && values[i] <= 0.0 {
                ParameterSource::AtZero
            } else {
                choice.sources[i]
            },
        })
        .collect()
}

/// Where the steps lie. Contexts are means over a step's sequences.
fn range(steps: &[MeasuredStep]) -> ProfileRange {
    let decodes = || steps.iter().filter(|step| step.decode_seqs >= 1.0);
    let contexts = || decodes().map(|step| step.decode_context_tokens / step.decode_seqs);
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let finite = |value: f64| if value.is_finite() { value as u64 } else { 0 };
    ProfileRange {
        min_decode_seqs: finite(least(&mut decodes().map(|step| step.decode_seqs))),
        max_decode_seqs: finite(most(&mut decodes().map(|step| step.decode_seqs))),
        min_context_tokens: finite(least(&mut contexts())),
        max_context_tokens: finite(most(&mut contexts())),
        max_prefill_tokens: finite(most(&mut steps.iter().map(|step| step.prefill_tokens))),
    }
}
