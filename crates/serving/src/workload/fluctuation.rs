//! A fluctuation laid over any arrival process: its rate is multiplied by a factor of mean 1 that varies in time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arrivals::check_points;
use super::field_error::{FieldError, fraction, not_negative, positive};
use super::rate::{Afterwards, Rate, Segment, Segments, Sinusoid};

/// A periodic factor on the rate of an arrival process. The process runs on a clock of its own that goes so much faster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "shape", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fluctuation {
    /// `1 + amplitude * sin(2 pi (t + phase_s) / period_s)`
    Sinusoidal {
        /// Largest deviation from 1: 0 to 1.
        amplitude: f64,
        /// Time from peak to peak (s).
        period_s: f64,
        /// How far into the swing the run begins (s); 0 if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase_s: Option<f64>,
    },
    /// Linear between points, and again from the start after the last one. Factors are scaled so that their mean is 1.
    Piecewise {
        /// Pairs of time (s) and factor, in order of time; the first time is 0. Two points at one time are a jump.
        points: Vec<(f64, f64)>,
    },
}

impl Fluctuation {
    /// The factor as a rate of mean 1.
    pub(super) fn rate(&self) -> Result<Rate, FieldError> {
        match self {
            Self::Sinusoidal { amplitude, period_s, phase_s } => {
                let amplitude = fraction("amplitude", *amplitude)?;
                let period_s = positive("period_s", *period_s)?;
                let phase_s = not_negative("phase_s", phase_s.unwrap_or(0.0))?;
                Ok(Rate::Sinusoid(Sinusoid::new(1.0, amplitude, period_s, phase_s)))
            }
            Self::Piecewise { points } => {
                check_points("points", points)?;
                let mut segments = segments(points);
                let total: f64 = segments.iter().map(Segment::mass).sum();
                if total <= 0.0 {
                    return Err(FieldError::at("points", "every factor is 0: raise one above 0"));
                }
                let duration: f64 = segments.iter().map(|segment| segment.duration_s).sum();
                for segment in &mut segments {
                    segment.from *= duration / total;
                    segment.to *= duration / total;
                }
                Ok(Rate::Segments(Segments::new(segments, Afterwards::Repeat)))
            }
        }
    }
}

/// The stretches between points of time and rate; a jump is none.
pub(super) fn segments(points: &[(f64, f64)]) -> Vec<Segment> {
    let pairs = points.windows(2).filter(|pair| pair[1].0 > pair[0].0);
    pairs.map(|pair| Segment { duration_s: pair[1].0 - pair[0].0, from: pair[0].1, to: pair[1].1 }).collect()
}
