//! Step-time profiles: how long one engine step takes, as integer coefficients or as factors on a roofline.
//!
//! A profile is calibrated on a measured server, and carries its residuals and range. Where there is none, the roofline
//! of [`crate::step_time`] estimates.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::CatalogError;
use super::covariance::Covariance;
use super::gpu::Gpu;
use super::model::Model;
use crate::step_time::roofline::{Corrections, Deployment, Efficiencies, FrontEndTimes, Limits};
use crate::step_time::{LinearCoefficients, RooflineSteps, StepTimeModel};

/// Where a calibrated profile was measured. Outside, its durations are extrapolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileRange {
    /// Fewest decoding sequences in a step.
    pub min_decode_seqs: u64,
    /// Most decoding sequences in a step.
    pub max_decode_seqs: u64,
    /// Shortest context of a decoding sequence, in tokens.
    pub min_context_tokens: u64,
    /// Longest context of a decoding sequence, in tokens.
    pub max_context_tokens: u64,
    /// Most prompt tokens in a step.
    pub max_prefill_tokens: u64,
}

/// Where coefficients come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Origin {
    /// Fitted to a measured server.
    Calibrated {
        /// The measurement and the script.
        fitted_on: String,
        /// How well the fit meets it.
        residuals: String,
        /// Which coefficients are data and which are physics.
        coefficient_sources: String,
        /// Where it was measured.
        range: ProfileRange,
    },
}

/// The step times of one model on one kind of GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name in the catalog.
    pub name: String,
    /// [`Gpu::name`].
    pub gpu: String,
    /// [`Model::name`].
    pub model: String,
    /// Engine and version, such as `vllm 0.22.0`.
    pub engine_version: String,
    /// GPUs that share the model.
    pub tensor_parallel_size: u32,
    /// Time from the client's send until the engine has the request, as far as it does not depend on load (ms).
    pub front_end_overhead_ms: f64,
    /// Tokenising, for each token of a prompt (us).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokenising_us_per_token: f64,
    /// From the end of a step until the client has its token (us).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub streaming_us_per_token: f64,
    /// The step times, linear in the batch; or else `corrections`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coefficients: Option<LinearCoefficients>,
    /// The step times as factors on the roofline of the GPU and the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrections: Option<Corrections>,
    /// Where they come from.
    pub origin: Origin,
    /// How far coefficients and front end may be off; absent where nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariance: Option<Covariance>,
}

impl Profile {
    /// The one profile of a file that `kendall calibrate --out` wrote.
    ///
    /// # Errors
    /// [`CatalogError::Profile`] if the text is no such file.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, CatalogError> {
        let invalid = |reason| CatalogError::Profile { name: file.to_owned(), reason };
        let parsed: File = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let count = parsed.profile.len();
        let mut profiles = parsed.profile.into_iter();
        match (profiles.next(), profiles.next()) {
            (Some(profile), None) => {
                profile.check().map_err(invalid)?;
                Ok(profile)
            }
            _ => Err(invalid(format!("{count} profiles; expected one [[profile]]"))),
        }
    }

    /// What lies between clients and the engine.
    pub fn front_end(&self) -> FrontEndTimes {
        FrontEndTimes {
            receipt_ms: self.front_end_overhead_ms,
            tokenising_us_per_token: self.tokenising_us_per_token,
            streaming_us_per_token: self.streaming_us_per_token,
            from_minor: 0,
            measured_on: self.engine_version.clone(),
        }
    }

    /// The step times. What `of` says beyond GPU, model and split must be that of the measured engine.
    ///
    /// # Errors
    /// [`CatalogError`] if the profile corrects a roofline that cannot be made.
    pub fn steps(&self, of: &Deployment<'_>, limits: Limits) -> Result<StepTimeModel, CatalogError> {
        match (&self.coefficients, &self.corrections) {
            (Some(coefficients), _) => Ok((*coefficients).into()),
            (None, corrections) => {
                // What sorting of logits takes is in the factors, if the measured engine sorted.
                let of = Deployment { sorts_logits: false, ..*of };
                let steps = RooflineSteps::new(&of, limits, Efficiencies::built_in())?;
                Ok(steps.corrected(&corrections.unwrap_or_default()).into())
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        match (&self.coefficients, &self.corrections) {
            (Some(_), None) => {}
            (None, Some(corrections)) => corrections.check()?,
            _ => return Err("expected either [profile.coefficients] or [profile.corrections]".into()),
        }
        for (key, value, most, unit) in [
            ("front_end_overhead_ms", self.front_end_overhead_ms, 3.6e6, "ms"),
            ("tokenising_us_per_token", self.tokenising_us_per_token, 1e6, "us"),
            ("streaming_us_per_token", self.streaming_us_per_token, 3.6e9, "us"),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(format!("{key} = {value}: it must lie between 0 and {most} {unit}"));
            }
        }
        self.covariance.as_ref().map_or(Ok(()), |covariance| covariance.check(self))
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Vec<Profile>,
}

static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    let file: File =
        toml::from_str(include_str!("profiles.toml")).expect("profiles.toml is embedded and tested");
    file.profile
});

