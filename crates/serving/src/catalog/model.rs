//! Models: architecture under Hugging Face's field names, and what follows from it in bytes.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{CatalogError, nearest, normalized};

/// How keys and values are shared between attention heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// Multi-head attention: as many KV heads as heads.
    Mha,
    /// Grouped-query attention: several heads share one KV head.
    Gqa,
    /// Multi-head latent attention: one compressed vector per token and layer, the same on every GPU.
    Mla,
}

/// How the weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightPrecision {
    /// bfloat16: 2 bytes per parameter.
    Bf16,
    /// float16: 2 bytes per parameter.
    Fp16,
    /// fp8: 1 byte per parameter. Embeddings and norms kept in 16 bits are not counted apart.
    Fp8,
    /// fp8 with a scale for each block of weights (128 x 128) instead of each output channel: other kernels, as large.
    Fp8Block,
    /// Experts in MXFP4 (4 bits and an 8-bit scale for 32 of them), the rest in 16 bits.
    Mxfp4,
    /// Integers of 4 bits with a 16-bit scale for a group of them: the experts, or every layer of a dense model; the rest in
    /// 16 bits.
    Int4,
    /// The source does not say: nothing is derived from it.
    Unknown,
}

/// One model. Fields of `config.json` keep their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name on Hugging Face: `Qwen/Qwen2.5-1.5B-Instruct`.
    pub name: String,
    /// Transformer layers.
    pub num_hidden_layers: u32,
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Query heads.
    pub num_attention_heads: u32,
    /// Key and value heads.
    pub num_key_value_heads: u32,
    /// Width of one head.
    pub head_dim: u32,
    /// Width of the dense feed-forward layer.
    pub intermediate_size: u32,
    /// Tokens of the vocabulary.
    pub vocab_size: u32,
    /// Routed experts per layer; 0 for a dense model.
    #[serde(default)]
    pub num_experts: u32,
    /// Routed experts that one token uses.
    #[serde(default)]
    pub num_experts_per_tok: u32,
    /// Width of one expert.
    #[serde(default)]
    pub moe_intermediate_size: u32,
    /// Experts that every token uses.
    #[serde(default)]
    pub num_shared_experts: u32,
    /// Layers of a mixture-of-experts model that have a dense feed-forward layer and no experts.
    #[serde(default)]
    pub num_dense_layers: u32,
    /// Whether the output layer shares the embedding's weights.
    pub tie_word_embeddings: bool,
    /// Longest context, in tokens.
    pub max_position_embeddings: u64,
    /// Kind of attention.
    pub attention: AttentionKind,
    /// Width of the compressed KV vector; only with [`AttentionKind::Mla`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_lora_rank: Option<u32>,
    /// Width of the rotary part of the key; only with [`AttentionKind::Mla`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qk_rope_head_dim: Option<u32>,
    /// Width of the compressed query vector; only with [`AttentionKind::Mla`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q_lora_rank: Option<u32>,
    /// Width of a head's key without its rotary part; only with [`AttentionKind::Mla`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qk_nope_head_dim: Option<u32>,
    /// Width of a head's value; only with [`AttentionKind::Mla`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v_head_dim: Option<u32>,
    /// Window of local attention layers, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<u32>,
    /// Layers with that window; every layer if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_sliding_window_layers: Option<u32>,
    /// `torch_dtype` of the config; absent where the source has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// How the weights are stored.
    pub weight_precision: WeightPrecision,
    /// Whether its `generation_config.json` asks for top-k or top-p, which vLLM applies to requests that do not say
    /// otherwise.
    #[serde(default)]
    pub truncates_sampling: bool,
    /// Parameters, rounded to a million; absent where not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_params: Option<u64>,
    /// Parameters that one token uses, rounded to a million; equal to the total of a dense model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_params: Option<u64>,
    /// Where the facts come from.
    pub source: String,
    /// What else a user should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

