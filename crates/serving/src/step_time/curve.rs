//! The latency curve of the EE384S study (Jav331/EE384S-Project): steps grow with the requests of the batch, by contention.
//!
//! ```text
//! f(b)     = 1 + 0.22 (b - 1)^0.65
//! prefill  = 0.004 + 8e-5 f(b) T      for T prompt tokens
//! decode   = 0.006 + 5.5e-4 f(b)
//! ```
//!
//! `b` counts all requests of the batch, those too that compute nothing in the step. The study's steps do one or the other;
//! a step that does both takes the sum. Contexts play no part.

use std::sync::Arc;

use kendall_des::SimDuration;
use schemars::JsonSchema;
use serde::ser::{Serialize, Serializer};
use serde::{Deserialize, Serialize as DeriveSerialize};
use thiserror::Error;

use super::{BatchShape, LinearCoefficients};

const PS_PER_S: f64 = 1e12;

/// Longest step that a curve may lead to at the largest batch and prompt, as for other step times.
const LONGEST_STEP_S: f64 = 3_600.0;

/// The curve's coefficients; those of the study by default.
#[derive(Debug, Clone, Copy, PartialEq, DeriveSerialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CurveCoefficients {
    /// Time of any prefill (s).
    pub prefill_base_s: f64,
    /// Time for each prompt token of a request that is alone (s).
    pub prefill_token_s: f64,
    /// Time of any decode step (s).
    pub decode_base_s: f64,
    /// Time that one request adds to a decode step (s).
    pub decode_seq_s: f64,
    /// How much a second request of the batch adds to the time per token, as a share.
    pub contention: f64,
    /// Power of the number of further requests with which it grows.
    pub exponent: f64,
}

impl Default for CurveCoefficients {
    fn default() -> Self {
        Self {
            prefill_base_s: 0.004,
            prefill_token_s: 8e-5,
            decode_base_s: 0.006,
            decode_seq_s: 5.5e-4,
            contention: 0.22,
            exponent: 0.65,
        }
    }
}

impl CurveCoefficients {
    fn contention_at(&self, batch: u64) -> f64 {
        1.0 + self.contention * libm::pow(batch.saturating_sub(1) as f64, self.exponent)
    }
}

/// A coefficient that no curve can have.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{field} = {value}: {reason}")]
pub struct CurveError {
    /// Its name.
    pub field: &'static str,
    /// Its value.
    pub value: f64,
    /// What is wrong and what to do.
    pub reason: &'static str,
}

/// The curve in integer picoseconds, by the number of requests in the batch.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveSteps(Arc<Tables>);

#[derive(Debug, PartialEq)]
struct Tables {
    coefficients: CurveCoefficients,
    /// By which every duration is multiplied.
    share: f64,
    prefill_base_ps: u64,
    /// By batch size, from 0.
    prefill_token_ps: Vec<u64>,
    decode_ps: Vec<u64>,
}

fn ps(secs: f64) -> u64 {
    libm::round(secs * PS_PER_S) as u64
}

