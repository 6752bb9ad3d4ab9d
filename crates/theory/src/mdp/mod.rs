//! Markov decision processes: which arrivals to accept for the largest long-run reward per unit of time.

mod batch_admission;
mod from_system;
mod knapsack;
mod naor;
mod smdp;
mod trunk_reservation;

pub use batch_admission::{AdmissionTable, BatchAdmission, BatchClass};
pub use knapsack::{KnapsackClass, KnapsackPolicy, StochasticKnapsack};
pub use naor::{NaorPolicy, NaorQueue};
pub use smdp::{Action, Choice, Event, Smdp, Solution};
pub use trunk_reservation::{TrunkPolicy, TrunkReservation};
