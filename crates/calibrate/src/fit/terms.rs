//! The terms of the linear step-time model, as columns of a least-squares problem.

use kendall_serving::LinearCoefficients;
use serde::Serialize;

use crate::steps::MeasuredStep;

/// Number of terms.
pub(crate) const TERMS: usize = 7;

/// Picoseconds in a second.
pub(crate) const PS_PER_S: f64 = 1e12;

/// A term of [`LinearCoefficients`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Any step.
    Base,
    /// Each prompt token.
    PrefillToken,
    /// Each token of context behind a prefill chunk.
    PrefillContextToken,
    /// Each pair of a chunk's token and a context token.
    PrefillAttention,
    /// Each decoding sequence.
    DecodeSeq,
    /// Each token of context of a decoding sequence.
    DecodeContextToken,
    /// Each sequence admitted.
    NewSeq,
}

impl Term {
    /// Every term, in the order of the profile's keys.
    pub const ALL: [Self; TERMS] = [
        Self::Base,
        Self::PrefillToken,
        Self::PrefillContextToken,
        Self::PrefillAttention,
        Self::DecodeSeq,
        Self::DecodeContextToken,
        Self::NewSeq,
    ];

    /// Its key in a profile.
    pub fn key(self) -> &'static str {
        match self {
            Self::Base => "base_ps",
            Self::PrefillToken => "per_prefill_token_ps",
            Self::PrefillContextToken => "per_prefill_context_token_ps",
            Self::PrefillAttention => "per_prefill_attention_ps",
            Self::DecodeSeq => "per_decode_seq_ps",
            Self::DecodeContextToken => "per_decode_context_token_ps",
            Self::NewSeq => "per_new_seq_ps",
        }
    }

    /// The term of a key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|term| term.key() == key)
    }

    /// Its coefficient (ps).
    pub fn of(self, coefficients: &LinearCoefficients) -> u64 {
        match self {
            Self::Base => coefficients.base_ps,
            Self::PrefillToken => coefficients.per_prefill_token_ps,
            Self::PrefillContextToken => coefficients.per_prefill_context_token_ps,
            Self::PrefillAttention => coefficients.per_prefill_attention_ps,
            Self::DecodeSeq => coefficients.per_decode_seq_ps,
            Self::DecodeContextToken => coefficients.per_decode_context_token_ps,
            Self::NewSeq => coefficients.per_new_seq_ps,
        }
    }
}

impl Term {
    /// Its place among the coefficients (ps).
    pub(super) fn of_mut(self, coefficients: &mut LinearCoefficients) -> &mut u64 {
        match self {
            Self::Base => &mut coefficients.base_ps,
            Self::PrefillToken => &mut coefficients.per_prefill_token_ps,
            Self::PrefillContextToken => &mut coefficients.per_prefill_context_token_ps,
            Self::PrefillAttention => &mut coefficients.per_prefill_attention_ps,
            Self::DecodeSeq => &mut coefficients.per_decode_seq_ps,
            Self::DecodeContextToken => &mut coefficients.per_decode_context_token_ps,
            Self::NewSeq => &mut coefficients.per_new_seq_ps,
        }
    }
}

/// A value for each term.
pub(crate) type Vector = [f64; TERMS];

/// What a step has of each term.
pub(crate) fn amounts(step: &MeasuredStep) -> Vector {
    [
        1.0,
        step.prefill_tokens,
        step.prefill_context_tokens,
        step.prefill_attention,
        step.decode_seqs,
        step.decode_context_tokens,
        step.new_seqs,
    ]
}

/// The step's duration under coefficients in seconds.
pub(crate) fn predict(coefficients_s: &Vector, step: &MeasuredStep) -> f64 {
    amounts(step).iter().zip(coefficients_s).map(|(amount, coefficient)| amount * coefficient).sum()
}

/// Seconds to whole picoseconds. Beyond a day a coefficient is no coefficient.
pub(crate) fn coefficients(values_s: &Vector) -> LinearCoefficients {
    let ps = |term: Term| {
        let ps = libm::round(values_s[term as usize] * PS_PER_S);
        assert!((0.0..8.64e16).contains(&ps), "{} of {ps} ps is not one", term.key());
        ps as u64
    };
    LinearCoefficients {
        base_ps: ps(Term::Base),
        per_prefill_token_ps: ps(Term::PrefillToken),
        per_prefill_context_token_ps: ps(Term::PrefillContextToken),
        per_prefill_attention_ps: ps(Term::PrefillAttention),
        per_decode_seq_ps: ps(Term::DecodeSeq),
        per_decode_context_token_ps: ps(Term::DecodeContextToken),
        per_new_seq_ps: ps(Term::NewSeq),
    }
}
