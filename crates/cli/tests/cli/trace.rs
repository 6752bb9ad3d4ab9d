//! `kendall trace`: events that Perfetto reads, metrics that Prometheus reads.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::program::Bench;

const STARVED: &str = include_str!("../../../../scenarios/kv-starved.toml");

fn starved(bench: &Bench) -> Value {
    bench.write("starved.toml", STARVED);
    let args = [
        "run",
        "starved.toml",
        "--quiet",
        "--transient",
        "--out",
        "out",
        "--steps",
        "--set",
        "workload.requests=300",
    ];
    bench.kendall(&args).succeeds();
    serde_json::from_str(&bench.read("out/summary.json")).expect("JSON")
}

/// The Trace Event Format: every event has a phase and a process; complete events have a duration; asynchronous ones come in
/// pairs of begin and end, for one id, and no phase of a request lies outside of it.
#[test]
fn events_follow_the_format_and_the_run() {
    let bench = Bench::new();
    let summary = starved(&bench);
    let said = bench.kendall(&["trace", "out", "--out", "trace.json"]);
    let trace: Value = serde_json::from_str(&bench.read("trace.json")).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    assert!(
        said.succeeds().stdout.contains(&format!("trace.json: {} events", events.len())),
        "{}",
        said.stdout
    );
    let mut open: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut last_step_ends = 0.0;
    for event in events {
        let phase = event["ph"].as_str().expect("a phase");
        // Readers want all of these of every event.
        assert!(["pid", "tid"].iter().all(|key| event[key].is_u64()), "{event}");
        assert!(
            ["name", "cat"].iter().all(|key| event[key].is_string()) && event["ts"].is_number(),
            "{event}"
        );
        *counts.entry(phase.to_owned()).or_default() += 1;
        if phase == "M" {
            continue;
        }
        let time = event["ts"].as_f64().expect("a time");
        let key = || (event["id"].to_string(), event["name"].to_string());
        match phase {
            "X" => {
                let duration = event["dur"].as_f64().expect("a duration");
                assert!(duration > 0.0 && event["tid"].is_u64());
                // Readers drop slices that overlap, be it by the rounding of a sum.
                assert!(last_step_ends < time, "{event} begins before {last_step_ends}");
                last_step_ends = time + duration;
            }
            "C" => assert!(event["args"].as_object().is_some_and(|args| args.values().all(Value::is_u64))),
            "b" => assert!(open.insert(key(), time).is_none(), "{event} begins twice"),
            "e" => assert!(open.remove(&key()).is_some_and(|begin| begin <= time), "{event} ends first"),
            "n" => assert_eq!(event["name"], "preempted"),
            other => panic!("{other} is no phase that is written"),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(counts["n"], summary["num_preemptions"].as_u64().expect("a count"));
    let steps = bench.read("out/steps.csv").lines().count() as u64 - 1;
    assert_eq!(counts["X"], steps, "an event a step");
}

#[test]
fn a_window_is_shorter() {
    let bench = Bench::new();
    starved(&bench);
    bench.kendall(&["trace", "out", "--out", "part.json", "--from-s", "10", "--to-s", "12"]).succeeds();
    let trace: Value = serde_json::from_str(&bench.read("part.json")).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let steps: Vec<f64> =
        events.iter().filter(|event| event["ph"] == "X").filter_map(|event| event["ts"].as_f64()).collect();
    assert!(
        steps.len() > 20 && steps.iter().all(|&ts| (9e6..=12.1e6).contains(&ts)),
        "{} steps",
        steps.len()
    );
    bench
        .kendall(&["trace", "out", "--from-s", "5", "--to-s", "5"])
        .refuses(&["--from-s must lie before --to-s"]);
}

/// Counters are those of the run; every histogram's buckets rise to its count; `kendall calibrate` reads the scrape as vLLM's.
#[test]
fn the_scrape_says_what_the_run_says() {
    let bench = Bench::new();
    let summary = starved(&bench);
    let scrape = bench.kendall(&["trace", "out", "--format", "prometheus"]).succeeds().stdout.clone();
    let sample = |name: &str| -> f64 {
        let line = scrape
            .lines()
            .find(|line| line.starts_with(&format!("{name}{{")))
            .unwrap_or_else(|| panic!("{name}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a value")
    };
    for (name, figure) in [
        ("vllm:num_preemptions_total", "num_preemptions"),
        ("vllm:generation_tokens_total", "total_output_tokens"),
        ("vllm:prompt_tokens_total", "total_input_tokens"),
        ("vllm:time_to_first_token_seconds_count", "num_ttft"),
        ("vllm:inter_token_latency_seconds_count", "num_itl"),
        ("vllm:e2e_request_latency_seconds_count", "completed"),
        ("vllm:iteration_tokens_total_count", "num_steps"),
    ] {
        assert_eq!(Some(sample(name)), summary[figure].as_f64(), "{name}");
    }
    // No front end in this scenario: the client and vLLM measure the same.
    let mean =
        sample("vllm:time_to_first_token_seconds_sum") / sample("vllm:time_to_first_token_seconds_count");
    assert!((mean * 1e3 / summary["mean_ttft_ms"].as_f64().expect("a mean") - 1.0).abs() < 1e-9, "{mean}");
    let mut last: Option<(String, f64)> = None;
    for line in scrape.lines().filter(|line| line.contains("_bucket{")) {
        let (name, value) =
            (line.split('{').next().expect("a name"), line.rsplit(' ').next().expect("a value"));
        let value: f64 = value.parse().expect("a number");
        assert!(last.as_ref().is_none_or(|(before, count)| before != name || *count <= value), "{line}");
        last = Some((name.to_owned(), value));
    }
    bench.write("scrape.txt", &scrape);
    let read = bench.kendall(&["calibrate", "--inspect", "scrape.txt"]);
    assert!(read.succeeds().stdout.contains("300"), "{}", read.stdout);
}

#[test]
fn what_a_package_installs_is_printed() {
    let bench = Bench::new();
    assert!(bench.kendall(&["completions", "bash"]).succeeds().stdout.contains("_kendall"));
    assert!(bench.kendall(&["man"]).succeeds().stdout.starts_with(".ie"), "roff");
    bench.kendall(&["man", "--out", "man"]).succeeds();
    let pages = crate::program::names(&bench.path("man"));
    assert!(
        ["kendall.1", "kendall-run.1", "kendall-report.1"]
            .iter()
            .all(|page| pages.contains(&(*page).to_owned())),
        "{pages:?}"
    );
}
