//! Kernel tables: fits the efficiencies of each generation, and says how well they meet the tables.

use std::path::Path;

use anyhow::{Context, Result};
use kendall_serving::catalog::{Gpu, gpu};
use kendall_serving::step_time::roofline::{
    AllReduce, Attention, Corner, Device, Efficiencies, Experts, Kernels, WeightFormat,
};

use crate::numbers::{median, nelder_mead, robust};
use crate::tables::{Table, read};
use crate::{layers, mixed};

/// A GPU whose kernels were measured: name of its files, name in the catalogue, L2 cache (NVIDIA's architecture papers).
struct Measured {
    files: &'static str,
    gpu: &'static str,
    l2_bytes: f64,
}

/// In the order of `efficiencies.toml`; H200 is predicted with the efficiencies of the H100.
const MEASURED: [Measured; 5] = [
    Measured { files: "h100_sxm_vllm0.24.0", gpu: "H100", l2_bytes: 50e6 },
    Measured { files: "a100_sxm_vllm0.14.0", gpu: "A100-80GB-SXM", l2_bytes: 40e6 },
    Measured { files: "l40s_vllm0.24.0", gpu: "L40S", l2_bytes: 96e6 },
    Measured { files: "rtx_pro_6000_server_vllm0.24.0", gpu: "RTX PRO 6000", l2_bytes: 128e6 },
    Measured { files: "h200_sxm_vllm0.24.0", gpu: "H200", l2_bytes: 50e6 },
];

/// The first so many of them are fitted.
const GENERATIONS: usize = 4;

/// Smallest side of a product that a model contains; smaller ones are left out.
const LEAST_SIDE: f64 = 512.0;

pub(crate) const HEAD_DIM: f64 = 128.0;

/// The shape and the measured seconds of a kernel.
pub(crate) type Case = (Vec<f64>, f64);

