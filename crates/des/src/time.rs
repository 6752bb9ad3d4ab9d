//! Simulated time as an integer number of picoseconds, so that sums are exact and order is total.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub};

use thiserror::Error;

const PS_PER_NANO: u64 = 1_000;
const PS_PER_MICRO: u64 = 1_000_000;
const PS_PER_MILLI: u64 = 1_000_000_000;
const PS_PER_SEC: u64 = 1_000_000_000_000;

/// A moment of simulated time: picoseconds since the start of the run. The horizon is 213 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(u64);

/// A length of simulated time in picoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimDuration(u64);

/// A number of seconds that cannot be a simulated time.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum TimeError {
    /// The value is NaN or infinite.
    #[error("{0} s is not a finite time")]
    NotFinite(f64),
    /// The value is below zero.
    #[error("{0} s is negative: simulated time starts at 0 s")]
    Negative(f64),
    /// The value lies beyond the horizon of 64-bit picoseconds.
    #[error("{0} s is beyond the simulated horizon of 213 days (18446744 s)")]
    BeyondHorizon(f64),
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From picoseconds.
    #[inline]
    pub const fn from_ps(ps: u64) -> Self {
        Self(ps)
    }

    /// From nanoseconds.
    ///
    /// # Panics
    /// Beyond the horizon of 213 days.
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns.checked_mul(PS_PER_NANO).expect("time within the horizon of 213 days"))
    }

    /// From microseconds.
    ///
    /// # Panics
    /// Beyond the horizon of 213 days.
    pub const fn from_micros(us: u64) -> Self {
        Self(us.checked_mul(PS_PER_MICRO).expect("time within the horizon of 213 days"))
    }

    /// From milliseconds.
    ///
    /// # Panics
    /// Beyond the horizon of 213 days.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.checked_mul(PS_PER_MILLI).expect("time within the horizon of 213 days"))
    }

    /// From whole seconds.
    ///
    /// # Panics
    /// Beyond the horizon of 213 days.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.checked_mul(PS_PER_SEC).expect("time within the horizon of 213 days"))
    }

    /// The one door from floating point: seconds, rounded to the nearest picosecond.
    ///
    /// # Errors
    /// If `secs` is not finite, is negative, or lies beyond the horizon.
    #[inline]
    pub fn from_secs_f64(secs: f64) -> Result<Self, TimeError> {
        if !secs.is_finite() {
            return Err(TimeError::NotFinite(secs));
        }
        if secs < 0.0 {
            return Err(TimeError::Negative(secs));
        }
        let ps = libm::rint(secs * PS_PER_SEC as f64);
        if ps >= u64::MAX as f64 {
            return Err(TimeError::BeyondHorizon(secs));
        }
        Ok(Self(ps as u64))
    }

    /// Picoseconds.
    #[inline]
    pub const fn as_ps(self) -> u64 {
        self.0
    }

    /// Seconds, for output only: arithmetic stays in integers.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / PS_PER_SEC as f64
    }

    /// Milliseconds, for output only.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / PS_PER_MILLI as f64
    }

    /// The sum, or `None` beyond the horizon.
    #[inline]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(ps) => Some(Self(ps)),
            None => None,
        }
    }

    /// So many times as long, or `None` beyond the horizon.
    #[inline]
    pub const fn checked_mul(self, factor: u64) -> Option<Self> {
        match self.0.checked_mul(factor) {
            Some(ps) => Some(Self(ps)),
            None => None,
        }
    }
}

impl SimTime {
    /// The start of every run.
    pub const ZERO: Self = Self(0);
    /// The end of representable time.
    pub const MAX: Self = Self(u64::MAX);

    /// From picoseconds since the start of the run.
    #[inline]
    pub const fn from_ps(ps: u64) -> Self {
        Self(ps)
    }

    /// Picoseconds since the start of the run.
    #[inline]
    pub const fn as_ps(self) -> u64 {
        self.0
    }

    /// Seconds since the start of the run, for output only.
    pub fn as_secs_f64(self) -> f64 {
        SimDuration(self.0).as_secs_f64()
    }

    /// Time elapsed since `earlier`.
    ///
    /// # Panics
    /// If `earlier` is later than `self`: the clock never goes back (invariant 2).
    #[inline]
    pub const fn since(self, earlier: Self) -> SimDuration {
        SimDuration(self.0.checked_sub(earlier.0).expect("the clock never goes back"))
    }

    /// The later moment, or `None` beyond the horizon.
    #[inline]
    pub const fn checked_add(self, duration: SimDuration) -> Option<Self> {
        match self.0.checked_add(duration.0) {
            Some(ps) => Some(Self(ps)),
            None => None,
        }
    }
}

impl Add<SimDuration> for SimTime {
    type Output = Self;

    /// # Panics
    /// Beyond the horizon of 213 days.
    #[inline]
    fn add(self, duration: SimDuration) -> Self {
        self.checked_add(duration).expect("time within the horizon of 213 days")
    }
}

impl Sub<SimTime> for SimTime {
    type Output = SimDuration;

    #[inline]
    fn sub(self, earlier: SimTime) -> SimDuration {
        self.since(earlier)
    }
}

impl Add for SimDuration {
    type Output = Self;

    /// # Panics
    /// Beyond the horizon of 213 days.
    #[inline]
    fn add(self, other: Self) -> Self {
        self.checked_add(other).expect("time within the horizon of 213 days")
    }
}

impl AddAssign for SimDuration {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for SimDuration {
    type Output = Self;

    /// # Panics
    /// If `other` is longer than `self`.
    #[inline]
    fn sub(self, other: Self) -> Self {
        Self(self.0.checked_sub(other.0).expect("a duration is never negative"))
    }
}

impl Mul<u64> for SimDuration {
    type Output = Self;

    /// # Panics
    /// Beyond the horizon of 213 days.
    #[inline]
    fn mul(self, factor: u64) -> Self {
        Self(self.0.checked_mul(factor).expect("time within the horizon of 213 days"))
    }
}

impl Sum for SimDuration {
    #[inline]
    fn sum<I: Iterator<Item = Self>>(durations: I) -> Self {
        durations.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SimDuration(self.0).fmt(f)
    }
}

impl fmt::Display for SimDuration {
    /// Seconds with all twelve decimals, exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:012} s", self.0 / PS_PER_SEC, self.0 % PS_PER_SEC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_agree() {
        assert_eq!(SimDuration::from_secs(1), SimDuration::from_millis(1_000));
        assert_eq!(SimDuration::from_millis(1), SimDuration::from_micros(1_000));
        assert_eq!(SimDuration::from_micros(1), SimDuration::from_nanos(1_000));
        assert_eq!(SimDuration::from_secs_f64(0.25), Ok(SimDuration::from_millis(250)));
        assert_eq!(SimDuration::from_micros(1_500).to_string(), "0.001500000000 s");
    }

    #[test]
    fn the_door_from_floating_point_is_guarded() {
        assert!(matches!(SimDuration::from_secs_f64(f64::NAN), Err(TimeError::NotFinite(_))));
        assert!(matches!(SimDuration::from_secs_f64(-1e-9), Err(TimeError::Negative(_))));
        assert!(matches!(SimDuration::from_secs_f64(1e8), Err(TimeError::BeyondHorizon(_))));
    }
}
