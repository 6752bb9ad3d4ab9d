//! The roofline step-time model: operators of a deployment, tabulated in integer picoseconds.
//!
//! ```text
//! duration = step + tokens(prefill tokens + decode rows) + rows(decode rows + prefill chunks)
//!          + decode_row * decode rows + context_token * (decode context + context behind prefill chunks)
//!          + (context_token_beside_prompts - context_token) * decode context, if there are prefill tokens
//!          - shared_token * tokens of blocks that other sequences hold too (at most the decode context)
//!          + idle_tile * decode rows * length of the prefill chunks, weighted by themselves
//!          + prefill_pair * (sum of chunk * context - half the sum of chunk^2) + prefill_token * prefill tokens
//!          + mixed_step, if there are prefill tokens
//! ```
//!
//! `tokens` and `rows` bend (weights are read once for a whole batch; experts are touched by chance): they are tables.
//! Everything else is linear, so that a decode-only step is `A(n) + D c`, exactly.

mod corrections;
mod efficiency;
mod graphs;
mod kernels;
mod ladder;
mod operators;

use std::sync::Arc;

use kendall_des::SimDuration;
use serde::ser::{Serialize, SerializeStruct, Serializer};

pub use corrections::Corrections;
pub use efficiency::{AllReduce, Attention, Corner, Efficiencies, Engine, FrontEndTimes, Kernels, Unpacked};
pub use kernels::{Device, Experts, WeightFormat};
use ladder::Ladder;
pub use operators::{Deployment, Operators};

use super::{BatchShape, LinearCoefficients};
use crate::catalog::{CatalogError, Gpu, Model};

/// Longest step that a deployment may lead to, as for given coefficients: far beyond any real one.
const LONGEST_STEP_S: f64 = 3_600.0;

const PS_PER_S: f64 = 1e12;

/// Largest batch that an engine forms: how far the tables must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most sequences in a step.
    pub max_num_seqs: u32,
    /// Most tokens in a step.
    pub max_num_batched_tokens: u32,
    /// Longest sequence in tokens.
    pub max_model_len: u32,
}

/// Step times of one deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct RooflineSteps(Arc<Tables>);

#[derive(Debug, PartialEq)]
struct Tables {
    step_ps: u64,
    mixed_step_ps: u64,
    decode_row_ps: u64,
    context_token_ps: u64,
    shared_token_ps: u64,
    mixed_context_token_ps: u64,
    mixed_shared_token_ps: u64,
    idle_tile_ps: u64,
    /// Of half a pair: the causal half of a chunk's square may be odd.
    prefill_half_pair_ps: u64,
    prefill_token_ps: u64,
    tokens: Ladder,
    rows: Ladder,
    /// `A(n)` of the steps that only decode, which are nearly all, for the first numbers of sequences.
    decode_ps: Vec<u64>,
}

impl Tables {
    fn with_decode_steps(self) -> Self {
        let decode_ps = (0..self.tokens.num_exact().min(self.rows.num_exact()) as u64)
            .map(|n| self.decode_ps(n))
            .collect();
        Self { decode_ps, ..self }
    }

    /// What a step of so many decoding sequences takes without their context.
    fn decode_ps(&self, n: u64) -> u64 {
        self.step_ps + self.tokens.at(n) + self.rows.at(n) + n * self.decode_row_ps
    }
}

impl RooflineSteps {
    /// The step times of a deployment.
    ///
    /// # Errors
    /// [`CatalogError`] if a fact about the model is missing, its heads do not divide, or a step could last longer than
    /// an hour.
    pub fn new(
        of: &Deployment<'_>,
        limits: Limits,
        efficiencies: &Efficiencies,
    ) -> Result<Self, CatalogError> {
        let operators = Operators::new(of, efficiencies)?;
        check_longest_step(of, limits, &operators)?;
        let seqs = u64::from(limits.max_num_seqs);
        let tokens = u64::from(limits.max_num_batched_tokens).max(seqs);
        let tables = Tables {
            step_ps: ps(operators.step()),
            mixed_step_ps: ps(operators.mixed_step()),
            decode_row_ps: ps(operators.decode_row()),
            context_token_ps: ps(operators.context_token()),
            shared_token_ps: ps(operators.shared_token()),
            mixed_context_token_ps: ps(operators.context_token_beside_prompts()),
            mixed_shared_token_ps: ps(operators.shared_token_beside_prompts()),
            idle_tile_ps: ps(operators.idle_tile()),
            prefill_half_pair_ps: ps(operators.prefill_pair() / 2.0),
            prefill_token_ps: ps(operators.prefill_token()),
            tokens: Ladder::tabulate(tokens, |tokens| {
                ps(operators.tokens(graphs::padded(tokens, limits.max_num_seqs) as f64))
            }),
            rows: Ladder::tabulate(seqs, |rows| ps(operators.rows(rows as f64))),
            decode_ps: Vec::new(),
        };
        Ok(Self(Arc::new(tables.with_decode_steps())))
    }

