//! Runs of steps and `--one-by-one` give the same files (invariant 10, seen from outside).

use crate::program::Bench;

#[test]
fn runs_of_steps_change_no_file() {
    let bench = Bench::new();
    for (name, changes) in [
        ("quickstart", vec!["workload.requests=3000", "workload.arrivals.rate_per_s=9"]),
        ("synchronous", vec!["workload.requests=3000", "server.async_scheduling=false"]),
        ("cached", vec!["workload.requests=2000", "server.enable_prefix_caching=true"]),
        ("starved", vec!["workload.requests=1500", "server.num_gpu_blocks=90", "server.max_model_len=1024"]),
    ] {
        let files = ["runs", "one-by-one"].map(|mode| {
            let out = format!("{name}-{mode}");
            let mut arguments = vec!["run", "--quiet", "--steps", "--out", &out];
            for change in &changes {
                arguments.extend(["--set", change]);
            }
            if mode == "one-by-one" {
                arguments.push("--one-by-one");
            }
            bench.kendall(&arguments).succeeds();
            ["requests.csv", "summary.json", "steps.csv", "timeline.csv"]
                .map(|file| bench.read(&format!("{out}/{file}")))
        });
        assert!(files[0] == files[1], "{name}: files differ");
    }
}

/// Without a step log, replicas sleep through runs of steps.
#[test]
fn sleeping_changes_no_file() {
    let bench = Bench::new();
    for rate in ["1", "12"] {
        let files = [None, Some("--one-by-one")].map(|mode| {
            let out = format!("{rate}-{}", mode.unwrap_or("asleep"));
            let rate = format!("workload.arrivals.rate_per_s={rate}");
            let arguments =
                ["run", "--quiet", "--set", "workload.requests=3000", "--set", &rate, "--out", &out];
            bench.kendall(&arguments.into_iter().chain(mode).collect::<Vec<_>>()).succeeds();
            ["requests.csv", "summary.json", "timeline.csv"].map(|file| bench.read(&format!("{out}/{file}")))
        });
        assert!(files[0] == files[1], "at {rate} requests a second: files differ");
    }
}
