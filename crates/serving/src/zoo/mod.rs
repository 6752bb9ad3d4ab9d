//! The engine zoo: the schedulers that people choose between, as policies over the same requests, KV account and step times.
//!
//! vLLM V1 has an exact model of its own (`crate::engine`). Every other engine is a [`Policy`]: it sees the [`State`] of one
//! server between two steps, acts on requests, and says what the next step computes. Everything else is shared: the input
//! queue, the order of the waiting queue, records, aborts, refusals, gauges, and runs of steps in closed form.
//!
//! # How to add an engine
//!
//! 1. A file in `engines/`, with `Settings` (its flags under their own names, with defaults and checks) and a policy that
//!    implements [`Policy`]. Its doc comment states the paper or the version and file that it follows, the algorithm, and three
//!    schedules worked out by hand, which the file `engines/NAME_tests.rs` plays step by step.
//! 2. A line in the `engines!` table of `engines/mod.rs`.
//! 3. In `scenario/`: a name in `EngineName`, its table in `Server`, and its ledger entries in `scenario/zoo.rs`.
//! 4. A line in `tests/tests/zoo`, which holds it to the invariants on random scenarios, and `docs/engines/NAME.md`.
//!
//! # The rules
//!
//! * [`Policy::plan`] is called between two steps, and not once a step: [`Plan::Run`] says for how many further steps it would
//!   decide the same. What a policy counts it must take from [`State::decode_steps`] or [`State::now`], not from calls.
//! * A decode step gives a token to everybody who decodes. Prompts are computed in any chunks.
//! * A request computes its prompt, is given its first token with the end of it, and one more with each decode step. The last
//!   token's own KV is never computed.
//! * True output lengths are read through functions named `oracle_*` only (invariant 7).

mod admission;
mod audit;
mod by_class;
mod decoding;
mod draft;
pub mod engines;
mod hold;
mod kv;
mod landing;
mod order;
#[cfg(test)]
mod order_tests;
mod policy;
mod policy_table;
mod queue;
mod replica;
mod request;
mod retract;
mod runs;
mod state;
#[cfg(test)]
mod test_schedules;
mod tokens;

use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::scenario::Treatment;

pub use admission::{Admission, KvReservation, TokenBucket};
pub use engines::Engine;
pub use kv::{KvAccount, KvGrowth};
pub use order::{Order, QueueSettings, TtftLimits};
pub use policy::{Plan, Policy, UNTIL_EVENT};
pub use policy_table::PolicyTable;
pub use replica::ZooReplica;
pub use request::{Request, Stage};
pub use state::State;

/// Place of a request in an engine's table; reused after it has left.
pub type Slot = u32;

/// Why a request was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Its prompt leaves no room for an output token within the longest sequence.
    TooLong,
    /// The KV cache did not have room for it when it arrived.
    KvFull,
    /// The KV cache would not hold it even if it were empty.
    NeverFits,
    /// Too many waited already.
    QueueFull,
    /// Its prompt was more than the token bucket held.
    RateLimited,
    /// The KV cache was promised to those inside.
    KvPromised,
    /// Its first token was expected beyond the limit of its class.
    SloMiss,
    /// The admission table said so.
    PolicyTable,
    /// The KV cache ran out while it ran, and the server gave it up with an error.
    ContextExceeded,
}

impl Rejection {
    /// All reasons, in the order in which results list them.
    pub const ALL: [Self; 9] = [
        Self::TooLong,
        Self::KvFull,
        Self::NeverFits,
        Self::QueueFull,
        Self::RateLimited,
        Self::KvPromised,
        Self::SloMiss,
        Self::PolicyTable,
        Self::ContextExceeded,
    ];

    /// As it stands in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::KvFull => "kv_full",
            Self::NeverFits => "never_fits",
            Self::QueueFull => "queue_full",
            Self::RateLimited => "rate_limited",
            Self::KvPromised => "kv_promised",
            Self::SloMiss => "slo_miss",
            Self::PolicyTable => "policy_table",
            Self::ContextExceeded => "context_exceeded",
        }
    }
}

/// What a reader should know of how an engine is modelled: a line of its ledger.
#[derive(Debug, Clone, Copy)]
pub struct Fidelity {
    /// Which part of the engine.
    pub what: &'static str,
    /// How it is treated.
    pub treatment: Treatment,
    /// In words.
    pub note: &'static str,
}

/// An engine of the zoo with everything that is set about it; sizes (KV blocks, longest sequence) stand in [`EngineConfig`].
#[derive(Debug, Clone, PartialEq)]
pub struct ZooConfig {
    /// Which engine, with its flags.
    pub engine: Engine,
    /// Who waits in front of whom.
    pub order: Order,
    /// What the order can be told.
    pub queue: QueueSettings,
    /// Who may wait at all.
    pub admission: Admission,
    /// What deadlines and SLO-aware admission go by.
    pub ttft_limits: TtftLimits,
}

impl ZooConfig {
    /// First come, first served, with open doors.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            order: Order::default(),
            queue: QueueSettings::default(),
            admission: Admission::default(),
            ttft_limits: TtftLimits::default(),
        }
    }

    /// Checks the engine's flags and the sizes.
    ///
    /// # Errors
    /// On the first that does not hold.
    pub fn validate(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        for (field, value, least) in [
            ("block_size", sizes.block_size, 1),
            ("num_gpu_blocks", sizes.num_gpu_blocks, 2),
            ("max_model_len", sizes.max_model_len, 2),
        ] {
            if value < least {
                let reason = format!("it must be at least {least}");
                return Err(ConfigError { field, value: value.to_string(), reason });
            }
        }
        self.engine.check(sizes)
    }
}
