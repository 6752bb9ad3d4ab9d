//! Every format read, every figure checked against the tool's own, every fault named, nothing that panics.

mod aggregates;
mod csv_tables;
mod fuzz;
mod malformed;
mod nvidia;
mod properties;
mod shared_files;
mod tools;
mod vllm;

use std::path::PathBuf;

use kendall_calibrate::{CaveatKind, Measured, MeasuredSummary, Statistic, read_bytes, read_file};

/// Every fixture with at least one of its kind.
const FIXTURES: [&str; 35] = [
    "vllm/errors_and_chunks.json",
    "vllm/rust.json",
    "vllm/legacy.json",
    "vllm/aggregates.json",
    "sglang/errors_and_chunks.jsonl",
    "guidellm/benchmarks.json",
    "guidellm/benchmarks.csv",
    "inference-perf/per_request_lifecycle_metrics.json",
    "inference-perf/stage_0_lifecycle_metrics.json",
    "inference-perf-0.2/per_request_lifecycle_metrics.json",
    "inference-perf-0.2/stage_0_lifecycle_metrics.json",
    "aiperf/profile_export.jsonl",
    "aiperf/profile_export_aiperf.json",
    "aiperf/profile_export_aiperf.csv",
    "aiperf/server_metrics_export.json",
    "genai-perf/profile_export.json",
    "genai-perf/profile_export_genai_perf.json",
    "genai-perf/profile_export_genai_perf.csv",
    "genai-bench/milliseconds.json",
    "genai-bench/seconds_and_errors.json",
    "llmperf/individual_responses.json",
    "llmperf/summary.json",
    "fmperf/results.json",
    "inference-benchmarker/results.json",
    "inferencex/agg.json",
    "aibrix/output.jsonl",
    "llm-d-benchmark/br-0.1-vllm.yaml",
    "llm-d-benchmark/br-0.2.1-guidellm.yaml",
    "llm-d-benchmark/br-0.2.1-inference-perf.yaml",
    "llm-d-benchmark/br-0.2.1-vllm.yaml",
    "prometheus/metrics.txt",
    "kendall/requests.csv",
    "kendall/instants.csv",
    "kendall/steps.csv",
    "kendall/step_table.csv",
];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("the fixture is committed")
}

/// All runs of a fixture.
fn runs(name: &str) -> Vec<Measured> {
    read_file(&path(name)).expect("the fixture is genuine")
}

/// The only run of a fixture.
fn run(name: &str) -> Measured {
    let mut runs = runs(name);
    assert_eq!(runs.len(), 1, "{name}");
    runs.remove(0)
}

/// The message of text that cannot be read.
fn message(text: &str) -> String {
    read_bytes("r", text.as_bytes()).expect_err("it is malformed").to_string()
}

/// What this crate computes from the requests.
fn computed(run: &Measured) -> MeasuredSummary {
    MeasuredSummary::of(&run.requests)
}

fn close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * b.abs()
}

/// Mean, deviation and extremes and every quantile that both sides know, within a relative difference. How many
/// were compared.
fn agree(name: &str, ours: Option<&Statistic>, theirs: Option<&Statistic>, relative: f64) -> usize {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { panic!("{name}: {ours:?} against {theirs:?}") };
    let mut compared = 0;
    let mut check = |what: String, a: Option<f64>, b: Option<f64>| {
        if let (Some(a), Some(b)) = (a, b) {
            assert!(close(a, b, relative), "{name} {what}: {a} against {b}");
            compared += 1;
        }
    };
    check("mean".into(), ours.mean, theirs.mean);
    check("std".into(), ours.std, theirs.std);
    check("min".into(), ours.min, theirs.min);
    check("max".into(), ours.max, theirs.max);
    for quantile in &theirs.quantiles {
        check(format!("p{}", quantile.percent), ours.quantile(quantile.percent), Some(quantile.value));
    }
    compared
}

fn has(run: &Measured, kind: CaveatKind) -> bool {
    run.has(kind)
}
