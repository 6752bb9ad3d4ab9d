//! One step of a model as a list of operators: what each takes as a function of the batch.

use super::efficiency::{Efficiencies, Engine};
use super::kernels::{ACTIVATION_BYTES, Device, Experts, WeightFormat};
use crate::catalog::{AttentionKind, CatalogError, Gpu, Model, WeightPrecision};

/// Logits are float32: written by the output layer's cast, read and written by softmax and sampling.
const BYTES_PER_LOGIT: f64 = 16.0;

const US: f64 = 1e-6;

/// GPU, model and split.
#[derive(Debug, Clone, Copy)]
pub struct Deployment<'a> {
    /// Each of the GPUs.
    pub gpu: &'a Gpu,
    /// The model.
    pub model: &'a Model,
    /// GPUs that share the weights.
    pub tensor_parallel_size: u32,
    /// Bytes of an element of the KV cache: 2, or 1 for fp8.
    pub kv_dtype_bytes: u32,
    /// Whether the next step is scheduled while one is running, which hides the work of the CPU.
    pub async_scheduling: bool,
    /// Whether requests are sampled with top-k or top-p by an engine that sorts the logits (vLLM up to 0.15).
    pub sorts_logits: bool,
}

/// The operators of one step on one GPU, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Operators<'a> {
    device: Device<'a>,
    engine: &'a Engine,
    weights: WeightFormat,
    expert_weights: WeightFormat,
    layers: f64,
    /// Layers that see the whole context; the others see `window` tokens.
    full_layers: f64,
    window: f64,
    hidden: f64,
    heads: f64,
    kv_heads: f64,
    head_dim: f64,
    dense_layers: f64,
    dense_width: f64,
    experts: Option<Experts>,
    shared_width: f64,
    vocabulary: f64,
    /// Latent attention, which takes the place of heads of keys and values.
    latent: Option<Latent>,
    kv_dtype_bytes: f64,
    overhead_step: f64,
    overhead_row: f64,
}

/// Widths of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1).
#[derive(Debug, Clone, Copy)]
struct Latent {
    /// Compressed keys and values, with the rotary part of the key: what the KV cache holds, whole on every GPU.
    cached: f64,
    /// The compressed part alone.
    rank: f64,
    /// Compressed queries; 0 where they are not.
    query_rank: f64,
    /// Of a head: its key without and with the rotary part, and its value.
    nope: f64,
    key: f64,
    value: f64,
}

impl Latent {
    fn of(model: &Model) -> Option<Self> {
        let (rank, rope) = (model.kv_lora_rank?, model.qk_rope_head_dim?);
        let (nope, value) = (model.qk_nope_head_dim?, model.v_head_dim?);
        Some(Self {
            cached: f64::from(rank + rope),
            rank: f64::from(rank),
            query_rank: model.q_lora_rank.map_or(0.0, f64::from),
            nope: f64::from(nope),
            key: f64::from(nope + rope),
            value: f64::from(value),
        })
    }
}

impl<'a> Operators<'a> {
    /// The operators of a deployment.
    ///
    /// # Errors
    /// [`CatalogError`] if a fact about the model is missing or its heads do not divide.
    pub fn new(of: &Deployment<'a>, efficiencies: &'a Efficiencies) -> Result<Self, CatalogError> {
        let model = of.model;
        model.check_tensor_parallel(of.tensor_parallel_size)?;
        let missing =
            |reason| CatalogError::NotDerivable { model: model.name.clone(), quantity: "step time", reason };
        let latent = Latent::of(model).filter(|_| model.attention == AttentionKind::Mla);
        if model.attention == AttentionKind::Mla && latent.is_none() {
            return Err(missing(
                "a width of its latent attention is not known (kv_lora_rank, qk_rope_head_dim, qk_nope_head_dim, v_head_dim)",
            ));
        }
        let (weights, expert_weights) = formats(model.weight_precision, model.num_experts > 0)
            .ok_or_else(|| missing("the precision of its weights is not known"))?;
        let gpus = f64::from(of.tensor_parallel_size);
        let width = |value: u32| f64::from(value);
        let layers = width(model.num_hidden_layers);
        let routed = model.num_experts > 0;
        let experts = routed.then(|| Experts {
            count: width(model.num_experts),
            per_token: width(model.num_experts_per_tok),
            hidden: width(model.hidden_size),
            width: width(model.moe_intermediate_size) / gpus,
        });
        let engine = &efficiencies.engine;
        let (mut step_us, mut sequence_us) = (engine.step_us, engine.sequence_us);
        if !of.async_scheduling {
            step_us += engine.synchronous_step_us;
            sequence_us += engine.synchronous_sequence_us;
        }
        if of.tensor_parallel_size > 1 {
            step_us += engine.workers_us;
            step_us += if of.async_scheduling { 0.0 } else { engine.synchronous_workers_us };
        }
        // Logits are gathered before they are sampled: all of the vocabulary, whatever the number of GPUs.
        let sort_s =
            if of.sorts_logits { engine.sort_logit_ns * 1e-9 * width(model.vocab_size) } else { 0.0 };
        let windowed = f64::from(model.num_sliding_window_layers());
        Ok(Self {
            device: Device::new(
                of.gpu,
                efficiencies.kernels_of(of.gpu),
                efficiencies.all_reduce_of(of.gpu),
                of.tensor_parallel_size,
            )
            .sustaining(engine.sustained_compute),
            engine,
            weights,
            expert_weights,
            layers,
            full_layers: layers - windowed,
            window: model.sliding_window.map_or(0.0, f64::from),
            hidden: width(model.hidden_size),
            heads: width(model.num_attention_heads) / gpus,
            // A KV head is never split: each GPU then holds a copy.
            kv_heads: (width(model.num_key_value_heads) / gpus).max(1.0),
            head_dim: width(model.head_dim),
            dense_layers: if routed { width(model.num_dense_layers) } else { layers },
            dense_width: width(model.intermediate_size) / gpus,
            experts,
            shared_width: width(model.moe_intermediate_size * model.num_shared_experts) / gpus,
            vocabulary: width(model.vocab_size) / gpus,
            latent,
            kv_dtype_bytes: f64::from(of.kv_dtype_bytes),
            overhead_step: step_us * US,
            overhead_row: sequence_us * US + sort_s,
        })
    }

