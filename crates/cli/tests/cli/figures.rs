//! The files of a run agree with each other: `requests.csv` and `steps.csv` against `summary.json`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::program::Bench;

type Row = BTreeMap<String, String>;

struct Files {
    requests: Vec<Row>,
    steps: Vec<Row>,
    summary: Value,
}

fn play(changes: &[&str]) -> Files {
    let bench = Bench::new();
    let mut args = vec!["run", "--out", "out", "--steps"];
    args.extend(changes.iter().flat_map(|change| ["--set", change]));
    bench.kendall(&args).succeeds();
    let rows = |name: &str| -> Vec<Row> {
        let mut reader = csv::Reader::from_path(bench.path(name)).expect(name);
        reader.deserialize().map(|row| row.expect(name)).collect()
    };
    let summary = serde_json::from_str(&bench.read("out/summary.json")).expect("JSON");
    Files { requests: rows("out/requests.csv"), steps: rows("out/steps.csv"), summary }
}

/// No prefix cache, too few blocks: many preemptions, each of which computes everything again. Without asynchronous scheduling: there
/// a preempted request can finish with the token that was in flight, and is not admitted again.
const KV_STARVED: [&str; 6] = [
    "workload.requests=2000",
    "workload.arrivals.rate_per_s=20",
    "server.num_gpu_blocks=400",
    "server.enable_prefix_caching=false",
    "server.replicas=2",
    "server.async_scheduling=false",
];

fn count(row: &Row, column: &str) -> u64 {
    row[column].parse().unwrap_or_else(|error| panic!("{column} of {row:?}: {error}"))
}

fn total(rows: &[Row], column: &str) -> u64 {
    rows.iter().map(|row| count(row, column)).sum()
}

/// The column in milliseconds, without empty fields, sorted.
fn milliseconds(rows: &[Row], column: &str) -> Vec<f64> {
    let fields = rows.iter().map(|row| row[column].as_str()).filter(|field| !field.is_empty());
    let mut values: Vec<f64> = fields.map(|field| field.parse::<f64>().expect(column) * 1e3).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Linear interpolation between order statistics, as numpy's `percentile`.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = q * (sorted.len() - 1) as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (rank - below as f64)
}

fn assert_close(summary: &Value, key: &str, expected: f64) {
    let value = summary[key].as_f64().unwrap_or_else(|| panic!("{key} is {}", summary[key]));
    assert!((value / expected - 1.0).abs() < 1e-3, "{key} is {value}, from requests.csv {expected}");
}

fn assert_count(summary: &Value, key: &str, expected: u64) {
    assert_eq!(summary[key].as_u64(), Some(expected), "{key}");
}

fn ids(field: &str) -> impl Iterator<Item = u64> + '_ {
    field.split_whitespace().map(|id| id.parse().expect("a number of a request"))
}

#[test]
fn latencies_and_counts_follow_from_requests_csv() {
    let Files { requests, summary, .. } = play(&["workload.requests=3000"]);
    let mut numbers: Vec<_> = requests.iter().map(|row| count(row, "request")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..3_000).collect::<Vec<_>>(), "one row a request");
    assert!(requests.iter().all(|row| row["status"] == "finished"));
    assert_count(&summary, "completed", 3_000);
    assert_count(&summary, "total_input_tokens", total(&requests, "prompt_tokens"));
    assert_count(&summary, "total_output_tokens", total(&requests, "output_tokens"));
    assert_count(&summary, "num_preemptions", total(&requests, "preemptions"));
    for (name, column) in [("ttft", "ttft_s"), ("tpot", "tpot_s"), ("e2el", "e2el_s")] {
        let sorted = milliseconds(&requests, column);
        assert_count(&summary, &format!("num_{name}"), sorted.len() as u64);
        assert_close(&summary, &format!("mean_{name}_ms"), sorted.iter().sum::<f64>() / sorted.len() as f64);
        for (key, q) in [("median", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)] {
            assert_close(&summary, &format!("{key}_{name}_ms"), quantile(&sorted, q));
        }
    }
    let last_s = milliseconds(&requests, "finish_s").last().copied().expect("a finish") / 1e3;
    assert_close(&summary, "duration", last_s);
    assert_close(&summary, "request_throughput", 3_000.0 / last_s);
    assert_close(&summary, "output_throughput", total(&requests, "output_tokens") as f64 / last_s);
}