impl CurveSteps {
    /// The curve for batches of at most `max_batch` requests and `max_tokens` prompt tokens.
    ///
    /// # Errors
    /// On a coefficient that is negative or not finite, a decode step without duration, or steps of more than an hour.
    pub fn new(coefficients: CurveCoefficients, max_batch: u32, max_tokens: u32) -> Result<Self, CurveError> {
        let c = &coefficients;
        for (field, value) in [
            ("prefill_base_s", c.prefill_base_s),
            ("prefill_token_s", c.prefill_token_s),
            ("decode_base_s", c.decode_base_s),
            ("decode_seq_s", c.decode_seq_s),
            ("contention", c.contention),
            ("exponent", c.exponent),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(CurveError { field, value, reason: "it must be a finite number, at least 0" });
            }
        }
        let most = c.contention_at(u64::from(max_batch));
        let longest = c.prefill_base_s
            + c.decode_base_s
            + most * (c.prefill_token_s * f64::from(max_tokens) + c.decode_seq_s);
        if longest > LONGEST_STEP_S {
            let reason = "it makes a step of more than an hour possible: coefficients are seconds";
            return Err(CurveError { field: "prefill_token_s", value: c.prefill_token_s, reason });
        }
        Ok(Self::tabulate(coefficients, u64::from(max_batch), 1.0))
    }

    fn tabulate(c: CurveCoefficients, max_batch: u64, share: f64) -> Self {
        let batches = || 0..=max_batch.max(1);
        Self(Arc::new(Tables {
            coefficients: c,
            share,
            prefill_base_ps: ps(share * c.prefill_base_s),
            prefill_token_ps: batches()
                .map(|b| ps(share * (c.prefill_token_s * c.contention_at(b))))
                .collect(),
            decode_ps: batches()
                .map(|b| ps(share * (c.decode_base_s + c.decode_seq_s * c.contention_at(b))))
                .collect(),
        }))
    }

    /// The duration of a step of this shape; a step without tokens takes no time.
    ///
    /// # Panics
    /// Beyond the horizon of 213 days for one step.
    pub fn step_time(&self, shape: &BatchShape) -> SimDuration {
        let tables = &*self.0;
        let batch = shape.prefill_seqs + shape.decode_seqs + shape.idle_seqs;
        let at = |table: &[u64]| table[(batch as usize).min(table.len() - 1)];
        let mut ps = 0;
        if shape.prefill_tokens > 0 {
            let tokens = at(&tables.prefill_token_ps).checked_mul(shape.prefill_tokens);
            ps += tables.prefill_base_ps + tokens.expect("a step within the horizon of 213 days");
        }
        if shape.decode_seqs > 0 {
            ps += at(&tables.decode_ps);
        }
        SimDuration::from_ps(ps)
    }

    /// As [`StepTimeModel::decode_ps`](super::StepTimeModel::decode_ps), with nobody in the batch who computes nothing.
    pub(super) fn decode_ps(&self, num_rows: u64) -> (u64, u64) {
        let shape = BatchShape { decode_seqs: num_rows, ..BatchShape::default() };
        (self.step_time(&shape).as_ps(), 0)
    }

    /// Coefficients of steps that are never longer than these.
    pub(super) fn at_least(&self) -> LinearCoefficients {
        let tables = &*self.0;
        LinearCoefficients {
            base_ps: tables.prefill_base_ps.min(tables.decode_ps[1]),
            per_prefill_token_ps: tables.prefill_token_ps[1],
            ..LinearCoefficients::default()
        }
    }

    /// Every step times `share`, up to rounding.
    pub(super) fn scaled(&self, share: f64) -> Self {
        let tables = &*self.0;
        Self::tabulate(tables.coefficients, tables.decode_ps.len() as u64 - 1, tables.share * share)
    }
}

impl Serialize for CurveSteps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.coefficients.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(prefill: (u64, u64), decode: u64, idle: u64) -> BatchShape {
        BatchShape {
            prefill_tokens: prefill.0,
            prefill_seqs: prefill.1,
            decode_seqs: decode,
            idle_seqs: idle,
            ..BatchShape::default()
        }
    }

    /// The study's formulas by hand: f(1) = 1, f(2) = 1.22.
    #[test]
    fn durations_are_those_of_the_study() {
        let steps = CurveSteps::new(CurveCoefficients::default(), 8, 16_384).expect("the study's curve");
        let us = |shape: &BatchShape| steps.step_time(shape).as_ps() as f64 / 1e6;
        for (shape, expected_us) in [
            (shape((0, 0), 1, 0), 6_550.0),
            (shape((0, 0), 2, 0), 6_671.0),
            (shape((300, 1), 0, 0), 28_000.0),
            (shape((300, 1), 0, 1), 33_280.0),
            (shape((300, 2), 0, 0), 33_280.0),
            (shape((300, 1), 1, 0), 39_951.0),
            (shape((0, 0), 0, 2), 0.0),
        ] {
            assert!((us(&shape) - expected_us).abs() < 1e-6, "{shape:?}: {} us", us(&shape));
        }
    }

    #[test]
    fn bounds_lie_below_and_scaling_scales() {
        let steps = CurveSteps::new(CurveCoefficients::default(), 16, 4_096).expect("the study's curve");
        let (least, half) = (steps.at_least(), steps.scaled(0.5));
        for shape in [shape((0, 0), 1, 0), shape((1, 1), 0, 0), shape((500, 3), 9, 1)] {
            assert!(least.step_time(&shape) <= steps.step_time(&shape));
            let (whole, part) = (steps.step_time(&shape).as_ps(), half.step_time(&shape).as_ps());
            assert!(whole.abs_diff(2 * part) <= 2 * (shape.prefill_tokens + 2), "{whole} {part}");
        }
    }

    #[test]
    fn impossible_coefficients_are_named() {
        let wrong = CurveCoefficients { exponent: -1.0, ..CurveCoefficients::default() };
        assert_eq!(CurveSteps::new(wrong, 8, 1_000).map_err(|error| error.field), Err("exponent"));
        let wrong = CurveCoefficients { prefill_token_s: 8.0, ..CurveCoefficients::default() };
        assert_eq!(CurveSteps::new(wrong, 8, 1_000).map_err(|error| error.field), Err("prefill_token_s"));
    }
}