    /// What every step takes: overheads, and one attention launch for each layer.
    pub fn step(&self) -> f64 {
        let layer_s = self.engine.layer_us * US + self.device.attention_latency();
        self.overhead_step + self.layers * layer_s
    }

    /// What a step with prompt tokens takes besides.
    pub fn mixed_step(&self) -> f64 {
        self.layers * self.engine.mixed_layer_us * US
    }

    /// Everything that sees tokens one by one, in all layers: projections, feed-forward, norms, all-reduce.
    pub fn tokens(&self, tokens: f64) -> f64 {
        if tokens <= 0.0 {
            return 0.0;
        }
        let sustained = self.engine.sustained(self.tokens_at_one_clock(tokens));
        Self { device: self.device.sustaining(sustained), ..*self }.tokens_at_one_clock(tokens)
    }

    fn tokens_at_one_clock(&self, tokens: f64) -> f64 {
        let attention = self.projections(tokens);
        let dense = self.feed_forward(tokens, self.dense_width);
        let routed = self.experts.map_or(0.0, |experts| self.routed(tokens, experts));
        let reduce = 2.0 * self.device.all_reduce(tokens * self.hidden * ACTIVATION_BYTES);
        self.layers * (attention + reduce)
            + self.dense_layers * dense
            + (self.layers - self.dense_layers) * routed
    }

    /// The output layer and sampling for `rows` sequences.
    pub fn rows(&self, rows: f64) -> f64 {
        if rows <= 0.0 {
            return 0.0;
        }
        let device = &self.device;
        device.gemm(rows, self.vocabulary, self.hidden, WeightFormat::SIXTEEN_BITS)
            + device.elementwise(rows * self.vocabulary * BYTES_PER_LOGIT)
            + rows * self.overhead_row
    }

    /// Attention of a decoding sequence besides its context: a row in every layer, the window of local layers.
    pub fn decode_row(&self) -> f64 {
        let windows = (self.layers - self.full_layers) * self.device.kv_read(self.window * self.kv_bytes());
        // One latent vector takes the place of all KV heads.
        let kv_heads = if self.latent.is_some() { 1.0 } else { self.kv_heads };
        self.layers * self.device.attention_row(kv_heads) + windows
    }

    /// One token of context of a decoding sequence, or behind a prefill chunk: its keys and values are read.
    pub fn context_token(&self) -> f64 {
        self.full_layers * self.device.kv_read(self.kv_bytes()).max(self.latent_scores())
    }

    /// What is saved of it where another sequence of the batch holds the same block: attention kernels run sequences that
    /// came one after another side by side, and read their blocks in step.
    pub fn shared_token(&self) -> f64 {
        let read = self.full_layers * self.device.kv_read(self.kv_bytes());
        read * self.engine.shared_from_cache.min(1.0)
    }

    /// The same beside prompts.
    pub fn context_token_beside_prompts(&self) -> f64 {
        if self.latent.is_some() {
            return self.context_token();
        }
        self.full_layers * self.device.attention_beside_prompts(self.heads, self.head_dim, self.kv_bytes())
    }

    /// What is saved of it where another sequence holds the same block: nothing where empty tiles take longer than reading.
    pub fn shared_token_beside_prompts(&self) -> f64 {
        let packs = self.context_token_beside_prompts() <= self.context_token();
        if packs { self.shared_token() } else { 0.0 }
    }

