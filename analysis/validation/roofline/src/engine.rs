//! What an engine adds to its kernels: fitted to whole steps and to measured servers, by damped Gauss-Newton steps on the
//! logarithms of the parameters.

use std::path::Path;

use anyhow::Result;
use kendall_serving::step_time::roofline::{Efficiencies, Engine};

use crate::numbers::{nelder_mead, solve};
use crate::rows::Experiment;
use crate::servers::simulate;
use crate::steps::{Step, fit_solo, fitted_medians, model_of, steps};

/// Requests of a stage that a fit looks at: enough for a mean within a percent.
const REQUESTS: usize = 1_000;

/// Weight of a logarithmic error of TTFT beside one of TPOT: TTFT is noisier.
const TTFT_WEIGHT: f64 = 0.4;

/// Weight of one group of whole steps beside one server.
const STEPS_WEIGHT: f64 = 0.7;

/// Guesses in the order of [`slots`], made before any fit: microseconds of small kernels and of Python, no loss of
/// clocks but a tenth under sustained load, half of the shared blocks out of the cache, and the front end of the A10G servers.
const PRIOR: [f64; 10] = [300.0, 10.0, 5.0, 0.4, 10.0, 100.0, 1.0, 0.1, 0.5, 10.0];

/// Guesses in the order of [`synchronous_slots`].
const SYNCHRONOUS_PRIOR: [f64; 2] = [500.0, 30.0];

/// Parameters in the order of a point.
fn slots(engine: &mut Engine) -> [&mut f64; 10] {
    let Engine {
        step_us,
        layer_us,
        sequence_us,
        sort_logit_ns,
        mixed_layer_us,
        workers_us,
        sustained_compute,
        power_limit_loss,
        shared_from_cache,
        front_end_ms,
        ..
    } = engine;
    [
        step_us,
        layer_us,
        sequence_us,
        sort_logit_ns,
        mixed_layer_us,
        workers_us,
        sustained_compute,
        power_limit_loss,
        shared_from_cache,
        front_end_ms,
    ]
}

fn synchronous_slots(engine: &mut Engine) -> [&mut f64; 2] {
    [&mut engine.synchronous_workers_us, &mut engine.synchronous_sequence_us]
}

/// Errors as logarithms, each with its model's name, and how they change with each parameter.
pub(crate) struct Linearised {
    owners: Vec<String>,
    errors: Vec<f64>,
    slopes: Vec<Vec<f64>>,
    point: Vec<f64>,
    prior: Vec<f64>,
}

/// A parameter that the data do not tell stays at its prior, which saw no data: a fit that leaves out a model must not
/// remember the fit with it.
const TRUST_IN_PRIOR: f64 = 0.002;

/// Errors beyond this count in proportion, not squared (Huber).
const FAR: f64 = 0.1;

/// What a fit makes small.
fn cost(errors: &[f64], point: &[f64], prior: &[f64]) -> f64 {
    let huber = |e: &f64| if e.abs() <= FAR { e * e } else { FAR * (2.0 * e.abs() - FAR) };
    let away = point.iter().zip(prior).map(|(x, prior)| (x - prior) * (x - prior)).sum::<f64>();
    errors.iter().map(huber).sum::<f64>() + TRUST_IN_PRIOR * away
}

impl Linearised {
    /// The point that one step leads to, without the errors of `left_out`.
    pub(crate) fn step(&self, left_out: Option<&str>) -> Option<Vec<f64>> {
        const LONGEST: f64 = 0.7;
        let n = self.point.len();
        let mut normal = vec![vec![0.0; n]; n];
        let mut right = vec![0.0; n];
        for ((owner, error), slope) in self.owners.iter().zip(&self.errors).zip(&self.slopes) {
            if left_out == Some(owner.as_str()) {
                continue;
            }
            let weight = (FAR / error.abs().max(FAR)).min(1.0);
            for i in 0..n {
                right[i] -= weight * slope[i] * error;
                for j in 0..n {
                    normal[i][j] += weight * slope[i] * slope[j];
                }
            }
        }
        for i in 0..n {
            normal[i][i] += TRUST_IN_PRIOR;
            right[i] -= TRUST_IN_PRIOR * (self.point[i] - self.prior[i]);
        }
        let step = solve(normal, right)?;
        Some(self.point.iter().zip(step).map(|(x, dx)| x + dx.clamp(-LONGEST, LONGEST)).collect())
    }
}

/// What the engine is fitted to.
pub(crate) struct Data<'a> {
    pub experiments: Vec<&'a Experiment>,
    pub steps: Option<Vec<Step>>,
}

impl<'a> Data<'a> {
    /// Whole steps and servers.
    pub(crate) fn new(measured: &Path, experiments: Vec<&'a Experiment>) -> Result<Self> {
        Ok(Self { experiments, steps: Some(steps(measured)?) })
    }

    fn errors(&self, efficiencies: &Efficiencies) -> Result<(Vec<String>, Vec<f64>)> {
        let (mut owners, mut errors) = (Vec::new(), Vec::new());
        for experiment in &self.experiments {
            let figures = simulate(experiment, efficiencies, REQUESTS)?;
            for (stage, simulated) in experiment.stages.iter().zip(figures) {
                owners.push(experiment.model.name.clone());
                errors.push(libm::log(simulated.tpot_s / stage.measured.tpot_s));
                // A closed loop of equal lengths moves in waves, and how its clients started is not known.
                if !experiment.is_closed {
                    owners.push(experiment.model.name.clone());
                    errors.push(TTFT_WEIGHT * libm::log(simulated.ttft_s / stage.measured.ttft_s));
                }
            }
        }
        if let Some(steps) = &self.steps {
            let model = model_of(efficiencies)?;
            for (shape, seconds, _) in fitted_medians(steps) {
                owners.push("Qwen/Qwen3-14B".to_owned());
                errors.push(STEPS_WEIGHT * libm::log(model.step_time(&shape).as_secs_f64() / seconds));
            }
        }
        Ok((owners, errors))
    }

