//! The engines, one file each.

pub mod declared;
pub mod dynamic;
pub mod llama_cpp;
pub mod orca;
pub mod reserve;
pub mod sglang;
pub mod static_batching;
pub mod tgi;
mod to_completion;

#[cfg(test)]
mod dynamic_tests;
#[cfg(test)]
mod llama_cpp_tests;
#[cfg(test)]
mod orca_tests;
#[cfg(test)]
mod reserve_tests;
#[cfg(test)]
mod sglang_tests;
#[cfg(test)]
mod static_tests;
#[cfg(test)]
mod tgi_tests;

use crate::engine::{ConfigError, EngineConfig};
use crate::request::RequestSpec;

use super::{Fidelity, KvGrowth, Plan, Policy, Rejection, Slot, State};

/// The table of engines: name of the variant, module. Each module has `Settings` with `policy(&self)`, `check(&self, sizes)`,
/// `max_batch(&self)`, `SOURCE` and `FIDELITY`, and a type `Scheduler` that is the [`Policy`].
macro_rules! engines {
    ($($(#[$doc:meta])* $variant:ident => $module:ident,)*) => {
        /// An engine with its flags.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Engine {
            $($(#[$doc])* $variant($module::Settings),)*
        }

        /// Its policy at work.
        #[allow(clippy::large_enum_variant, reason = "there is one a replica, and it is never moved")]
        #[derive(Debug, Clone)]
        pub(crate) enum AnyPolicy {
            $($variant($module::Scheduler),)*
        }

        impl Engine {
            pub(crate) fn policy(&self) -> AnyPolicy {
                match self {
                    $(Self::$variant(settings) => AnyPolicy::$variant(settings.policy()),)*
                }
            }

            /// Checks its flags against the sizes.
            ///
            /// # Errors
            /// On the first that does not hold.
            pub fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
                match self {
                    $(Self::$variant(settings) => settings.check(sizes),)*
                }
            }

            /// Most sequences in a batch.
            pub fn max_batch(&self) -> u32 {
                match self {
                    $(Self::$variant(settings) => settings.max_batch(),)*
                }
            }

            /// Name, and the paper or version that it follows.
            pub fn source(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $module::SOURCE,)*
                }
            }
        }

        impl Engine {
            /// What is modelled of it, and how.
            pub fn fidelity(&self) -> &'static [Fidelity] {
                match self {
                    $(Self::$variant(_) => $module::FIDELITY,)*
                }
            }
        }

        impl Policy for AnyPolicy {
            fn kv_growth(&self) -> KvGrowth {
                match self {
                    $(Self::$variant(policy) => policy.kv_growth(),)*
                }
            }

            fn plan(&mut self, state: &mut State) -> Plan {
                match self {
                    $(Self::$variant(policy) => policy.plan(state),)*
                }
            }

            fn refuse(&self, state: &State, spec: &RequestSpec) -> Option<Rejection> {
                match self {
                    $(Self::$variant(policy) => policy.refuse(state, spec),)*
                }
            }

            fn arrived(&mut self, state: &mut State, slot: Slot) {
                match self {
                    $(Self::$variant(policy) => policy.arrived(state, slot),)*
                }
            }

            fn leaves(&mut self, state: &mut State, slot: Slot) {
                match self {
                    $(Self::$variant(policy) => policy.leaves(state, slot),)*
                }
            }

            fn first_token_from_prefill(&self) -> bool {
                match self {
                    $(Self::$variant(policy) => policy.first_token_from_prefill(),)*
                }
            }
        }
    };
}

engines! {
    /// The textbook loss system.
    Reserve => reserve,
    /// A full batch, or a time-out.
    Static => static_batching,
    /// Triton's dynamic batcher.
    Dynamic => dynamic,
    /// Orca: batches of iterations.
    Orca => orca,
    /// `SGLang`'s scheduler and radix cache.
    Sglang => sglang,
    /// Text Generation Inference's router.
    Tgi => tgi,
    /// llama.cpp's server.
    LlamaCpp => llama_cpp,
}

/// A flag that must lie within bounds.
pub(crate) fn within(field: &'static str, value: u32, least: u32, most: u32) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let reason = format!("it must lie between {least} and {most}");
    Err(ConfigError { field, value: value.to_string(), reason })
}

/// One request of `max_model_len` must fit the KV cache.
pub(crate) fn longest_must_fit(sizes: &EngineConfig) -> Result<(), ConfigError> {
    let needed = sizes.max_model_len.div_ceil(sizes.block_size);
    if needed <= sizes.usable_blocks() {
        return Ok(());
    }
    let reason = format!("one request of `max_model_len` needs {needed} blocks and the null block");
    Err(ConfigError { field: "num_gpu_blocks", value: sizes.num_gpu_blocks.to_string(), reason })
}
