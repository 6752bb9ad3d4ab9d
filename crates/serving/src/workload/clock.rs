//! When request number `i` arrives, given when the one before did.

use kendall_des::{Distribution, SimDuration, SimTime, Stream, Streams, Variates};

use super::arrivals::{Arrivals, Periods, on_off_states};
use super::class_purpose;
use super::field_error::FieldError;
use super::fluctuation::{Fluctuation, segments};
use super::gaps::{by_mean_and_cv, weibull_shape};
use super::mmpp::Mmpp;
use super::rate::{Afterwards, Rate, Segment, Segments, Sinusoid};

/// The arrivals of one process.
#[derive(Debug)]
pub(super) struct Clock {
    /// Gap between two arrivals in seconds; `None` if all requests arrive at time 0.
    gaps: Option<Variates>,
    /// What gaps pass through on their way to time; first the process's own rate, then the fluctuation.
    rates: Vec<Rate>,
}

/// The next arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    At(SimTime),
    /// The process has come to its end.
    Ended,
    BeyondHorizon,
}

impl Clock {
    /// The arrivals of class `class`. A closed loop has none of its own.
    pub(super) fn new(
        arrivals: &Arrivals,
        fluctuation: Option<&Fluctuation>,
        class: u16,
        streams: Streams,
    ) -> Result<Self, FieldError> {
        arrivals.check().map_err(|error| error.within("arrivals"))?;
        let states = || streams.stream(class_purpose(super::ARRIVAL_STATES, class));
        let (gap, rate) = parts(arrivals, states).map_err(|error| error.within("arrivals"))?;
        let fluctuation = fluctuation.map(Fluctuation::rate).transpose();
        let fluctuation = fluctuation.map_err(|error| error.within("fluctuation"))?;
        let gaps = streams.stream(class_purpose(super::ARRIVAL_GAPS, class));
        let gaps = gap.map(|gap| Variates::new(gap, gaps));
        Ok(Self { gaps, rates: rate.into_iter().chain(fluctuation).collect() })
    }

    /// The arrival of request `index` after the one before. To be called for one request after another.
    #[inline]
    pub(super) fn next(&mut self, previous: SimTime, index: u64) -> Next {
        let Some(gaps) = &mut self.gaps else { return Next::At(previous) };
        let mut gap = gaps.of(index);
        for rate in &mut self.rates {
            let Some(time) = rate.advance(gap) else { return Next::Ended };
            gap = time;
        }
        let arrival = SimDuration::from_secs_f64(gap).ok().and_then(|gap| previous.checked_add(gap));
        arrival.map_or(Next::BeyondHorizon, Next::At)
    }
}

/// Gaps, and the rate that they pass through where it is not constant.
fn parts(
    arrivals: &Arrivals,
    states: impl FnOnce() -> Stream,
) -> Result<(Option<Distribution>, Option<Rate>), FieldError> {
    let unit_gap = |cv: Option<f64>| by_mean_and_cv(("cv", 1.0), ("cv", cv.unwrap_or(1.0))).map(Some);
    let poisson = || unit_gap(None);
    match arrivals {
        Arrivals::Poisson { rate_per_s } => Ok((Some(Distribution::exponential(1.0 / rate_per_s)?), None)),
        Arrivals::Constant { rate_per_s } => Ok((Some(Distribution::constant(1.0 / rate_per_s)?), None)),
        Arrivals::Gamma { rate_per_s, burstiness, cv } => {
            let shape = burstiness.or(cv.map(|cv| 1.0 / (cv * cv))).unwrap_or(1.0);
            Ok((Some(Distribution::gamma(shape, (1.0 / rate_per_s) / shape)?), None))
        }
        Arrivals::Weibull { rate_per_s, shape, cv } => {
            let shape = shape.or(cv.and_then(weibull_shape)).unwrap_or(1.0);
            let mean = libm::tgamma(1.0 + 1.0 / shape);
            Ok((Some(Distribution::weibull(shape, 1.0 / (rate_per_s * mean))?), None))
        }
        Arrivals::Mmpp { states: given } => {
            Ok((poisson()?, Some(Rate::Random(Box::new(Mmpp::new(given)?.path(states()))))))
        }
        Arrivals::OnOff { rate_per_s, on_s, off_s, periods } => {
            let [on, off] = on_off_states(*rate_per_s, *on_s, *off_s);
            let rate = match periods.unwrap_or_default() {
                Periods::Random => Rate::Random(Box::new(Mmpp::new(&[on, off])?.path(states()))),
                Periods::Fixed => {
                    let flat = |duration_s, rate| Segment { duration_s, from: rate, to: rate };
                    let cycle = vec![flat(*on_s, on.rate_per_s), flat(*off_s, 0.0)];
                    Rate::Segments(Segments::new(cycle, Afterwards::Repeat))
                }
            };
            Ok((poisson()?, Some(rate)))
        }
        Arrivals::Sinusoidal { rate_per_s, amplitude, period_s, phase_s, cv } => {
            let sinusoid = Sinusoid::new(*rate_per_s, *amplitude, *period_s, phase_s.unwrap_or(0.0));
            Ok((unit_gap(*cv)?, Some(Rate::Sinusoid(sinusoid))))
        }
        Arrivals::Piecewise { points, repeat, cv } => {
            let last = points.last().map_or(0.0, |&(_, rate)| rate);
            let afterwards = if *repeat == Some(true) { Afterwards::Repeat } else { Afterwards::Hold(last) };
            Ok((unit_gap(*cv)?, Some(Rate::Segments(Segments::new(segments(points), afterwards)))))
        }
        Arrivals::Stages { stages, repeat, cv } => {
            let segment = |stage: &super::Stage| Segment {
                duration_s: stage.duration_s,
                from: stage.rate_per_s,
                to: stage.to_rate_per_s.unwrap_or(stage.rate_per_s),
            };
            let afterwards = if *repeat == Some(true) { Afterwards::Repeat } else { Afterwards::End };
            let segments = Segments::new(stages.iter().map(segment).collect(), afterwards);
            Ok((unit_gap(*cv)?, Some(Rate::Segments(segments))))
        }
        Arrivals::ClosedLoop { .. } | Arrivals::AtOnce {} => Ok((None, None)),
    }
}
