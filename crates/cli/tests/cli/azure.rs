//! The Azure LLM inference traces of 2023, whole and in their original format, within 60 MB.
//!
//! The files carry a licence of their own and are not in this project; without them the tests say so and pass.

use std::path::Path;

use serde_json::Value;

use crate::program::Bench;

const PEAK_LIMIT_KB: u64 = 60_000;

/// Plays a trace on one H100 and checks conservation and memory.
fn play(name: &str, num_requests: u64) {
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/traces").join(name);
    let Ok(trace) = trace.canonicalize() else {
        println!("skipped: ../shared/traces/{name} not present");
        return;
    };
    let bench = Bench::new();
    let scenario = format!(
        "[workload.trace]\npath = '{}'\n[server]\ngpu = \"H100\"\nmodel = \"meta-llama/Llama-3.1-8B-Instruct\"\n",
        trace.display()
    );
    bench.write("azure.toml", scenario);
    let outcome = bench.kendall(&["run", "azure.toml", "--out", "out"]);
    outcome.succeeds();
    let summary: Value = serde_json::from_str(&bench.read("out/summary.json")).expect("JSON");
    let count = |key: &str| summary[key].as_u64().unwrap_or_else(|| panic!("{key} is {}", summary[key]));
    assert_eq!(count("completed"), num_requests);
    let ended = count("completed") + count("rejected") + count("aborted") + count("unfinished");
    assert_eq!((ended, count("num_requests")), (num_requests, num_requests));
    let mut reader = csv::Reader::from_path(bench.path("out/requests.csv")).expect("requests.csv");
    let mut prompt_tokens = 0;
    let mut output_tokens = 0;
    for row in reader.records() {
        let row = row.expect("a row");
        prompt_tokens += row[10].parse::<u64>().expect("prompt_tokens");
        output_tokens += row[11].parse::<u64>().expect("output_tokens");
    }
    assert_eq!((prompt_tokens, output_tokens), (count("total_input_tokens"), count("total_output_tokens")));
    assert_eq!((prompt_tokens, output_tokens), tokens_of(&trace));
    assert_eq!(summary["estimate"], true, "no H100 was measured");
    println!("{name}: peak {} kB", outcome.peak_kb);
    assert!(outcome.peak_kb < PEAK_LIMIT_KB, "{} kB", outcome.peak_kb);
}

/// Prompt and output tokens of the whole file.
fn tokens_of(trace: &Path) -> (u64, u64) {
    let mut reader = csv::Reader::from_path(trace).expect("the trace");
    reader.records().fold((0, 0), |(prompt, output), row| {
        let row = row.expect("a row of the trace");
        (prompt + row[1].parse::<u64>().expect("tokens"), output + row[2].parse::<u64>().expect("tokens"))
    })
}

#[test]
fn the_conversation_trace() {
    play("AzureLLMInferenceTrace_conv.csv", 19_366);
}

#[test]
fn the_code_trace() {
    play("AzureLLMInferenceTrace_code.csv", 8_819);
}
