//! `kendall catalog`

use std::fmt::Write as _;
use std::process::ExitCode;

use comfy_table::{Table, presets};
use kendall_serving::EngineVersion;
use kendall_serving::catalog::{Origin, gpus, models, profiles};
use serde_json::json;

use crate::args::{CatalogArgs, CatalogPart};
use crate::exit::{Failure, print};

pub(crate) fn catalog(args: &CatalogArgs) -> Result<ExitCode, Failure> {
    let shown = |part| args.what.is_none_or(|what| what == part);
    if args.json {
        let mut json = serde_json::Map::new();
        for (part, key, value) in [
            (CatalogPart::Gpus, "gpus", json!(gpus())),
            (CatalogPart::Models, "models", json!(models())),
            (CatalogPart::Profiles, "profiles", json!(profiles())),
            (
                CatalogPart::Engines,
                "engines",
                json!([{ "engine": "vllm-v1", "default_version": EngineVersion::default().to_string() }]),
            ),
        ] {
            if shown(part) {
                json.insert(key.into(), value);
            }
        }
        print(&format!("{:#}\n", serde_json::Value::Object(json)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for (part, title, table) in [
        (CatalogPart::Gpus, "GPUs", gpu_table()),
        (CatalogPart::Models, "Models", model_table()),
        (
            CatalogPart::Profiles,
            "Step-time profiles (every other GPU and model runs on a datasheet estimate)",
            profile_table(),
        ),
        (CatalogPart::Engines, "Engines", engine_table()),
    ] {
        if shown(part) {
            let _ = writeln!(text, "{title}\n{}\n", table.trim_fmt());
        }
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(header);
    table
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

fn gpu_table() -> Table {
    let mut table =
        table(&["name", "memory GB", "GB/s", "bf16 TFLOPS", "fp8 TFLOPS", "W", "USD/h", "source"]);
    for gpu in gpus() {
        table.add_row([
            gpu.name.clone(),
            gpu.memory_gb.to_string(),
            gpu.memory_bandwidth_gb_per_s.to_string(),
            gpu.bf16_dense_tflops.to_string(),
            or_dash(gpu.fp8_dense_tflops),
            gpu.tdp_w.to_string(),
            or_dash(gpu.price_usd_per_hour),
            gpu.source.clone(),
        ]);
    }
    table
}

fn model_table() -> Table {
    let mut table =
        table(&["name", "params B", "layers", "hidden", "heads", "KV heads", "KV bytes/token", "max tokens"]);
    for model in models() {
        table.add_row([
            model.name.clone(),
            model.total_params.map_or_else(|| "-".into(), |params| format!("{:.2}", params as f64 / 1e9)),
            model.num_hidden_layers.to_string(),
            model.hidden_size.to_string(),
            model.num_attention_heads.to_string(),
            model.num_key_value_heads.to_string(),
            model.kv_bytes_per_token(2).map_or_else(|_| "-".into(), |bytes| bytes.to_string()),
            model.max_position_embeddings.to_string(),
        ]);
    }
    table
}

fn profile_table() -> Table {
    let mut table = table(&["name", "GPU", "model", "engine", "fitted on"]);
    for profile in profiles() {
        let Origin::Calibrated { fitted_on, .. } = &profile.origin;
        table.add_row([&profile.name, &profile.gpu, &profile.model, &profile.engine_version, fitted_on]);
    }
    table
}

fn engine_table() -> Table {
    let mut table = table(&["name", "versions", "default"]);
    table.add_row(["vllm-v1", "0.19 to 0.33", &EngineVersion::default().to_string()]);
    table
}