impl Model {
    /// KV cache of one token over all layers and all GPUs, in bytes.
    ///
    /// Every layer counts in full: a sliding window, which lets vLLM keep less, is not used here.
    ///
    /// # Errors
    /// [`CatalogError::NotDerivable`] for latent attention without its two widths.
    pub fn kv_bytes_per_token(&self, kv_dtype_bytes: u64) -> Result<u64, CatalogError> {
        self.kv_bytes_per_token_per_gpu(kv_dtype_bytes, 1)
    }

    /// KV cache of one token on one of `tensor_parallel_size` GPUs, in bytes. A KV head is never split, and a
    /// compressed vector never shared out: each GPU then holds a copy.
    ///
    /// # Errors
    /// As [`Model::kv_bytes_per_token`].
    pub fn kv_bytes_per_token_per_gpu(
        &self,
        kv_dtype_bytes: u64,
        tensor_parallel_size: u32,
    ) -> Result<u64, CatalogError> {
        assert!(tensor_parallel_size > 0, "tensor_parallel_size counts GPUs");
        let elements_per_layer = match (self.attention, self.kv_lora_rank, self.qk_rope_head_dim) {
            (AttentionKind::Mla, Some(rank), Some(rope)) => u64::from(rank) + u64::from(rope),
            (AttentionKind::Mla, ..) => {
                return Err(self.not_derivable("KV size", "kv_lora_rank or qk_rope_head_dim is not known"));
            }
            (AttentionKind::Mha | AttentionKind::Gqa, ..) => {
                let kv_heads = (self.num_key_value_heads / tensor_parallel_size).max(1);
                2 * u64::from(kv_heads) * u64::from(self.head_dim)
            }
        };
        Ok(u64::from(self.num_hidden_layers) * elements_per_layer * kv_dtype_bytes)
    }

    /// The weights over all GPUs, in bytes.
    ///
    /// # Errors
    /// [`CatalogError::NotDerivable`] if the parameters or their precision are not known.
    pub fn weight_bytes(&self) -> Result<u64, CatalogError> {
        let total = self
            .total_params
            .ok_or_else(|| self.not_derivable("weight bytes", "its number of parameters is not known"))?;
        self.stored_bytes(total, u64::from(self.num_experts))
    }

    /// Parameters that one token uses.
    ///
    /// # Errors
    /// [`CatalogError::NotDerivable`] if they are not known.
    pub fn known_active_params(&self) -> Result<u64, CatalogError> {
        self.active_params
            .ok_or_else(|| self.not_derivable("work per token", "its number of parameters is not known"))
    }

    /// Checks that the heads can be split over the GPUs: the attention heads evenly; the KV heads evenly, or
    /// each copied to an equal number of GPUs.
    ///
    /// # Errors
    /// [`CatalogError::TensorParallel`], with the sizes that divide.
    pub fn check_tensor_parallel(&self, tensor_parallel_size: u32) -> Result<(), CatalogError> {
        if self.splits_over(tensor_parallel_size) {
            return Ok(());
        }
        let sizes: Vec<String> = (1..=16).filter(|&n| self.splits_over(n)).map(|n| n.to_string()).collect();
        Err(CatalogError::TensorParallel {
            model: self.name.clone(),
            tensor_parallel_size,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads,
            remedy: sizes.join(" or "),
        })
    }

    /// Widest feed-forward activation of one token: a dense layer's, or that of the experts which it uses.
    pub fn active_intermediate_size(&self) -> u64 {
        let experts = u64::from(self.moe_intermediate_size)
            * u64::from(self.num_experts_per_tok + self.num_shared_experts);
        if self.num_experts == 0 { u64::from(self.intermediate_size) } else { experts }
    }

    /// Layers whose attention sees a window and not the whole context.
    pub fn num_sliding_window_layers(&self) -> u32 {
        self.sliding_window.map_or(0, |_| self.num_sliding_window_layers.unwrap_or(self.num_hidden_layers))
    }

