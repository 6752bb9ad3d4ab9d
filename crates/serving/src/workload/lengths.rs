//! Length distributions as a scenario names them. A length is the floor of the draw and at least 1 token.

use kendall_des::{
    Distribution, DistributionError, Outside, Purpose, Stream, Streams, Variates, standard_normal_cdf,
    standard_normal_quantile,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::class_purpose;
use super::field_error::{FieldError, positive};

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
    /// Normal; draws below 1 become 1. `mean` and `std_dev` are those without bounds.
    Normal {
        /// Mean in tokens.
        mean: f64,
        /// Standard deviation in tokens.
        std_dev: f64,
        /// Shortest length in tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u32>,
        /// Longest length in tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
        /// What becomes of draws outside `min` and `max`; `truncate` if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outside: Option<OutOfBounds>,
    },
    /// Log-normal. `median` and `sigma` are those without bounds.
    Lognormal {
        /// Median in tokens.
        median: f64,
        /// Standard deviation of the natural logarithm.
        sigma: f64,
        /// Shortest length in tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u32>,
        /// Longest length in tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
        /// What becomes of draws outside `min` and `max`; `truncate` if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outside: Option<OutOfBounds>,
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
    /// Zipf's law: length `k * unit` has probability proportional to `k^-exponent`, for `k` from 1 to `max / unit`.
    Zipf {
        /// Exponent; the larger, the fewer long ones.
        exponent: f64,
        /// Longest length in tokens.
        max: u32,
        /// Distance between two lengths in tokens; 1 if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<u32>,
    },
    /// Lengths that were seen. Give one of `values`, `table` and `path`.
    Empirical {
        /// Lengths in tokens, each as likely as the others; one that stands twice is twice as likely.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        values: Option<Vec<u32>>,
        /// Pairs of length in tokens and weight; weights need not sum to 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table: Option<Vec<(u32, f64)>>,
        /// A file with a length on each line, or a length and a weight separated by a comma.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
}

/// What becomes of a length outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutOfBounds {
    /// It is drawn again, as if it had never been.
    #[default]
    Truncate,
    /// It becomes the nearest bound, as in load generators that clip.
    Clip,
}

impl Lengths {
    /// The distribution whose floor is the length in tokens.
    ///
    /// # Errors
    /// If a parameter lies outside its domain, or the lengths are still in a file.
    pub fn distribution(&self) -> Result<Distribution, FieldError> {
        match self {
            Self::Constant { tokens } => Ok(Distribution::constant(whole("tokens", *tokens)?)?),
            Self::Uniform { low, high } => {
                let (low, high) = (whole("low", *low)?, f64::from(*high));
                if low > high {
                    return Err(DistributionError::EmptyInterval { low, high }.into());
                }
                Ok(Distribution::uniform(low, high + 1.0)?)
            }
            Self::Normal { mean, std_dev, min, max, outside } => match bounds(*min, *max, *outside)? {
                None => Ok(Distribution::normal(*mean, *std_dev)?),
                Some((bounds, outside)) => {
                    Ok(Distribution::bounded_normal(*mean, *std_dev, bounds, outside)?)
                }
            },
            Self::Lognormal { median, sigma, min, max, outside } => match bounds(*min, *max, *outside)? {
                None => Ok(Distribution::log_normal(*median, *sigma)?),
                Some((bounds, outside)) => {
                    Ok(Distribution::bounded_log_normal(*median, *sigma, bounds, outside)?)
                }
            },
            Self::Exponential { mean } => Ok(Distribution::exponential(*mean)?),
            Self::Gamma { mean, cv } => {
                let (cv, mean) = (positive("cv", *cv)?, positive("mean", *mean)?);
                let shape = 1.0 / (cv * cv);
                Ok(Distribution::gamma(shape, mean / shape)?)
            }
            Self::Weibull { scale, shape } => Ok(Distribution::weibull(*shape, *scale)?),
            Self::Pareto { minimum, shape } => Ok(Distribution::pareto(*shape, *minimum)?),
            Self::Zipf { exponent, max, unit } => zipf(*exponent, *max, unit.unwrap_or(1)),
            Self::Empirical { values, table, path } => {
                empirical(values.as_deref(), table.as_deref(), path.as_deref())
            }
        }
    }
}

fn whole(field: &str, tokens: u32) -> Result<f64, FieldError> {
    positive(field, f64::from(tokens))
}

/// An interval, and what becomes of draws outside.
type Bounds = ((f64, f64), Outside);

/// The interval that draws lie in, if there is one, so that their floors lie between the bounds.
fn bounds(
    min: Option<u32>,
    max: Option<u32>,
    outside: Option<OutOfBounds>,
) -> Result<Option<Bounds>, FieldError> {
    if min.is_none() && max.is_none() {
        return match outside {
            Some(_) => {
                Err(FieldError::at("outside", "there are no bounds: give `min` or `max`, or leave it out"))
            }
            None => Ok(None),
        };
    }
    let low = whole("min", min.unwrap_or(1))?;
    let high = whole("max", max.unwrap_or(MAX_TOKENS))?;
    if low > high {
        return Err(FieldError::at("max", format!("{high}: it must not be below `min`, which is {low}")));
    }
    Ok(Some(match outside.unwrap_or_default() {
        OutOfBounds::Truncate => ((low, high + 1.0), Outside::Truncate),
        // The upper bound keeps its own length: nothing may be rounded down from it.
        OutOfBounds::Clip => ((low, high + 0.5), Outside::Clip),
    }))
}

fn zipf(exponent: f64, max: u32, unit: u32) -> Result<Distribution, FieldError> {
    whole("max", max)?;
    whole("unit", unit)?;
    if max < unit {
        return Err(FieldError::at("max", format!("{max}: it must not be below `unit`, which is {unit}")));
    }
    let ranks = max / unit;
    if ranks > MAX_TABLE as u32 {
        let message = format!("{ranks} different lengths: raise `unit` until there are at most {MAX_TABLE}");
        return Err(FieldError::at("max", message));
    }
    if unit == 1 {
        return Ok(Distribution::zipf(exponent, ranks)?);
    }
    if !exponent.is_finite() {
        return Err(DistributionError::NotFinite { parameter: "exponent", value: exponent }.into());
    }
    let table = (1..=ranks).map(|k| (f64::from(k * unit), libm::pow(f64::from(k), -exponent)));
    Ok(Distribution::empirical(&table.collect::<Vec<_>>())?)
}

fn empirical(
    values: Option<&[u32]>,
    table: Option<&[(u32, f64)]>,
    path: Option<&str>,
) -> Result<Distribution, FieldError> {
    let (field, table): (_, Vec<_>) = match (values, table, path) {
        (Some(values), None, None) => {
            ("values", values.iter().map(|&tokens| (f64::from(tokens), 1.0)).collect())
        }
        (None, Some(table), None) => {
            ("table", table.iter().map(|&(tokens, weight)| (f64::from(tokens), weight)).collect())
        }
        (None, None, Some(path)) => {
            return Err(FieldError::at(
                "path",
                format!("{path}: the file has not been read: give `table` instead"),
            ));
        }
        _ => return Err(FieldError::at("", "give one of `values`, `table` and `path`")),
    };
    if table.len() > MAX_TABLE {
        return Err(FieldError::at(
            field,
            format!("{} lengths: at most {MAX_TABLE} are held in memory", table.len()),
        ));
    }
    Distribution::empirical(&table).map_err(|error| FieldError::at(field, error.to_string()))
}

/// Longest length in tokens.
const MAX_TOKENS: u32 = 1 << 30;
/// Most entries of a table of lengths.
const MAX_TABLE: usize = 1 << 20;

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
    /// Draws that go together: the longer the prompt, the longer (or shorter) the output tends to be. A Gaussian copula joins the
    /// two distributions, which stay what they are. Nelsen, An Introduction to Copulas, section 2.9.
    Correlated {
        /// Prompt tokens.
        prompt: Distribution,
        /// Output tokens.
        output: Distribution,
        /// Spearman's rank correlation, -1 to 1, of the two before they are rounded to whole tokens.
        rank_correlation: f64,
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
pub(super) enum LengthDraws {
    Independent {
        prompts: Variates,
        outputs: Variates,
    },
    Correlated {
        prompt: Distribution,
        output: Distribution,
        rank_correlation: f64,
        prompts: Stream,
        outputs: Stream,
    },
    InTurn(Vec<(u32, u32)>),
    Random {
        pairs: Vec<(u32, u32)>,
        order: Stream,
    },
}

impl LengthDraws {
    /// Lengths of the first turns of class `class`.
    pub(super) fn new(
        source: &LengthSource,
        class: u16,
        streams: Streams,
    ) -> Result<Self, DistributionError> {
        Self::with_purposes(source, class, streams, super::PROMPT_LENGTHS, super::OUTPUT_LENGTHS)
    }

    pub(super) fn with_purposes(
        source: &LengthSource,
        class: u16,
        streams: Streams,
        prompts: Purpose,
        outputs: Purpose,
    ) -> Result<Self, DistributionError> {
        let stream = |purpose| streams.stream(class_purpose(purpose, class));
        Ok(match source.clone() {
            LengthSource::Distributions { prompt, output } => Self::Independent {
                prompts: Variates::new(prompt, stream(prompts)),
                outputs: Variates::new(output, stream(outputs)),
            },
            LengthSource::Correlated { prompt, output, rank_correlation } => Self::Correlated {
                prompt,
                output,
                rank_correlation,
                prompts: stream(prompts),
                outputs: stream(outputs),
            },
            LengthSource::Pairs { pairs, .. } if pairs.is_empty() => return Err(DistributionError::BadTable),
            LengthSource::Pairs { pairs, random: false } => Self::InTurn(pairs),
            LengthSource::Pairs { pairs, random: true } => {
                Self::Random { pairs, order: stream(super::LENGTH_ORDER) }
            }
        })
    }

    /// Prompt length of number `prompt` and output length of number `output`.
    pub(super) fn draw(&mut self, prompt: u64, output: u64) -> (u32, u32) {
        match self {
            Self::Independent { prompts, outputs } => {
                (whole_tokens(prompts.of(prompt)), whole_tokens(outputs.of(output)))
            }
            Self::Correlated { prompt: of_prompt, output: of_output, rank_correlation, prompts, outputs } => {
                let u = prompts.entity(prompt).next_open01();
                let own = outputs.entity(output).next_open01();
                let joined = correlated(u, own, *rank_correlation);
                (whole_tokens(of_prompt.quantile(u)), whole_tokens(of_output.quantile(joined)))
            }
            Self::InTurn(pairs) => pairs[(prompt % pairs.len() as u64) as usize],
            Self::Random { pairs, order } => {
                let at = order.entity(prompt).next_open01() * pairs.len() as f64;
                pairs[at as usize]
            }
        }
    }
}

/// A uniform number with this rank correlation to `u`, made of another one. Spearman's correlation of two normal variates is
/// `6 / pi * asin(r / 2)` for Pearson's `r` (Kruskal, JASA 53 (1958), 814-861).
fn correlated(u: f64, own: f64, rank_correlation: f64) -> f64 {
    let pearson = (2.0 * libm::sin(std::f64::consts::PI * rank_correlation / 6.0)).clamp(-1.0, 1.0);
    let z = pearson * standard_normal_quantile(u)
        + libm::sqrt(1.0 - pearson * pearson) * standard_normal_quantile(own);
    // Within (0, 1), where every quantile is finite.
    standard_normal_cdf(z).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON)
}

/// Lengths are whole: the floor of the draw, at least 1 token and at most 2^30.
pub(super) fn whole_tokens(draw: f64) -> u32 {
    // What is cut off is the fraction, as the draw is positive by then.
    draw.clamp(1.0, f64::from(MAX_TOKENS)) as u32
}
