//! What a model says about a system.

use thiserror::Error;

use super::grid::TimeLaw;

/// The models of the loss system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Birth-death chain over the number in the system, corrected for variability: milliseconds.
    ClosedForm,
    /// Phase-type Markov chain.
    PhaseType,
    /// Chain over reserved KV, for a batch of one.
    ReservedKv,
    /// The phase-type chain over a run from an empty system, by uniformisation.
    Transient,
}

impl Model {
    /// Short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClosedForm => "closed form",
            Self::PhaseType => "phase-type chain",
            Self::ReservedKv => "reserved-KV chain",
            Self::Transient => "transient chain",
        }
    }

    /// What the model takes for granted, beyond Poisson arrivals and independent lengths.
    pub fn assumptions(self) -> &'static [&'static str] {
        match self {
            Self::ClosedForm => &[
                "stationary state",
                "sizes inside follow the product form given their number",
                "departures of n requests are memoryless at the mean rate; above the batch a diffusion corrects the ratio",
            ],
            Self::PhaseType => &[
                "stationary state",
                "sizes inside follow the product form given their number",
                "output lengths are phase-type with the law's moments, independent of size given the number inside",
                "prefill steps are Erlang-3 in the chain, exact in the time to first token",
            ],
            Self::ReservedKv => &[
                "stationary state",
                "one request is active",
                "given the reserved KV, the queue is a renewal sequence of accepted sizes",
            ],
            Self::Transient => &[
                "the run begins with an empty server, and all who arrive during it count",
                "the number inside is a birth-death chain with the stationary law of the phase-type chain",
                "given the number inside, arrivals meet what they meet in the stationary state",
                "quantiles are those of all requests of many such runs, not means of each run's quantiles",
            ],
        }
    }
}

/// A prediction: means and the whole law of the time to first token.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Which model said so.
    pub model: Model,
    /// Mean time to first token of accepted requests (s).
    pub mean_ttft_s: f64,
    /// Law of the time to first token of accepted requests.
    pub ttft: TimeLaw,
    /// Accepted, hence completed, requests per second.
    pub throughput_per_s: f64,
    /// Probability that an arrival is lost.
    pub blocking_probability: f64,
    /// Mean number of requests in the system.
    pub mean_in_system: f64,
    /// States of the chain that was solved: what the answer cost.
    pub states: usize,
}

impl Prediction {
    /// Time to first token that a fraction `p` of accepted requests does not exceed (s).
    pub fn ttft_quantile_s(&self, p: f64) -> f64 {
        self.ttft.quantile_s(p)
    }

    /// Accepted requests per second whose first token comes within a limit.
    pub fn goodput_per_s(&self, ttft_limit_s: f64) -> f64 {
        self.throughput_per_s * self.ttft.cdf(ttft_limit_s)
    }
}

/// A model that does not apply, and why.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{} does not apply: {reason}", .model.name())]
pub struct NotApplicable {
    /// The model.
    pub model: Model,
    /// Why, with the figure that rules it out.
    pub reason: String,
}
