//! Whole engine steps: Qwen3-14B on an H100 (vLLM 0.23), rebuilt from client times of two runs. One run is fitted, the other
//! held out.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use kendall_serving::catalog::{gpu, model};
use kendall_serving::step_time::roofline::{Deployment, Efficiencies, Limits};
use kendall_serving::{BatchShape, RooflineSteps};

use crate::numbers::median;
use crate::tables::read;

/// The run that is fitted; the other one is held out.
pub(crate) const FITTED_RUN: &str = "rate-2rps-vanilla";

/// One measured step.
pub(crate) struct Step {
    run: String,
    shape: BatchShape,
    seconds: f64,
}

/// Reads the measured steps.
pub(crate) fn steps(measured: &Path) -> Result<Vec<Step>> {
    let table = read(&measured.join("step_times/h100_qwen3-14b_vllm0.23_steps.csv"))?;
    let step = |row: usize| {
        let count = |column| table.number(row, column) as u64;
        let (prefill_tokens, prefill_seqs) = (count("prefill_tokens"), count("prefill_seqs"));
        // The prompts of one step are about equally long, and none is cached.
        let squares = (prefill_tokens * prefill_tokens).checked_div(prefill_seqs).unwrap_or(0);
        let shape = BatchShape {
            prefill_tokens,
            prefill_context_tokens: prefill_tokens,
            prefill_attention: squares,
            prefill_seqs,
            prefill_squares: squares,
            decode_seqs: count("decode_seqs"),
            decode_context_tokens: count("decode_ctx_tokens"),
            new_seqs: prefill_seqs,
            ..BatchShape::default()
        };
        Step { run: table.text(row, "run").to_owned(), shape, seconds: table.number(row, "step_s") }
    };
    Ok((0..table.len()).map(step).collect())
}

/// Step times of that server.
pub(crate) fn model_of(efficiencies: &Efficiencies) -> Result<RooflineSteps> {
    let of = Deployment {
        gpu: gpu("H100")?,
        model: model("Qwen/Qwen3-14B")?,
        tensor_parallel_size: 1,
        kv_dtype_bytes: 2,
        async_scheduling: true,
        sorts_logits: false,
    };
    let limits = Limits { max_num_seqs: 256, max_num_batched_tokens: 8_192, max_model_len: 40_960 };
    Ok(RooflineSteps::new(&of, limits, efficiencies)?)
}

/// Medians of the fitted run by (prompts, decoding sequences): the batch, the seconds, how many steps.
pub(crate) fn fitted_medians(steps: &[Step]) -> Vec<(BatchShape, f64, usize)> {
    const LEAST: usize = 3;
    let mut groups: BTreeMap<(u64, u64), Vec<&Step>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.run == FITTED_RUN) {
        groups.entry((step.shape.prefill_seqs, step.shape.decode_seqs)).or_default().push(step);
    }
    groups
        .into_values()
        .filter(|group| group.len() >= LEAST)
        .map(|group| {
            let middle = group[group.len() / 2].shape;
            (middle, median(group.iter().map(|step| step.seconds).collect()), group.len())
        })
        .collect()
}

/// Relative errors of the steps of the held-out run that `belongs` picks.
pub(crate) fn held_out_errors(
    measured: &Path,
    efficiencies: &Efficiencies,
    belongs: fn(&BatchShape) -> bool,
) -> Result<Vec<f64>> {
    let model = model_of(efficiencies)?;
    let error = |step: &Step| model.step_time(&step.shape).as_secs_f64() / step.seconds - 1.0;
    let steps = steps(measured)?;
    Ok(steps.iter().filter(|step| step.run != FITTED_RUN && belongs(&step.shape)).map(error).collect())
}

/// A kind of step: its name, and whether a batch is of it.
type Kind = (&'static str, fn(&BatchShape) -> bool);

/// Prints the errors on the held-out run.
pub(crate) fn report(measured: &Path, efficiencies: &Efficiencies) -> Result<()> {
    println!("whole steps of Qwen3-14B on an H100, run not fitted\n");
    println!("| steps | cases | median error | median absolute error |\n|---|---|---|---|");
    let kinds: [Kind; 3] = [
        ("decode only", |shape| shape.prefill_seqs == 0),
        ("one prompt", |shape| shape.prefill_seqs == 1),
        ("two prompts or more", |shape| shape.prefill_seqs > 1),
    ];
    for (name, belongs) in kinds {
        let errors = held_out_errors(measured, efficiencies, belongs)?;
        println!(
            "| {name} | {} | {:+.2} % | {:.2} % |",
            errors.len(),
            100.0 * median(errors.clone()),
            100.0 * median(errors.iter().map(|error| error.abs()).collect())
        );
    }
    println!();
    Ok(())
}

/// The model whose solitary requests are fitted; the others are held out.
const FITTED_SOLO: &str = "meta-llama/Llama-2-7b-hf";

/// Mean decode steps of requests that ran alone on an H100 (vLLM 0.11, synchronous): model, mean context, seconds.
fn solo(measured: &Path) -> Result<Vec<(String, u64, f64)>> {
    let table = read(&measured.join("step_times/h100_vllm0.11_solo_requests.csv"))?;
    let request = |row: usize| {
        let seconds = table.number(row, "decode_step_s");
        let context = table.number(row, "mean_context") as u64;
        seconds.is_finite().then(|| (table.text(row, "model").to_owned(), context, seconds))
    };
    Ok((0..table.len()).filter_map(request).collect())
}

fn solo_step(name: &str, context: u64, efficiencies: &Efficiencies) -> Result<f64> {
    let of = Deployment {
        gpu: gpu("H100")?,
        model: model(name)?,
        tensor_parallel_size: 1,
        kv_dtype_bytes: 2,
        async_scheduling: false,
        sorts_logits: false,
    };
    let limits = Limits { max_num_seqs: 256, max_num_batched_tokens: 4_096, max_model_len: 8_192 };
    let mut shape = BatchShape::default();
    shape.add_decode(context);
    Ok(RooflineSteps::new(&of, limits, efficiencies)?.step_time(&shape).as_secs_f64())
}

/// Sets what a synchronous engine adds to a step on one GPU: the median difference of one model's solitary requests.
pub(crate) fn fit_solo(measured: &Path, efficiencies: &mut Efficiencies) -> Result<()> {
    efficiencies.engine.synchronous_step_us = 0.0;
    let mut differences_us = Vec::new();
    for (name, context, seconds) in solo(measured)? {
        if name == FITTED_SOLO {
            differences_us.push((seconds - solo_step(&name, context, efficiencies)?) * 1e6);
        }
    }
    efficiencies.engine.synchronous_step_us = median(differences_us).max(0.0);
    Ok(())
}

/// Prints the errors of decode steps of requests that ran alone.
pub(crate) fn report_solo(measured: &Path, efficiencies: &Efficiencies) -> Result<()> {
    println!("mean decode steps of requests alone on an H100, vLLM 0.11\n");
    println!("| model | requests | median error | |\n|---|---|---|---|");
    let mut errors: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, context, seconds) in solo(measured)? {
        let error = solo_step(&name, context, efficiencies)? / seconds - 1.0;
        errors.entry(name).or_default().push(error);
    }
    for (name, errors) in errors {
        let part = if name == FITTED_SOLO { "fitted" } else { "held out" };
        let count = errors.len();
        println!("| {name} | {count} | {:+.1} % | {part} |", 100.0 * median(errors));
    }
    println!();
    Ok(())
}
