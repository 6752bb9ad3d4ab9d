//! What is built in: GPUs, models, and step-time profiles, each figure with its source; and how many KV
//! blocks a model leaves free on a GPU.
//!
//! | module | holds | data |
//! |---|---|---|
//! | [`gpu`](mod@gpu) | datasheet facts | `gpus.toml` |
//! | [`model`](mod@model) | architectures under Hugging Face's field names | `models.toml` |
//! | [`capacity`] | `num_gpu_blocks`, as vLLM's memory profiling decides it | fitted constants in the code |
//! | [`profile`](mod@profile) | step-time coefficients, calibrated | `profiles.toml` |
//!
//! The data is embedded at compile time: the catalog reads no file.

pub mod capacity;
mod config_json;
mod covariance;
pub mod gpu;
pub mod model;
pub mod profile;

pub use capacity::{CapacityError, KvMemory, KvMemoryConfig, Overhead, SamplerKind, kv_memory};
pub use config_json::ConfigJsonError;
pub use covariance::Covariance;
pub use gpu::{Gpu, gpu, gpus};
pub use model::{AttentionKind, Model, WeightPrecision, model, models};
pub use profile::{Origin, Profile, ProfileRange, profile, profiles};

/// A name that the catalog does not know, or a figure that it cannot derive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No GPU has this name or alias.
    #[error("unknown GPU \"{name}\": the nearest name is \"{nearest}\"; `kendall catalog gpus` lists all")]
    UnknownGpu {
        /// As the user wrote it.
        name: String,
        /// The known name or alias most like it.
        nearest: String,
    },
    /// No model has this name.
    #[error(
        "unknown model \"{name}\": the nearest name is \"{nearest}\"; `kendall catalog models` lists all"
    )]
    UnknownModel {
        /// As the user wrote it.
        name: String,
        /// The known name most like it.
        nearest: String,
    },
    /// The catalog holds too little about the model to derive the quantity. It does not guess.
    #[error(
        "{quantity} of \"{model}\" cannot be derived: {reason}; state num_gpu_blocks and the step-time coefficients"
    )]
    NotDerivable {
        /// Name of the model.
        model: String,
        /// What was asked for.
        quantity: &'static str,
        /// What is missing.
        reason: &'static str,
    },
    /// A profile that is no profile.
    #[error("profile {name}: {reason}")]
    Profile {
        /// Name of the profile, or of its file.
        name: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// The model cannot be split over so many GPUs.
    #[error(
        "tensor_parallel_size = {tensor_parallel_size} does not divide the {num_attention_heads} attention heads and \
         {num_key_value_heads} KV heads of \"{model}\": choose {remedy}"
    )]
    TensorParallel {
        /// Name of the model.
        model: String,
        /// As asked for.
        tensor_parallel_size: u32,
        /// Attention heads of the model.
        num_attention_heads: u32,
        /// KV heads of the model.
        num_key_value_heads: u32,
        /// The sizes up to 16 that divide, in words.
        remedy: String,
    },
}

/// A name in the form in which names are compared: lower case, letters and digits and slashes only.
fn normalized(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '/' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The candidate most like `name` after normalization; the first of equals.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let wanted = normalized(name);
    let mut best = (f64::NEG_INFINITY, "");
    for candidate in candidates {
        let likeness = strsim::jaro_winkler(&wanted, &normalized(candidate));
        if likeness > best.0 {
            best = (likeness, candidate);
        }
    }
    best.1.to_owned()
}
