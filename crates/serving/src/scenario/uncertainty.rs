//! How far step times and front end may be off, and draws from that: a calibrated profile's covariance, or the errors of
//! estimates on servers that were measured.

use kendall_des::{Distribution, Purpose, Streams};

use super::StepTimeSource;
use crate::catalog::{Covariance, Profile};
use crate::simulation::SimulationConfig;
use crate::step_time::StepTimeModel;
use crate::step_time::roofline::Corrections;

/// Random numbers of parameters.
const PARAMETERS: Purpose = Purpose(64);

/// Standard deviation of an estimate's logarithm: the root mean square of the logarithmic errors of TPOT on the 33 stages of servers
/// whose model was left out of the fit ([`super::ESTIMATE_ERROR`]). It is much more than their median tells: a model of experts
/// is further off than the others.
const ESTIMATE_SPREAD: f64 = 0.063;

/// What is known of the errors of a scenario's parameters.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterUncertainty {
    /// Coefficients and front end of a calibrated profile vary together.
    Profile {
        /// Their values.
        profile: Box<Profile>,
        /// How they vary.
        covariance: Covariance,
    },
    /// All step times of an estimate are off by one factor.
    Factor {
        /// Standard deviation of the factor's logarithm.
        spread: f64,
    },
}

impl ParameterUncertainty {
    /// What is known of these step times; `None` for coefficients that the scenario gives, and for profiles without a
    /// covariance.
    pub fn of(source: &StepTimeSource) -> Option<Self> {
        match source {
            StepTimeSource::Scenario => None,
            StepTimeSource::Calibrated { profile } => {
                Some(Self::Profile { profile: profile.clone(), covariance: profile.covariance.clone()? })
            }
            StepTimeSource::Estimate { .. } => Some(Self::Factor { spread: ESTIMATE_SPREAD }),
        }
    }

    /// The configuration with draw number `number` of the parameters. A front end that the scenario gives stays.
    pub fn draw(&self, config: &SimulationConfig, seed: u64, number: u32) -> SimulationConfig {
        let mut stream = Streams::new(seed, 0).stream(PARAMETERS);
        let mut numbers = stream.entity(u64::from(number));
        let standard = Distribution::normal(0.0, 1.0).expect("0 and 1 are in the domain");
        let mut drawn = config.clone();
        match self {
            Self::Factor { spread } => {
                let factor = libm::exp(spread * standard.sample(&mut numbers));
                drawn.step_time = config.step_time.scaled(factor);
            }
            Self::Profile { profile, covariance } => {
                let normals: Vec<f64> =
                    covariance.parameters.iter().map(|_| standard.sample(&mut numbers)).collect();
                let moved = covariance.shift(&normals, profile);
                drawn.step_time = moved_steps(&config.step_time, profile, &moved);
                if config.front_end == profile.front_end().durations() {
                    drawn.front_end = moved.front_end().durations();
                }
            }
        }
        drawn
    }

    /// Where the errors come from, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Profile { covariance, .. } => {
                format!("covariance of the profile's {} fitted parameters", covariance.parameters.len())
            }
            Self::Factor { spread } => format!(
                "an estimate: one factor on all step times, standard deviation {:.1} %, as on measured servers of models that \
                 were left out",
                100.0 * spread
            ),
        }
    }
}

/// Steps of a profile whose parameters moved: its coefficients, or the ratios of its factors on the steps that have them.
fn moved_steps(steps: &StepTimeModel, before: &Profile, after: &Profile) -> StepTimeModel {
    match (after.coefficients, steps, before.corrections, after.corrections) {
        (Some(coefficients), ..) => coefficients.into(),
        (None, StepTimeModel::Roofline(steps), Some(mut before), Some(mut after)) => {
            let mut ratios = Corrections::default();
            for key in Corrections::KEYS {
                let pair = before.get_mut(key).zip(after.get_mut(key));
                if let (Some((before, after)), Some(ratio)) = (pair, ratios.get_mut(key)) {
                    *ratio = *after / *before;
                }
            }
            steps.corrected(&ratios).into()
        }
        _ => steps.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BatchShape;
    use crate::scenario::{Scenario, resolve};

    fn step_ms(config: &SimulationConfig) -> f64 {
        let mut shape = BatchShape::default();
        shape.add_decode(100);
        config.step_time.step_time(&shape).as_secs_f64() * 1e3
    }

    #[test]
    fn draws_have_the_spread_that_is_known() {
        let text = "[workload]\n[server]\ngpu = \"H100\"\nmodel = \"Qwen/Qwen3-8B\"\n";
        let resolved = resolve(&Scenario::from_toml(text).expect("a scenario")).expect("resolved");
        let uncertainty = ParameterUncertainty::of(&resolved.step_time).expect("an estimate");
        let base = step_ms(&resolved.simulation);
        let logs: Vec<f64> = (0..2_000)
            .map(|number| libm::log(step_ms(&uncertainty.draw(&resolved.simulation, 3, number)) / base))
            .collect();
        let mean = logs.iter().sum::<f64>() / 2_000.0;
        let sd = libm::sqrt(logs.iter().map(|log| (log - mean) * (log - mean)).sum::<f64>() / 2_000.0);
        // Standard errors: 0.0012 of the mean, 0.0008 of the standard deviation.
        assert!(mean.abs() < 0.005 && (sd - ESTIMATE_SPREAD).abs() < 0.004, "{mean} {sd}");
        assert_eq!(
            step_ms(&uncertainty.draw(&resolved.simulation, 3, 7)).to_bits(),
            step_ms(&uncertainty.draw(&resolved.simulation, 3, 7)).to_bits()
        );
    }

    #[test]
    fn given_step_times_have_no_known_error() {
        assert_eq!(ParameterUncertainty::of(&StepTimeSource::Scenario), None);
    }
}
