//! The genuine files, whole, where they are at hand: they may not be copied into the project.

use std::path::PathBuf;

use kendall_traces::TraceFormat::{self, Azure, Mooncake};
use kendall_traces::{TraceOptions, open, open_lengths};

/// The file, or `None` with a word about it.
fn genuine(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/traces").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} not present", path.display());
    None
}

/// What is known of a genuine file, counted without kendall.
#[derive(Debug, PartialEq, Eq)]
struct Totals {
    format: TraceFormat,
    requests: u64,
    prompt_tokens: u64,
    output_tokens: u64,
    last_arrival_ps: u64,
}

fn totals(path: &std::path::Path) -> Totals {
    let reader = open(path, None).expect("the genuine file opens");
    let format = reader.format();
    let mut totals = Totals { format, requests: 0, prompt_tokens: 0, output_tokens: 0, last_arrival_ps: 0 };
    for record in reader {
        let record = record.expect("the genuine file is valid");
        totals.requests += 1;
        totals.prompt_tokens += u64::from(record.num_prompt_tokens);
        totals.output_tokens += u64::from(record.num_output_tokens);
        totals.last_arrival_ps = record.arrival.as_ps();
    }
    totals
}

#[test]
fn azure_conversations_of_2023() {
    let Some(path) = genuine("AzureLLMInferenceTrace_conv.csv") else { return };
    let expected = Totals {
        format: Azure,
        requests: 19_366,
        prompt_tokens: 22_361_870,
        output_tokens: 4_088_665,
        // 18:15:46.6805900 to 19:14:08.4025270.
        last_arrival_ps: 3_501_721_937_000_000,
    };
    assert_eq!(totals(&path), expected);
}

#[test]
fn azure_code_completions_of_2023() {
    let Some(path) = genuine("AzureLLMInferenceTrace_code.csv") else { return };
    let expected = Totals {
        format: Azure,
        requests: 8_819,
        prompt_tokens: 18_059_974,
        output_tokens: 245_896,
        // 18:17:03.9799600 to 19:14:19.9280160.
        last_arrival_ps: 3_435_948_056_000_000,
    };
    assert_eq!(totals(&path), expected);
}

#[test]
fn mooncake_conversations() {
    let Some(path) = genuine("mooncake_conversation_trace.jsonl") else { return };
    let expected = Totals {
        format: Mooncake,
        requests: 12_031,
        prompt_tokens: 144_793_823,
        output_tokens: 4_122_048,
        last_arrival_ps: 3_536_999_000_000_000,
    };
    assert_eq!(totals(&path), expected);
}

#[test]
fn mooncake_synthetic() {
    let Some(path) = genuine("mooncake_synthetic_trace.jsonl") else { return };
    let expected = Totals {
        format: Mooncake,
        requests: 3_993,
        prompt_tokens: 61_194_628,
        output_tokens: 595_432,
        last_arrival_ps: 1_022_025_000_000_000,
    };
    assert_eq!(totals(&path), expected);
}

#[test]
fn sharegpt_lengths() {
    let Some(path) = genuine("ee384s_sharegpt_length_dist.json") else { return };
    let pairs = open_lengths(&path).unwrap();
    let sums = pairs
        .iter()
        .fold((0, 0), |(prompt, output), pair| (prompt + u64::from(pair.0), output + u64::from(pair.1)));
    assert_eq!((pairs.len(), sums, pairs[0]), (5_000, (571_085, 1_513_684), (10, 220)));
    let error = open(&path, None).expect_err("no arrivals").to_string();
    assert!(error.contains("holds lengths but no arrival times"), "{error}");
}

#[test]
fn ten_minutes_of_a_genuine_trace_at_twice_the_speed() {
    let Some(path) = genuine("AzureLLMInferenceTrace_conv.csv") else { return };
    let options = TraceOptions {
        time_scale: 0.5,
        start_s: Some(600.0),
        end_s: Some(1_200.0),
        ..TraceOptions::default()
    };
    let requests = open(&path, None).unwrap().into_requests(&options).unwrap();
    let arrivals: Vec<_> = requests.map(|request| request.unwrap().arrival.as_secs_f64()).collect();
    assert!(arrivals.is_sorted() && arrivals.iter().all(|&arrival| arrival < 300.0));
    assert!(arrivals.len() > 1_000, "{}", arrivals.len());
}