    fn splits_over(&self, tensor_parallel_size: u32) -> bool {
        let kv_heads = self.num_key_value_heads;
        tensor_parallel_size > 0
            && self.num_attention_heads.is_multiple_of(tensor_parallel_size)
            && (kv_heads.is_multiple_of(tensor_parallel_size)
                || tensor_parallel_size.is_multiple_of(kv_heads))
    }

    fn stored_bytes(&self, params: u64, experts_per_layer: u64) -> Result<u64, CatalogError> {
        match self.weight_precision {
            WeightPrecision::Bf16 | WeightPrecision::Fp16 => Ok(2 * params),
            WeightPrecision::Fp8 | WeightPrecision::Fp8Block => Ok(params),
            WeightPrecision::Mxfp4 => {
                // 32 weights of 4 bits share a scale of 8 bits: 17 bytes.
                let in_experts = self.params_in_experts(experts_per_layer, params);
                Ok(in_experts * 17 / 32 + 2 * (params - in_experts))
            }
            WeightPrecision::Int4 if experts_per_layer > 0 => {
                // 32 weights of 4 bits share a scale of 16 bits: 18 bytes.
                let in_experts = self.params_in_experts(experts_per_layer, params);
                Ok(in_experts * 18 / 32 + 2 * (params - in_experts))
            }
            WeightPrecision::Int4 => {
                // 128 weights of 4 bits share a scale of 16 bits: 66 bytes. Embedding and output layer stay in 16 bits.
                let matrices = if self.tie_word_embeddings { 1 } else { 2 };
                let embeddings =
                    (matrices * u64::from(self.vocab_size) * u64::from(self.hidden_size)).min(params);
                Ok((params - embeddings) * 66 / 128 + 2 * embeddings)
            }
            WeightPrecision::Unknown => {
                Err(self.not_derivable("weight bytes", "the precision of its weights is not known"))
            }
        }
    }

    /// Parameters in routed experts, three matrices each.
    fn params_in_experts(&self, experts_per_layer: u64, params: u64) -> u64 {
        let matrix = u64::from(self.moe_intermediate_size) * u64::from(self.hidden_size);
        let layers = u64::from(self.num_hidden_layers.saturating_sub(self.num_dense_layers));
        (layers * experts_per_layer * 3 * matrix).min(params)
    }

    fn not_derivable(&self, quantity: &'static str, reason: &'static str) -> CatalogError {
        CatalogError::NotDerivable { model: self.name.clone(), quantity, reason }
    }

    fn short_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: Vec<Model>,
}

static MODELS: LazyLock<Vec<Model>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("models.toml")).expect("models.toml is embedded and tested");
    file.model
});

/// Every model of the catalog, in its order.
pub fn models() -> &'static [Model] {
    &MODELS
}

