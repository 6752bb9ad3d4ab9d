//! `kendall run --replications` and `--precision`: equal bytes on any number of threads, intervals, refusals.

use crate::program::Bench;

const SMALL: [&str; 2] = ["--set", "workload.requests=500"];

fn run(args: &[&str]) -> crate::program::Outcome {
    let bench = Bench::new();
    bench.kendall(&[&["run"], &SMALL[..], args].concat())
}

#[test]
fn results_are_the_same_bytes_on_any_number_of_threads() {
    let files = |threads: &str| {
        let bench = Bench::new();
        let args = ["run", "--replications", "7", "--out", "out", "--threads", threads];
        let outcome = bench.kendall(&[&args, &SMALL[..]].concat());
        outcome.succeeds();
        assert_eq!(bench.results(), ["replications.csv", "scenario.toml", "summary.json"]);
        [outcome.stdout, bench.read("out/summary.json"), bench.read("out/replications.csv")]
    };
    let first = files("1");
    for threads in ["2", "3", "8"] {
        assert_eq!(files(threads), first, "{threads} threads");
    }
    let rows: Vec<_> = first[2].lines().collect();
    assert_eq!(rows.len(), 8);
    assert_ne!(rows[1].split_once(',').map(|row| row.1), rows[2].split_once(',').map(|row| row.1));
}

/// Replication 0 is the run without replications, and the mean of the rows is the mean of the summary.
#[test]
fn intervals_follow_from_the_rows() {
    let bench = Bench::new();
    bench.kendall(&[&["run", "--replications", "4", "--out", "out"], &SMALL[..]].concat()).succeeds();
    let mut reader =
        csv::Reader::from_reader(std::fs::File::open(bench.path("out/replications.csv")).unwrap());
    let column = reader.headers().unwrap().iter().position(|name| name == "mean_ttft_ms").unwrap();
    let values: Vec<f64> = reader.records().map(|row| row.unwrap()[column].parse().unwrap()).collect();
    let summary: serde_json::Value = serde_json::from_str(&bench.read("out/summary.json")).unwrap();
    let interval = &summary["mean_ttft_ms"];
    let mean = values.iter().sum::<f64>() / 4.0;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / 3.0;
    // t(0.975, 3) = 3.182446 in every table.
    let half_width = 3.182_446 * (variance / 4.0).sqrt();
    assert!((interval["mean"].as_f64().unwrap() - mean).abs() < 1e-9);
    assert!((interval["half_width"].as_f64().unwrap() / half_width - 1.0).abs() < 1e-6);
    assert_eq!((interval["confidence"].as_f64(), interval["replications"].as_u64()), (Some(0.95), Some(4)));
    let one = run(&["--json"]);
    let one: serde_json::Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!(one["mean_ttft_ms"].as_f64(), Some(values[0]));
}

#[test]
fn a_precision_is_reached_or_said_not_to_be() {
    let half_width = |json: &str| {
        let summary: serde_json::Value = serde_json::from_str(json).unwrap();
        let p99 = &summary["p99_ttft_ms"];
        assert_eq!(summary["wanted_relative_half_width"].as_f64(), Some(0.05));
        (
            summary["precision_reached"].as_bool(),
            p99["half_width"].as_f64().unwrap() / p99["mean"].as_f64().unwrap(),
        )
    };
    let (reached, relative) = half_width(&run(&["--precision", "5%", "--json"]).succeeds().stdout);
    assert_eq!(reached, Some(true));
    assert!(relative <= 0.05 / 1.05, "{relative}");
    let few = run(&["--precision", "5%", "--replications", "3", "--json"]);
    assert_eq!((few.code, half_width(&few.stdout).0), (Some(1), Some(false)), "{}", few.stderr);
    assert!(few.stdout.contains("precision was not reached in 3 runs"));
}

