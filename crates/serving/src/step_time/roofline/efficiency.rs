//! Shares of the datasheet that kernels attain, and what an engine adds: fitted to measurements.
//!
//! `efficiencies.toml` is written by `analysis/validation/roofline`; `docs/gpu-model.md` has the equations and errors.

use std::sync::LazyLock;

use kendall_des::SimDuration;
use serde::{Deserialize, Serialize};

use crate::catalog::Gpu;
use crate::simulation::FrontEnd;

/// The corner between reading and computing of one kind of matrix product.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corner {
    /// Time of a kernel that does nothing (us).
    pub latency_us: f64,
    /// Share of the peak memory bandwidth.
    pub bandwidth: f64,
    /// Share of the dense peak.
    pub compute: f64,
    /// How sharp the corner is: 1 for no overlap of reading and computing, infinity for a perfect one.
    pub overlap: f64,
}

/// `FlashAttention` over a paged KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Time of a kernel that does nothing (us).
    pub latency_us: f64,
    /// For each decoding sequence and the root of its KV heads on the GPU (ns).
    pub row_ns: f64,
    /// Share of the peak memory bandwidth at which the KV cache is read.
    pub bandwidth: f64,
    /// Share of the dense 16-bit peak of long prefills.
    pub compute: f64,
    /// Keys that each prefill query costs besides those that it sees.
    pub ramp_tokens: f64,
    /// What decoding sequences cost beside prompts, where the kernel of such a step does not take together the heads that share
    /// keys and values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpacked: Option<Unpacked>,
}

/// `FlashAttention` 2 with decoding sequences and prompts in one launch: it treats a decoding sequence as a prompt of one
/// token, so that every query head has a tile of rows to itself, all but one of them empty, and every tile of the longest prompt
/// is launched for every sequence. Without prompts it packs the heads that share keys and values into one tile, and
/// `FlashAttention` 3 (Hopper) does so always (`csrc/flash_attn/flash_api.cpp`, `seqlenq_ngroups_swapped`;
/// `hopper/heuristics.h` and `flash_api.cpp`, `get_pack_gqa`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpacked {
    /// Rows of a prompt that a decoding sequence takes the time of: the kernel's tiles have 64.
    pub tile_rows: f64,
    /// For each decoding sequence, query head and token of the longest prompt (ps): tiles with nothing to do.
    pub idle_tile_ps: f64,
}

/// Kernels of one generation of GPUs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernels {
    /// First word of [`Gpu::architecture`].
    pub architecture: String,
    /// The GPU whose kernels were measured.
    pub measured_on: String,
    /// Products of 16-bit weights.
    pub gemm16: Corner,
    /// Products of fp8 weights with fp8 activations.
    pub gemm8: Corner,
    /// Experts in 16 bits.
    pub moe16: Corner,
    /// Experts in fp8.
    pub moe8: Corner,
    /// Experts in fp8 with a scale for each block of weights.
    pub moe8_block: Corner,
    /// Experts with 4-bit weights, widened to 16 bits to compute.
    pub moe4: Corner,
    /// Attention.
    pub attention: Attention,
}

/// All-reduce over one kind of link.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllReduce {
    /// Time of an empty one (us).
    pub latency_us: f64,
    /// More of it for each other GPU (us).
    pub latency_us_per_peer: f64,
    /// Share of the link's bandwidth that two GPUs attain.
    pub bandwidth: f64,
    /// How much more GPUs crowd the links: `g` of them attain `(2 / g)^sharing` of that.
    pub sharing: f64,
}

/// What an engine adds to its kernels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Every step: sampler, input preparation that no kernel hides (us).
    pub step_us: f64,
    /// Every layer: launches of norms, rotary embedding, KV write, activation (us).
    pub layer_us: f64,
    /// Every sequence of a step: sampling, bookkeeping, detokenising (us).
    pub sequence_us: f64,
    /// Every logit that is sorted for top-k and top-p: a sequence times a word of the GPU's vocabulary, or of the whole
    /// one where the logits were gathered (ns).
    pub sort_logit_ns: f64,
    /// Every layer of a step with prompt tokens, which runs in pieces and not as one CUDA graph (us).
    pub mixed_layer_us: f64,
    /// A step with more than one GPU: the slowest of the workers, and telling them (us).
    pub workers_us: f64,
    /// Every step of an engine without asynchronous scheduling: scheduling, input preparation and output processing
    /// that no batch in flight hides (us).
    pub synchronous_step_us: f64,
    /// The same for every sequence of such a step (us).
    pub synchronous_sequence_us: f64,
    /// More of such a step with more than one GPU: telling the workers, and hearing from them (us).
    pub synchronous_workers_us: f64,
    /// Share of the kernel tables' rate of computing that a step sustains: clocks fall under load, and a table measures
    /// one kernel at a time.
    pub sustained_compute: f64,
    /// Share of that rate that a long step loses besides: the power limit lowers the clocks of a GPU that does nothing but
    /// multiply. A step whose products take a tenth of a second loses half of it.
    pub power_limit_loss: f64,
    /// Share of the keys and values in blocks of several sequences that all but one of them find in the L2 cache.
    pub shared_from_cache: f64,
    /// From the client's send until the engine has the request (ms).
    pub front_end_ms: f64,
}

