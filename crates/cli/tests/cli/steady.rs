//! What one run says about the steady state: the verdict first, then an interval for each latency or the reason why not.

use serde_json::Value;

use crate::program::Bench;

const STATISTICS: [&str; 5] = ["mean", "p50", "p90", "p95", "p99"];
const LATENCIES: [&str; 5] = ["ttft", "tpot", "itl", "e2el", "queue"];

/// One seat and equal steps: 20 tokens of 10 ms each, so that five requests a second are the capacity.
const ONE_SEAT: &str = r#"
[workload]
requests = 40_000
arrivals = { process = "poisson", rate_per_s = 2.5 }
prompt_tokens = { dist = "constant", tokens = 8 }
output_tokens = { dist = "constant", tokens = 20 }

[server]
max_num_seqs = 1
max_model_len = 64
num_gpu_blocks = 2000
async_scheduling = false
front_end_overhead_ms = 0
step_time = { model = "linear", base_ps = 10_000_000_000 }
"#;

fn play(scenario: &str, args: &[&str]) -> (Value, String) {
    let bench = Bench::new();
    bench.write("it.toml", scenario);
    let json = bench.kendall(&[&["run", "it.toml", "--quiet", "--json"], args].concat());
    let table = bench.kendall(&[&["run", "it.toml", "--quiet"], args].concat());
    (serde_json::from_str(&json.succeeds().stdout).expect("JSON"), table.succeeds().stdout.clone())
}

/// M/D/1 at load 0.5: the interval of the queueing time's mean holds Pollaczek-Khinchine's rho S / (2 (1 - rho)) = 100 ms, and that of
/// the time to first token 10 ms more. The seed is one of the 95 %.
#[test]
fn a_stable_run_has_intervals_that_hold_the_truth() {
    let (json, table) = play(ONE_SEAT, &[]);
    assert_eq!(json["stability"]["verdict"], "stable", "{json:#}");
    let load = json["stability"]["load"]["mean"].as_f64().expect("a load");
    assert!((load - 0.5).abs() < 1e-6, "{load}");
    let ends = |figure: &str| {
        let interval = &json["intervals"][figure];
        [&interval["low"], &interval["high"]].map(|end| end.as_f64().expect(figure))
    };
    for (figure, truth) in [("mean_ttft_ms", 110.0), ("mean_e2el_ms", 300.0)] {
        let [low, high] = ends(figure);
        assert!(low < truth && truth < high && high - low < 0.2 * truth, "{figure}: {low} to {high}");
    }
    for statistic in STATISTICS {
        let figure = format!("{statistic}_ttft_ms");
        let [low, high] = ends(&figure);
        let value = json[&figure].as_f64().expect("a value");
        assert!(low <= value * 1.01 && value <= high * 1.01, "{figure}: {value} beside {low} to {high}");
    }
    assert!(table.contains("queue: stable") && table.contains("  95 %"), "{table}");
    assert!(!table.contains("no interval for TTFT"), "{table}");
}

#[test]
fn every_latency_has_an_interval_or_a_reason() {
    for args in [
        &["--set", "workload.requests=50"][..],
        &["--set", "server.replicas=2"],
        &["--set", "workload.arrivals.rate_per_s=4.9"],
        &["--set", "workload.arrivals={process=\"at_once\"}", "--set", "workload.requests=500"],
        &["--transient"],
    ] {
        let (json, table) = play(ONE_SEAT, args);
        for latency in LATENCIES {
            for statistic in STATISTICS {
                let interval = &json["intervals"][format!("{statistic}_{latency}_ms")];
                let has = interval["low"].is_number() && interval["high"].is_number();
                assert!(has != interval["none"].is_string(), "{args:?}, {statistic} {latency}: {interval}");
            }
        }
        assert!(table.contains("95 %") || table.contains("no interval for"), "{table}");
    }
}

/// Twice the capacity, and 2 % beyond it.
#[test]
fn an_overloaded_run_has_no_steady_latency() {
    let slowly = ["--set", "workload.arrivals.rate_per_s=5.1", "--set", "workload.requests=200000"];
    let far = ["--set", "workload.arrivals.rate_per_s=10"];
    for (args, growth) in [(&far[..], 5.0), (&slowly, 0.1)] {
        let (json, table) = play(ONE_SEAT, args);
        assert_eq!(json["stability"]["verdict"], "overloaded", "{args:?}: {}", json["stability"]);
        let seen = &json["stability"]["growth_per_s"];
        let [mean, half_width] =
            [&seen["mean"], &seen["half_width"]].map(|value| value.as_f64().expect("a growth"));
        assert!((mean - growth).abs() < 2.0 * half_width && half_width < growth, "{args:?}: {seen}");
        for figure in ["p99_ttft_ms", "mean_e2el_ms", "p50_queue_ms", "request_goodput"] {
            assert!(json[figure].is_null(), "{args:?}: {figure}");
        }
        assert!(json["p99_tpot_ms"].is_number() && json["request_throughput"].is_number());
        assert!(table.contains("! OVERLOADED") && !table.contains("\n TTFT"), "{table}");
        let (json, table) = play(ONE_SEAT, &[args, &["--transient"]].concat());
        assert_eq!(json["stability"]["verdict"], "transient");
        assert!(json["p99_ttft_ms"].is_number() && table.contains("\n TTFT"), "{table}");
    }
}

#[test]
fn what_ends_or_waits_is_told_apart() {
    for (changes, verdict) in [
        (["workload.arrivals={process=\"at_once\"}", "workload.requests=500"], "transient"),
        (["workload.arrivals={process=\"closed_loop\",concurrency=4}", "workload.requests=4000"], "bounded"),
        (
            [
                "workload.arrivals={process=\"stages\",stages=[{rate_per_s=1,duration_s=50},{rate_per_s=3,duration_s=50}]}",
                "name=stages",
            ],
            "transient",
        ),
        (
            [
                "workload.arrivals={process=\"stages\",stages=[{rate_per_s=1,duration_s=50},{rate_per_s=3,duration_s=50}]}",
                "workload.max_concurrency=4",
            ],
            "transient",
        ),
    ] {
        let args: Vec<&str> = changes.iter().flat_map(|change| ["--set", change]).collect();
        let bench = Bench::new();
        let scenario = ONE_SEAT
            .replace("requests = 40_000\n", if changes[1] == "name=stages" { "" } else { "requests = 1\n" });
        bench.write("it.toml", scenario);
        let outcome = bench.kendall(&[&["run", "it.toml", "--quiet", "--json"], &args[..]].concat());
        let json: Value = serde_json::from_str(&outcome.succeeds().stdout).expect("JSON");
        assert_eq!(json["stability"]["verdict"], verdict, "{changes:?}");
    }
}