#[test]
fn the_parts_of_ttft_sum_to_it() {
    for row in play(&KV_STARVED).requests {
        let seconds = |column: &str| row[column].parse::<f64>().expect("seconds");
        let parts = ["front_end", "queue", "prefill", "interference", "preemption"];
        let sum: f64 = parts.iter().map(|part| seconds(&format!("ttft_{part}_s"))).sum();
        assert!((sum - seconds("ttft_s")).abs() < 1e-9, "{row:?}");
    }
}

#[test]
fn steps_conserve_requests_tokens_and_blocks() {
    let Files { requests, steps, summary } = play(&KV_STARVED);
    assert_count(&summary, "num_steps", steps.len() as u64);
    let (mut finished, mut admissions, mut preemptions) = (BTreeMap::new(), 0, 0);
    let mut last_end: BTreeMap<u64, f64> = BTreeMap::new();
    for step in &steps {
        let scheduled: u64 = step["scheduled"]
            .split_whitespace()
            .map(|row| {
                row.split_once(':').and_then(|(_, tokens)| tokens.parse::<u64>().ok()).expect("id:tokens")
            })
            .sum();
        assert_eq!(scheduled, count(step, "prefill_tokens") + count(step, "decode_seqs"), "{step:?}");
        assert!(scheduled <= 2_048 && step["scheduled"].split_whitespace().count() <= 64, "{step:?}");
        assert!(count(step, "free_blocks") <= 399 && count(step, "free_blocks_end") <= 399, "{step:?}");
        let seconds = |column: &str| step[column].parse::<f64>().expect("seconds");
        assert!(seconds("scheduled_s") <= seconds("start_s") && seconds("start_s") <= seconds("end_s"));
        let previous = last_end.insert(count(step, "replica"), seconds("end_s"));
        assert!(previous.is_none_or(|end| end <= seconds("start_s")), "steps of a replica overlap: {step:?}");
        admissions += ids(&step["admitted"]).count() as u64;
        preemptions += ids(&step["preempted"]).count() as u64;
        for id in ids(&step["finished"]) {
            assert!(finished.insert(id, step["end_s"].clone()).is_none(), "request {id} finished twice");
        }
    }
    assert!(preemptions > 100, "the cache is not starved: {preemptions} preemptions");
    assert_eq!(finished.len(), requests.len());
    assert_eq!(admissions, requests.len() as u64 + preemptions);
    assert_count(&summary, "num_preemptions", preemptions);
    assert!(requests.iter().all(|row| finished[&count(row, "request")] == row["finish_s"]));
    let computed = total(&steps, "prefill_tokens") + total(&steps, "decode_seqs");
    let needed =
        total(&requests, "prompt_tokens") + total(&requests, "output_tokens") - requests.len() as u64;
    assert_eq!(
        computed,
        needed + total(&requests, "lost_tokens"),
        "each token is computed once, and again if lost"
    );
    let free_at_end =
        steps.iter().rev().find(|step| step["replica"] == "0").map(|step| count(step, "free_blocks_end"));
    assert_eq!(free_at_end, Some(399), "all blocks are free at the end");
}

#[test]
fn json_on_stdout_is_the_summary_under_the_names_of_vllm() {
    let bench = Bench::new();
    let outcome = bench.kendall(&["run", "--json", "--out", "out", "--set", "workload.requests=100"]);
    assert_eq!(outcome.succeeds().stdout, bench.read("out/summary.json"));
    let summary: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    // `vllm bench serve --save-result`, vLLM 0.22, benchmarks/serve.py.
    for key in ["completed", "total_input_tokens", "total_output_tokens"] {
        assert!(summary[key].is_u64(), "{key} is {}", summary[key]);
    }
    for key in
        ["duration", "request_throughput", "request_goodput", "output_throughput", "total_token_throughput"]
    {
        assert!(summary[key].is_f64(), "{key} is {}", summary[key]);
    }
    for name in ["ttft", "tpot", "itl", "e2el"] {
        for statistic in ["mean", "median", "std", "p50", "p90", "p95", "p99"] {
            let key = format!("{statistic}_{name}_ms");
            assert!(summary[&key].is_f64(), "{key} is {}", summary[&key]);
        }
    }
    for key in ["num_preemptions", "num_steps", "rejected", "unfinished"] {
        assert!(summary[key].is_u64(), "{key} is {}", summary[key]);
    }
    assert_eq!(summary["status"], "completed");
    assert!(summary["ledger"].as_array().is_some_and(|ledger| ledger.len() > 10));
}
