//! Seconds of one kernel on one GPU, from its operations and bytes: the datasheet times an efficiency.
//!
//! A kernel that computes for `c` seconds and moves bytes for `b` seconds at the attained rates takes
//! `latency + (c^p + b^p)^(1/p)`: the classical roofline is `p` at infinity, no overlap at all is `p = 1`
//! (Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009; the smooth corner is ours).

use super::efficiency::{AllReduce, Corner, Kernels, Unpacked};
use crate::catalog::Gpu;

/// Activations, and the KV cache unless it is fp8, are in 16 bits.
pub(super) const ACTIVATION_BYTES: f64 = 2.0;

const US: f64 = 1e-6;

/// One GPU of a tensor-parallel group with the efficiencies of its generation.
#[derive(Debug, Clone, Copy)]
pub struct Device<'a> {
    gpu: &'a Gpu,
    kernels: &'a Kernels,
    all_reduce: &'a AllReduce,
    gpus: f64,
    sustained_compute: f64,
}

/// How the weights of a product are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightFormat {
    /// Bytes of one weight, scales included.
    pub bytes: f64,
    /// Whether activations are quantised too and the product runs on the fp8 units.
    pub fp8_compute: bool,
    /// Whether each block of fp8 weights has a scale of its own, which only other kernels can apply.
    pub block_scales: bool,
}

impl WeightFormat {
    /// bfloat16 or float16.
    pub const SIXTEEN_BITS: Self = Self { bytes: 2.0, fp8_compute: false, block_scales: false };
    /// fp8 weights and activations.
    pub const FP8: Self = Self { bytes: 1.0, fp8_compute: true, block_scales: false };
    /// The same with a scale for each block of weights.
    pub const FP8_BLOCK: Self = Self { block_scales: true, ..Self::FP8 };
    /// 32 weights of 4 bits that share a scale of 8 bits; before Blackwell they are widened to 16 bits to compute.
    pub const MXFP4: Self = Self { bytes: 17.0 / 32.0, fp8_compute: false, block_scales: true };
    /// Groups of 4-bit integers with a 16-bit scale: 32 of them in experts, mostly 128 elsewhere, which is 4 % less.
    pub const INT4: Self = Self { bytes: 18.0 / 32.0, fp8_compute: false, block_scales: true };
}

/// Feed-forward experts of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Experts {
    /// Routed experts.
    pub count: f64,
    /// Experts that one token uses.
    pub per_token: f64,
    /// Width of the residual stream.
    pub hidden: f64,
    /// Width of one expert on one GPU.
    pub width: f64,
}

impl Experts {
    /// Experts that a batch touches, if tokens choose independently and evenly: `E (1 - (1 - k / E)^m)`.
    pub fn touched(&self, tokens: f64) -> f64 {
        self.count * (1.0 - libm::pow(1.0 - self.per_token / self.count, tokens))
    }
}

impl<'a> Device<'a> {
    /// One of `tensor_parallel_size` GPUs.
    pub fn new(
        gpu: &'a Gpu,
        kernels: &'a Kernels,
        all_reduce: &'a AllReduce,
        tensor_parallel_size: u32,
    ) -> Self {
        Self { gpu, kernels, all_reduce, gpus: f64::from(tensor_parallel_size), sustained_compute: 1.0 }
    }

    /// The same GPU in the middle of a step, which sustains so much of the kernels' rate of computing.
    #[must_use]
    pub fn sustaining(self, share: f64) -> Self {
        Self { sustained_compute: share, ..self }
    }

    /// `y[m, n] = x[m, k] w[k, n]`.
    pub fn gemm(&self, m: f64, n: f64, k: f64, weights: WeightFormat) -> f64 {
        let fp8 = self.fp8_flop_per_s().filter(|_| weights.fp8_compute);
        let (corner, peak) =
            fp8.map_or((&self.kernels.gemm16, self.peak16()), |peak| (&self.kernels.gemm8, peak));
        let input_bytes = if fp8.is_some() { 1.0 } else { ACTIVATION_BYTES };
        let bytes = n * k * weights.bytes + m * k * input_bytes + m * n * ACTIVATION_BYTES;
        self.at_corner(corner, 2.0 * m * n * k / peak, bytes)
    }

