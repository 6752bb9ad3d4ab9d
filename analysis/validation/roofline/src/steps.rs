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
        let squares = if prefill_seqs > 0 { prefill_tokens * prefill_tokens / prefill_seqs } else { 0 };
        let shape = BatchShape {
            prefill_tokens,
            prefill_context_tokens: prefill_tokens,
            prefill_attention: squares,
            prefill_seqs,
            prefill_squares: squares,
            decode_seqs: count("decode_seqs"),
            decode_context_tokens: count("decode_ctx_tokens"),
            new_seqs: prefill_seqs,
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
    const LEAST: usize = 30;
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

/// Prints the errors on the held-out run.
pub(crate) fn report(measured: &Path, efficiencies: &Efficiencies) -> Result<()> {
    let model = model_of(efficiencies)?;
    let steps = steps(measured)?;
    println!("whole steps of Qwen3-14B on an H100, run not fitted\n");
    println!("| steps | cases | median error | median absolute error |\n|---|---|---|---|");
    type Kind = (&'static str, fn(&BatchShape) -> bool);
    let kinds: [Kind; 3] = [
        ("decode only", |shape| shape.prefill_seqs == 0),
        ("one prompt", |shape| shape.prefill_seqs == 1),
        ("two prompts or more", |shape| shape.prefill_seqs > 1),
    ];
    for (name, belongs) in kinds {
        let of_kind = steps.iter().filter(|step| step.run != FITTED_RUN && belongs(&step.shape));
        let errors: Vec<f64> =
            of_kind.map(|step| model.step_time(&step.shape).as_secs_f64() / step.seconds - 1.0).collect();
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