/// Which kernels a fit is about: their cases and how a device predicts them.
pub(crate) struct Family {
    pub name: &'static str,
    pub cases: Vec<Case>,
    pub predict: fn(&Device<'_>, &[f64]) -> f64,
}

/// A GPU whose peak is that of a datasheet of its own: consumer cards run at clocks that servers do not.
const RTX4090: &str = "RTX4090-24GB";

/// GPUs that run the same attention kernel as the RTX 4090 and the RTX PRO 6000.
const UNPACKED: [&str; 2] = ["A100", "L40S"];

/// Fits the kernels of the RTX 4090 to the layers that `LLMServingSim`'s profiler measured in vLLM, from those of the L40S on.
fn fit_rtx4090(measured: &Path, efficiencies: &mut Efficiencies) -> Result<()> {
    let gpu = gpu(RTX4090)?;
    let mut kernels = Kernels { measured_on: RTX4090.to_owned(), ..efficiencies.kernels_of(gpu).clone() };
    for family in layers::rtx4090(measured)? {
        fit_family(gpu, &mut kernels, &family);
    }
    fit_unpacked(measured, RTX4090, gpu, &mut kernels)?;
    // Its fp8 products and experts were not measured.
    kernels.gemm8.compute = kernels.gemm16.compute;
    (kernels.moe16, kernels.moe8) = (kernels.gemm16, kernels.gemm16);
    (kernels.moe8_block, kernels.moe4) = (kernels.gemm16, kernels.gemm16);
    efficiencies.kernels.retain(|known| known.measured_on != RTX4090);
    efficiencies.kernels.push(kernels);
    Ok(())
}

/// Fits what decoding sequences cost beside prompts, where that was measured.
fn fit_unpacked(measured: &Path, name: &str, gpu: &Gpu, kernels: &mut Kernels) -> Result<()> {
    if let Some(family) = mixed::family(measured, name)? {
        fit_family(gpu, kernels, &family);
    }
    Ok(())
}

/// Fits the kernels of the four generations, in place, and those of the RTX 4090.
pub(crate) fn fit(measured: &Path, efficiencies: &mut Efficiencies) -> Result<()> {
    for (index, of) in MEASURED.iter().take(GENERATIONS).enumerate() {
        let gpu = gpu(of.gpu)?;
        let families = families(measured, of)?;
        let kernels = &mut efficiencies.kernels[index];
        for family in families.iter().filter(|family| !family.name.contains("not fitted")) {
            fit_family(gpu, kernels, family);
        }
        fit_unpacked(measured, of.gpu, gpu, kernels)?;
        // Without a table: fp8 as in 16 bits, experts as the products of their precision.
        let has = |name: &str| families.iter().any(|family| family.name == name);
        if !has("GEMM fp8") {
            kernels.gemm8 = kernels.gemm16;
        }
        if !has("MoE 16 bit") {
            kernels.moe16 = kernels.gemm16;
        }
        // The fp8 table is of an untuned kernel, three times as slow as 16 bits: servers with fp8 experts are not, except in
        // what they compute where scales are by the block.
        kernels.moe8 = kernels.moe16;
        kernels.moe8_block = kernels.moe16;
        // No table has 4-bit experts: servers do.
        kernels.moe4 = kernels.moe16;
    }
    fit_rtx4090(measured, efficiencies)?;
    let unpacked = |name| Ok::<_, anyhow::Error>(efficiencies.kernels_of(gpu(name)?).attention.unpacked);
    let unpacked = mixed::between(unpacked(RTX4090)?, unpacked("RTX PRO 6000")?);
    for kernels in efficiencies.kernels.iter_mut().filter(|of| UNPACKED.contains(&of.measured_on.as_str())) {
        kernels.attention.unpacked = unpacked;
    }
    for (all_reduce, files) in [
        (
            &mut efficiencies.nvlink,
            &[("H100", "h100_sxm_vllm0.24.0"), ("A100-80GB-SXM", "a100_sxm_vllm0.14.0")][..],
        ),
        (&mut efficiencies.pcie, &[("L40S", "l40s_vllm0.22.0")][..]),
    ] {
        *all_reduce = fit_all_reduce(measured, files, &efficiencies.kernels[0])?;
    }
    Ok(())
}

/// Prints the errors of every kernel table.
pub(crate) fn report(measured: &Path, efficiencies: &Efficiencies) -> Result<()> {
    println!("kernels: predicted against measured, absolute error\n");
    println!("| GPU | kernels | cases | median | mean |\n|---|---|---|---|---|");
    for of in &MEASURED {
        let gpu = gpu(of.gpu)?;
        let device = Device::new(gpu, efficiencies.kernels_of(gpu), efficiencies.all_reduce_of(gpu), 1);
        let beside = mixed::family(measured, of.gpu)?;
        for family in families(measured, of)?.iter().chain(&[in_cache(measured, of)?]).chain(&beside) {
            print_errors(&gpu.name, family.name, &errors(family, &device));
        }
    }
    let of = gpu(RTX4090)?;
    let device = Device::new(of, efficiencies.kernels_of(of), efficiencies.all_reduce_of(of), 1);
    for family in layers::rtx4090(measured)?.iter().chain(&mixed::family(measured, RTX4090)?) {
        print_errors(&of.name, family.name, &errors(family, &device));
    }
    for (gpu_name, files) in [
        ("H100", "h100_sxm_vllm0.24.0"),
        ("A100-80GB-SXM", "a100_sxm_vllm0.14.0"),
        ("L40S", "l40s_vllm0.22.0"),
    ] {
        let gpu = gpu(gpu_name)?;
        let cases = all_reduce_cases(measured, files)?;
        let error = |case: &(u32, f64, f64)| {
            let device =
                Device::new(gpu, efficiencies.kernels_of(gpu), efficiencies.all_reduce_of(gpu), case.0);
            (device.all_reduce(case.1) / case.2 - 1.0).abs()
        };
        print_errors(&gpu.name, "all-reduce", &cases.iter().map(error).collect::<Vec<_>>());
    }
    println!();
    Ok(())
}

fn print_errors(gpu: &str, kernels: &str, errors: &[f64]) {
    if errors.is_empty() {
        return;
    }
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    println!(
        "| {gpu} | {kernels} | {} | {:.1} % | {:.1} % |",
        errors.len(),
        100.0 * median(errors.to_vec()),
        100.0 * mean
    );
}

fn errors(family: &Family, device: &Device<'_>) -> Vec<f64> {
    family
        .cases
        .iter()
        .map(|(shape, seconds)| ((family.predict)(device, shape) / seconds - 1.0).abs())
        .collect()
}

fn table(measured: &Path, of: &Measured, kind: &str) -> Result<Option<Table>> {
    let path = measured.join("step_times/aiconfigurator").join(format!("{}_{kind}.csv", of.files));
    if !path.exists() {
        return Ok(None);
    }
    read(&path).map(Some).with_context(|| format!("{}", path.display()))
}

fn cases(table: Option<Table>, columns: &[&str], keep: impl Fn(&Table, usize, &[f64]) -> bool) -> Vec<Case> {
    let Some(table) = table else { return Vec::new() };
    let case = |row: usize| {
        let shape: Vec<f64> = columns.iter().map(|column| table.number(row, column)).collect();
        keep(&table, row, &shape).then(|| (shape, table.number(row, "latency_us") * 1e-6))
    };
    (0..table.len()).filter_map(case).collect()
}

pub(crate) fn kv_bytes(shape: &[f64]) -> f64 {
    shape[0] * shape[1] * shape[3] * 2.0 * HEAD_DIM * 2.0
}

/// Whether the kernel has next to nothing to do: it shows the latency.
pub(crate) fn is_launch(shape: &[f64]) -> bool {
    shape[1] < 64.0 && shape[0] * shape[3] <= 16.0
}

const DECODE_COLUMNS: [&str; 4] = ["batch_size", "context", "num_heads", "num_key_value_heads"];

pub(crate) fn decode(device: &Device<'_>, shape: &[f64]) -> f64 {
    device.attention_latency() + shape[0] * device.attention_row(shape[3]) + device.kv_read(kv_bytes(shape))
}

pub(crate) fn prefill(device: &Device<'_>, shape: &[f64]) -> f64 {
    let (batch, length, heads, kv_heads) = (shape[0], shape[1], shape[2], shape[3]);
    let pairs = length * length / 2.0 + device.attention_ramp_tokens() * length;
    device.attention_latency()
        + batch * device.attention_pair(heads, HEAD_DIM) * pairs
        + device.kv_read(batch * length * kv_heads * 2.0 * HEAD_DIM * 2.0)
}

fn families(measured: &Path, of: &Measured) -> Result<Vec<Family>> {
    let gemm = |kind: &str| -> Result<Vec<Case>> {
        let keep = |table: &Table, row: usize, shape: &[f64]| {
            table.text(row, "gemm_dtype") == kind && shape[1] >= LEAST_SIDE && shape[2] >= LEAST_SIDE
        };
        Ok(cases(table(measured, of, "gemm")?, &["m", "n", "k"], keep))
    };
    let moe = |kind: &str| -> Result<Vec<Case>> {
        let keep = |table: &Table, row: usize, _: &[f64]| {
            // Hidden size 2688 is a model whose experts are two matrices, not three.
            table.text(row, "moe_dtype") == kind
                && table.text(row, "moe_ep_size") == "1"
                && table.text(row, "hidden_size") != "2688"
        };
        let columns = ["num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size"];
        Ok(cases(table(measured, of, "moe")?, &columns, keep))
    };
    let mut decode_cases =
        cases(table(measured, of, "generation_attention_hd128")?, &DECODE_COLUMNS, |_, _, shape| {
            kv_bytes(shape) > 1.5 * of.l2_bytes || is_launch(shape)
        });
    if of.gpu == "H100" {
        decode_cases.extend(multi_head_cases(measured, of)?);
    }
    let columns = ["batch_size", "isl", "num_heads", "num_key_value_heads"];
    let prefill_cases = cases(table(measured, of, "context_attention_hd128")?, &columns, |_, _, _| true);
    let all = vec![
        Family {
            name: "GEMM 16 bit",
            cases: gemm("bfloat16")?,
            predict: |device, s| device.gemm(s[0], s[1], s[2], WeightFormat::SIXTEEN_BITS),
        },
        Family {
            name: "GEMM fp8",
            cases: gemm("fp8")?,
            predict: |device, s| device.gemm(s[0], s[1], s[2], WeightFormat::FP8),
        },
        Family {
            name: "MoE 16 bit",
            cases: moe("bfloat16")?,
            predict: |device, s| device.experts(experts(s), s[0], WeightFormat::SIXTEEN_BITS),
        },
        Family {
            name: "MoE fp8 (not fitted)",
            cases: moe("fp8")?,
            predict: |device, s| device.experts(experts(s), s[0], WeightFormat::FP8_BLOCK),
        },
        Family { name: "decode attention", cases: decode_cases, predict: decode },
        Family { name: "prefill attention", cases: prefill_cases, predict: prefill },
    ];
    Ok(all.into_iter().filter(|family| !family.cases.is_empty()).collect())
}

/// Decode attention of a second table (inference-sim), which alone has as many KV heads as heads.
fn multi_head_cases(measured: &Path, of: &Measured) -> Result<Vec<Case>> {
    let table = read(&measured.join("step_times/blis_h100/decode_attention.csv"))?;
    let case = |row: usize| {
        let number = |column| table.number(row, column);
        let gpus = number("tp");
        let heads = number("heads") / gpus;
        let kv_heads = (number("kv_heads") / gpus).max(1.0);
        let shape = vec![number("batch_size"), number("kv_len"), heads, kv_heads];
        let sixteen_bits = table.text(row, "dtype") == "bf16" && table.text(row, "kv_dtype") == "bf16";
        let kept = sixteen_bits && kv_bytes(&shape) > 1.5 * of.l2_bytes;
        kept.then(|| (shape, number("latency_us") * 1e-6))
    };
    Ok((0..table.len()).filter_map(case).collect())
}

/// Decode attention whose KV cache fits into the L2 cache, where a benchmark finds it again. In a step the weights of a
/// layer lie between, so that the model reads it from memory: it errs here by design.
fn in_cache(measured: &Path, of: &Measured) -> Result<Family> {
    let cases = cases(table(measured, of, "generation_attention_hd128")?, &DECODE_COLUMNS, |_, _, shape| {
        kv_bytes(shape) <= 1.5 * of.l2_bytes && !is_launch(shape)
    });
    Ok(Family { name: "decode attention out of L2 (not fitted)", cases, predict: decode })
}

fn experts(shape: &[f64]) -> Experts {
    Experts { count: shape[4], per_token: shape[3], hidden: shape[1], width: shape[2] / shape[5] }
}

/// The parameters that a family decides.
fn slots<'a>(kernels: &'a mut Kernels, family: &str) -> Vec<&'a mut f64> {
    let corner = |Corner { latency_us, bandwidth, compute, overlap }: &'a mut Corner| {
        vec![latency_us, bandwidth, compute, overlap]
    };
    if family == "decode attention beside a prompt" {
        return mixed::slots(kernels);
    }
    let Attention { latency_us, row_ns, bandwidth, compute, ramp_tokens, unpacked: _ } =
        &mut kernels.attention;
    match family {
        "GEMM 16 bit" => corner(&mut kernels.gemm16),
        "GEMM fp8" => corner(&mut kernels.gemm8),
        "MoE 16 bit" => corner(&mut kernels.moe16),
        "decode attention" => vec![latency_us, row_ns, bandwidth],
        _ => vec![compute, ramp_tokens],
    }
}

