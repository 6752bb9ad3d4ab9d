//! How long a step takes: what the models know of the hardware.

use thiserror::Error;

/// Step durations at one batch size: a prefill is affine in its tokens, a decode step gives one token to each request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchStep {
    /// Duration of a prefill step apart from its tokens (s).
    pub prefill_base_s: f64,
    /// Duration that each prompt token adds (s).
    pub prefill_token_s: f64,
    /// Duration of a decode step (s).
    pub decode_s: f64,
}

/// Step durations by the number of active requests.
#[derive(Debug, Clone, PartialEq)]
pub struct StepTimes {
    by_batch: Vec<BatchStep>,
}

/// A duration that no engine can have.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum StepTimesError {
    /// The table has no row.
    #[error("step times: the table is empty; give one row for each batch size from 1 to max_num_seqs")]
    Empty,
    /// A duration is negative or not finite, or a decode step takes no time.
    #[error(
        "step times at batch {batch}: {field} = {value} s; give a finite duration >= 0, and > 0 for a decode step"
    )]
    Duration {
        /// Batch size of the row.
        batch: usize,
        /// Which duration.
        field: &'static str,
        /// Its value (s).
        value: f64,
    },
}

impl StepTimes {
    /// One row for each batch size, from 1.
    ///
    /// # Errors
    /// No row, a negative or infinite duration, or a decode step that takes no time.
    pub fn new(by_batch: Vec<BatchStep>) -> Result<Self, StepTimesError> {
        if by_batch.is_empty() {
            return Err(StepTimesError::Empty);
        }
        for (i, row) in by_batch.iter().enumerate() {
            let fields = [
                ("prefill_base_s", row.prefill_base_s, row.prefill_base_s >= 0.0),
                ("prefill_token_s", row.prefill_token_s, row.prefill_token_s >= 0.0),
                ("decode_s", row.decode_s, row.decode_s > 0.0),
            ];
            for (field, value, in_range) in fields {
                if !(value.is_finite() && in_range) {
                    return Err(StepTimesError::Duration { batch: i + 1, field, value });
                }
            }
        }
        Ok(Self { by_batch })
    }

    /// The study's curve for batches of 1 to `max_batch`: with `f(b) = 1 + 0.22 (b-1)^0.65`, a prefill of `T` tokens
    /// takes `0.004 + 8e-5 T f(b)` s and a decode step `0.006 + 5.5e-4 f(b)` s.
    pub fn study(max_batch: usize) -> Self {
        let row = |batch: usize| {
            let slowdown = 1.0 + 0.22 * libm::pow((batch - 1) as f64, 0.65);
            BatchStep {
                prefill_base_s: 0.004,
                prefill_token_s: 8e-5 * slowdown,
                decode_s: 0.006 + 5.5e-4 * slowdown,
            }
        };
        Self { by_batch: (1..=max_batch.max(1)).map(row).collect() }
    }

    /// The largest batch of the table.
    pub fn max_batch(&self) -> usize {
        self.by_batch.len()
    }

    /// The row of a batch size; beyond the table, the last one.
    pub fn at(&self, batch: usize) -> BatchStep {
        self.by_batch[batch.clamp(1, self.by_batch.len()) - 1]
    }

    /// Duration of a prefill step of `tokens` tokens with `batch` requests active (s).
    pub fn prefill_s(&self, tokens: f64, batch: usize) -> f64 {
        let row = self.at(batch);
        row.prefill_base_s + row.prefill_token_s * tokens
    }

    /// Duration of a decode step with `batch` requests active (s).
    pub fn decode_s(&self, batch: usize) -> f64 {
        self.at(batch).decode_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_must_be_possible() {
        let row = BatchStep { prefill_base_s: 0.0, prefill_token_s: 1e-5, decode_s: 0.01 };
        assert!(StepTimes::new(vec![row]).is_ok());
        assert_eq!(StepTimes::new(vec![]), Err(StepTimesError::Empty));
        let stuck = BatchStep { decode_s: 0.0, ..row };
        let told = StepTimes::new(vec![row, stuck]).unwrap_err().to_string();
        assert!(told.contains("batch 2") && told.contains("decode_s"), "{told}");
        assert!(StepTimes::new(vec![BatchStep { prefill_base_s: f64::NAN, ..row }]).is_err());
    }
}