    /// Gate, up and down products of the experts that `tokens` tokens touch.
    pub fn experts(&self, experts: Experts, tokens: f64, weights: WeightFormat) -> f64 {
        let fp8 = self.fp8_flop_per_s().filter(|_| weights.fp8_compute);
        let of_8_bits = if weights.block_scales { &self.kernels.moe8_block } else { &self.kernels.moe8 };
        let of_16_bits = if weights.bytes < 1.0 { &self.kernels.moe4 } else { &self.kernels.moe16 };
        let (corner, peak) = fp8.map_or((of_16_bits, self.peak16()), |peak| (of_8_bits, peak));
        let weights_of_one = 3.0 * experts.hidden * experts.width;
        let rows = tokens * experts.per_token;
        let bytes = experts.touched(tokens) * weights_of_one * weights.bytes
            + rows * (2.0 * experts.hidden + 3.0 * experts.width) * ACTIVATION_BYTES;
        self.at_corner(corner, 2.0 * rows * weights_of_one / peak, bytes)
    }

    /// One launch of the attention kernel.
    pub fn attention_latency(&self) -> f64 {
        self.kernels.attention.latency_us * US
    }

    /// What a decoding sequence costs in one attention kernel besides its KV cache: less a head where there are more of them
    /// to fill the GPU. Between a constant and a cost a head lies the root, which meets one KV head as well as 40.
    pub fn attention_row(&self, kv_heads: f64) -> f64 {
        self.kernels.attention.row_ns * 1e-9 * libm::sqrt(kv_heads)
    }

    /// Reads `bytes` of KV cache.
    pub fn kv_read(&self, bytes: f64) -> f64 {
        bytes / (self.bytes_per_s() * self.kernels.attention.bandwidth)
    }

    /// Scores and values of one token of context for a decoding sequence beside prompts, with `heads` query heads and keys and
    /// values of `kv_bytes`.
    pub fn attention_beside_prompts(&self, heads: f64, head_dim: f64, kv_bytes: f64) -> f64 {
        let packed = self.kv_read(kv_bytes);
        let tile = |of: Unpacked| of.tile_rows * self.attention_pair(heads, head_dim);
        self.kernels.attention.unpacked.map_or(packed, |of| packed.max(tile(of)))
    }

    /// What one decoding sequence costs beside a prompt of one token, for a longest prompt in proportion.
    pub fn idle_tile(&self, heads: f64) -> f64 {
        self.kernels.attention.unpacked.map_or(0.0, |of| heads * of.idle_tile_ps * 1e-12)
    }

    /// Scores and values of one pair (query, key) in all `heads`: two products of two operations a head element.
    pub fn attention_pair(&self, heads: f64, head_dim: f64) -> f64 {
        self.attention_flops(4.0 * heads * head_dim)
    }

    /// So many operations of an attention kernel that computes and does not wait for memory.
    pub fn attention_flops(&self, flops: f64) -> f64 {
        flops / (self.peak16() * self.kernels.attention.compute)
    }

    /// Keys that each query of a prefill costs on top of those that it sees: blocks on the diagonal are computed
    /// whole, and short prompts leave the GPU half empty.
    pub fn attention_ramp_tokens(&self) -> f64 {
        self.kernels.attention.ramp_tokens
    }

    /// Moves `bytes` through memory in kernels that do nothing else.
    pub fn elementwise(&self, bytes: f64) -> f64 {
        bytes / (self.bytes_per_s() * self.kernels.gemm16.bandwidth)
    }

    /// Sums a vector of `bytes` over all GPUs; a ring sends each byte `2 (g - 1) / g` times.
    pub fn all_reduce(&self, bytes: f64) -> f64 {
        if self.gpus < 2.0 {
            return 0.0;
        }
        let sent = bytes * 2.0 * (self.gpus - 1.0) / self.gpus;
        let latency_us = self.all_reduce.latency_us + self.all_reduce.latency_us_per_peer * (self.gpus - 1.0);
        let attained = self.all_reduce.bandwidth * libm::pow(2.0 / self.gpus, self.all_reduce.sharing);
        latency_us * US + sent / (self.gpu.link_gb_per_s() * 1e9 * attained)
    }

    fn at_corner(&self, corner: &Corner, compute_s: f64, bytes: f64) -> f64 {
        let compute_s = compute_s / corner.compute;
        let memory_s = bytes / (self.bytes_per_s() * corner.bandwidth);
        let (long, short) = (compute_s.max(memory_s), compute_s.min(memory_s));
        // The longer one factored out, so that no power can overflow.
        let beyond = libm::pow(short / long, corner.overlap);
        corner.latency_us * US + long * libm::pow(1.0 + beyond, 1.0 / corner.overlap)
    }

    fn peak16(&self) -> f64 {
        self.gpu.bf16_dense_tflops * 1e12 * self.sustained_compute
    }

    fn fp8_flop_per_s(&self) -> Option<f64> {
        self.gpu.fp8_dense_tflops.map(|tflops| tflops * 1e12 * self.sustained_compute)
    }

    fn bytes_per_s(&self) -> f64 {
        self.gpu.memory_bandwidth_gb_per_s * 1e9
    }
}
