//! The capacity model against what vLLM reported, row by row, and its errors.

use super::*;
use crate::catalog::{gpu, model};

/// Error of `num_gpu_blocks` that a row may have, relative to the measured value.
const TOLERANCE: f64 = 0.03;

struct Row {
    gpu: &'static str,
    model: &'static str,
    vllm: &'static str,
    tensor_parallel_size: u32,
    gpu_memory_utilization: f64,
    max_num_seqs: u64,
    max_num_batched_tokens: u64,
    num_gpu_blocks: u64,
}

type Figures = (&'static str, &'static str, &'static str, u32, f64, u64, u64, u64);

fn row(figures: &Figures) -> Row {
    let &(
        gpu,
        model,
        vllm,
        tensor_parallel_size,
        gpu_memory_utilization,
        max_num_seqs,
        max_num_batched_tokens,
        num_gpu_blocks,
    ) = figures;
    Row {
        gpu,
        model,
        vllm,
        tensor_parallel_size,
        gpu_memory_utilization,
        max_num_seqs,
        max_num_batched_tokens,
        num_gpu_blocks,
    }
}

/// GPU, model, vLLM version, `tensor_parallel_size`, `gpu_memory_utilization`, `max_num_seqs`,
/// `max_num_batched_tokens`, measured `num_gpu_blocks`; blocks of 16 tokens, 16-bit weights and KV cache.
/// Sources: EE384S (A10G), inference-sim (H100), `LLMServingSim` (RTX 4090, weights of Llama-3.1-8B).
#[rustfmt::skip]
const MET: [Figures; 22] = [
    ("A10G", "Qwen2.5-1.5B-Instruct", "0.22.0", 1, 0.5, 64, 2_048, 17_769),
    ("A10G", "Qwen2.5-1.5B-Instruct", "0.22.0", 1, 0.7, 64, 2_048, 28_095),
    ("A10G", "Qwen2.5-1.5B-Instruct", "0.22.0", 1, 0.9, 64, 2_048, 38_421),
    ("A10G", "Qwen2.5-1.5B-Instruct", "0.22.0", 1, 0.5, 128, 2_048, 17_166),
    ("A10G", "Qwen2.5-1.5B-Instruct", "0.22.0", 1, 0.7, 128, 2_048, 27_491),
    ("A10G", "Qwen2.5-1.5B-Instruct", "0.22.0", 1, 0.9, 128, 2_048, 37_817),
    ("H100", "Yi-34B", "0.15.1", 2, 0.9, 128, 2_048, 20_793),
    ("H100", "Qwen2.5-7B-Instruct", "0.15.1", 1, 0.9, 128, 2_048, 65_352),
    ("H100", "Qwen2.5-7B-Instruct", "0.15.1", 1, 0.9, 128, 1_024, 65_368),
    ("H100", "CodeLlama-34b-Instruct-hf", "0.11.0", 1, 0.9, 32, 64, 2_790),
    ("H100", "CodeLlama-34b-Instruct-hf", "0.11.0", 1, 0.9, 256, 4_096, 2_537),
    ("H100", "CodeLlama-34b-Instruct-hf", "0.15.1", 2, 0.9, 128, 2_048, 26_602),
    ("H100", "Llama-2-70b-hf", "0.15.1", 4, 0.9, 128, 2_048, 31_356),
    ("H100", "Llama-2-7b-hf", "0.15.1", 1, 0.9, 128, 2_048, 7_462),
    ("H100", "Llama-2-7b-hf", "0.15.1", 1, 0.9, 128, 2_048, 7_463),
    ("H100", "Llama-2-7b-hf", "0.11.0", 1, 0.9, 256, 4_096, 7_438),
    ("H100", "Llama-3.1-70B-Instruct", "0.15.1", 4, 0.9, 128, 8_192, 30_251),
    ("H100", "Llama-3.1-70B-Instruct", "0.15.1", 4, 0.9, 128, 2_048, 30_425),
    ("H100", "Mistral-Nemo-Instruct-2407", "0.15.1", 1, 0.9, 128, 2_048, 19_251),
    ("H100", "Mistral-Nemo-Instruct-2407", "0.15.1", 2, 0.9, 128, 1_024, 48_009),
    ("H100", "Mixtral-8x7B-v0.1", "0.15.1", 2, 0.9, 128, 2_048, 27_510),
    ("RTX4090", "Llama-3.1-8B-Instruct", "0.19.0", 1, 0.9, 256, 2_048, 2_588),
];

/// Rows that the model does not meet, with the least and the largest error that it is known to have, and why.
#[rustfmt::skip]
const NOT_MET: [(Figures, f64, f64, &str); 5] = [
    (("A10G", "Qwen2.5-1.5B-Instruct", "0.22.0", 1, 0.3, 64, 2_048, 6_822), 0.08, 0.11,
     "overhead is 285 MB above that of the same server at 0.5, 0.7 and 0.9, which agree to one block: \
      a property of that start (a first, cold one?), not of the settings"),
    (("A10G", "Qwen2.5-1.5B-Instruct", "0.22.0", 1, 0.3, 128, 2_048, 6_521), 0.04, 0.07,
     "likewise, by 146 MB"),
    (("H100", "Qwen3-14B", "0.23.0", 1, 0.9, 256, 8_192, 18_038), -0.05, -0.03,
     "weights and KV cache alone exceed 0.9 of the memory: the run used vLLM's later default of 0.92, \
      at which the model meets it"),
    (("H100", "Llama-4-Scout-17B-16E-Instruct-FP8-dynamic", "0.15.1", 2, 0.9, 128, 2_048, 8_253), 0.5, 0.7,
     "fp8 weights beside 16-bit ones, and a vision encoder: 8 GB per GPU that are not modelled"),
    (("H100", "Llama-4-Scout-17B-16E-Instruct-FP8-dynamic", "0.15.1", 2, 0.9, 128, 2_048, 8_253), 0.5, 0.7,
     "likewise, with an offload to CPU memory"),
];

fn config(row: &Row) -> KvMemoryConfig<'static> {
    KvMemoryConfig {
        gpu: gpu(row.gpu).expect("in the catalog"),
        model: model(row.model).expect("in the catalog"),
        tensor_parallel_size: row.tensor_parallel_size,
        gpu_memory_utilization: row.gpu_memory_utilization,
        max_num_seqs: row.max_num_seqs,
        max_num_batched_tokens: row.max_num_batched_tokens,
        block_size: 16,
        kv_dtype_bytes: 2,
        sampler: SamplerKind::of_vllm(row.vllm),
    }
}

