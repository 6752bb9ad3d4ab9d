//! Arrival processes as a scenario names them, with their rates and coefficients of variation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::field_error::{FieldError, fraction, not_negative, positive};
use super::gaps::{weibull_cv, weibull_shape};
use super::mmpp::{Mmpp, MmppState};

/// When requests arrive. The first request arrives after one gap.
///
/// `cv` is the coefficient of variation of gaps, their standard deviation over their mean: 0 for equal gaps, 1 for Poisson arrivals,
/// more for bursts. Where the rate varies in time, `cv` is that of gaps on a clock on which the rate is constant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "process", rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// Exponential gaps: mean `1 / rate_per_s`, coefficient of variation 1.
    Poisson {
        /// Mean arrival rate in requests per second.
        rate_per_s: f64,
    },
    /// Equal gaps: coefficient of variation 0.
    Constant {
        /// Arrival rate in requests per second.
        rate_per_s: f64,
    },
    /// Gamma gaps. Give one of `burstiness` and `cv`.
    Gamma {
        /// Mean arrival rate in requests per second.
        rate_per_s: f64,
        /// Shape of the gamma distribution of gaps, as in `vllm bench serve`: the coefficient of variation is
        /// `1 / sqrt(burstiness)`, so that values below 1 are burstier than Poisson.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        burstiness: Option<f64>,
        /// Coefficient of variation of gaps.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cv: Option<f64>,
    },
    /// Weibull gaps. Give one of `shape` and `cv`.
    Weibull {
        /// Mean arrival rate in requests per second.
        rate_per_s: f64,
        /// Shape of the Weibull distribution of gaps; below 1 it is burstier than Poisson.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shape: Option<f64>,
        /// Coefficient of variation of gaps, 0.01 to 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cv: Option<f64>,
    },
    /// Markov-modulated Poisson process: a Poisson process whose rate jumps between states that last exponential times. It begins
    /// in its stationary state.
    Mmpp {
        /// The states, at least two.
        states: Vec<MmppState>,
    },
    /// Poisson bursts and silences in turn.
    OnOff {
        /// Mean arrival rate in requests per second over bursts and silences; within a burst it is
        /// `rate_per_s * (on_s + off_s) / on_s`.
        rate_per_s: f64,
        /// Mean length of a burst (s).
        on_s: f64,
        /// Mean length of a silence (s).
        off_s: f64,
        /// Whether these lengths are exponential, or always the same and a burst comes first; `random` if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        periods: Option<Periods>,
    },
    /// A rate that swings: `rate_per_s * (1 + amplitude * sin(2 pi (t + phase_s) / period_s))`.
    Sinusoidal {
        /// Mean arrival rate in requests per second.
        rate_per_s: f64,
        /// Largest deviation from the mean rate, as a fraction of it: 0 to 1.
        amplitude: f64,
        /// Time from peak to peak (s).
        period_s: f64,
        /// How far into the swing the run begins (s); 0 if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase_s: Option<f64>,
        /// Coefficient of variation of rescaled gaps; 1 (Poisson) if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cv: Option<f64>,
    },
    /// A rate that is linear between points; after the last one it stays, or begins again.
    Piecewise {
        /// Pairs of time (s) and rate (requests per second), in order of time; the first time is 0. Two points at one time are a
        /// jump.
        points: Vec<(f64, f64)>,
        /// Whether the first point follows the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repeat: Option<bool>,
        /// Coefficient of variation of rescaled gaps; 1 (Poisson) if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cv: Option<f64>,
    },
    /// Stages one after another, as load generators have them. Arrivals end with the last stage.
    Stages {
        /// The stages.
        stages: Vec<Stage>,
        /// Whether the first stage follows the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repeat: Option<bool>,
        /// Coefficient of variation of rescaled gaps; 1 (Poisson) if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cv: Option<f64>,
    },
    /// So many clients, each of which sends its next request when it has the answer to the one before and has thought. Client `c`
    /// sends requests `c`, `c + concurrency`, `c + 2 * concurrency`, ..., whatever the server does.
    ClosedLoop {
        /// Number of clients.
        concurrency: u32,
        /// Mean time between an answer and the next request (s); 0 if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        think_time_s: Option<f64>,
        /// Coefficient of variation of think times; 1 (exponential) if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        think_time_cv: Option<f64>,
        /// Time over which clients send their first requests, at equal distances (s); 0 if absent: all at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ramp_up_s: Option<f64>,
    },
    /// All requests arrive at time 0 (`--request-rate inf`).
    AtOnce {},
}

/// How long bursts and silences are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Periods {
    /// Exponentially distributed.
    #[default]
    Random,
    /// Always the same.
    Fixed,
}

