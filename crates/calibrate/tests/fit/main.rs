//! Fits: coefficients that made the steps come back, standard errors mean what they say, and what cannot be known is
//! said.

mod matching;
mod measured_steps;
mod profile;
mod properties;
mod recovery;

use kendall_calibrate::fit::FitOptions;
use kendall_calibrate::{MeasuredStep, ServerFacts, StepLog};
use kendall_serving::LinearCoefficients;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng};

/// A server like an A10G with a 1.5B model.
const TRUTH: LinearCoefficients = LinearCoefficients {
    base_ps: 7_952_793_000,
    per_prefill_token_ps: 52_583_000,
    per_prefill_context_token_ps: 59_733,
    per_prefill_attention_ps: 2_048,
    per_decode_seq_ps: 64_417_158,
    per_decode_context_token_ps: 59_733,
    per_new_seq_ps: 300_000_000,
};

/// Steps of a busy server under known coefficients: decodes of 1 to 64 sequences with contexts of 50 to 4,000 tokens,
/// every fifth step with one to four prompt chunks behind up to 3,000 tokens. `noise` is the relative deviation of a
/// duration, uniform, and `shared` a part of it that 20 neighbouring steps have in common.
fn steps(truth: &LinearCoefficients, n: usize, noise: f64, shared: f64, seed: u64) -> StepLog {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut log, mut common) = (StepLog { steps: Vec::new(), server: ServerFacts::default() }, 0.0);
    // A uniform variate on (-1, 1) has the deviation 1 / sqrt(3).
    let uniform = |rng: &mut ChaCha8Rng| 1.732_050_807_568_877_2 * rng.random_range(-1.0..1.0);
    for i in 0..n {
        if i % 20 == 0 {
            common = shared * uniform(&mut rng);
        }
        let mut step = MeasuredStep::default();
        step.decode_seqs = f64::from(rng.random_range(1..=64_u32));
        step.decode_context_tokens = step.decode_seqs * f64::from(rng.random_range(50..4_000_u32));
        if i % 5 == 0 {
            for _ in 0..rng.random_range(1..=4) {
                let chunk = f64::from(rng.random_range(16..512_u32));
                let context = chunk + f64::from(rng.random_range(0..3_000_u32));
                step.prefill_tokens += chunk;
                step.prefill_context_tokens += context;
                step.prefill_attention += chunk * context;
                step.new_seqs += f64::from(rng.random_range(0..=1_u32));
            }
        }
        step.duration_s = duration_s(truth, &step) * (1.0 + common + noise * uniform(&mut rng));
        log.steps.push(step);
    }
    log
}

fn duration_s(truth: &LinearCoefficients, step: &MeasuredStep) -> f64 {
    let ps = truth.base_ps as f64
        + truth.per_prefill_token_ps as f64 * step.prefill_tokens
        + truth.per_prefill_context_token_ps as f64 * step.prefill_context_tokens
        + truth.per_prefill_attention_ps as f64 * step.prefill_attention
        + truth.per_decode_seq_ps as f64 * step.decode_seqs
        + truth.per_decode_context_token_ps as f64 * step.decode_context_tokens
        + truth.per_new_seq_ps as f64 * step.new_seqs;
    ps * 1e-12
}

fn options() -> FitOptions {
    FitOptions { replicates: 200, ..FitOptions::default() }
}