    /// Errors and slopes of the asynchronous parameters.
    pub(crate) fn linearised(&self, efficiencies: &Efficiencies) -> Result<Linearised> {
        self.linearise(efficiencies, slots, PRIOR)
    }

    /// Errors and slopes at the given efficiencies.
    fn linearise<const N: usize>(
        &self,
        efficiencies: &Efficiencies,
        slots: fn(&mut Engine) -> [&mut f64; N],
        prior: [f64; N],
    ) -> Result<Linearised> {
        const NUDGE: f64 = 0.1;
        let mut at = efficiencies.clone();
        let point: Vec<f64> = slots(&mut at.engine).into_iter().map(|slot| libm::log(*slot)).collect();
        let (owners, errors) = self.errors(efficiencies)?;
        let mut slopes = vec![vec![0.0; N]; errors.len()];
        for axis in 0..N {
            let mut nudged = efficiencies.clone();
            *slots(&mut nudged.engine)[axis] *= libm::exp(NUDGE);
            let (_, moved) = self.errors(&nudged)?;
            for (slope, (after, before)) in slopes.iter_mut().zip(moved.iter().zip(&errors)) {
                slope[axis] = (after - before) / NUDGE;
            }
        }
        let prior = prior.map(libm::log).to_vec();
        Ok(Linearised { owners, errors, slopes, point, prior })
    }
}

/// Efficiencies with the parameters of a point.
fn with<const N: usize>(
    efficiencies: &Efficiencies,
    slots: fn(&mut Engine) -> [&mut f64; N],
    point: &[f64],
) -> Efficiencies {
    let mut changed = efficiencies.clone();
    for (slot, value) in slots(&mut changed.engine).into_iter().zip(point) {
        *slot = libm::exp(*value);
    }
    changed
}

/// Fits the asynchronous parameters from where they are: Gauss-Newton steps that lower the cost, each halved until it does, as
/// long as one does; then a simplex, because slopes of simulated requests are too rough to end with.
pub(crate) fn fit(data: &Data<'_>, efficiencies: &mut Efficiencies) -> Result<()> {
    const STEPS: usize = 20;
    const HALVINGS: i32 = 3;
    // Below that a step follows the noise of the simulated requests.
    const WORTH: f64 = 2e-3;
    for _ in 0..STEPS {
        let here = data.linearised(efficiencies)?;
        let before = cost(&here.errors, &here.point, &here.prior);
        println!(
            "engine: cost {before:.5}, root mean square of logarithmic errors {:.4}",
            libm::sqrt(here.errors.iter().map(|e| e * e).sum::<f64>() / here.errors.len() as f64)
        );
        let Some(whole) = here.step(None) else { break };
        let mut better = None;
        for halving in 0..=HALVINGS {
            let share = libm::ldexp(1.0, -halving);
            let point: Vec<f64> = here.point.iter().zip(&whole).map(|(x, to)| x + share * (to - x)).collect();
            let changed = with(efficiencies, slots, &point);
            if cost(&data.errors(&changed)?.1, &point, &here.prior) < (1.0 - WORTH) * before {
                better = Some(changed);
                break;
            }
        }
        let Some(changed) = better else { break };
        *efficiencies = changed;
    }
    refine(data, efficiencies);
    Ok(())
}

fn refine(data: &Data<'_>, efficiencies: &mut Efficiencies) {
    const ROUNDS: usize = 250;
    const SPREAD: f64 = 0.1;
    let prior = PRIOR.map(libm::log);
    let start = slots(&mut efficiencies.clone().engine).map(|slot| libm::log(*slot));
    let cost_at = |point: &[f64]| {
        let errors = data.errors(&with(efficiencies, slots, point));
        errors.map_or(f64::INFINITY, |(_, errors)| cost(&errors, point, &prior))
    };
    let before = cost_at(&start);
    let found = nelder_mead(&start, SPREAD, ROUNDS, cost_at);
    println!("engine: cost {before:.5} before the simplex, {:.5} after it", cost_at(&found));
    *efficiencies = with(efficiencies, slots, &found);
}

/// The efficiencies without one model: one step from the fit with all of them, which lies close.
pub(crate) fn leave_out(linearised: &Linearised, efficiencies: &Efficiencies, model: &str) -> Efficiencies {
    let point = linearised.step(Some(model)).unwrap_or_else(|| linearised.point.clone());
    with(efficiencies, slots, &point)
}

/// Fits the synchronous parameters: of one GPU to requests that ran alone, the others to the servers of `data`.
pub(crate) fn fit_synchronous(
    measured: &Path,
    data: &Data<'_>,
    efficiencies: &mut Efficiencies,
) -> Result<()> {
    const STEPS: usize = 4;
    for _ in 0..STEPS {
        fit_solo(measured, efficiencies)?;
        let here = data.linearise(efficiencies, synchronous_slots, SYNCHRONOUS_PRIOR)?;
        let Some(point) = here.step(None) else { break };
        *efficiencies = with(efficiencies, synchronous_slots, &point);
    }
    fit_solo(measured, efficiencies)
}
