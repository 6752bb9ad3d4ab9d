//! What the tests of whole runs share: a tape of everything that a run tells, properties held to random cases, and what must
//! hold of every run on any engine.

pub mod checks;
pub mod property;
pub mod tape;