fn relative_error(row: &Row) -> f64 {
    let predicted = kv_memory(&config(row)).expect("fits").num_gpu_blocks;
    println!(
        "{:8} {:44} {:7} tp{} {:4} {:4} {:5}  measured {:6}  predicted {:6}  {:+.2} %",
        row.gpu,
        row.model,
        row.vllm,
        row.tensor_parallel_size,
        row.gpu_memory_utilization,
        row.max_num_seqs,
        row.max_num_batched_tokens,
        row.num_gpu_blocks,
        predicted,
        100.0 * (predicted as f64 / row.num_gpu_blocks as f64 - 1.0),
    );
    predicted as f64 / row.num_gpu_blocks as f64 - 1.0
}

fn a10g() -> KvMemoryConfig<'static> {
    config(&row(&MET[2]))
}

#[test]
fn blocks_agree_with_vllm_within_3_percent() {
    for figures in &MET {
        let row = row(figures);
        let error = relative_error(&row);
        assert!(error.abs() <= TOLERANCE, "{} on {}: {error}", row.model, row.gpu);
    }
}

#[test]
fn rows_that_are_not_met_fail_as_documented() {
    for (figures, least, most, reason) in &NOT_MET {
        let error = relative_error(&row(figures));
        assert!(
            (*least..=*most).contains(&error),
            "error {error} has changed; the documented reason: {reason}"
        );
        assert!(error.abs() > TOLERANCE, "now met: move the row, whose documented reason was: {reason}");
    }
}

