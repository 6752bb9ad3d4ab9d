//! What can be said without simulating, and what may be concluded from samples.
//!
//! Architecture invariant: nothing here simulates, and nothing of ours lies below it.

pub mod batching;
pub mod check;
pub mod mdp;
pub mod output;
pub mod queueing;
