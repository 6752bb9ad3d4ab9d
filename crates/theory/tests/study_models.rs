//! The study's models and the exact single-request system against the reference values.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use kendall_theory::batching::single::SingleRequest;
use kendall_theory::batching::study::{StudyCell, StudyMetrics, mmc_baseline, two_class_markov, two_stage};
use kendall_theory::batching::{LengthLaw, StepTimes};
use serde_json::Value;

fn study_value(metrics: &StudyMetrics, metric: &str) -> f64 {
    match metric {
        "mean_ttft" => metrics.mean_ttft_s,
        "p50_ttft" => metrics.p50_ttft_s,
        "p95_ttft" => metrics.p95_ttft_s,
        "p99_ttft" => metrics.p99_ttft_s,
        "goodput" => metrics.goodput_per_s,
        "blocking_probability" => metrics.blocking_probability,
        other => panic!("no metric {other}"),
    }
}

fn ours(entry: &Value) -> Option<f64> {
    let params = &entry["params"];
    let number = |key: &str| params[key].as_f64().unwrap();
    let metric = entry["metric"].as_str().unwrap();
    let cell = || StudyCell::new(number("lambda"), number("B") as usize, number("K") as usize);
    Some(match entry["model"].as_str().unwrap() {
        "seed_mmc_baseline" => study_value(&mmc_baseline(&cell()), metric),
        "seed_two_stage" => study_value(&two_stage(&cell()), metric),
        "seed_markov_2class" => study_value(&two_class_markov(&cell()), metric),
        "iteration_latency" => {
            let batch = number("batch") as usize;
            let steps = StepTimes::study(batch);
            match params["phase"].as_str().unwrap() {
                "prefill" => steps.prefill_s(number("tokens"), batch),
                _ => steps.decode_s(batch),
            }
        }
        "llm_b1_mg1" => {
            let prompt = LengthLaw::floored_lognormal(256.0, 0.55, 8192).unwrap();
            let output = LengthLaw::floored_lognormal(128.0, 0.70, 8192).unwrap();
            let system = SingleRequest::new(number("lambda"), &prompt, &output, &StepTimes::study(1));
            match metric {
                "utilization" => system.utilization,
                "mean_wait" => system.mean_wait_s,
                "var_wait" => system.var_wait_s2,
                "mean_ttft" => system.mean_ttft_s,
                other => panic!("no metric {other}"),
            }
        }
        _ => return None,
    })
}

#[test]
fn reference_values_are_met() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/queueing.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} not present", path.display());
        return;
    };
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    let mut wrong = Vec::new();
    for entry in &entries {
        let Some(ours) = ours(entry) else { continue };
        let value = entry["value"].as_f64().unwrap();
        let allowed = entry["tolerance"].as_f64().unwrap() * value.abs().max(1e-6);
        compared += 1;
        if ours.is_nan() || (ours - value).abs() > allowed {
            wrong.push(format!("{}: ours {ours}, reference {value}, allowed {allowed:e}", entry["id"]));
        }
    }
    assert!(compared >= 40, "only {compared} entries");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// From the study's own code (arrival rate 3, batch 8, KV 16384; and the same with batch 1).
#[test]
fn published_values_of_the_study() {
    let close = |ours: f64, value: f64| assert!((ours - value).abs() <= 1e-7 * value.abs(), "{ours} {value}");
    let wide = StudyCell::new(3.0, 8, 16384);
    close(mmc_baseline(&wide).p99_ttft_s, 0.151_479_953_819_330_52);
    close(two_stage(&wide).mean_ttft_s, 0.053_485_498_033_128_59);
    let single = StudyCell::new(3.0, 1, 16384);
    close(two_class_markov(&single).mean_ttft_s, 49.775_675_517_724_174);
    close(mmc_baseline(&single).blocking_probability, 0.767_279_125_087_997_9);
}
