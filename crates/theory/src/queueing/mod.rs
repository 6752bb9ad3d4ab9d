//! Classical queues, each with its formula, its source and its domain of validity.
