//! Step-time profiles: how long one engine step takes, as integer coefficients.
//!
//! A profile is either calibrated on a measured server, with its residuals and range, or estimated from two
//! datasheets.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::CatalogError;
use super::gpu::Gpu;
use super::model::{Model, WeightPrecision};
use crate::step_time::LinearCoefficients;

/// Time from the client's send until the engine has the request where no server was measured (ms): what the A10G
/// servers show.
pub const FRONT_END_OVERHEAD_MS: f64 = 10.0;

/// Share of the datasheet bandwidth that reading weights and KV cache attains. Streaming kernels reach 80 to
/// 90 %; weights of Qwen3-14B on an H100 (8.8 ms at the peak, steps of 11.1 ms) allow about 0.8.
pub const BANDWIDTH_EFFICIENCY: f64 = 0.8;

/// Share of the dense peak that one more token in a step attains in the matrix products. Between the slopes
/// measured with all parameters counted: 0.70 on A10G with Qwen2.5-1.5B, 1.02 on H100 with Qwen3-14B (part of
/// the work hides behind the reading of the weights, which `base_ps` already holds).
pub const COMPUTE_EFFICIENCY: f64 = 0.8;

/// Share of the dense peak that prefill attention attains: 0.5 to 0.73 for `FlashAttention-2` on A100, by its
/// paper.
pub const ATTENTION_EFFICIENCY: f64 = 0.6;

/// What a layer adds to a step beyond its bytes: launches, norms, small kernels, its share of the scheduler's
/// time. Between 2 us (H100, Qwen3-14B) and 51 us (A10G, Qwen2.5-1.5B), the bytes at
/// [`BANDWIDTH_EFFICIENCY`].
pub const LAYER_OVERHEAD_S: f64 = 25e-6;

/// Latency of one all-reduce of a few tokens; a layer has two. NCCL and custom kernels over `NVLink` take 5
/// to 20 us.
pub const ALL_REDUCE_LATENCY_S: f64 = 10e-6;

/// Activations and KV cache in 16 bits.
const ACTIVATION_BYTES: u64 = 2;

const PS_PER_S: f64 = 1e12;

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
    /// Computed from datasheets: never compared with a server.
    Estimate {
        /// What was assumed.
        why: String,
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
    /// Engine and version, such as `vllm 0.22.0`; `any` for an estimate.
    pub engine_version: String,
    /// GPUs that share the model.
    pub tensor_parallel_size: u32,
    /// Time from the client's send until the engine has the request, as far as it does not depend on load (ms).
    pub front_end_overhead_ms: f64,
    /// The step times.
    pub coefficients: LinearCoefficients,
    /// Where they come from.
    pub origin: Origin,
}