#[test]
fn qwen3_14b_is_met_at_the_later_default_utilization() {
    let mut row = row(&NOT_MET[2].0);
    row.gpu_memory_utilization = 0.92;
    assert!(relative_error(&row).abs() < 0.01);
}

#[test]
fn the_memory_adds_up() {
    let config = a10g();
    let memory = kv_memory(&config).expect("fits");
    assert_eq!(memory.requested_bytes, memory.weight_bytes + memory.overhead_bytes + memory.kv_bytes);
    assert_eq!(memory.block_bytes, 16 * 28_672);
    assert_eq!(memory.num_gpu_blocks, memory.kv_bytes / memory.block_bytes);
    assert_eq!(memory.overhead_bytes, overhead(&config).total_bytes());
}

#[test]
fn more_sequences_and_more_tokens_leave_fewer_blocks() {
    let blocks = |config: &KvMemoryConfig<'_>| kv_memory(config).expect("fits").num_gpu_blocks;
    let base = a10g();
    assert!(blocks(&KvMemoryConfig { max_num_seqs: 256, ..base }) < blocks(&base));
    assert!(blocks(&KvMemoryConfig { max_num_batched_tokens: 16_384, ..base }) < blocks(&base));
    assert!(blocks(&KvMemoryConfig { kv_dtype_bytes: 1, ..base }) > blocks(&base));
}

#[test]
fn weights_that_do_not_fit_name_the_remedy() {
    let config = KvMemoryConfig { model: model("Llama-3.1-70B-Instruct").expect("known"), ..a10g() };
    let message = kv_memory(&config).expect_err("141 GB on an A10G").to_string();
    assert_eq!(
        message,
        "the weights of \"meta-llama/Llama-3.1-70B-Instruct\" take 141.1 GB on each of 1 A10G, but \
         gpu_memory_utilization allows 21.3 GB: set tensor_parallel_size = 8, or choose a GPU with more memory"
    );
}

#[test]
fn weights_that_fill_the_gpu_leave_no_block() {
    let config = KvMemoryConfig { gpu_memory_utilization: 0.15, ..a10g() };
    let error = kv_memory(&config).expect_err("3.6 GB for weights of 3.1 GB");
    assert!(matches!(error, CapacityError::NoKvBlocks { .. }), "{error}");
}

#[test]
fn values_out_of_range_are_errors() {
    for share in [0.0, -0.5, 1.01, f64::NAN] {
        let config = KvMemoryConfig { gpu_memory_utilization: share, ..a10g() };
        assert!(matches!(kv_memory(&config), Err(CapacityError::Utilization(_))));
    }
    let config = KvMemoryConfig { block_size: 0, ..a10g() };
    assert_eq!(kv_memory(&config), Err(CapacityError::ZeroLimit("block_size")));
    let config = KvMemoryConfig { tensor_parallel_size: 8, ..a10g() };
    assert!(matches!(kv_memory(&config), Err(CapacityError::Catalog(CatalogError::TensorParallel { .. }))));
    let mut unknown = model("Kimi-K2.5").expect("known").clone();
    unknown.total_params = None;
    let config = KvMemoryConfig { model: &unknown, ..a10g() };
    assert!(matches!(kv_memory(&config), Err(CapacityError::Catalog(CatalogError::NotDerivable { .. }))));
}

#[test]
fn the_sampler_follows_the_version() {
    assert_eq!(SamplerKind::of_vllm("0.11.0"), SamplerKind::SortedLogits);
    assert_eq!(SamplerKind::of_vllm("v0.15.1"), SamplerKind::SortedLogits);
    assert_eq!(SamplerKind::of_vllm("0.22.0"), SamplerKind::Unsorted);
    assert_eq!(SamplerKind::of_vllm("1.0"), SamplerKind::Unsorted);
    assert_eq!(SamplerKind::of_vllm("nightly"), SamplerKind::Unsorted);
}