/// A stage of a load: a rate for a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Arrival rate in requests per second, at the start of the stage.
    pub rate_per_s: f64,
    /// Rate at the end of the stage; the same if absent. In between it changes linearly: a ramp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_rate_per_s: Option<f64>,
    /// How long the stage lasts (s).
    pub duration_s: f64,
}

/// Most points and stages: far more than anybody writes by hand.
const MAX_PIECES: usize = 100_000;

impl Arrivals {
    /// Long-run arrival rate in requests per second; `None` if all arrive at once or clients wait for answers. Of a rate that varies
    /// in time it is the mean over a period, or over all stages, or the rate that stays.
    ///
    /// A process that [`Arrivals::check`] refuses has no meaningful rate.
    pub fn rate_per_s(&self) -> Option<f64> {
        match self {
            Self::Poisson { rate_per_s }
            | Self::Constant { rate_per_s }
            | Self::Gamma { rate_per_s, .. }
            | Self::Weibull { rate_per_s, .. }
            | Self::OnOff { rate_per_s, .. }
            | Self::Sinusoidal { rate_per_s, .. } => Some(*rate_per_s),
            Self::Mmpp { states } => Mmpp::new(states).ok().map(|mmpp| mmpp.rate_per_s()),
            Self::Piecewise { points, repeat, .. } if repeat == &Some(true) => {
                let area =
                    points.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0);
                Some(area.sum::<f64>() / points.last()?.0)
            }
            Self::Piecewise { points, .. } => points.last().map(|&(_, rate)| rate),
            Self::Stages { stages, .. } => {
                let duration: f64 = stages.iter().map(|stage| stage.duration_s).sum();
                Some(stages.iter().map(Stage::expected_requests).sum::<f64>() / duration)
            }
            Self::ClosedLoop { .. } | Self::AtOnce {} => None,
        }
    }

    /// Whether arrivals go on for ever under one law, perhaps a periodic one. If not, there is no steady state.
    pub fn is_stationary(&self) -> bool {
        match self {
            Self::Stages { repeat, .. } => repeat == &Some(true),
            Self::Piecewise { points, repeat, .. } => {
                repeat == &Some(true) || points.windows(2).all(|pair| pair[0].1.total_cmp(&pair[1].1).is_eq())
            }
            Self::AtOnce {} => false,
            _ => true,
        }
    }

    /// Coefficient of variation of the gap between two arrivals, where the process is stationary.
    pub fn gap_cv(&self) -> Option<f64> {
        match self {
            Self::Poisson { .. } => Some(1.0),
            Self::Constant { .. } => Some(0.0),
            Self::Gamma { burstiness, cv, .. } => cv.or(burstiness.map(|shape| 1.0 / libm::sqrt(shape))),
            Self::Weibull { shape, cv, .. } => cv.or(shape.map(weibull_cv)),
            Self::Mmpp { states } => Mmpp::new(states).ok().map(|mmpp| mmpp.gap_cv()),
            Self::OnOff { periods: Some(Periods::Fixed), .. } => None,
            Self::OnOff { rate_per_s, on_s, off_s, .. } => {
                Mmpp::new(&on_off_states(*rate_per_s, *on_s, *off_s)).ok().map(|mmpp| mmpp.gap_cv())
            }
            _ => None,
        }
    }

    /// Expected number of requests, of a process that ends by itself.
    pub fn expected_requests(&self) -> Option<f64> {
        match self {
            Self::Stages { stages, repeat, .. } if repeat != &Some(true) => {
                Some(stages.iter().map(Stage::expected_requests).sum())
            }
            _ => None,
        }
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// On a parameter outside its domain; the error names its key.
    pub fn check(&self) -> Result<(), FieldError> {
        match self {
            Self::Poisson { rate_per_s } | Self::Constant { rate_per_s } => {
                positive("rate_per_s", *rate_per_s).map(drop)
            }
            Self::Gamma { rate_per_s, burstiness, cv } => {
                positive("rate_per_s", *rate_per_s)?;
                one_of(("burstiness", *burstiness), ("cv", *cv)).map(drop)
            }
            Self::Weibull { rate_per_s, shape, cv } => {
                positive("rate_per_s", *rate_per_s)?;
                let (field, value) = one_of(("shape", *shape), ("cv", *cv))?;
                if field == "cv" && weibull_shape(value).is_none() {
                    return Err(FieldError::at("cv", format!("{value:?}: it must lie between 0.01 and 100")));
                }
                Ok(())
            }
            Self::Mmpp { states } => Mmpp::new(states).map(drop),
            Self::OnOff { rate_per_s, on_s, off_s, periods } => {
                positive("rate_per_s", *rate_per_s)?;
                positive("on_s", *on_s)?;
                positive("off_s", *off_s)?;
                match periods {
                    Some(Periods::Fixed) => Ok(()),
                    _ => Mmpp::new(&on_off_states(*rate_per_s, *on_s, *off_s))
                        .map(drop)
                        .map_err(|error| FieldError::at("on_s", error.message)),
                }
            }
            Self::Sinusoidal { rate_per_s, amplitude, period_s, phase_s, cv } => {
                positive("rate_per_s", *rate_per_s)?;
                fraction("amplitude", *amplitude)?;
                positive("period_s", *period_s)?;
                not_negative("phase_s", phase_s.unwrap_or(0.0))?;
                check_cv(*cv)
            }
            Self::Piecewise { points, cv, .. } => {
                check_points("points", points)?;
                if points.iter().all(|point| point.1 <= 0.0) {
                    return Err(FieldError::at("points", "every rate is 0: raise one above 0"));
                }
                check_cv(*cv)
            }
            Self::Stages { stages, cv, .. } => {
                check_stages(stages)?;
                check_cv(*cv)
            }
            Self::ClosedLoop { concurrency, think_time_s, think_time_cv, ramp_up_s } => {
                if *concurrency == 0 || *concurrency > MAX_CONCURRENCY {
                    let message = format!("{concurrency}: it must lie between 1 and {MAX_CONCURRENCY}");
                    return Err(FieldError::at("concurrency", message));
                }
                not_negative("think_time_s", think_time_s.unwrap_or(0.0))?;
                not_negative("think_time_cv", think_time_cv.unwrap_or(1.0))?;
                not_negative("ramp_up_s", ramp_up_s.unwrap_or(0.0)).map(drop)
            }
            Self::AtOnce {} => Ok(()),
        }
    }
}

