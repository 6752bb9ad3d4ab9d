//! Workloads and engines to try the models on: the study's (set 0) and three others that were chosen before any model had
//! seen them.

use kendall_theory::batching::{BatchStep, LengthLaw, StepTimes, System};

/// The system of a set at one rate, batch and KV capacity.
pub(crate) fn system(set: usize, rate_per_s: f64, batch: usize, kv_tokens: usize) -> System {
    let (prompt, output, prefill, decode) = match set {
        // Heavy-tailed outputs, long prompts, fast prefill.
        1 => (
            LengthLaw::floored_lognormal(600.0, 0.9, 6000).unwrap(),
            LengthLaw::floored_lognormal(150.0, 1.1, 4000).unwrap(),
            (0.008, 2.5e-5, 0.0),
            (0.010, 4e-4),
        ),
        // Geometric outputs, uniform prompts, slow prefill.
        2 => (
            LengthLaw::uniform(50, 750).unwrap(),
            LengthLaw::geometric(100.0, 2000).unwrap(),
            (0.002, 1.5e-4, 0.02),
            (0.015, 1e-3),
        ),
        // Regular outputs, constant prompts.
        3 => (
            LengthLaw::constant(300).unwrap(),
            LengthLaw::uniform(20, 180).unwrap(),
            (0.005, 5e-5, 0.05),
            (0.008, 2e-4),
        ),
        _ => return System::study(rate_per_s, batch, kv_tokens).unwrap(),
    };
    System::new(rate_per_s, batch, kv_tokens, prompt, output, steps(batch, prefill, decode)).unwrap()
}

/// Prefill base and token time and its growth with the batch; decode base and growth.
fn steps(batch: usize, prefill: (f64, f64, f64), decode: (f64, f64)) -> StepTimes {
    let row = |b: usize| BatchStep {
        prefill_base_s: prefill.0,
        prefill_token_s: prefill.1 * (1.0 + prefill.2 * (b as f64 - 1.0)),
        decode_s: decode.0 + decode.1 * b as f64,
    };
    StepTimes::new((1..=batch).map(row).collect()).unwrap()
}
