//! A model from its Hugging Face `config.json`.
//!
//! Field names differ between families; the alternatives are those of `transformers`. What vLLM would derive is derived in
//! the same way: `head_dim` from the hidden size, KV heads equal to heads where they are not named.

use serde::Deserialize;
use serde_json::Value;

use super::model::{AttentionKind, Model, WeightPrecision};

/// Why a `config.json` does not describe a model that kendall can simulate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigJsonError {
    /// It is not JSON, or a field has another type.
    #[error("it is not a Hugging Face config.json: {0}; give the file that lies beside the model's weights")]
    Syntax(String),
    /// A field without which nothing can be derived.
    #[error("the field `{0}` is missing: give the model's own config.json")]
    Missing(&'static str),
    /// A figure beyond any model.
    #[error("the field `{field}` is {value}: it must lie between 1 and {most}")]
    OutOfRange {
        /// Name of the field.
        field: &'static str,
        /// As written.
        value: u64,
        /// Largest value allowed.
        most: u64,
    },
    /// Something that the roofline has no operators for.
    #[error("{0}: name another model, or give `num_gpu_blocks` and linear `step_time` coefficients")]
    NotModelled(String),
}

/// The fields that matter, under all of their names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_field_names, reason = "these are the file's own names")]
struct Config {
    hidden_size: Option<u64>,
    num_hidden_layers: Option<u64>,
    num_attention_heads: Option<u64>,
    num_key_value_heads: Option<u64>,
    head_dim: Option<u64>,
    intermediate_size: Option<u64>,
    vocab_size: Option<u64>,
    max_position_embeddings: Option<u64>,
    tie_word_embeddings: Option<bool>,
    #[serde(alias = "num_experts", alias = "n_routed_experts")]
    num_local_experts: Option<u64>,
    num_experts_per_tok: Option<u64>,
    moe_intermediate_size: Option<u64>,
    #[serde(alias = "num_shared_experts")]
    n_shared_experts: Option<u64>,
    shared_expert_intermediate_size: Option<u64>,
    first_k_dense_replace: Option<u64>,
    sliding_window: Option<u64>,
    use_sliding_window: Option<bool>,
    layer_types: Option<Vec<String>>,
    kv_lora_rank: Option<u64>,
    qk_rope_head_dim: Option<u64>,
    q_lora_rank: Option<u64>,
    qk_nope_head_dim: Option<u64>,
    v_head_dim: Option<u64>,
    #[serde(alias = "dtype")]
    torch_dtype: Option<String>,
    quantization_config: Option<Value>,
    /// Models that also see have the language model's fields in here.
    text_config: Option<Value>,
    model_type: Option<String>,
}

/// Largest value of any width or count.
const MOST: u64 = 1 << 20;
/// Largest number of layers.
const MOST_LAYERS: u64 = 4_096;
/// Longest context.
const MOST_POSITIONS: u64 = 1 << 27;

impl Model {
    /// The model that a `config.json` describes. `name` is what results call it.
    ///
    /// Parameters are counted from the architecture: projections, feed-forward or experts, embeddings.
    ///
    /// # Errors
    /// [`ConfigJsonError`] if the text is something else, a figure is missing or absurd, or the architecture is not
    /// modelled.
    pub fn from_config_json(text: &str, name: &str) -> Result<Self, ConfigJsonError> {
        let syntax = |error: serde_json::Error| ConfigJsonError::Syntax(error.to_string());
        let value: Value = serde_json::from_str(text).map_err(syntax)?;
        if !value.is_object() {
            return Err(ConfigJsonError::Syntax("it holds no object".to_owned()));
        }
        let outer: Config = serde_json::from_value(value).map_err(syntax)?;
        let config = match &outer.text_config {
            Some(inner) => {
                let mut inner: Config = serde_json::from_value(inner.clone()).map_err(syntax)?;
                inner.quantization_config = inner.quantization_config.or(outer.quantization_config);
                inner.torch_dtype = inner.torch_dtype.or(outer.torch_dtype);
                inner.tie_word_embeddings = inner.tie_word_embeddings.or(outer.tie_word_embeddings);
                inner
            }
            None => outer,
        };
        config.model(name)
    }
}