/// Every calibrated profile of the catalog, in its order.
pub fn profiles() -> &'static [Profile] {
    &PROFILES
}

/// The calibrated profile of a model on so many GPUs of a kind, if there is one.
pub fn profile(gpu: &Gpu, model: &Model, tensor_parallel_size: u32) -> Option<&'static Profile> {
    profiles().iter().find(|profile| {
        profile.gpu == gpu.name
            && profile.model == model.name
            && profile.tensor_parallel_size == tensor_parallel_size
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{gpu, model};

    fn known(gpu_name: &str, model_name: &str) -> (&'static Gpu, &'static Model) {
        (gpu(gpu_name).expect("in the catalog"), model(model_name).expect("in the catalog"))
    }

    fn decode_step_ms(coefficients: &LinearCoefficients, seqs: u64, context_tokens: u64) -> f64 {
        let ps = coefficients.base_ps
            + coefficients.per_decode_seq_ps * seqs
            + coefficients.per_decode_context_token_ps * seqs * context_tokens;
        ps as f64 / 1e9
    }

    /// Median steps of the microbenchmark, context 45 tokens on average: (batch, ms).
    const A10G_DECODE_MS: [(u64, f64); 6] =
        [(1, 7.920), (2, 8.070), (4, 8.116), (8, 8.417), (16, 8.675), (32, 10.177)];

    /// The profile is fitted to servers, whose steps are about 1 % longer than the microbenchmark's;
    /// batch 16 lies 3 % below any line through the others.
    #[test]
    fn the_a10g_profile_meets_the_microbenchmark_within_5_percent() {
        let (a10g, qwen) = known("A10G", "Qwen2.5-1.5B-Instruct");
        let found = profile(a10g, qwen, 1).expect("calibrated");
        for (seqs, measured_ms) in A10G_DECODE_MS {
            let error = decode_step_ms(&found.coefficients.expect("linear"), seqs, 45) / measured_ms - 1.0;
            assert!(error.abs() < 0.05, "batch {seqs}: {error}");
        }
        assert!(profile(a10g, qwen, 2).is_none());
    }

    #[test]
    fn profiles_name_what_the_catalog_holds() {
        for profile in profiles() {
            assert!(gpu(&profile.gpu).is_ok_and(|gpu| gpu.name == profile.gpu));
            assert!(model(&profile.model).is_ok_and(|model| model.name == profile.model));
            assert_eq!(profile.check(), Ok(()), "{}", profile.name);
        }
    }

    #[test]
    fn coefficients_reject_unknown_fields() {
        let text = "base_ps = 1\nper_prefill_ps = 2";
        assert!(toml::from_str::<LinearCoefficients>(text).is_err());
    }
}