impl Engine {
    /// Share of the kernel tables' rate that a step sustains whose products take so many seconds at full clocks.
    pub fn sustained(&self, products_s: f64) -> f64 {
        const HALF_OF_THE_LOSS_S: f64 = 0.1;
        self.sustained_compute
            * (1.0 - self.power_limit_loss * products_s / (products_s + HALF_OF_THE_LOSS_S))
    }
}

/// What lies between clients and the engines of one range of versions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontEndTimes {
    /// Oldest minor version of vLLM that it stands for.
    #[serde(default)]
    pub from_minor: u32,
    /// The version that was measured, and where its clients were.
    #[serde(default)]
    pub measured_on: String,
    /// From the client's send until the engine has the request (ms).
    pub receipt_ms: f64,
    /// Tokenising, for each token of a prompt (us).
    pub tokenising_us_per_token: f64,
    /// From the end of a step until the client has its token: detokenising and streaming (us).
    pub streaming_us_per_token: f64,
}

/// Everything that was fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Efficiencies {
    /// The engine.
    pub engine: Engine,
    /// GPUs linked by `NVLink`.
    pub nvlink: AllReduce,
    /// GPUs linked by PCI Express alone.
    pub pcie: AllReduce,
    /// By generation. The first serves generations that were not measured.
    pub kernels: Vec<Kernels>,
    /// By version of the engine, oldest first; without any, [`Engine::front_end_ms`] serves all.
    #[serde(default)]
    pub front_ends: Vec<FrontEndTimes>,
}

static BUILT_IN: LazyLock<Efficiencies> = LazyLock::new(|| {
    toml::from_str(include_str!("efficiencies.toml")).expect("efficiencies.toml is embedded and tested")
});

impl FrontEndTimes {
    /// As durations; a negative one is none.
    pub fn durations(&self) -> FrontEnd {
        let of = |us: f64| SimDuration::from_secs_f64(us / 1e6).unwrap_or_default();
        FrontEnd {
            receipt: of(self.receipt_ms * 1e3),
            tokenising_per_token: of(self.tokenising_us_per_token),
            streaming: of(self.streaming_us_per_token),
            cold_start: SimDuration::ZERO,
        }
    }
}

impl Efficiencies {
    /// The efficiencies that come with kendall.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Kernels measured on this very GPU, or on one of its generation, or the first ones.
    pub fn kernels_of(&self, gpu: &Gpu) -> &Kernels {
        let generation = gpu.architecture.split(' ').next().unwrap_or_default();
        let is_this = |kernels: &&Kernels| kernels.measured_on == gpu.name;
        let is_kin = |kernels: &&Kernels| kernels.architecture == generation;
        let found = self.kernels.iter().find(is_this).or_else(|| self.kernels.iter().find(is_kin));
        found.unwrap_or(&self.kernels[0])
    }

    /// The front end of a version; of an unknown one, that of the newest.
    pub fn front_end_of(&self, minor: Option<u32>) -> FrontEndTimes {
        let is_older = |of: &&FrontEndTimes| minor.is_none_or(|minor| of.from_minor <= minor);
        self.front_ends.iter().rev().find(is_older).cloned().unwrap_or_else(|| FrontEndTimes {
            receipt_ms: self.engine.front_end_ms,
            measured_on: "0.15 and 0.23".to_owned(),
            ..FrontEndTimes::default()
        })
    }

    /// All-reduce over the links of the GPU.
    pub fn all_reduce_of(&self, gpu: &Gpu) -> &AllReduce {
        if gpu.nvlink_gb_per_s.is_some() { &self.nvlink } else { &self.pcie }
    }
}
