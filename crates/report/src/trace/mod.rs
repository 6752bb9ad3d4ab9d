//! A run for the tools that people watch servers with: Perfetto and Prometheus.

mod buckets;
mod perfetto;
mod prometheus;

use kendall_des::SimTime;

pub use perfetto::PerfettoTrace;
pub use prometheus::PrometheusMetrics;

/// The part of a run that a trace shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From here on.
    pub from: SimTime,
    /// Up to here; the run is played no further.
    pub to: SimTime,
}

impl Window {
    /// Whether a stretch of time shows in it.
    fn shows(&self, from: SimTime, to: SimTime) -> bool {
        to >= self.from && from <= self.to
    }
}
