//! Attention of decoding sequences beside a prompt, as `LLMServingSim`'s profiler measured it in vLLM: what such a launch takes
//! beyond the same prompt's alone.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use kendall_serving::step_time::roofline::{Device, Kernels, Unpacked};

use crate::kernels::{Family, HEAD_DIM};
use crate::tables::read;

/// Files with one table each: query heads and heads of keys and values on the GPU.
type Models = &'static [(&'static str, f64, f64)];

const RTX4090: Models = &[("RTX4090__meta-llama__Llama-3.1-8B__bf16__tp1", 32.0, 8.0)];
const RTX_PRO_6000: Models = &[
    ("RTXPRO6000__meta-llama__Llama-3.1-8B__bf16__tp1", 32.0, 8.0),
    ("RTXPRO6000__Qwen__Qwen3-32B__bf16__tp1", 64.0, 8.0),
    ("RTXPRO6000__Qwen__Qwen3-32B__bf16__tp2", 32.0, 4.0),
    ("RTXPRO6000__Qwen__Qwen3-30B-A3B-Instruct-2507__bf16__tp1", 32.0, 4.0),
];

/// Where the decoding sequences are less than this share of the launch, the difference is mostly the prompt's noise.
const LEAST_SHARE: f64 = 0.1;

/// Contexts that servers see; shorter ones are all launch.
const LEAST_CONTEXT: f64 = 256.0;

/// Guesses before a fit: the kernel's tiles.
const FIRST_GUESS: Unpacked = Unpacked { tile_rows: 64.0, idle_tile_ps: 30.0 };

/// The family of a GPU, if it was measured.
pub(crate) fn family(measured: &Path, gpu: &str) -> Result<Option<Family>> {
    let models = match gpu {
        "RTX4090-24GB" => RTX4090,
        "RTX PRO 6000" => RTX_PRO_6000,
        _ => return Ok(None),
    };
    let mut cases = Vec::new();
    for &(file, heads, kv_heads) in models {
        let table = read(&measured.join(format!("step_times/llmservingsim/{file}__attention.csv")))?;
        let columns = ["prefill_chunk", "kv_prefill", "n_decode", "kv_decode"];
        let shape = |row: usize| columns.map(|column| table.number(row, column));
        let seconds = |row: usize| table.number(row, "time_us") * 1e-6;
        let alone: BTreeMap<[u64; 2], f64> = (0..table.len())
            .filter(|&row| shape(row)[2] == 0.0)
            .map(|row| ([shape(row)[0] as u64, shape(row)[1] as u64], seconds(row)))
            .collect();
        cases.extend((0..table.len()).filter_map(|row| {
            let [chunk, before, sequences, context] = shape(row);
            let beyond = seconds(row) - alone.get(&[chunk as u64, before as u64])?;
            let told = sequences > 0.0 && context >= LEAST_CONTEXT && beyond > LEAST_SHARE * seconds(row);
            told.then(|| (vec![chunk, sequences, context, heads, kv_heads], beyond))
        }));
    }
    Ok(Some(Family { name: "decode attention beside a prompt", cases, predict }))
}

fn predict(device: &Device<'_>, shape: &[f64]) -> f64 {
    let [chunk, sequences, context, heads, kv_heads] = shape else { return f64::NAN };
    let bytes = kv_heads * 2.0 * HEAD_DIM * 2.0;
    sequences
        * (device.attention_row(*kv_heads)
            + context * device.attention_beside_prompts(*heads, HEAD_DIM, bytes)
            + device.idle_tile(*heads) * chunk)
}

/// Between two GPUs that were measured, for those that run the same kernel and were not.
pub(crate) fn between(one: Option<Unpacked>, other: Option<Unpacked>) -> Option<Unpacked> {
    let mean = |a: f64, b: f64| libm::sqrt(a * b);
    one.zip(other).map(|(one, other)| Unpacked {
        tile_rows: mean(one.tile_rows, other.tile_rows),
        idle_tile_ps: mean(one.idle_tile_ps, other.idle_tile_ps),
    })
}

/// The parameters that the family decides.
pub(crate) fn slots(kernels: &mut Kernels) -> Vec<&mut f64> {
    let Unpacked { tile_rows, idle_tile_ps } = kernels.attention.unpacked.get_or_insert(FIRST_GUESS);
    vec![tile_rows, idle_tile_ps]
}
