//! A model that the catalogue does not have, from its `config.json`.

use serde_json::Value;

use crate::program::Bench;

const CONFIG: &str = r#"{
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16"
}"#;

const SCENARIO: &str = "[workload]\nrequests = 200\narrivals = { process = \"poisson\", rate_per_s = 4.0 }\n\
     prompt_tokens = { dist = \"constant\", tokens = 500 }\noutput_tokens = { dist = \"constant\", tokens = 100 }\n\
     [server]\ngpu = \"H100\"\n";

fn summary(bench: &Bench, server: &str) -> Value {
    bench.write("mine.toml", format!("{SCENARIO}{server}\n"));
    let outcome = bench.kendall(&["run", "mine.toml", "--json"]);
    outcome.succeeds();
    serde_json::from_str(&outcome.stdout).expect("JSON")
}

/// The same architecture by name and by file: the same run, but for the parameters, which the catalogue rounds.
#[test]
fn a_config_json_stands_for_a_model_of_the_catalogue() {
    let bench = Bench::new();
    bench.write("config.json", CONFIG);
    let named = summary(&bench, "model = \"meta-llama/Llama-3.1-8B-Instruct\"");
    let given = summary(&bench, "model_config = \"config.json\"");
    for figure in ["mean_ttft_ms", "mean_tpot_ms", "mean_e2el_ms"] {
        assert_eq!(named[figure], given[figure], "{figure}");
    }
    assert_eq!(given["estimate"], true);
    assert!(given["mean_tpot_ms"].as_f64().expect("a figure") > 4.8, "16 GB of weights at 3.35 TB/s");
    let blocks = |summary: &Value| {
        let memory = &summary["kv_cache"]["memory"]["num_gpu_blocks"];
        memory.as_f64().unwrap_or_else(|| panic!("{memory} blocks"))
    };
    assert!((blocks(&named) / blocks(&given) - 1.0).abs() < 0.01);
}

#[test]
fn an_fp8_cache_holds_twice_the_blocks_and_is_read_faster() {
    let bench = Bench::new();
    let model = "model = \"meta-llama/Llama-3.1-8B-Instruct\"\n";
    let (sixteen, eight) =
        (summary(&bench, model), summary(&bench, &format!("{model}kv_cache_dtype = \"fp8\"")));
    let blocks = |summary: &Value| summary["kv_cache"]["memory"]["num_gpu_blocks"].as_u64().expect("blocks");
    assert_eq!(blocks(&sixteen), blocks(&eight) / 2);
    let tpot = |summary: &Value| summary["mean_tpot_ms"].as_f64().expect("a figure");
    assert!(tpot(&eight) < tpot(&sixteen));
}

#[test]
fn a_config_that_is_missing_or_wrong_is_shown_in_the_scenario() {
    let bench = Bench::new();
    bench.write("broken.json", "{\"hidden_size\": 4096}");
    for (file, message) in [
        ("absent.json", "cannot read this config.json"),
        ("broken.json", "the field `num_hidden_layers` is missing"),
    ] {
        bench.write("mine.toml", format!("{SCENARIO}model_config = \"{file}\"\n"));
        let outcome = bench.kendall(&["run", "mine.toml"]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains(message) && outcome.stderr.contains("server.model_config"),
            "{}",
            outcome.stderr
        );
    }
}