    /// One decoding sequence beside one token of the longest prompt.
    pub fn idle_tile(&self) -> f64 {
        if self.latent.is_some() { 0.0 } else { self.layers * self.device.idle_tile(self.heads) }
    }

    /// Scores and values of one token of context for one query of every head, in the space of the compressed vectors. With
    /// heads of keys and values reading them takes longer.
    fn latent_scores(&self) -> f64 {
        self.latent.map_or(0.0, |latent| {
            self.device.attention_flops(2.0 * self.heads * (latent.cached + latent.rank))
        })
    }

    /// One pair of one layer of a prefill.
    fn pair_of_layer(&self) -> f64 {
        let (heads, of_head) = (self.heads, self.latent.map_or(2.0 * self.head_dim, |l| l.key + l.value));
        self.device.attention_flops(2.0 * heads * of_head)
    }

    /// One pair of a prefill: a query and a key that it sees.
    pub fn prefill_pair(&self) -> f64 {
        self.full_layers * self.pair_of_layer()
    }

    /// Attention of one prefill token besides its pairs.
    pub fn prefill_token(&self) -> f64 {
        let pair_of_layer = self.pair_of_layer();
        let ramp = self.layers * self.device.attention_ramp_tokens();
        pair_of_layer * (ramp + (self.layers - self.full_layers) * self.window)
    }

    fn kv_bytes(&self) -> f64 {
        let elements = self.latent.map_or(2.0 * self.kv_heads * self.head_dim, |latent| latent.cached);
        elements * self.kv_dtype_bytes
    }

    fn projections(&self, tokens: f64) -> f64 {
        if let Some(latent) = self.latent {
            return self.latent_projections(tokens, latent);
        }
        let device = &self.device;
        let (queries, kv) = (self.heads * self.head_dim, 2.0 * self.kv_heads * self.head_dim);
        // Two norms with the residual read and write two vectors each; rotary embedding and KV write pass once.
        let elements = 8.0 * self.hidden + 2.0 * (queries + kv);
        device.gemm(tokens, queries + kv, self.hidden, self.weights)
            + device.gemm(tokens, self.hidden, queries, self.weights)
            + device.elementwise(tokens * elements * ACTIVATION_BYTES)
    }

    /// Down to the compressed query and key-value vectors, whole on every GPU; up to the heads; into the space of the
    /// compressed keys and out of that of the values; the output.
    fn latent_projections(&self, tokens: f64, of: Latent) -> f64 {
        let (device, heads) = (&self.device, self.heads);
        let gemm = |n: f64, k: f64| device.gemm(tokens, n, k, self.weights);
        let queries = if of.query_rank > 0.0 {
            gemm(of.query_rank + of.cached, self.hidden) + gemm(heads * of.key, of.query_rank)
        } else {
            gemm(heads * of.key + of.cached, self.hidden)
        };
        let elements = 8.0 * self.hidden + 2.0 * (heads * (of.key + of.cached) + of.query_rank);
        queries
            + gemm(heads * (of.nope + of.value), of.rank)
            + gemm(self.hidden, heads * of.value)
            + device.elementwise(tokens * elements * ACTIVATION_BYTES)
    }

    fn feed_forward(&self, tokens: f64, width: f64) -> f64 {
        let device = &self.device;
        device.gemm(tokens, 2.0 * width, self.hidden, self.weights)
            + device.gemm(tokens, self.hidden, width, self.weights)
            + device.elementwise(tokens * 3.0 * width * ACTIVATION_BYTES)
    }

    fn routed(&self, tokens: f64, experts: Experts) -> f64 {
        let router = self.device.gemm(tokens, experts.count, self.hidden, WeightFormat::SIXTEEN_BITS);
        let shared = if self.shared_width > 0.0 { self.feed_forward(tokens, self.shared_width) } else { 0.0 };
        router + self.device.experts(experts, tokens, self.expert_weights) + shared
    }
}

/// Formats of projections and of experts; the output layer stays in 16 bits.
fn formats(precision: WeightPrecision, has_experts: bool) -> Option<(WeightFormat, WeightFormat)> {
    let sixteen = WeightFormat::SIXTEEN_BITS;
    match precision {
        WeightPrecision::Bf16 | WeightPrecision::Fp16 => Some((sixteen, sixteen)),
        WeightPrecision::Fp8 => Some((WeightFormat::FP8, WeightFormat::FP8)),
        WeightPrecision::Fp8Block => Some((WeightFormat::FP8_BLOCK, WeightFormat::FP8_BLOCK)),
        WeightPrecision::Mxfp4 => Some((sixteen, WeightFormat::MXFP4)),
        WeightPrecision::Int4 if has_experts => Some((sixteen, WeightFormat::INT4)),
        WeightPrecision::Int4 => Some((WeightFormat::INT4, WeightFormat::INT4)),
        WeightPrecision::Unknown => None,
    }
}
