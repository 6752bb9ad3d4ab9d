//! Length distributions as a scenario names them. A length is the floor of the draw and at least 1 token.

use kendall_des::{Distribution, DistributionError, Purpose, Stream, Streams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens of a prompt or an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "dist", rename_all = "lowercase", deny_unknown_fields)]
pub enum Lengths {
    /// Always the same.
    Constant {
        /// Length in tokens.
        tokens: u32,
    },
    /// Every whole number from `low` to `high` is equally likely.
    Uniform {
        /// Shortest length in tokens.
        low: u32,
        /// Longest length in tokens.
        high: u32,
    },
    /// Normal; draws below 1 become 1.
    Normal {
        /// Mean in tokens.
        mean: f64,
        /// Standard deviation in tokens.
        std_dev: f64,
    },
    /// Log-normal.
    Lognormal {
        /// Median in tokens.
        median: f64,
        /// Standard deviation of the natural logarithm.
        sigma: f64,
    },
    /// Exponential.
    Exponential {
        /// Mean in tokens.
        mean: f64,
    },
    /// Gamma.
    Gamma {
        /// Mean in tokens.
        mean: f64,
        /// Coefficient of variation: standard deviation over mean.
        cv: f64,
    },
    /// Weibull.
    Weibull {
        /// Scale in tokens: 63.2 % of lengths are below.
        scale: f64,
        /// Shape; below 1 the tail is heavier than exponential.
        shape: f64,
    },
    /// Pareto.
    Pareto {
        /// Shortest length in tokens.
        minimum: f64,
        /// Tail index; the mean is finite above 1, the variance above 2.
        shape: f64,
    },
    /// A table of lengths and weights.
    Empirical {
        /// Pairs of length in tokens and weight; weights need not sum to 1.
        table: Vec<(u32, f64)>,
    },
}

impl Lengths {
    /// The distribution whose floor is the length in tokens.
    ///
    /// # Errors
    /// If a parameter lies outside its domain.
    pub fn distribution(&self) -> Result<Distribution, DistributionError> {
        let positive = |parameter: &'static str, tokens: u32| match tokens {
            0 => Err(DistributionError::NotPositive { parameter, value: 0.0 }),
            _ => Ok(f64::from(tokens)),
        };
        match self {
            Self::Constant { tokens } => Distribution::constant(positive("tokens", *tokens)?),
            Self::Uniform { low, high } => {
                let (low, high) = (positive("low", *low)?, f64::from(*high));
                if low > high {
                    return Err(DistributionError::EmptyInterval { low, high });
                }
                Distribution::uniform(low, high + 1.0)
            }
            Self::Normal { mean, std_dev } => Distribution::normal(*mean, *std_dev),
            Self::Lognormal { median, sigma } => Distribution::log_normal(*median, *sigma),
            Self::Exponential { mean } => Distribution::exponential(*mean),
            Self::Gamma { mean, cv } => {
                if !(cv.is_finite() && *cv > 0.0) {
                    return Err(DistributionError::NotPositive { parameter: "cv", value: *cv });
                }
                if !(mean.is_finite() && *mean > 0.0) {
                    return Err(DistributionError::NotPositive { parameter: "mean", value: *mean });
                }
                let shape = 1.0 / (cv * cv);
                Distribution::gamma(shape, mean / shape)
            }
            Self::Weibull { scale, shape } => Distribution::weibull(*shape, *scale),
            Self::Pareto { minimum, shape } => Distribution::pareto(*shape, *minimum),
            Self::Empirical { table } => {
                let table: Vec<_> =
                    table.iter().map(|&(tokens, weight)| (f64::from(tokens), weight)).collect();
                Distribution::empirical(&table)
            }
        }
    }
}

/// Where prompt and output lengths come from.
#[derive(Debug, Clone)]
pub enum LengthSource {
    /// Independent draws.
    Distributions {
        /// Prompt tokens.
        prompt: Distribution,
        /// Output tokens.
        output: Distribution,
    },
    /// Recorded pairs of prompt and output tokens.
    Pairs {
        /// The pairs; never empty.
        pairs: Vec<(u32, u32)>,
        /// Whether each request draws one at random, or they are taken in turn, again and again.
        random: bool,
    },
}

/// Draws lengths by the number of the request.
#[derive(Debug)]
pub(super) struct LengthDraws {
    source: LengthSource,
    prompts: Stream,
    outputs: Stream,
    order: Stream,
}

impl LengthDraws {
    pub(super) fn new(source: &LengthSource, streams: Streams) -> Result<Self, DistributionError> {
        Self::with_purposes(source, streams, super::PROMPT_LENGTHS, super::OUTPUT_LENGTHS)
    }

    pub(super) fn with_purposes(
        source: &LengthSource,
        streams: Streams,
        prompts: Purpose,
        outputs: Purpose,
    ) -> Result<Self, DistributionError> {
        if matches!(source, LengthSource::Pairs { pairs, .. } if pairs.is_empty()) {
            return Err(DistributionError::BadTable);
        }
        Ok(Self {
            source: source.clone(),
            prompts: streams.stream(prompts),
            outputs: streams.stream(outputs),
            order: streams.stream(super::LENGTH_ORDER),
        })
    }

    /// Prompt length of number `prompt` and output length of number `output`.
    pub(super) fn draw(&mut self, prompt: u64, output: u64) -> (u32, u32) {
        match &self.source {
            LengthSource::Distributions { prompt: of_prompt, output: of_output } => (
                whole_tokens(of_prompt.sample(&mut self.prompts.entity(prompt))),
                whole_tokens(of_output.sample(&mut self.outputs.entity(output))),
            ),
            LengthSource::Pairs { pairs, random: false } => pairs[(prompt % pairs.len() as u64) as usize],
            LengthSource::Pairs { pairs, random: true } => {
                let at = self.order.entity(prompt).next_open01() * pairs.len() as f64;
                pairs[at as usize]
            }
        }
    }
}

/// Lengths are whole: the floor of the draw, at least 1 token and at most 2^30.
pub(super) fn whole_tokens(draw: f64) -> u32 {
    libm::floor(draw).clamp(1.0, f64::from(1_u32 << 30)) as u32
}
