//! The loss system `reserve`: what the models are asked about.

use thiserror::Error;

use super::lengths::LengthLaw;
use super::step_times::StepTimes;

/// A server that reserves the KV of prompt and output when a request arrives, and loses the request if it does not fit.
///
/// Accepted requests are served first come, first served, at most `max_batch` at once. Prefills run alone: while an
/// active request is not prefilled, one step prefills all such requests and nobody decodes. A request's first token comes
/// from its first decode step.
#[derive(Debug, Clone, PartialEq)]
pub struct System {
    arrival_rate_per_s: f64,
    max_batch: usize,
    kv_tokens: usize,
    prompt: LengthLaw,
    output: LengthLaw,
    steps: StepTimes,
}

/// A system that cannot be.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SystemError {
    /// The arrival rate is not a positive number.
    #[error("system: arrival_rate_per_s = {0}; give a finite rate > 0")]
    ArrivalRate(f64),
    /// No request can be active.
    #[error("system: max_batch = 0; give at least 1")]
    NoBatch,
    /// The step times end before the largest batch.
    #[error(
        "system: step times go up to a batch of {table}, max_batch is {max_batch}; give a row for each batch size"
    )]
    StepTimes {
        /// Rows of the table.
        table: usize,
        /// Largest batch.
        max_batch: usize,
    },
    /// No request ever fits.
    #[error("system: kv_tokens = {kv_tokens}, the smallest request needs {smallest}; give more KV")]
    NothingFits {
        /// KV capacity (tokens).
        kv_tokens: usize,
        /// Prompt and output of the smallest request (tokens).
        smallest: usize,
    },
}

impl System {
    /// A system with Poisson arrivals and independent prompt and output lengths.
    ///
    /// # Errors
    /// A rate that is not positive, a batch of zero, step times for fewer batch sizes than `max_batch`, or a KV cache that
    /// holds no request at all.
    pub fn new(
        arrival_rate_per_s: f64,
        max_batch: usize,
        kv_tokens: usize,
        prompt: LengthLaw,
        output: LengthLaw,
        steps: StepTimes,
    ) -> Result<Self, SystemError> {
        if !(arrival_rate_per_s.is_finite() && arrival_rate_per_s > 0.0) {
            return Err(SystemError::ArrivalRate(arrival_rate_per_s));
        }
        if max_batch == 0 {
            return Err(SystemError::NoBatch);
        }
        if steps.max_batch() < max_batch {
            return Err(SystemError::StepTimes { table: steps.max_batch(), max_batch });
        }
        let smallest = prompt.smallest() + output.smallest();
        if smallest > kv_tokens {
            return Err(SystemError::NothingFits { kv_tokens, smallest });
        }
        Ok(Self { arrival_rate_per_s, max_batch, kv_tokens, prompt, output, steps })
    }

    /// The study's system: its lengths (cut at 16,384 tokens) and its latency curve.
    ///
    /// # Errors
    /// As for [`System::new`].
    pub fn study(arrival_rate_per_s: f64, max_batch: usize, kv_tokens: usize) -> Result<Self, SystemError> {
        // The families' parameters are constants in range.
        let law = |median, sigma| {
            LengthLaw::floored_lognormal(median, sigma, 16_384).expect("a positive median and sigma")
        };
        let steps = StepTimes::study(max_batch);
        Self::new(arrival_rate_per_s, max_batch, kv_tokens, law(256.0, 0.55), law(128.0, 0.70), steps)
    }

    /// Poisson arrival rate (requests/s).
    pub fn arrival_rate_per_s(&self) -> f64 {
        self.arrival_rate_per_s
    }

    /// Most requests active at once.
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// KV capacity (tokens).
    pub fn kv_tokens(&self) -> usize {
        self.kv_tokens
    }

    /// Law of prompt lengths.
    pub fn prompt(&self) -> &LengthLaw {
        &self.prompt
    }

    /// Law of output lengths.
    pub fn output(&self) -> &LengthLaw {
        &self.output
    }

    /// Step durations.
    pub fn steps(&self) -> &StepTimes {
        &self.steps
    }

    /// Requests that are active when `n` are in the system.
    pub fn active(&self, n: usize) -> usize {
        n.min(self.max_batch)
    }
}
