//! What lies between a client and the engine: the way there, tokenising, detokenising and streaming back.
//!
//! One process of vLLM's API server does all of it, one prompt after another, so that a prompt is not overtaken by those
//! that were sent after it. What streaming takes is the same for every token; a client cannot tell it from a longer way to
//! the engine, and it is played as one: first and last token come later by as much, and a closed loop sends again as late.

use kendall_des::SimDuration;
use serde::{Deserialize, Serialize};

/// The parts of the front end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrontEnd {
    /// From the client's send until the engine has the request: network, HTTP, hand-over between processes.
    pub receipt: SimDuration,
    /// Tokenising: for each token of a prompt.
    pub tokenising_per_token: SimDuration,
    /// From the end of a step until the client has its token: detokenising and streaming.
    pub streaming: SimDuration,
    /// Longer for the first request of a run: what a server does once, such as compiling kernels for the first shapes.
    pub cold_start: SimDuration,
}

/// Where the time of one request in the front end went. The parts sum to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrontEndParts {
    /// On the way to the engine.
    pub receipt: SimDuration,
    /// Tokenising its prompt.
    pub tokenising: SimDuration,
    /// Detokenising and streaming its first token.
    pub streaming: SimDuration,
    /// Behind a cold start, or behind prompts that were sent before and take longer.
    pub held_up: SimDuration,
}

/// Mean parts of the front end over requests, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in `FrontEndParts`")]
pub struct FrontEndSummary {
    pub receipt: f64,
    pub tokenising: f64,
    pub streaming: f64,
    pub held_up: f64,
}

impl From<SimDuration> for FrontEnd {
    /// One constant.
    fn from(receipt: SimDuration) -> Self {
        Self { receipt, ..Self::default() }
    }
}

impl FrontEnd {
    /// All of it for a prompt of so many tokens on a server that is warm and has nothing else to do; `None` beyond the
    /// horizon of 213 days.
    pub fn of_prompt(&self, num_tokens: u32) -> Option<SimDuration> {
        let tokenising = self.tokenising_per_token.checked_mul(u64::from(num_tokens))?;
        self.receipt.checked_add(tokenising)?.checked_add(self.streaming)
    }

    /// Where the `whole` time of a request in the front end went.
    pub fn split(&self, whole: SimDuration, num_tokens: u32) -> FrontEndParts {
        let mut left = whole;
        let mut take = |wanted: SimDuration| {
            let taken = wanted.min(left);
            left = left - taken;
            taken
        };
        let receipt = take(self.receipt);
        let tokenising = take(self.tokenising_per_token * u64::from(num_tokens));
        let streaming = take(self.streaming);
        FrontEndParts { receipt, tokenising, streaming, held_up: left }
    }

    /// Whether it has more than one part to tell apart.
    pub fn has_parts(&self) -> bool {
        let rest = [self.tokenising_per_token, self.streaming, self.cold_start];
        rest.iter().any(|&part| part > SimDuration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_sum_to_the_whole() {
        let us = SimDuration::from_micros;
        let front_end = FrontEnd {
            receipt: us(5_000),
            tokenising_per_token: us(1),
            streaming: us(100),
            cold_start: SimDuration::ZERO,
        };
        assert_eq!(front_end.of_prompt(800), Some(us(5_900)));
        let parts = front_end.split(us(7_000), 800);
        let expected =
            FrontEndParts { receipt: us(5_000), tokenising: us(800), streaming: us(100), held_up: us(1_100) };
        assert_eq!(parts, expected);
        assert_eq!(front_end.split(us(10), 800).receipt, us(10), "never more than the whole");
        assert!(front_end.has_parts() && !FrontEnd::from(us(3)).has_parts());
    }
}
