//! Recorded workloads with faults: the file, the line, the field, the remedy.

use crate::program::{Bench, Outcome};

const HEADER: &str = "arrival_s,prompt_tokens,output_tokens\n";

/// A scenario that plays `trace.csv` with these further keys of `[workload.trace]`.
fn play(content: Option<&[u8]>, keys: &str) -> (Bench, Outcome) {
    let bench = Bench::new();
    if let Some(content) = content {
        bench.write("trace.csv", content);
    }
    bench.write(
        "mine.toml",
        format!(
            "[server]\ngpu = \"A10G\"\nmodel = \"Qwen/Qwen2.5-1.5B-Instruct\"\n\n[workload.trace]\npath = \"trace.csv\"\n{keys}\n"
        ),
    );
    let outcome = bench.kendall(&["run", "mine.toml", "--out", "out"]);
    (bench, outcome)
}

fn refused(content: impl AsRef<[u8]>, parts: &[&str]) {
    let (bench, outcome) = play(Some(content.as_ref()), "");
    outcome.refuses(&["trace.csv"]);
    outcome.refuses(parts);
    assert_eq!(bench.results(), [""; 0]);
}

fn refused_keys(keys: &str, parts: &[&str]) {
    let (bench, outcome) = play(Some(format!("{HEADER}0.5,10,5\n1.5,20,5\n").as_bytes()), keys);
    outcome.refuses(&["mine.toml"]);
    outcome.refuses(parts);
    assert_eq!(bench.results(), [""; 0]);
}

#[test]
fn a_malformed_line_has_its_number() {
    refused(format!("{HEADER}0,10,5\n1,2x,5\n"), &["trace.csv:3: prompt_tokens is `2x`", "whole number"]);
    refused(format!("{HEADER}0,10,5\n-1,20,5\n"), &["trace.csv:3: arrival_s is `-1`"]);
    refused(format!("{HEADER}0,10,5\nnan,20,5\n"), &["trace.csv:3: arrival_s is `nan`"]);
    refused(format!("{HEADER}0,10,5,9\n"), &["trace.csv:2: 4 fields where the header has 3"]);
    refused(format!("{HEADER}0,10,0\n"), &["trace.csv:2: output_tokens is 0", "on_empty = \"skip\""]);
    refused(format!("{HEADER}0,4294967296,1\n"), &["trace.csv:2: prompt_tokens is `4294967296`"]);
    refused(format!("{HEADER}1e30,1,1\n"), &["trace.csv:2: arrival_s"]);
    refused(format!("{HEADER}0,\"10,5\n"), &["trace.csv:2: a quoted field is not closed"]);
    refused("arrival_s,prompt_token,output_tokens\n0,1,1\n", &["trace.csv:1: unknown column `prompt_token`"]);
    refused("arrival_s,prompt_tokens\n0,1\n", &["trace.csv", "output_tokens"]);
    refused("hello\n", &["`hello` begins no known trace", "kendall, azure, burstgpt, mooncake"]);
}

/// A fault far into the trace: much was simulated and written before, and none of it stays.
#[test]
fn a_late_fault_leaves_no_file() {
    let mut text = HEADER.to_owned();
    for i in 0..5_000 {
        text += &i.to_string();
        text += ",100,20\n";
    }
    refused(format!("{text}oops\n"), &["trace.csv:5002: 1 fields where the header has 3"]);
    refused(
        format!("{text}17,100,20\n"),
        &["trace.csv:5002: arrival_s `17` comes before `4999` of line 5001", "sort"],
    );
}

#[test]
fn a_truncated_trace_is_said_to_be() {
    refused(format!("{HEADER}0,10,5\n1,2"), &["trace.csv:3:", "looks truncated", "fetch it again"]);
    let object = "{\"timestamp\": 0, \"input_length\": 10, \"output_length\": 5, \"hash_ids\": [0]}\n";
    refused(format!("{object}{}", &object[..40]), &["trace.csv:2:", "looks truncated"]);
}

#[test]
fn an_unsorted_trace_gets_both_lines() {
    refused(
        format!("{HEADER}2,10,5\n1,20,5\n"),
        &["trace.csv:3: arrival_s `1` comes before `2` of line 2", "sort the file"],
    );
}

#[test]
fn an_empty_trace_is_an_error() {
    refused("", &["no requests", "the trace is empty"]);
    refused(HEADER, &["no requests", "holds only a header"]);
    refused("\n\n\n", &["no requests"]);
}