impl Profile {
    /// Whether no server was measured.
    pub fn is_estimate(&self) -> bool {
        matches!(self.origin, Origin::Estimate { .. })
    }
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

/// A profile from two datasheets: an additive roofline in which each step reads all weights once and each
/// token pays its matrix products in full. Work and reading overlap on a real GPU, so it tends to be slow for
/// small prefills; a mixture-of-experts model pays for all of its experts in every step, as in a busy batch.
///
/// Against solo requests on an H100 that no constant was chosen on, decode steps err by +3 % (CodeLlama-34b)
/// and -6 % (Llama-2-7b), prefills by +38 % and -10 % (medians).
///
/// # Errors
/// [`CatalogError`] if a fact about the model is missing or its heads do not divide.
pub fn estimate(gpu: &Gpu, model: &Model, tensor_parallel_size: u32) -> Result<Profile, CatalogError> {
    model.check_tensor_parallel(tensor_parallel_size)?;
    let gpus = f64::from(tensor_parallel_size);
    let bytes_per_s = gpu.memory_bandwidth_gb_per_s * 1e9 * BANDWIDTH_EFFICIENCY;
    let layers = f64::from(model.num_hidden_layers);

    let (bytes_to_send, latency_s) = all_reduce(model, tensor_parallel_size);
    let base_s = model.weight_bytes()? as f64 / gpus / bytes_per_s + layers * LAYER_OVERHEAD_S + latency_s;
    let flop_per_token = 2.0 * model.known_active_params()? as f64 / gpus;
    let token_s = flop_per_token / (peak_flop_per_s(gpu, model) * COMPUTE_EFFICIENCY)
        + bytes_to_send / (gpu.link_gb_per_s() * 1e9);
    let kv_bytes = model.kv_bytes_per_token_per_gpu(ACTIVATION_BYTES, tensor_parallel_size)?;
    let context_token_s = kv_bytes as f64 / bytes_per_s;
    // Scores and values: 2 products of 2 flop; a causal mask leaves half of a whole prompt's pairs.
    let heads = f64::from(model.num_attention_heads) * f64::from(model.head_dim) / gpus;
    let attention_s = 2.0 * layers * heads / (gpu.bf16_dense_tflops * 1e12 * ATTENTION_EFFICIENCY);

    Ok(Profile {
        name: format!("estimate-{}-{}-tp{tensor_parallel_size}", gpu.name, model.name),
        gpu: gpu.name.clone(),
        model: model.name.clone(),
        engine_version: "any".to_owned(),
        tensor_parallel_size,
        front_end_overhead_ms: FRONT_END_OVERHEAD_MS,
        coefficients: LinearCoefficients {
            base_ps: ps(base_s),
            per_prefill_token_ps: ps(token_s),
            per_prefill_context_token_ps: ps(context_token_s),
            per_prefill_attention_ps: ps(attention_s),
            // Measured slopes per sequence (A10G 64 us, H100 22 to 35 us) lie near those per prompt token.
            per_decode_seq_ps: ps(token_s),
            per_decode_context_token_ps: ps(context_token_s),
            per_new_seq_ps: 0,
        },
        origin: Origin::Estimate { why: assumptions(gpu, model) },
    })
}

/// Bytes that one token sends from each GPU in a step, and the seconds that a step waits for all-reduces.
fn all_reduce(model: &Model, tensor_parallel_size: u32) -> (f64, f64) {
    if tensor_parallel_size == 1 {
        return (0.0, 0.0);
    }
    let count = 2.0 * f64::from(model.num_hidden_layers);
    let gpus = f64::from(tensor_parallel_size);
    // A ring sends each byte 2 (n - 1) / n times.
    let vector_bytes = f64::from(model.hidden_size) * ACTIVATION_BYTES as f64;
    (count * vector_bytes * 2.0 * (gpus - 1.0) / gpus, count * ALL_REDUCE_LATENCY_S)
}

/// Dense peak of the matrix products: fp8 where both the weights and the GPU have it.
fn peak_flop_per_s(gpu: &Gpu, model: &Model) -> f64 {
    let fp8 = gpu.fp8_dense_tflops.filter(|_| model.weight_precision == WeightPrecision::Fp8);
    fp8.unwrap_or(gpu.bf16_dense_tflops) * 1e12
}

fn assumptions(gpu: &Gpu, model: &Model) -> String {
    let confidence =
        if gpu.is_low_confidence() { "; a fact about this GPU is of low confidence" } else { "" };
    let experts = if model.num_experts > 0 { "; every step reads all experts" } else { "" };
    format!(
        "no measured profile: additive roofline from datasheets at {:.0} % of bandwidth, {:.0} % of peak{confidence}\
         {experts}",
        100.0 * BANDWIDTH_EFFICIENCY,
        100.0 * COMPUTE_EFFICIENCY,
    )
}

/// The one door from seconds to picoseconds of this module.
fn ps(seconds: f64) -> u64 {
    let ps = libm::round(seconds * PS_PER_S);
    assert!(ps.is_finite() && ps >= 0.0 && ps < u64::MAX as f64, "{seconds} s is not a duration");
    ps as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{gpu, gpus, model, models};

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
            let error = decode_step_ms(&found.coefficients, seqs, 45) / measured_ms - 1.0;
            assert!(error.abs() < 0.05, "batch {seqs}: {error}");
        }
        assert!(!found.is_estimate());
        assert!(profile(a10g, qwen, 2).is_none());
    }

    fn estimated(gpu_name: &str, model_name: &str) -> LinearCoefficients {
        let (gpu, model) = known(gpu_name, model_name);
        estimate(gpu, model, 1).expect("facts are known").coefficients
    }

    /// The two servers that the named constants were chosen on: in sample.
    #[test]
    fn estimates_lie_within_15_percent_of_the_servers_behind_the_constants() {
        let small = estimated("A10G", "Qwen2.5-1.5B-Instruct");
        for (seqs, measured_ms) in A10G_DECODE_MS {
            let error = decode_step_ms(&small, seqs, 45) / measured_ms - 1.0;
            assert!(error.abs() < 0.15, "A10G, batch {seqs}: {error}");
        }
        // Median steps of vLLM 0.23 at context 1050: (batch, ms). Source: inference-sim.
        let large = estimated("H100", "Qwen3-14B");
        for (seqs, measured_ms) in [(1, 11.212), (4, 11.560), (8, 11.815), (10, 11.997)] {
            let error = decode_step_ms(&large, seqs, 1050) / measured_ms - 1.0;
            assert!(error.abs() < 0.15, "H100, batch {seqs}: {error}");
        }
        let prefill_ms = (large.base_ps + large.per_prefill_token_ps * 986) as f64 / 1e9;
        assert!((prefill_ms / 40.0 - 1.0).abs() < 0.25, "H100, prompt of 986 tokens: {prefill_ms} ms");
    }

    /// Out of sample: vLLM 0.11, one request alone on an H100. Source: inference-sim.
    #[test]
    fn estimates_of_decode_lie_within_10_percent_of_servers_not_used() {
        for (model_name, context_tokens, measured_ms) in
            [("CodeLlama-34b-Instruct-hf", 3145, 25.989), ("Llama-2-7b-hf", 1816, 6.715)]
        {
            let step_ms = decode_step_ms(&estimated("H100", model_name), 1, context_tokens);
            assert!((step_ms / measured_ms - 1.0).abs() < 0.10, "{model_name}: {step_ms} ms");
        }
    }

    #[test]
    fn every_estimate_is_marked_and_physical() {
        for gpu in gpus() {
            for model in models() {
                let Ok(one) = estimate(gpu, model, 1) else { continue };
                assert!(one.is_estimate());
                assert!(one.coefficients.base_ps > 0 && one.coefficients.per_decode_context_token_ps > 0);
                let four = estimate(gpu, model, 4).expect("four GPUs divide every model of the catalog");
                assert!(
                    four.coefficients.per_prefill_attention_ps < one.coefficients.per_prefill_attention_ps
                );
            }
        }
    }

    #[test]
    fn an_estimate_needs_facts_and_divisible_heads() {
        let (h100, kimi) = known("H100", "Kimi-K2.5");
        assert!(matches!(estimate(h100, kimi, 1), Err(CatalogError::NotDerivable { .. })));
        let (h100, qwen) = known("H100", "Qwen2.5-1.5B-Instruct");
        assert!(matches!(estimate(h100, qwen, 8), Err(CatalogError::TensorParallel { .. })));
    }

    #[test]
    fn profiles_name_what_the_catalog_holds() {
        for profile in profiles() {
            assert!(gpu(&profile.gpu).is_ok_and(|gpu| gpu.name == profile.gpu));
            assert!(model(&profile.model).is_ok_and(|model| model.name == profile.model));
        }
    }

    #[test]
    fn coefficients_reject_unknown_fields() {
        let text = "base_ps = 1\nper_prefill_ps = 2";
        assert!(toml::from_str::<LinearCoefficients>(text).is_err());
    }
}
