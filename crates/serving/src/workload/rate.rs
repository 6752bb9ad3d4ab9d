//! Rates that vary in time, as maps from operational time to time: how long until the expected number of arrivals has grown by
//! so much.
//!
//! If `S_1, S_2, ...` are the arrivals of a process of rate 1 and `M(t)` is the expected number of arrivals up to `t`, then
//! `M^-1(S_1), M^-1(S_2), ...` are arrivals of rate `M'(t)`: from a Poisson process a non-homogeneous one (Cinlar, Introduction to
//! Stochastic Processes, section 4.7), from a bursty one a bursty one (Gerhardt & Nelson, INFORMS J. Computing 21 (2009), 630-640).
//! Inversion takes one random number an arrival, so that arrival `i` stays arrival `i` when a parameter changes.

use std::f64::consts::TAU;

use super::mmpp::RandomRate;

/// A rate that varies in time, and how far time has come.
#[derive(Debug)]
pub(super) enum Rate {
    Segments(Segments),
    Sinusoid(Sinusoid),
    Random(Box<RandomRate>),
}

impl Rate {
    /// Goes on until the expected number of arrivals has grown by `mass`; returns the time that passes (s), or `None` if that
    /// never happens.
    pub(super) fn advance(&mut self, mass: f64) -> Option<f64> {
        match self {
            Self::Segments(segments) => segments.advance(mass),
            Self::Sinusoid(sinusoid) => Some(sinusoid.advance(mass)),
            Self::Random(random) => Some(random.advance(mass)),
        }
    }
}

/// A stretch of time in which the rate changes linearly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segment {
    pub duration_s: f64,
    /// Rate at the start.
    pub from: f64,
    /// Rate at the end.
    pub to: f64,
}

impl Segment {
    /// Expected number of arrivals within.
    pub(super) fn mass(&self) -> f64 {
        self.duration_s * (self.from + self.to) / 2.0
    }

    /// When so many arrivals are expected to have come: the root of the parabola that `mass` is of time, in the form that
    /// neither a flat nor a falling rate robs of digits.
    fn time_of(&self, mass: f64) -> f64 {
        if mass <= 0.0 {
            return 0.0;
        }
        let slope = (self.to - self.from) / self.duration_s;
        let root = libm::sqrt((self.from * self.from + 2.0 * slope * mass).max(0.0));
        (2.0 * mass / (self.from + root)).min(self.duration_s)
    }
}

/// What follows the last segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Afterwards {
    /// No more arrivals.
    End,
    /// The first segment again.
    Repeat,
    /// This rate for ever.
    Hold(f64),
}

/// A rate that is linear piece by piece.
#[derive(Debug)]
pub(super) struct Segments {
    pieces: Vec<Segment>,
    afterwards: Afterwards,
    /// Of all segments together.
    total_mass: f64,
    total_s: f64,
    at: usize,
    /// Expected arrivals of the segment under way that have passed. Masses are counted, not times, so that at equal gaps the
    /// last arrival of a segment is not lost to rounding.
    passed: f64,
}

impl Segments {
    pub(super) fn new(segments: Vec<Segment>, afterwards: Afterwards) -> Self {
        let total_mass = segments.iter().map(Segment::mass).sum();
        let total_s = segments.iter().map(|segment| segment.duration_s).sum();
        Self { pieces: segments, afterwards, total_mass, total_s, at: 0, passed: 0.0 }
    }

    fn advance(&mut self, mut mass: f64) -> Option<f64> {
        let mut elapsed = 0.0;
        if self.afterwards == Afterwards::Repeat && mass > self.total_mass {
            if self.total_mass <= 0.0 {
                return None;
            }
            let cycles = libm::floor(mass / self.total_mass);
            elapsed = cycles * self.total_s;
            mass -= cycles * self.total_mass;
        }
        loop {
            let Some(segment) = self.pieces.get(self.at) else {
                match self.afterwards {
                    Afterwards::Repeat if self.total_mass > 0.0 => self.at = 0,
                    Afterwards::Hold(rate) if rate > 0.0 => return Some(elapsed + mass / rate),
                    _ => return None,
                }
                continue;
            };
            let start = segment.time_of(self.passed);
            if self.passed + mass <= segment.mass() {
                self.passed += mass;
                return Some(elapsed + segment.time_of(self.passed) - start);
            }
            mass -= segment.mass() - self.passed;
            elapsed += segment.duration_s - start;
            (self.at, self.passed) = (self.at + 1, 0.0);
        }
    }
}

/// `rate * (1 + amplitude * sin(angle))`, the angle growing with time.
#[derive(Debug)]
pub(super) struct Sinusoid {
    rate_per_s: f64,
    amplitude: f64,
    period_s: f64,
    angle: f64,
}

impl Sinusoid {
    pub(super) fn new(rate_per_s: f64, amplitude: f64, period_s: f64, phase_s: f64) -> Self {
        let turns = phase_s / period_s;
        Self { rate_per_s, amplitude, period_s, angle: TAU * (turns - libm::floor(turns)) }
    }

    /// Newton's method within a bracket on `x + amplitude * (cos(angle) - cos(angle + x)) = wanted`, where `x` is the angle that
    /// passes.
    fn advance(&mut self, mass: f64) -> f64 {
        let cycles = mass / (self.rate_per_s * self.period_s);
        let wanted = TAU * (cycles - libm::floor(cycles));
        let start = libm::cos(self.angle);
        let (mut low, mut high) = (0.0, TAU);
        let mut x = wanted;
        for _ in 0..100 {
            let excess = x + self.amplitude * (start - libm::cos(self.angle + x)) - wanted;
            if excess > 0.0 {
                high = x;
            } else {
                low = x;
            }
            let newton = x - excess / (1.0 + self.amplitude * libm::sin(self.angle + x));
            // A comparison with NaN, from a rate of 0, is false too.
            let next = if newton > low && newton < high { newton } else { low + (high - low) / 2.0 };
            if (next - x).abs() <= 1e-15 * (1.0 + x) {
                break;
            }
            x = next;
        }
        self.angle += x;
        if self.angle >= TAU {
            self.angle -= TAU;
        }
        (libm::floor(cycles) + x / TAU) * self.period_s
    }
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
