//! Synthetic workloads: arrival processes and length distributions, drawn lazily from addressed random streams.

mod arrivals;
mod lengths;

pub use arrivals::Arrivals;
pub use lengths::Lengths;

use kendall_des::{Distribution, DistributionError, Purpose, SimDuration, SimTime, Stream, Streams};
use thiserror::Error;

use crate::request::{RequestSpec, WorkloadError};

/// What the workload's random numbers are for. Appended, never reused.
const ARRIVAL_GAPS: Purpose = Purpose(1);
const PROMPT_LENGTHS: Purpose = Purpose(2);
const OUTPUT_LENGTHS: Purpose = Purpose(3);
const LENGTH_ORDER: Purpose = Purpose(4);

/// How many requests a workload has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// So many.
    Requests(u64),
    /// All that arrive up to and including this time.
    Duration(SimDuration),
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

/// A synthetic workload. Request `i` has the same gap and lengths whatever else happens.
#[derive(Debug)]
pub struct SyntheticWorkload {
    extent: Extent,
    /// Gap between two arrivals in seconds; `None` if all requests arrive at time 0.
    gap: Option<Distribution>,
    lengths: LengthSource,
    gaps: Stream,
    prompts: Stream,
    outputs: Stream,
    order: Stream,
    next: u64,
    now: SimTime,
}

/// Why a workload cannot be generated.
#[derive(Debug, Error)]
pub enum SyntheticError {
    /// Arrivals ran beyond the horizon of simulated time.
    #[error("request {0} arrives beyond the simulated horizon of 213 days: use fewer requests or a higher rate")]
    BeyondHorizon(u64),
    /// A distribution of lengths without a value.
    #[error(transparent)]
    Distribution(#[from] DistributionError),
}

impl SyntheticWorkload {
    /// The workload of these parts under the replication's streams.
    ///
    /// # Errors
    /// If a parameter lies outside its domain.
    pub fn new(
        extent: Extent,
        arrivals: &Arrivals,
        lengths: LengthSource,
        streams: Streams,
    ) -> Result<Self, DistributionError> {
        if matches!(&lengths, LengthSource::Pairs { pairs, .. } if pairs.is_empty()) {
            return Err(DistributionError::BadTable);
        }
        Ok(Self {
            extent,
            gap: arrivals.gap()?,
            lengths,
            gaps: streams.stream(ARRIVAL_GAPS),
            prompts: streams.stream(PROMPT_LENGTHS),
            outputs: streams.stream(OUTPUT_LENGTHS),
            order: streams.stream(LENGTH_ORDER),
            next: 0,
            now: SimTime::ZERO,
        })
    }

    fn lengths(&mut self, index: u64) -> (u32, u32) {
        match &self.lengths {
            LengthSource::Distributions { prompt, output } => (
                whole_tokens(prompt.sample(&mut self.prompts.entity(index))),
                whole_tokens(output.sample(&mut self.outputs.entity(index))),
            ),
            LengthSource::Pairs { pairs, random: false } => pairs[(index % pairs.len() as u64) as usize],
            LengthSource::Pairs { pairs, random: true } => {
                let at = self.order.entity(index).next_open01() * pairs.len() as f64;
                pairs[at as usize]
            }
        }
    }
}

/// Lengths are whole: the floor of the draw, at least 1 token and at most 2^31.
fn whole_tokens(draw: f64) -> u32 {
    libm::floor(draw).clamp(1.0, f64::from(1_u32 << 31)) as u32
}

impl Iterator for SyntheticWorkload {
    type Item = Result<RequestSpec, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        if matches!(self.extent, Extent::Requests(n) if index >= n) {
            return None;
        }
        if let Some(gap) = &self.gap {
            let gap = SimDuration::from_secs_f64(gap.sample(&mut self.gaps.entity(index)));
            let Some(arrival) = gap.ok().and_then(|gap| self.now.checked_add(gap)) else {
                return Some(Err(WorkloadError(Box::new(SyntheticError::BeyondHorizon(index)))));
            };
            self.now = arrival;
        }
        if matches!(self.extent, Extent::Duration(horizon) if self.now - SimTime::ZERO > horizon) {
            return None;
        }
        self.next += 1;
        let (prompt, output) = self.lengths(index);
        Some(Ok(RequestSpec::new(self.now, prompt, output)))
    }
}
