use super::*;
use crate::catalog::model;

fn read(text: &str) -> Model {
    Model::from_config_json(text, "given").expect("a model")
}

fn error(text: &str) -> String {
    Model::from_config_json(text, "given").expect_err("no model").to_string()
}

const LLAMA: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    "max_position_embeddings": 131072, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    "rope_scaling": {"factor": 8.0}, "pretraining_tp": 1
}"#;

const MIXTRAL: &str = r#"{
    "model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 32000, "max_position_embeddings": 32768,
    "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": null, "tie_word_embeddings": false,
    "torch_dtype": "bfloat16"
}"#;

/// The same figures as the catalogue, which has them from elsewhere.
#[test]
fn a_config_gives_the_models_of_the_catalogue() {
    for (text, name) in [(LLAMA, "Llama-3.1-8B-Instruct"), (MIXTRAL, "Mixtral-8x7B-v0.1")] {
        let (given, known) = (read(text), model(name).expect("in the catalogue"));
        let shape = |model: &Model| {
            (
                (model.num_hidden_layers, model.hidden_size, model.head_dim, model.num_key_value_heads),
                (model.num_experts, model.num_experts_per_tok, model.moe_intermediate_size),
                (model.attention, model.weight_precision, model.vocab_size, model.max_position_embeddings),
            )
        };
        assert_eq!(shape(&given), shape(known), "{name}");
        for (derived, stated) in
            [(given.total_params, known.total_params), (given.active_params, known.active_params)]
        {
            let (derived, stated) = (derived.expect("derived"), stated.expect("stated"));
            assert!(derived.abs_diff(stated) < stated / 500, "{name}: {derived} and {stated}");
        }
    }
}

#[test]
fn quantised_weights_are_told_apart() {
    let with =
        |quantization: &str| LLAMA.replacen('{', &format!("{{\"quantization_config\": {quantization}, "), 1);
    for (quantization, precision) in [
        (r#"{"quant_method": "fp8", "weight_block_size": [128, 128]}"#, WeightPrecision::Fp8Block),
        (
            r#"{"quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}}}"#,
            WeightPrecision::Fp8,
        ),
        (r#"{"quant_method": "mxfp4"}"#, WeightPrecision::Mxfp4),
        (r#"{"quant_method": "awq", "bits": 4}"#, WeightPrecision::Int4),
        (
            r#"{"quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int"}}}}"#,
            WeightPrecision::Int4,
        ),
        ("null", WeightPrecision::Bf16),
    ] {
        assert_eq!(read(&with(quantization)).weight_precision, precision, "{quantization}");
    }
    assert_eq!(
        error(&with(r#"{"quant_method": "gptq", "bits": 8}"#)),
        "weights quantised by `gptq`: name another model, or give `num_gpu_blocks` and linear `step_time` coefficients"
    );
}

#[test]
fn local_layers_are_counted_and_text_models_found_inside() {
    let inner = LLAMA.replacen(
        '{',
        r#"{"sliding_window": 128, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "#,
        1,
    );
    let model =
        read(&format!(r#"{{"model_type": "any", "torch_dtype": "float16", "text_config": {inner}}}"#));
    assert_eq!((model.sliding_window, model.num_sliding_window_layers()), (Some(128), 2));
    let unused = LLAMA.replacen('{', r#"{"sliding_window": 128, "use_sliding_window": false, "#, 1);
    assert_eq!(read(&unused).num_sliding_window_layers(), 0);
}

#[test]
fn what_is_missing_or_absurd_is_said() {
    assert!(error("[1]").starts_with("it is not a Hugging Face config.json: "));
    assert_eq!(error("{}"), "the field `num_hidden_layers` is missing: give the model's own config.json");
    assert_eq!(
        error(&LLAMA.replace("4096", "0")),
        "the field `hidden_size` is 0: it must lie between 1 and 1048576"
    );
    assert_eq!(
        error(&LLAMA.replace("\"num_hidden_layers\": 32", "\"num_hidden_layers\": 99999999999")),
        "the field `num_hidden_layers` is 99999999999: it must lie between 1 and 4096"
    );
    let more_heads_than_width = LLAMA.replace("\"num_attention_heads\": 32", "\"num_attention_heads\": 5000");
    assert!(error(&more_heads_than_width).contains("`head_dim` is 0"));
}
