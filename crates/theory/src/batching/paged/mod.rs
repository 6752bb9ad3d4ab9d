//! The paged vLLM engine: chunked prefill in mixed steps, admission by free blocks, no reservation.
//!
//! | part | what it holds |
//! |---|---|
//! | [`PagedSystem`], [`StepTime`] | what the model is given |
//! | `prompts`, `steps` | the law of a step while the number of requests stands still |
//! | `families`, `points`, `numbers` | the law of that number |
//! | `blocks`, `seats` | how many requests the KV cache holds |
//! | [`saturation`] | the boundary of overload |
//! | `first_token`, `lifetimes` | times to the first token, per token, to the last |
//! | [`single()`] | one request at a time, exactly |
//! | [`fluid()`] | a run that begins empty and ends, overloaded or not |
//!
//! docs/theory-paged.md derives them.

mod blocks;
mod families;
mod first_token;
mod fluid;
mod lifetimes;
mod numbers;
mod overload;
mod points;
mod prediction;
mod prompts;
mod seats;
mod single;
mod steps;
mod system;

pub use fluid::{FluidPrediction, fluid};
pub use overload::{Limit, Saturation};
pub use prediction::{ASSUMPTIONS, PagedNotApplicable, PagedPrediction, predict, saturation};
pub use single::{SinglePrediction, single};
pub use system::{EngineLimits, PagedSystem, PagedSystemError, StepShape, StepTime};