impl Config {
    fn model(&self, name: &str) -> Result<Model, ConfigJsonError> {
        let layers = count("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS)?;
        let hidden = count("hidden_size", self.hidden_size, MOST)?;
        let heads = count("num_attention_heads", self.num_attention_heads, MOST)?;
        let experts = optional("num_local_experts", self.num_local_experts)?;
        let expert_width = if experts > 0 { self.expert_width()? } else { 0 };
        let (window, windowed_layers) = self.windows(layers)?;
        let mut model = Model {
            name: name.to_owned(),
            num_hidden_layers: layers,
            hidden_size: hidden,
            num_attention_heads: heads,
            num_key_value_heads: count(
                "num_key_value_heads",
                self.num_key_value_heads.or(self.num_attention_heads),
                MOST,
            )?,
            head_dim: count("head_dim", self.head_dim.or(Some(u64::from(hidden / heads))), MOST)?,
            intermediate_size: count("intermediate_size", self.intermediate_size, MOST)?,
            vocab_size: count("vocab_size", self.vocab_size, 1 << 24)?,
            num_experts: experts,
            num_experts_per_tok: if experts > 0 {
                count("num_experts_per_tok", self.num_experts_per_tok, u64::from(experts))?
            } else {
                0
            },
            moe_intermediate_size: expert_width,
            num_shared_experts: self.shared_experts(expert_width)?,
            num_dense_layers: if experts > 0 {
                optional("first_k_dense_replace", self.first_k_dense_replace)?.min(layers)
            } else {
                0
            },
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(false),
            max_position_embeddings: u64::from(count(
                "max_position_embeddings",
                self.max_position_embeddings,
                MOST_POSITIONS,
            )?),
            attention: self.attention(),
            kv_lora_rank: width("kv_lora_rank", self.kv_lora_rank)?,
            qk_rope_head_dim: width("qk_rope_head_dim", self.qk_rope_head_dim)?,
            q_lora_rank: width("q_lora_rank", self.q_lora_rank)?,
            qk_nope_head_dim: width("qk_nope_head_dim", self.qk_nope_head_dim)?,
            v_head_dim: width("v_head_dim", self.v_head_dim)?,
            sliding_window: window,
            num_sliding_window_layers: windowed_layers,
            dtype: self.torch_dtype.clone(),
            weight_precision: self.precision()?,
            truncates_sampling: false,
            total_params: None,
            active_params: None,
            source: "config.json given by the user".to_owned(),
            notes: None,
        };
        (model.total_params, model.active_params) = parameters(&model);
        Ok(model)
    }

    /// Mixtral and gpt-oss call the width of an expert `intermediate_size`.
    fn expert_width(&self) -> Result<u32, ConfigJsonError> {
        count("moe_intermediate_size", self.moe_intermediate_size.or(self.intermediate_size), MOST)
    }

    fn shared_experts(&self, expert_width: u32) -> Result<u32, ConfigJsonError> {
        if expert_width == 0 {
            return Ok(0);
        }
        let by_width = optional("shared_expert_intermediate_size", self.shared_expert_intermediate_size)?;
        // Llama 4 has one beside each router and does not say so.
        let implied = u32::from(self.model_type.as_deref() == Some("llama4_text"));
        Ok(optional("n_shared_experts", self.n_shared_experts)?.max(by_width / expert_width).max(implied))
    }

    fn attention(&self) -> AttentionKind {
        match (self.kv_lora_rank, self.num_key_value_heads.or(self.num_attention_heads)) {
            (Some(_), _) => AttentionKind::Mla,
            (None, kv_heads) if kv_heads == self.num_attention_heads => AttentionKind::Mha,
            _ => AttentionKind::Gqa,
        }
    }

    /// The window and the layers that have it.
    fn windows(&self, layers: u32) -> Result<(Option<u32>, Option<u32>), ConfigJsonError> {
        let in_use = self.use_sliding_window.unwrap_or(true);
        let Some(window) = self.sliding_window.filter(|_| in_use) else { return Ok((None, None)) };
        let window = count("sliding_window", Some(window), MOST_POSITIONS)?;
        let local = self.layer_types.as_ref().map(|types| {
            let local = types.iter().filter(|kind| kind.contains("sliding")).count();
            u32::try_from(local).unwrap_or(u32::MAX).min(layers)
        });
        Ok((Some(window), local))
    }

    fn precision(&self) -> Result<WeightPrecision, ConfigJsonError> {
        let Some(quantization) = self.quantization_config.as_ref().filter(|value| !value.is_null()) else {
            return Ok(match self.torch_dtype.as_deref() {
                // vLLM's `--dtype auto` loads float32 as float16.
                Some("float16" | "float32") => WeightPrecision::Fp16,
                Some("bfloat16") | None => WeightPrecision::Bf16,
                Some(other) => {
                    return Err(ConfigJsonError::NotModelled(format!("weights of type `{other}`")));
                }
            });
        };
        let method = quantization.get("quant_method").and_then(Value::as_str).unwrap_or("(none)");
        let of_weights =
            quantization.pointer("/config_groups/group_0/weights/num_bits").and_then(Value::as_u64);
        let floating = quantization.pointer("/config_groups/group_0/weights/type").and_then(Value::as_str);
        match (method, of_weights, floating) {
            ("fp8" | "fbgemm_fp8" | "modelopt", None, _) | ("compressed-tensors", Some(8), Some("float")) => {
                let in_blocks = quantization.get("weight_block_size").is_some_and(|size| !size.is_null());
                Ok(if in_blocks { WeightPrecision::Fp8Block } else { WeightPrecision::Fp8 })
            }
            ("mxfp4", ..) => Ok(WeightPrecision::Mxfp4),
            ("compressed-tensors", Some(4), Some("int")) => Ok(WeightPrecision::Int4),
            ("gptq" | "awq", ..) if quantization.get("bits").and_then(Value::as_u64) == Some(4) => {
                Ok(WeightPrecision::Int4)
            }
            _ => Err(ConfigJsonError::NotModelled(format!("weights quantised by `{method}`"))),
        }
    }
}

fn count(field: &'static str, value: Option<u64>, most: u64) -> Result<u32, ConfigJsonError> {
    let value = value.ok_or(ConfigJsonError::Missing(field))?;
    match u32::try_from(value) {
        Ok(small) if (1..=most).contains(&value) => Ok(small),
        _ => Err(ConfigJsonError::OutOfRange { field, value, most }),
    }
}

fn width(field: &'static str, value: Option<u64>) -> Result<Option<u32>, ConfigJsonError> {
    value.map(|width| count(field, Some(width), MOST)).transpose()
}

fn optional(field: &'static str, value: Option<u64>) -> Result<u32, ConfigJsonError> {
    value.filter(|&value| value > 0).map_or(Ok(0), |value| count(field, Some(value), MOST))
}

/// Parameters of one layer's attention; `None` if a width of latent attention is not known.
fn of_attention(model: &Model) -> Option<u64> {
    let wide = |value: u32| u64::from(value);
    let (hidden, heads) = (wide(model.hidden_size), wide(model.num_attention_heads));
    if model.attention != AttentionKind::Mla {
        return Some(2 * hidden * (heads + wide(model.num_key_value_heads)) * wide(model.head_dim));
    }
    let (rank, rope) = (wide(model.kv_lora_rank?), wide(model.qk_rope_head_dim?));
    let (nope, value) = (wide(model.qk_nope_head_dim?), wide(model.v_head_dim?));
    // DeepSeek-V2 (arXiv 2405.04434, section 2.1): queries may be compressed too.
    let queries = match model.q_lora_rank.map(wide) {
        Some(of_queries) => of_queries * (hidden + heads * (nope + rope)),
        None => hidden * heads * (nope + rope),
    };
    Some(queries + hidden * (rank + rope) + rank * heads * (nope + value) + heads * value * hidden)
}

/// All parameters, and those that one token uses.
fn parameters(model: &Model) -> (Option<u64>, Option<u64>) {
    let Some(attention) = of_attention(model) else { return (None, None) };
    let wide = |value: u32| u64::from(value);
    let (layers, hidden) = (wide(model.num_hidden_layers), wide(model.hidden_size));
    let dense_layers = if model.num_experts == 0 { layers } else { wide(model.num_dense_layers) };
    let dense = dense_layers * 3 * hidden * wide(model.intermediate_size);
    let expert = 3 * hidden * wide(model.moe_intermediate_size);
    let router = hidden * wide(model.num_experts);
    let embeddings = if model.tie_word_embeddings { 1 } else { 2 } * hidden * wide(model.vocab_size);
    let with = |experts: u32| {
        let sparse = router + expert * wide(experts + model.num_shared_experts);
        layers * attention + dense + (layers - dense_layers) * sparse + embeddings
    };
    (Some(with(model.num_experts)), Some(with(model.num_experts_per_tok)))
}

#[cfg(test)]
#[path = "config_json_tests.rs"]
mod tests;