fn fit_family(gpu: &Gpu, kernels: &mut Kernels, family: &Family) {
    let links = AllReduce { latency_us: 0.0, latency_us_per_peer: 0.0, bandwidth: 1.0, sharing: 0.0 };
    let start: Vec<f64> = slots(kernels, family.name).into_iter().map(|slot| libm::log(*slot)).collect();
    let with = |point: &[f64], kernels: &Kernels| {
        let mut kernels = kernels.clone();
        for (slot, value) in slots(&mut kernels, family.name).into_iter().zip(point) {
            *slot = libm::exp(*value);
        }
        kernels
    };
    let cost = |point: &[f64]| {
        let kernels = with(point, kernels);
        let device = Device::new(gpu, &kernels, &links, 1);
        let cost_of = |case: &Case| robust(libm::log((family.predict)(&device, &case.0) / case.1));
        family.cases.iter().map(cost_of).sum::<f64>()
    };
    let found = nelder_mead(&start, 0.2, 150, cost);
    *kernels = with(&found, kernels);
}

/// Cases (GPUs, bytes, seconds) of an all-reduce captured in a CUDA graph. Sizes count elements of 16 bits.
fn all_reduce_cases(measured: &Path, files: &str) -> Result<Vec<(u32, f64, f64)>> {
    // Beyond that no batch goes: 8192 tokens of 16384 elements.
    const MOST_BYTES: f64 = 268e6;
    let path = measured.join("step_times/aiconfigurator").join(format!("{files}_allreduce.csv"));
    let table = read(&path)?;
    let case = |row: usize| {
        let bytes = 2.0 * table.number(row, "message_size");
        let graph = table.text(row, "kernel_source").contains("graph");
        let seconds = table.number(row, "latency_us") * 1e-6;
        (graph && bytes <= MOST_BYTES).then(|| (table.number(row, "num_gpus") as u32, bytes, seconds))
    };
    Ok((0..table.len()).filter_map(case).collect())
}

fn fit_all_reduce(measured: &Path, files: &[(&str, &str)], kernels: &Kernels) -> Result<AllReduce> {
    let mut cases = Vec::new();
    for &(gpu_name, files) in files {
        let gpu = gpu(gpu_name)?;
        cases.extend(all_reduce_cases(measured, files)?.into_iter().map(|case| (gpu, case)));
    }
    let of = |point: &[f64]| AllReduce {
        latency_us: libm::exp(point[0]),
        latency_us_per_peer: libm::exp(point[1]),
        bandwidth: libm::exp(point[2]),
        sharing: libm::exp(point[3]),
    };
    let cost = |point: &[f64]| {
        let links = of(point);
        let cost_of = |(gpu, case): &(&Gpu, (u32, f64, f64))| {
            robust(libm::log(Device::new(gpu, kernels, &links, case.0).all_reduce(case.1) / case.2))
        };
        cases.iter().map(cost_of).sum::<f64>()
    };
    Ok(of(&nelder_mead(&[libm::log(4.0), libm::log(0.5), libm::log(0.7), libm::log(0.3)], 0.2, 300, cost)))
}