/// Pair 0 begins with the run without pairs, and luck cancels: TTFT rises with every length and falls with every gap.
#[test]
fn antithetic_pairs_have_narrower_intervals() {
    let json = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&run(&[args, &["--replications", "40", "--json"]].concat()).succeeds().stdout)
            .unwrap()
    };
    let pairs = json(&["--antithetic"]);
    assert_eq!(
        (pairs["replications"].as_u64(), pairs["mean_ttft_ms"]["replications"].as_u64()),
        (Some(40), Some(20))
    );
    let ratio = |figure: &str| pairs["antithetic_width_ratios"][figure].as_f64().unwrap();
    assert!(ratio("mean_ttft_ms") < 0.9 && ratio("mean_e2el_ms") < 0.9, "{pairs:#}");
    let independent = json(&[]);
    assert!(independent.get("antithetic_width_ratios").is_none());
    let [a, b] = [&pairs, &independent].map(|json| &json["mean_ttft_ms"]);
    let [difference, widths] = [
        a["mean"].as_f64().unwrap() - b["mean"].as_f64().unwrap(),
        a["half_width"].as_f64().unwrap() + b["half_width"].as_f64().unwrap(),
    ];
    assert!(difference.abs() < widths, "the same expectation: {a} {b}");
    assert!(run(&["--antithetic", "--replications", "4"]).succeeds().stdout.contains("2 antithetic pairs"));
    run(&["--antithetic", "--replications", "5"]).refuses(&["--antithetic", "even number"]);
    run(&["--antithetic"]).refuses(&["--antithetic", "--replications"]);
}

#[test]
fn one_run_has_no_interval() {
    let outcome = run(&["--replications", "1"]);
    assert!(outcome.succeeds().stdout.contains("one run"), "{}", outcome.stdout);
}

#[test]
fn a_trace_has_nothing_to_replicate() {
    let bench = Bench::new();
    bench.write("t.csv", "arrival_s,prompt_tokens,output_tokens\n0.5,10,10\n");
    bench.write("s.toml", "[workload]\ntrace = { path = \"t.csv\" }\n[server]\ngpu = \"A10G\"\nmodel = \"Qwen2.5-1.5B-Instruct\"\n");
    for option in ["--replications=2", "--precision=5%"] {
        bench.kendall(&["run", "s.toml", option]).refuses(&["t.csv", "nothing random", "leave"]);
    }
}

#[test]
fn senseless_numbers_are_refused() {
    for args in [
        ["--replications", "0"],
        ["--replications", "x"],
        ["--precision", "0"],
        ["--precision", "200%"],
        ["--confidence", "1"],
        ["--threads", "0"],
        ["--threads", "100000"],
    ] {
        run(&args).refuses(&[args[0]]);
    }
    run(&["--replications", "2", "--steps", "--out", "out"]).refuses(&["--steps"]);
}

/// One seat and steps of 10 ms serve 5 requests of 20 tokens a second.
const ONE_SEAT: [&str; 9] = [
    "server.step_time={model=\"linear\",base_ps=10000000000}",
    "server.max_num_seqs=1",
    "server.async_scheduling=false",
    "server.num_gpu_blocks=2000",
    "server.max_model_len=2048",
    "server.front_end_overhead_ms=0",
    "workload.prompt_tokens={dist=\"constant\",tokens=16}",
    "workload.output_tokens={dist=\"constant\",tokens=20}",
    "workload.requests=2000",
];

/// Three overloads: by far, by 2 % (the queue drifts slowly), and of the KV cache. None gets a p99 of a steady state that is
/// not there; the same server at half of its load does.
#[test]
fn an_overloaded_queue_gets_no_latency_of_a_steady_state() {
    let far = ["workload.requests=1500", "workload.arrivals.rate_per_s=40"];
    let slowly = [&ONE_SEAT[..], &["workload.arrivals.rate_per_s=5.1"]].concat();
    let of_kv = ["workload.requests=1500", "server.num_gpu_blocks=150", "server.max_model_len=2048"];
    let stable = [&ONE_SEAT[..], &["workload.arrivals.rate_per_s=2.5", "workload.requests=40000"]].concat();
    for (changes, verdict) in
        [(&far[..], "overloaded"), (&slowly, "overloaded"), (&of_kv, "overloaded"), (&stable, "stable")]
    {
        let bench = Bench::new();
        let changes = changes.iter().flat_map(|change| ["--set", change]);
        let args: Vec<_> = ["run", "--replications", "6", "--json"].into_iter().chain(changes).collect();
        let outcome = bench.kendall(&args);
        let json: serde_json::Value = serde_json::from_str(&outcome.succeeds().stdout).unwrap();
        assert_eq!(json["verdict"], verdict, "{args:?}: {}", json["warnings"]);
        for figure in ["p99_ttft_ms", "mean_e2el_ms", "p99_queue_ms"] {
            assert_eq!(json[figure].is_null(), verdict == "overloaded", "{figure} of {args:?}");
        }
        assert!(json["request_throughput"]["half_width"].as_f64().is_some_and(|half_width| half_width > 0.0));
    }
}