/// The model of this name, in full or without what stands before the slash; case does not matter.
///
/// # Errors
/// [`CatalogError::UnknownModel`] with the nearest known name.
pub fn model(name: &str) -> Result<&'static Model, CatalogError> {
    let wanted = normalized(name);
    let found = models()
        .iter()
        .find(|model| normalized(&model.name) == wanted || normalized(model.short_name()) == wanted);
    found.ok_or_else(|| {
        let short = !name.contains('/');
        let known = models().iter().map(|model| if short { model.short_name() } else { &model.name });
        CatalogError::UnknownModel { name: name.to_owned(), nearest: nearest(name, known) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> &'static Model {
        model(name).expect("in the catalog")
    }

    #[test]
    fn a_model_is_found_by_its_full_and_its_short_name() {
        assert_eq!(known("qwen/qwen2.5-1.5b-instruct").name, "Qwen/Qwen2.5-1.5B-Instruct");
        assert_eq!(known("Llama-3.1-8B-Instruct").name, "meta-llama/Llama-3.1-8B-Instruct");
        assert_eq!(models().len(), 20);
        let error = model("Qwen2.5-1.5B-Instuct").map(|model| &model.name).expect_err("misspelt");
        assert_eq!(
            error.to_string(),
            "unknown model \"Qwen2.5-1.5B-Instuct\": the nearest name is \"Qwen2.5-1.5B-Instruct\"; \
             `kendall catalog models` lists all"
        );
    }

    #[test]
    fn kv_bytes_per_token_in_16_bits() {
        for (name, bytes) in [
            ("Qwen/Qwen2.5-1.5B-Instruct", 28_672),
            ("Qwen/Qwen3-14B", 163_840),
            ("meta-llama/Llama-2-7b-hf", 524_288),
            ("meta-llama/Llama-3.1-70B-Instruct", 327_680),
            ("openai/gpt-oss-120b", 73_728),
            ("MiniMaxAI/MiniMax-M2.5", 253_952),
            // MLA: 61 layers of (512 + 64) elements.
            ("moonshotai/Kimi-K2.5", 70_272),
        ] {
            assert_eq!(known(name).kv_bytes_per_token(2), Ok(bytes), "{name}");
        }
    }

    #[test]
    fn kv_heads_are_split_and_then_copied() {
        let qwen = known("Qwen2.5-1.5B-Instruct");
        assert_eq!(qwen.kv_bytes_per_token_per_gpu(2, 2), Ok(14_336));
        assert_eq!(qwen.kv_bytes_per_token_per_gpu(2, 4), Ok(14_336));
        assert_eq!(known("Kimi-K2.5").kv_bytes_per_token_per_gpu(2, 8), Ok(70_272));
    }

    #[test]
    fn weight_bytes_follow_the_precision() {
        assert_eq!(known("Qwen2.5-1.5B-Instruct").weight_bytes(), Ok(3_088_000_000));
        assert_eq!(known("Qwen3-235B-A22B-FP8").weight_bytes(), Ok(235_093_000_000));
        // Its checkpoint is 60.8 GiB.
        let gpt_oss = known("gpt-oss-120b").weight_bytes().expect("derivable") as f64;
        assert!((gpt_oss / 1_073_741_824.0 - 60.8).abs() < 0.3, "{gpt_oss}");
    }

    /// A dense layer holds queries and output, keys and values, and three feed-forward matrices.
    #[test]
    fn parameters_of_dense_models_follow_from_their_architecture() {
        for model in models().iter().filter(|model| model.num_experts == 0) {
            let width = |value: u32| u64::from(value);
            let hidden = width(model.hidden_size);
            let heads = width(model.num_attention_heads + model.num_key_value_heads) * width(model.head_dim);
            let layer = 2 * hidden * heads + 3 * hidden * width(model.intermediate_size);
            let embeddings = if model.tie_word_embeddings { 1 } else { 2 };
            let derived =
                width(model.num_hidden_layers) * layer + embeddings * hidden * width(model.vocab_size);
            let stated = model.total_params.expect("known for every dense model");
            assert!(derived.abs_diff(stated) < stated / 500, "{}: {derived} and {stated}", model.name);
            assert_eq!(model.active_params, model.total_params);
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let unknown = Model { total_params: None, active_params: None, ..known("Kimi-K2.5").clone() };
        assert!(matches!(unknown.weight_bytes(), Err(CatalogError::NotDerivable { .. })));
        assert!(matches!(unknown.known_active_params(), Err(CatalogError::NotDerivable { .. })));
        assert_eq!(known("MiniMax-M2.5").weight_bytes().ok(), Some(228_689_000_000), "a byte a parameter");
    }

    #[test]
    fn heads_limit_tensor_parallelism() {
        let qwen = known("Qwen2.5-1.5B-Instruct");
        assert_eq!(qwen.check_tensor_parallel(4), Ok(()));
        let message = qwen.check_tensor_parallel(8).expect_err("12 heads over 8 GPUs").to_string();
        assert!(message.ends_with("choose 1 or 2 or 4 or 6 or 12"), "{message}");
        assert!(qwen.check_tensor_parallel(0).is_err());
    }
}
