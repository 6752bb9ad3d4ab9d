//! Workloads and engines to try the models on: the study's (set 0) and three others that were chosen before any model had
//! seen them.

use kendall_theory::batching::{BatchStep, LengthLaw, StepTimes, System};

/// Cells of sets 1 to 3: set, arrival rate (requests/s), largest batch, KV (tokens).
pub(crate) const CELLS: [(usize, f64, usize, usize); 24] = [
    (1, 0.3, 1, 8_000),
    (1, 0.7, 1, 16_000),
    (1, 0.8, 4, 12_000),
    (1, 1.1, 4, 24_000),
    (1, 1.6, 4, 12_000),
    (1, 1.5, 8, 16_000),
    (1, 2.0, 8, 32_000),
    (1, 3.0, 8, 24_000),
    (2, 0.4, 1, 3_000),
    (2, 0.8, 1, 6_000),
    (2, 0.8, 2, 4_000),
    (2, 1.5, 2, 4_000),
    (2, 1.5, 4, 5_000),
    (2, 2.5, 6, 6_000),
    (2, 3.5, 16, 12_000),
    (2, 5.0, 16, 10_000),
    (3, 0.7, 1, 2_500),
    (3, 1.4, 1, 4_000),
    (3, 1.5, 2, 2_500),
    (3, 2.4, 3, 4_000),
    (3, 3.0, 4, 3_000),
    (3, 4.0, 5, 8_000),
    (3, 6.0, 8, 6_000),
    (3, 9.0, 12, 9_000),
];

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
