//! Fits the efficiencies of the roofline step-time model to measured kernels, steps and servers, and reports the errors.
//!
//! ```text
//! kendall-roofline-validation MEASURED           report, with the built-in efficiencies
//! kendall-roofline-validation MEASURED with FILE report, with those of FILE
//! kendall-roofline-validation MEASURED fit FILE  fit from where FILE stands, and write it first
//! ```
//!
//! `MEASURED` is the folder of measured data, which is not part of the project.

mod engine;
mod experts;
mod front_end;
mod kernels;
mod layers;
mod mixed;
mod numbers;
mod report;
mod rows;
mod servers;
mod steps;
mod tables;

use std::path::Path;

use anyhow::{Context, Result, bail};
use kendall_serving::step_time::roofline::Efficiencies;

use crate::rows::Experiment;

const HEADER: &str = "# Written by analysis/validation/roofline: do not edit by hand.\n\n";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (measured, file, fits) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [measured] => (Path::new(measured), None, false),
        [measured, "with", file] => (Path::new(measured), Some(file), false),
        [measured, "fit", file] => (Path::new(measured), Some(file), true),
        _ => bail!("usage: kendall-roofline-validation MEASURED [with FILE | fit FILE]"),
    };
    let mut efficiencies = match file {
        Some(file) => toml::from_str(&std::fs::read_to_string(file)?).with_context(|| file.to_owned())?,
        None => Efficiencies::built_in().clone(),
    };
    let (experiments, skipped) = rows::experiments(measured)?;
    let pick =
        |belongs: fn(&Experiment) -> bool| experiments.iter().filter(|e| belongs(e)).collect::<Vec<_>>();
    let data = engine::Data::new(measured, pick(|e| is_fitted(e) || is_sustained(e)))?;
    if let Some(file) = file.filter(|_| fits) {
        // One for all versions, until what they differ in is fitted: what a fit without a model may know.
        efficiencies.front_ends.clear();
        kernels::fit(measured, &mut efficiencies)?;
        engine::fit(&data, &mut efficiencies)?;
        let synchronous = engine::Data { experiments: pick(is_synchronous), steps: None };
        engine::fit_synchronous(measured, &synchronous, &mut efficiencies)?;
        experts::fit(measured, &mut efficiencies)?;
        front_end::fit(&pick(is_fitted), &mut efficiencies)?;
        rounded(&mut efficiencies)?;
        std::fs::write(file, format!("{HEADER}{}", toml::to_string(&efficiencies)?))?;
    }
    kernels::report(measured, &efficiencies)?;
    steps::report(measured, &efficiencies)?;
    steps::report_solo(measured, &efficiencies)?;
    let without_versions = Efficiencies { front_ends: Vec::new(), ..efficiencies.clone() };
    report::never_measured(measured, &data, &without_versions)?;
    println!(
        "servers that were not fitted: other GPUs, overload, closed loops, synchronous engines of other models\n"
    );
    report::held_out(
        measured,
        &pick(|e| !is_fitted(e) && !is_synchronous(e) && !is_sustained(e)),
        &efficiencies,
    )?;
    experts::report(measured, &efficiencies)?;
    println!("servers that the synchronous overhead was fitted to\n");
    report::held_out(measured, &pick(is_synchronous), &efficiencies)?;
    println!("not simulated:");
    for reason in skipped {
        println!("- {reason}");
    }
    Ok(())
}

/// Asynchronous engines on an H100 under open load that they can carry.
fn is_fitted(experiment: &Experiment) -> bool {
    const OVERLOADED: [&str; 2] = ["h100-llama-2-7b-tp1-reasoning", "h100-qwen3-14b-w5-agg18"];
    experiment.gpu.starts_with("H100")
        && experiment.async_scheduling
        && !experiment.is_closed
        && !OVERLOADED.contains(&experiment.name.as_str())
}

/// Prompts without a pause, on a synchronous engine: they tell how far clocks fall.
fn is_sustained(experiment: &Experiment) -> bool {
    experiment.name.starts_with("guidellm-h100-codellama-34b")
}

/// The one model in 16 bits whose servers ran a synchronous engine.
fn is_synchronous(experiment: &Experiment) -> bool {
    !experiment.async_scheduling
        && experiment.gpu.starts_with("H100")
        && experiment.model.name == "Qwen/Qwen3-32B"
        && experiment.model.weight_precision == kendall_serving::catalog::WeightPrecision::Bf16
}

/// Four significant digits: more are not known.
fn rounded(efficiencies: &mut Efficiencies) -> Result<()> {
    fn walk(value: &mut toml::Value) {
        match value {
            toml::Value::Float(number) if *number < 1e-6 => *number = 0.0,
            toml::Value::Float(number) => {
                let scale = libm::pow(10.0, 3.0 - libm::floor(libm::log10(*number)));
                *number = libm::round(*number * scale) / scale;
            }
            toml::Value::Array(values) => values.iter_mut().for_each(walk),
            toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| walk(value)),
            _ => {}
        }
    }
    let mut value = toml::Value::try_from(&*efficiencies)?;
    walk(&mut value);
    *efficiencies = value.try_into()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::median;

    /// The built-in efficiencies against the servers and steps that they rest on, with the first requests of each stage.
    /// Leaving out models takes a fit, which the command does.
    #[test]
    fn measured_servers_and_steps_are_met() {
        const REQUESTS: usize = 1_000;
        let measured = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/measured");
        if !measured.exists() {
            println!("skipped: measured data not present");
            return;
        }
        let efficiencies = Efficiencies::built_in();
        let (experiments, _) = rows::experiments(&measured).expect("a table");
        let (mut ttft, mut tpot) = (Vec::new(), Vec::new());
        for experiment in experiments.iter().filter(|experiment| is_fitted(experiment)) {
            let simulated = servers::simulate(experiment, efficiencies, REQUESTS).expect("a simulation");
            for (stage, simulated) in experiment.stages.iter().zip(simulated) {
                ttft.push((simulated.ttft_s / stage.measured.ttft_s - 1.0).abs());
                tpot.push((simulated.tpot_s / stage.measured.tpot_s - 1.0).abs());
            }
        }
        assert_eq!(tpot.len(), 31);
        let decode = steps::held_out_errors(&measured, efficiencies, |shape| shape.prefill_seqs == 0);
        let decode = median(decode.expect("a table").iter().map(|error| error.abs()).collect());
        let (ttft, tpot) = (median(ttft), median(tpot));
        println!("median absolute errors: TTFT {ttft:.3}, TPOT {tpot:.3}, whole decode steps {decode:.4}");
        assert!(ttft <= 0.10 && tpot <= 0.06 && decode <= 0.03);
    }
}
