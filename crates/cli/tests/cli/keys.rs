//! Mistakes in keys, types and TOML itself: file, line, the nearest name.

use crate::program::{Bench, QUICKSTART, refused, refused_text};

/// The quick start with one line replaced.
fn with(line: &str, replacement: &str) -> String {
    assert!(QUICKSTART.contains(line), "the quick start has no line `{line}`");
    QUICKSTART.replace(line, replacement)
}

#[test]
fn a_misspelt_key_gets_its_line_and_the_nearest_name() {
    let text = with("max_num_seqs = 64", "max_num_seq = 64");
    refused_text(text, &["unknown field `max_num_seq`", "mine.toml:13:1", "did you mean `max_num_seqs`?"]);
    let text = with("[server]", "[sever]");
    refused_text(text, &["unknown field `sever`", "did you mean `server`?"]);
    let text = with("sigma = 0.55", "sigmas = 0.55");
    refused_text(text, &["unknown field `sigmas`", "mine.toml:5", "did you mean `sigma`?"]);
}

#[test]
fn a_key_that_is_like_no_other_is_refused_with_the_known_ones() {
    let text = with("max_num_seqs = 64", "zzz = 64");
    refused_text(text, &["unknown field `zzz`", "mine.toml:13:1", "`max_num_seqs`"]);
}

#[test]
fn an_unknown_word_gets_its_line_and_the_nearest() {
    let text = with("\"poisson\"", "\"poison\"");
    refused_text(text, &["unknown variant `poison`", "mine.toml:4", "did you mean `poisson`?"]);
    let text = with("dist = \"lognormal\", median = 256", "dist = \"lognorm\", median = 256");
    refused_text(text, &["unknown variant `lognorm`", "mine.toml:5", "did you mean `lognormal`?"]);
    let text = with("\"vllm-v1\"", "\"vllm-v11\"");
    refused_text(text, &["unknown variant `vllm-v11`", "mine.toml:11:10", "did you mean `vllm-v1`?"]);
    refused(&["server.scheduling_policy=lifo"], &["unknown variant `lifo`", "`fcfs`", "`priority`"]);
}

#[test]
fn a_wrong_type_gets_its_line_and_the_right_one() {
    let text = with("requests = 20_000", "requests = \"many\"");
    refused_text(
        text,
        &["invalid type: string \"many\"", "mine.toml:3:12", "expected a whole number from 0 on"],
    );
    let text = with("requests = 20_000", "requests = 2.5");
    refused_text(text, &["floating point `2.5`", "mine.toml:3:12", "expected a whole number from 0 on"]);
    let text = with("rate_per_s = 4.0", "rate_per_s = \"4/s\"");
    refused_text(text, &["invalid type: string \"4/s\"", "mine.toml:4", "expected a number"]);
    let text = with("max_num_seqs = 64", "max_num_seqs = true");
    refused_text(text, &["boolean `true`", "mine.toml:13:16", "from 0 to 4294967295"]);
    let text = with("arrivals = { process = \"poisson\", rate_per_s = 4.0 }", "arrivals = 4.0");
    refused_text(text, &["mine.toml:4", "floating point"]);
}

#[test]
fn a_unit_that_a_key_does_not_have_is_refused_with_the_one_it_has() {
    for (line, replacement, nearest) in [
        ("rate_per_s = 4.0", "rate_per_min = 240", "rate_per_s"),
        ("rate_per_s = 4.0", "rate = 4.0", "rate_per_s"),
        ("ttft_ms = 500", "ttft_s = 0.5", "ttft_ms"),
        ("tpot_ms = 50", "tpot = 50", "tpot_ms"),
        ("requests = 20_000", "duration_ms = 1_000", "duration_s"),
        ("max_num_seqs = 64", "front_end_overhead_s = 1", "front_end_overhead_ms"),
    ] {
        let nearest = format!("did you mean `{nearest}`?");
        refused_text(with(line, replacement), &["unknown field", &nearest]);
    }
}

#[test]
fn a_missing_part_is_named() {
    refused_text("[server]\n", &["missing field `workload`", "mine.toml:1:1"]);
    refused_text("", &["missing field `workload`"]);
    refused_text("[workload]\n", &["missing field `server`"]);
    refused_text(
        "[workload]\n[server]\ngpu = \"A10G\"\nmodel = \"Qwen/Qwen2.5-1.5B-Instruct\"\n",
        &["`workload.requests`: it is missing", "or a `trace`", "mine.toml:1:1"],
    );
    refused_text(with("gpu = \"A10G\"\n", ""), &["`server.gpu`: it is missing", "mine.toml:8:1"]);
    refused_text(with("model = \"Qwen/Qwen2.5-1.5B-Instruct\"\n", ""), &["`server.model`: it is missing"]);
    refused_text(with("requests = 20_000\n", ""), &["`workload.requests`: it is missing", "`duration_s`"]);
    let line = "prompt_tokens = { dist = \"lognormal\", median = 256, sigma = 0.55 }\n";
    refused_text(with(line, ""), &["`workload.prompt_tokens`: it is missing"]);
}

#[test]
fn what_is_not_toml_gets_its_line() {
    refused_text(with("requests = 20_000", "requests = "), &["mine.toml:3"]);
    refused_text(with("requests = 20_000", "requests = 1\nrequests = 2"), &["duplicate key", "mine.toml:4"]);
    refused_text(with("[server]", "[server"), &["mine.toml:8"]);
    refused_text(with("requests = 20_000", "requests = 99999999999999999999"), &["mine.toml:3"]);
    refused_text(format!("a = {}", "[".repeat(100_000)), &["recursion depth", "mine.toml:1:85"]);
    refused_text(format!("{QUICKSTART}\n# \u{1F980} \u{7}"), &["mine.toml:21"]);
}

#[test]
fn what_is_not_text_is_refused() {
    refused_text([0xff, 0xfe, 0, 1, 2, 250], &["cannot read this scenario", "UTF-8", "name a TOML file"]);
    refused_text([0; 4096], &["mine.toml:1:"]);
}

#[test]
fn a_scenario_that_cannot_be_read_is_named() {
    let bench = Bench::new();
    bench.kendall(&["run", "no/such.toml", "--out", "out"]).refuses(&["no/such.toml", "No such file"]);
    bench.kendall(&["run", ".", "--out", "out"]).refuses(&[".: cannot read this scenario", "directory"]);
    assert_eq!(bench.results(), [""; 0]);
}

#[test]
fn a_wrong_command_line_is_refused_with_its_usage() {
    let bench = Bench::new();
    bench.kendall(&["run", "--steps"]).refuses(&["--out <DIR>", "Usage: kendall run"]);
    bench.kendall(&["run", "--seed=-1"]).refuses(&["--seed"]);
    bench.kendall(&["run", "--sed", "1"]).refuses(&["--seed"]);
    bench.kendall(&["rum"]).refuses(&["run"]);
    bench.kendall(&["catalog", "gpu"]).refuses(&["gpus"]);
    bench.kendall(&[]).refuses(&["Usage: kendall"]);
}
