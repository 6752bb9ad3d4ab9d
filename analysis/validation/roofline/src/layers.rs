//! Layers of vLLM on an RTX 4090, as `LLMServingSim`'s profiler measured them: products and attention of Llama-3.1-8B.

use std::path::Path;

use anyhow::Result;
use kendall_serving::step_time::roofline::WeightFormat;

use crate::kernels::{Case, Family, decode, is_launch, kv_bytes, prefill};
use crate::tables::{Table, read};

const FILES: &str = "step_times/llmservingsim/RTX4090__meta-llama__Llama-3.1-8B__bf16__tp1";

/// Products of Llama-3.1-8B: layer, columns and rows of its weights.
const PRODUCTS: [(&str, f64, f64); 4] = [
    ("qkv_proj", 6_144.0, 4_096.0),
    ("o_proj", 4_096.0, 4_096.0),
    ("gate_up_proj", 28_672.0, 4_096.0),
    ("down_proj", 4_096.0, 14_336.0),
];
const LM_HEAD: [(&str, f64, f64); 1] = [("lm_head", 128_256.0, 4_096.0)];
/// NVIDIA's Ada whitepaper.
const L2_BYTES: f64 = 72e6;
const HEADS: f64 = 32.0;
const KV_HEADS: f64 = 8.0;

fn products(table: &Table, rows_column: &str, products: &[(&str, f64, f64)]) -> Vec<Case> {
    let case = |row: usize| {
        let layer = table.text(row, "layer");
        let &(_, n, k) = products.iter().find(|(name, ..)| *name == layer)?;
        Some((vec![table.number(row, rows_column), n, k], table.number(row, "time_us") * 1e-6))
    };
    (0..table.len()).filter_map(case).collect()
}

/// The families of kernels; attention of decoding sequences as far as the L2 cache does not hold it.
pub(crate) fn rtx4090(measured: &Path) -> Result<Vec<Family>> {
    let file = |kind: &str| read(&measured.join(format!("{FILES}__{kind}.csv")));
    let mut gemm = products(&file("dense")?, "tokens", &PRODUCTS);
    gemm.extend(products(&file("per_sequence")?, "sequences", &LM_HEAD));
    let attention = file("attention")?;
    let number = |row: usize, column| attention.number(row, column);
    let seconds = |row: usize| number(row, "time_us") * 1e-6;
    let fresh = |row: usize| number(row, "kv_prefill") == 0.0;
    let of = |sequences: f64, tokens: f64| vec![sequences, tokens, HEADS, KV_HEADS];
    let decodes = |row: &usize| number(*row, "prefill_chunk") == 0.0 && fresh(*row);
    let decode_cases = (0..attention.len())
        .filter(decodes)
        .map(|row| (of(number(row, "n_decode"), number(row, "kv_decode")), seconds(row)))
        .filter(|(shape, _)| kv_bytes(shape) > 1.5 * L2_BYTES || is_launch(shape));
    let prefill_cases = (0..attention.len())
        .filter(|&row| number(row, "n_decode") == 0.0 && number(row, "prefill_chunk") > 0.0 && fresh(row))
        .map(|row| (of(1.0, number(row, "prefill_chunk")), seconds(row)));
    Ok(vec![
        Family {
            name: "GEMM 16 bit",
            cases: gemm,
            predict: |device, s| device.gemm(s[0], s[1], s[2], WeightFormat::SIXTEEN_BITS),
        },
        Family { name: "decode attention", cases: decode_cases.collect(), predict: decode },
        Family { name: "prefill attention", cases: prefill_cases.collect(), predict: prefill },
    ])
}