/// Most clients of a closed loop: each has an event of its own.
const MAX_CONCURRENCY: u32 = 1 << 22;

impl Stage {
    fn expected_requests(&self) -> f64 {
        self.duration_s * (self.rate_per_s + self.to_rate_per_s.unwrap_or(self.rate_per_s)) / 2.0
    }
}

/// The two states of random bursts.
pub(super) fn on_off_states(rate_per_s: f64, on_s: f64, off_s: f64) -> [MmppState; 2] {
    let state = |rate_per_s, mean_s| MmppState { rate_per_s, mean_s, next: None };
    [state(rate_per_s * (on_s + off_s) / on_s, on_s), state(0.0, off_s)]
}

/// The one of two keys that is given.
fn one_of<'a>(
    (first, a): (&'a str, Option<f64>),
    (second, b): (&'a str, Option<f64>),
) -> Result<(&'a str, f64), FieldError> {
    match (a, b) {
        (Some(value), None) => positive(first, value).map(|value| (first, value)),
        (None, Some(value)) => positive(second, value).map(|value| (second, value)),
        (Some(_), Some(_)) => Err(FieldError::at(second, format!("give `{first}` or `{second}`, not both"))),
        (None, None) => Err(FieldError::at("", format!("give `{first}` or `{second}`"))),
    }
}

fn check_cv(cv: Option<f64>) -> Result<(), FieldError> {
    not_negative("cv", cv.unwrap_or(1.0)).map(drop)
}

/// Checks pairs of time and rate.
pub(super) fn check_points(field: &str, points: &[(f64, f64)]) -> Result<(), FieldError> {
    if !(2..=MAX_PIECES).contains(&points.len()) {
        return Err(FieldError::at(field, format!("{} points: give 2 to {MAX_PIECES}", points.len())));
    }
    let mut before = 0.0;
    for (at, &(time, rate)) in points.iter().enumerate() {
        let here = format!("{field}.{at}");
        not_negative(&here, time)?;
        not_negative(&here, rate)?;
        if time < before || (at == 0 && time > 0.0) {
            let message = format!("time {time:?}: times begin at 0 and never decrease");
            return Err(FieldError::at(here, message));
        }
        before = time;
    }
    if before <= 0.0 {
        return Err(FieldError::at(field, "all points are at time 0: put the last one later"));
    }
    Ok(())
}

fn check_stages(stages: &[Stage]) -> Result<(), FieldError> {
    if stages.is_empty() || stages.len() > MAX_PIECES {
        return Err(FieldError::at("stages", format!("{} stages: give 1 to {MAX_PIECES}", stages.len())));
    }
    for (at, stage) in stages.iter().enumerate() {
        let key = |key: &str| format!("stages.{at}.{key}");
        not_negative(&key("rate_per_s"), stage.rate_per_s)?;
        not_negative(&key("to_rate_per_s"), stage.to_rate_per_s.unwrap_or(0.0))?;
        positive(&key("duration_s"), stage.duration_s)?;
    }
    if stages.iter().map(Stage::expected_requests).sum::<f64>() <= 0.0 {
        return Err(FieldError::at("stages", "every rate is 0: raise one above 0"));
    }
    Ok(())
}