    /// The duration of a step of this shape; a step without tokens takes no time.
    ///
    /// # Panics
    /// Beyond the horizon of 213 days for one step.
    pub fn step_time(&self, shape: &BatchShape) -> SimDuration {
        let tables = &*self.0;
        let tokens = shape.prefill_tokens + shape.decode_seqs;
        if tokens == 0 {
            return SimDuration::ZERO;
        }
        // A read that is saved was counted: a token costs at least what is saved of it.
        let shared = shape.shared_tokens.min(shape.decode_context_tokens);
        if shape.prefill_tokens == 0 {
            let (without_context, per_token) = self.decode_ps(shape.decode_seqs);
            let ps = per_token
                .checked_mul(shape.decode_context_tokens)
                .and_then(|context| without_context.checked_add(context));
            let ps = ps.expect("a step within the horizon of 213 days");
            return SimDuration::from_ps(ps - shared * tables.shared_token_ps);
        }
        // The longest chunk, or nearly: the mean in which each counts by its length.
        let chunk = shape.prefill_squares / shape.prefill_tokens;
        let terms = [
            (1, tables.step_ps + tables.mixed_step_ps),
            (1, tables.tokens.at(tokens)),
            (1, tables.rows.at(shape.decode_seqs + shape.prefill_seqs)),
            (shape.decode_seqs, tables.decode_row_ps),
            (shape.decode_context_tokens, tables.mixed_context_token_ps),
            (shape.prefill_context_tokens, tables.context_token_ps),
            (shape.decode_seqs * chunk, tables.idle_tile_ps),
            (2 * shape.prefill_attention - shape.prefill_squares, tables.prefill_half_pair_ps),
            (shape.prefill_tokens, tables.prefill_token_ps),
        ];
        let ps = terms
            .iter()
            .try_fold(0_u64, |sum, &(amount, coefficient)| sum.checked_add(amount.checked_mul(coefficient)?));
        let ps = ps.expect("a step within the horizon of 213 days");
        SimDuration::from_ps(ps - shared * tables.mixed_shared_token_ps)
    }

    /// As [`StepTimeModel::shared_token_ps`](super::StepTimeModel::shared_token_ps).
    pub fn shared_token_ps(&self) -> u64 {
        self.0.shared_token_ps
    }

    /// As [`StepTimeModel::decode_ps`](super::StepTimeModel::decode_ps). A token of context costs the same whatever the
    /// number of sequences: reading the KV cache is bound by bandwidth.
    #[inline]
    pub fn decode_ps(&self, num_rows: u64) -> (u64, u64) {
        let tables = &*self.0;
        let tabulated = usize::try_from(num_rows).ok().and_then(|n| tables.decode_ps.get(n));
        (tabulated.copied().unwrap_or_else(|| tables.decode_ps(num_rows)), tables.context_token_ps)
    }
}

impl RooflineSteps {
    /// Coefficients of steps that are never longer than these: the tables' bends are replaced by lines below them.
    pub(super) fn at_least(&self) -> LinearCoefficients {
        let tables = &*self.0;
        let (tokens_at_0, per_token) = tables.tokens.line_below();
        let (rows_at_0, per_row) = tables.rows.line_below();
        LinearCoefficients {
            base_ps: tables.step_ps + tokens_at_0 + rows_at_0,
            per_prefill_token_ps: tables.prefill_token_ps + per_token,
            per_prefill_context_token_ps: tables.context_token_ps,
            // Twice a chunk times its context, less its square, is at least once that product.
            per_prefill_attention_ps: tables.prefill_half_pair_ps,
            per_decode_seq_ps: tables.decode_row_ps + per_token + per_row,
            per_decode_context_token_ps: tables.context_token_ps,
            per_new_seq_ps: 0,
        }
    }

    /// Every step times `share`, up to rounding.
    pub(super) fn scaled(&self, share: f64) -> Self {
        self.corrected(&Corrections {
            fixed: share,
            tokens: share,
            sequences: share,
            context: share,
            prefill_attention: share,
        })
    }

