//! Steps of real servers, where the files are at hand: they may not be copied into the project.

use std::path::PathBuf;

use kendall_calibrate::fit::{Fit, FitOptions, ParameterSource, Term, fit};
use kendall_calibrate::{CaveatKind, Measured, read_file};
use kendall_serving::catalog::{gpu, model};
use kendall_serving::step_time::roofline::linear_estimate;

fn measured(name: &str) -> Option<Measured> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/measured/step_times").join(name);
    if path.exists() {
        return Some(read_file(&path).expect("a step log").remove(0));
    }
    println!("skipped: {} not present", path.display());
    None
}

fn fitted(run: &Measured, gpu_name: &str, model_name: &str) -> Fit {
    let (gpu, model) = (gpu(gpu_name).expect("known"), model(model_name).expect("known"));
    let physics = linear_estimate(gpu, model, 1).expect("facts are known");
    let options = FitOptions { physics: Some(physics), replicates: 100, ..FitOptions::default() };
    fit(&[run.steps.as_ref().expect("steps")], &options).expect("enough steps")
}

fn show(name: &str, fit: &Fit) {
    println!("{name}: {} steps, hold-out: {}", fit.steps, fit.hold_out_by);
    for parameter in &fit.parameters {
        println!(
            "  {} {} +- {:?} {:?}",
            parameter.key, parameter.value_ps, parameter.std_error_ps, parameter.source
        );
    }
    for row in fit.hold_out.groups.iter().chain([&fit.hold_out.all]) {
        println!(
            "  {:24} {:6} {:9.3} ms  {:+6.2} {:6.2} {:6.2} %",
            row.group,
            row.steps,
            row.mean_measured_ms,
            row.median_signed_percent,
            row.median_percent,
            row.p95_percent
        );
    }
    println!("  {:?}", fit.identification);
}

/// The acceptance of whole decode steps, 3 % in the median, here on steps that the fit had not seen.
#[test]
fn qwen3_14b_on_an_h100() {
    let Some(run) = measured("h100_qwen3-14b_vllm0.23_steps.csv") else { return };
    assert!(run.has(CaveatKind::ShapeIncomplete));
    assert_eq!(run.steps.as_ref().map(|log| log.steps.len()), Some(92_898));
    let fit = fitted(&run, "H100", "Qwen3-14B");
    show("H100, Qwen3-14B", &fit);
    let decodes = fit.hold_out.groups.iter().filter(|row| row.group.starts_with("decode"));
    for row in decodes {
        assert!(row.median_percent < 3.0, "{row:?}");
    }
    assert!((10.0e9..12.5e9).contains(&(fit.coefficients.base_ps as f64)), "{:?}", fit.coefficients);
}

/// The decode microbenchmark: the context moves with the step's number from 21 to 70 tokens, too little to see.
#[test]
fn qwen2_5_1_5b_on_an_a10g() {
    let Some(run) = measured("a10g_qwen2.5-1.5b_vllm0.22_decode_microbench.csv") else { return };
    let log = run.steps.as_ref().expect("steps");
    assert_eq!((log.server.gpu.as_deref(), log.server.tensor_parallel_size), (Some("A10G"), Some(1)));
    let fit = fitted(&run, "A10G", "Qwen2.5-1.5B-Instruct");
    show("A10G, Qwen2.5-1.5B", &fit);
    assert!(fit.hold_out.all.median_percent < 2.0, "{:?}", fit.hold_out.all);
    assert_eq!(fit.parameters[Term::PrefillToken as usize].source, ParameterSource::Physics);
    // With the cost of context from the datasheet, plain least squares without steps far from their batch's median gives 64.4 us.
    assert!((50e6..80e6).contains(&(fit.coefficients.per_decode_seq_ps as f64)), "{:?}", fit.coefficients);
}
