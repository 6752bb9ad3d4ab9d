//! The core of any discrete-event simulation: a clock, an event queue, random streams with addresses, samplers and
//! the two kinds of statistics that a run collects.
//!
//! Four ideas carry the crate:
//!
//! 1. **Time is an integer** ([`SimTime`], [`SimDuration`], picoseconds). Sums are exact and order never depends on
//!    rounding.
//! 2. **Events have a total order** ([`EventQueue`]): time, then phase, then the order in which they were scheduled.
//! 3. **Every random number has an address** ([`Streams`]): seed, replication, purpose, entity. Customer 17 gets the
//!    same service time whatever happened to customer 16.
//! 4. **Statistics are of two kinds**: one value a customer ([`Tally`]), or one value at every instant
//!    ([`TimeWeighted`]).
//!
//! Architecture invariant: nothing here knows what a request, a token or a GPU is.
//!
//! ```
//! use kendall_des::{EventQueue, Phase, SimDuration, SimTime};
//!
//! let mut queue = EventQueue::new();
//! queue.schedule(SimTime::ZERO + SimDuration::from_micros(5), Phase(1), "arrival");
//! queue.schedule(SimTime::ZERO + SimDuration::from_micros(5), Phase(0), "completion");
//! assert_eq!(queue.pop().map(|(_, event)| event), Some("completion"));
//! ```

mod alarms;
mod distribution;
mod queue;
mod statistics;
mod streams;
mod time;
mod variates;

pub use alarms::Alarms;
pub use distribution::{
    Distribution, DistributionError, Outside, standard_normal_cdf, standard_normal_quantile,
};
pub use queue::{EventQueue, Phase};
pub use statistics::{Progression, Tally, TimeWeighted};
pub use streams::{EntityRng, Purpose, Stream, Streams};
pub use time::{SimDuration, SimTime, TimeError};
pub use variates::Variates;
