//! Output analysis: what may be concluded from the samples of a simulation.