#[test]
fn a_trace_that_is_not_text_has_its_line() {
    refused(
        [HEADER.as_bytes(), b"0,10,5\n\xff\xfe,1,1\n"].concat(),
        &["trace.csv:3: byte 1 of the line is not UTF-8"],
    );
    refused([0_u8; 1000], &["begins no known trace"]);
    refused([0xff; 1000], &["begins no known trace"]);
}

#[test]
fn a_missing_trace_is_shown_where_it_is_named() {
    let (bench, outcome) = play(None, "");
    outcome.refuses(&["trace.csv: cannot open", "No such file", "mine.toml:5:1"]);
    assert_eq!(bench.results(), [""; 0]);
    let bench = Bench::new();
    let change = "workload.trace.path=.";
    bench
        .write("mine.toml", "[workload]\n[server]\ngpu = \"A10G\"\nmodel = \"Qwen/Qwen2.5-1.5B-Instruct\"\n");
    bench.kendall(&["run", "mine.toml", "--set", change]).refuses(&["directory", "`workload.trace`"]);
}

#[test]
fn a_trace_excludes_other_workloads() {
    for (key, value) in [
        ("requests", "5"),
        ("duration_s", "5.0"),
        ("arrivals", "{ process = \"at_once\" }"),
        ("prompt_tokens", "{ dist = \"constant\", tokens = 5 }"),
        ("output_tokens", "{ dist = \"constant\", tokens = 5 }"),
        ("lengths", "{ path = \"lengths.json\" }"),
    ] {
        let keys = format!("[workload]\n{key} = {value}");
        refused_keys(
            &keys,
            &[&format!("`workload.{key}`: a trace brings its own arrivals and lengths"), "leave"],
        );
    }
}

#[test]
fn options_of_a_trace_have_their_ranges() {
    for scale in ["0", "-1", "nan", "inf"] {
        refused_keys(&format!("time_scale = {scale}"), &["time_scale is", "a finite number above 0"]);
    }
    refused_keys("max_requests = 0", &["max_requests is `0`", "at least 1"]);
    refused_keys("start_s = -1", &["start_s is `-1`", "213 days"]);
    refused_keys("start_s = 5\nend_s = 5", &["end_s is `5`", "after start_s"]);
    refused_keys("format = \"azur\"", &["unknown variant `azur`", "did you mean `azure`?"]);
    refused_keys("time_scales = 2", &["unknown field `time_scales`", "did you mean `time_scale`?"]);
}

#[test]
fn a_slice_without_requests_is_an_error() {
    let (bench, outcome) = play(Some(format!("{HEADER}0,10,5\n").as_bytes()), "start_s = 100");
    outcome.refuses(&["no requests are left by start_s, end_s and on_empty", "widen the slice"]);
    assert_eq!(bench.results(), [""; 0]);
}

#[test]
fn requests_beyond_the_model_are_rejected_and_counted() {
    let content = format!("{HEADER}0,4294967295,4294967295\n0,100,4294967295\n1,10,5\n");
    let (bench, outcome) = play(Some(content.as_bytes()), "");
    assert!(outcome.succeeds().stdout.contains("! 1 of 3 requests were rejected"));
    let summary: serde_json::Value = serde_json::from_str(&bench.read("out/summary.json")).expect("JSON");
    assert_eq!((summary["completed"].as_u64(), summary["rejected"].as_u64()), (Some(2), Some(1)));
    assert_eq!(
        summary["total_output_tokens"].as_u64(),
        Some(32_768 - 100 + 5),
        "output ends at `max_model_len`"
    );
}

#[test]
fn recorded_lengths_are_checked_too() {
    let bench = Bench::new();
    let text = "[workload]\nrequests = 5\narrivals = { process = \"at_once\" }\nlengths = { path = \"lengths.json\" }\n\
                [server]\ngpu = \"A10G\"\nmodel = \"Qwen/Qwen2.5-1.5B-Instruct\"\n";
    bench.write("mine.toml", text);
    let refused = |parts: &[&str]| bench.kendall(&["run", "mine.toml", "--out", "out"]).refuses(parts);
    refused(&["lengths.json: cannot open", "mine.toml:4:11"]);
    for (content, part) in [
        ("", "lengths.json"),
        ("{\"prompt_len\": [10, 6], \"gen_len\": [220", "lengths.json"),
        ("{\"prompt_len\": [10, 6], \"gen_len\": [220]}", "gen_len"),
        ("{\"prompt_len\": [], \"gen_len\": []}", "no requests"),
        ("{\"prompt_len\": [0], \"gen_len\": [1]}", "prompt_len"),
    ] {
        bench.write("lengths.json", content);
        refused(&["lengths.json", part]);
    }
    assert_eq!(bench.results(), [""; 0]);
}
