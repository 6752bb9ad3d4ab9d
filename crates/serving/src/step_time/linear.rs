//! The linear step-time model: what calibration fits to measured steps.

use kendall_des::SimDuration;
use serde::{Deserialize, Serialize};

use super::BatchShape;

/// Step time linear in the batch shape, in integer picoseconds: what calibration fits and what can be summed exactly.
///
/// ```text
/// duration = base
///          + per_prefill_token         * prompt tokens computed
///          + per_prefill_context_token * sum over prefill chunks of the context after the chunk
///          + per_prefill_attention     * sum over prefill chunks of chunk * context after the chunk
///          + per_decode_seq            * decoding sequences
///          + per_decode_context_token  * sum of their contexts
///          + per_new_seq               * sequences admitted in this step
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinearCoefficients {
    /// Time of any step: weights read, kernels launched (ps).
    pub base_ps: u64,
    /// Time for each prompt token (ps).
    pub per_prefill_token_ps: u64,
    /// Time for each token of context behind a prefill chunk (ps).
    pub per_prefill_context_token_ps: u64,
    /// Time for each pair (chunk token, context token) of prefill attention (ps).
    pub per_prefill_attention_ps: u64,
    /// Time for each decoding sequence (ps).
    pub per_decode_seq_ps: u64,
    /// Time for each token of context of a decoding sequence (ps).
    pub per_decode_context_token_ps: u64,
    /// Time for each newly admitted sequence (ps).
    pub per_new_seq_ps: u64,
}

impl LinearCoefficients {
    /// Every coefficient times `share`, rounded.
    pub(super) fn scaled(&self, share: f64) -> Self {
        let scaled = |ps: u64| libm::round(ps as f64 * share) as u64;
        Self {
            base_ps: scaled(self.base_ps),
            per_prefill_token_ps: scaled(self.per_prefill_token_ps),
            per_prefill_context_token_ps: scaled(self.per_prefill_context_token_ps),
            per_prefill_attention_ps: scaled(self.per_prefill_attention_ps),
            per_decode_seq_ps: scaled(self.per_decode_seq_ps),
            per_decode_context_token_ps: scaled(self.per_decode_context_token_ps),
            per_new_seq_ps: scaled(self.per_new_seq_ps),
        }
    }

    /// The duration of a step of this shape; a step without tokens takes no time.
    ///
    /// # Panics
    /// Beyond the horizon of 213 days for one step.
    #[inline]
    pub fn step_time(&self, shape: &BatchShape) -> SimDuration {
        // Nearly every step only decodes.
        if shape.prefill_tokens > 0 || shape.new_seqs > 0 || shape.decode_seqs == 0 {
            return self.mixed_step_time(shape);
        }
        let (without_context, per_token) = self.decode_ps(shape.decode_seqs);
        let ps = per_token
            .checked_mul(shape.decode_context_tokens)
            .and_then(|context| without_context.checked_add(context));
        SimDuration::from_ps(ps.expect("a step within the horizon of 213 days"))
    }

    fn mixed_step_time(&self, shape: &BatchShape) -> SimDuration {
        if shape.prefill_tokens + shape.decode_seqs == 0 {
            return SimDuration::ZERO;
        }
        let terms = [
            (self.per_prefill_token_ps, shape.prefill_tokens),
            (self.per_prefill_context_token_ps, shape.prefill_context_tokens),
            (self.per_prefill_attention_ps, shape.prefill_attention),
            (self.per_decode_seq_ps, shape.decode_seqs),
            (self.per_decode_context_token_ps, shape.decode_context_tokens),
            (self.per_new_seq_ps, shape.new_seqs),
        ];
        let ps = terms.iter().try_fold(self.base_ps, |sum, &(coefficient, amount)| {
            sum.checked_add(coefficient.checked_mul(amount)?)
        });
        SimDuration::from_ps(ps.expect("a step within the horizon of 213 days"))
    }

    /// As [`StepTimeModel::decode_ps`](super::StepTimeModel::decode_ps).
    #[inline]
    pub(super) fn decode_ps(&self, num_rows: u64) -> (u64, u64) {
        let seqs = self.per_decode_seq_ps.checked_mul(num_rows);
        let ps = seqs.and_then(|seqs| self.base_ps.checked_add(seqs));
        (ps.expect("a step within the horizon of 213 days"), self.per_decode_context_token_ps)
    }
}
