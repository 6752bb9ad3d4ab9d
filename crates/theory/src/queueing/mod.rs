//! Classical queues, each with its formula, its source and its domain of validity.
//!
//! Rates and times are in the caller's unit; `lambda` is an arrival rate, `mu` the rate of one server. Waits exclude service,
//! sojourn times include it; a capacity includes those in service. A queue outside its domain is an error, never a number. The
//! methods avoid subtraction where they can: recursions of positive terms keep small probabilities accurate.

mod batch;
mod birth_death;
mod bulk;
mod ctmc;
mod erlang;
mod error;
mod hypo;
mod lattice;
mod loss;
mod md1;
mod mg1;
mod mg1k;
mod mginf;
mod mm1;
mod mmc;
mod mphc;
mod network;
pub(crate) mod numeric;
mod phase_type;
mod priority;
mod service;
mod sharing;
mod size_based;

pub use batch::{CappedBatching, DynamicBatching};
pub use birth_death::{BirthDeath, ErlangMixture, mmck};
pub use bulk::BulkService;
pub use ctmc::Ctmc;
pub use erlang::{erlang_b, erlang_b_servers, erlang_c};
pub use error::{QueueingError, Result};
pub use loss::{KaufmanRoberts, LossClass, SharingClass, SharingLoss};
pub use md1::md1_number_probability;
pub use mg1::{Mg1, WaitLaw};
pub use mg1k::Mg1k;
pub use mginf::MgInf;
pub use mm1::Mm1;
pub use mmc::Mmc;
pub use mphc::MPhC;
pub use network::{JacksonNetwork, Tandem};
pub use numeric::invert_laplace;
pub use phase_type::PhaseType;
pub use priority::{PriorityClass, nonpreemptive_mean_wait, preemptive_mean_sojourn};
pub use service::{Empirical, Service};
pub use sharing::ProcessorSharing;
pub use size_based::{sjf_mean_wait, srpt_mean_sojourn};