    /// The steps with a factor on each part, up to rounding to picoseconds.
    #[must_use]
    pub fn corrected(&self, factors: &Corrections) -> Self {
        let tables = &*self.0;
        let scaled = |ps: u64, factor: f64| libm::round(ps as f64 * factor) as u64;
        let tables = Tables {
            step_ps: scaled(tables.step_ps, factors.fixed),
            mixed_step_ps: scaled(tables.mixed_step_ps, factors.fixed),
            decode_row_ps: scaled(tables.decode_row_ps, factors.sequences),
            context_token_ps: scaled(tables.context_token_ps, factors.context),
            shared_token_ps: scaled(tables.shared_token_ps, factors.context),
            mixed_context_token_ps: scaled(tables.mixed_context_token_ps, factors.context),
            mixed_shared_token_ps: scaled(tables.mixed_shared_token_ps, factors.context),
            idle_tile_ps: scaled(tables.idle_tile_ps, factors.context),
            prefill_half_pair_ps: scaled(tables.prefill_half_pair_ps, factors.prefill_attention),
            prefill_token_ps: scaled(tables.prefill_token_ps, factors.prefill_attention),
            tokens: tables.tokens.scaled(factors.tokens),
            rows: tables.rows.scaled(factors.sequences),
            decode_ps: Vec::new(),
        };
        Self(Arc::new(tables.with_decode_steps()))
    }
}

/// The roofline of a 16-bit deployment as coefficients: what physics says where measurements say nothing.
///
/// # Errors
/// As [`RooflineSteps::new`].
pub fn linear_estimate(
    gpu: &Gpu,
    model: &Model,
    tensor_parallel_size: u32,
) -> Result<LinearCoefficients, CatalogError> {
    let of = Deployment {
        gpu,
        model,
        tensor_parallel_size,
        kv_dtype_bytes: 2,
        async_scheduling: true,
        sorts_logits: false,
    };
    let limits = Limits { max_num_seqs: 1_024, max_num_batched_tokens: 16_384, max_model_len: 32_768 };
    RooflineSteps::new(&of, limits, Efficiencies::built_in()).map(|steps| steps.at_least())
}

/// Coefficients, and the tables at powers of two.
impl Serialize for RooflineSteps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tables = &*self.0;
        let mut fields = serializer.serialize_struct("RooflineSteps", 11)?;
        fields.serialize_field("step_ps", &tables.step_ps)?;
        fields.serialize_field("mixed_step_ps", &tables.mixed_step_ps)?;
        fields.serialize_field("per_decode_seq_ps", &tables.decode_row_ps)?;
        fields.serialize_field("per_context_token_ps", &tables.context_token_ps)?;
        fields.serialize_field("per_shared_token_ps", &tables.shared_token_ps)?;
        fields.serialize_field("per_mixed_context_token_ps", &tables.mixed_context_token_ps)?;
        fields.serialize_field("per_idle_tile_ps", &tables.idle_tile_ps)?;
        fields.serialize_field("per_prefill_half_pair_ps", &tables.prefill_half_pair_ps)?;
        fields.serialize_field("per_prefill_token_ps", &tables.prefill_token_ps)?;
        fields.serialize_field("tokens_ps", &tables.tokens.at_powers_of_two())?;
        fields.serialize_field("rows_ps", &tables.rows.at_powers_of_two())?;
        fields.end()
    }
}

fn check_longest_step(
    of: &Deployment<'_>,
    limits: Limits,
    operators: &Operators<'_>,
) -> Result<(), CatalogError> {
    let (tokens, seqs) = (f64::from(limits.max_num_batched_tokens), f64::from(limits.max_num_seqs));
    let length = f64::from(limits.max_model_len);
    let longest = operators.step()
        + operators.mixed_step()
        + operators.tokens(tokens.max(seqs))
        + operators.rows(seqs)
        + operators.decode_row() * seqs
        + operators.context_token_beside_prompts() * seqs * length
        + operators.idle_tile() * seqs * tokens
        + operators.prefill_pair() * tokens * length
        + operators.prefill_token() * tokens;
    if longest <= LONGEST_STEP_S {
        return Ok(());
    }
    Err(CatalogError::NotDerivable {
        model: of.model.name.clone(),
        quantity: "step time",
        reason: "a step of more than an hour would be possible: lower max_num_seqs, max_num_batched_tokens or \
                 max_model_len",
    })
}

/// The one door from seconds to picoseconds of this module.
fn ps(seconds: f64) -> u64 {
    let ps = libm::round(seconds * PS_PER_S);
    assert!(ps.is_finite() && ps >= 0.0 && ps < u64::MAX as f64, "{seconds} s is not a duration");
    ps as u64
}

#[cfg(test)]
mod tests;
