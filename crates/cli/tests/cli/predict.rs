//! `kendall predict`: theory beside the simulation, in cases where both must agree, and where theory must say nothing.

use serde_json::Value;

use crate::program::{Bench, Outcome, one_seat};

/// One request at a time, exponential outputs: M/G/1.
fn scenario() -> String {
    one_seat(20_000, 2.5, "{ dist = \"exponential\", mean = 20 }")
}

fn predict(args: &[&str]) -> Outcome {
    let bench = Bench::new();
    bench.write("s.toml", scenario());
    bench.kendall(&[&["predict", "s.toml", "--quiet"], args].concat())
}

fn json(args: &[&str]) -> Value {
    let outcome = predict(&[args, &["--json"]].concat());
    serde_json::from_str(&outcome.succeeds().stdout).expect("JSON")
}

/// (simulated mean, half-width, value of the model)
fn figure(json: &Value, name: &str, model: &str) -> (f64, f64, f64) {
    let figure = &json["figures"][name];
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{name} of {model}: {figure}"));
    (
        number(&figure["simulated"]["mean"]),
        number(&figure["simulated"]["half_width"]),
        number(&figure["models"][model]["value"]),
    )
}

/// Service times are whole numbers of steps, requests come one after another: theory is exact, with both schedulings.
#[test]
fn one_at_a_time_theory_lies_within_the_interval() {
    for scheduling in ["false", "true"] {
        let set = format!("server.async_scheduling={scheduling}");
        let found = json(&["--replications", "20", "--confidence", "0.99", "--set", &set]);
        for name in ["mean_ttft_ms", "p95_ttft_ms", "mean_e2el_ms", "num_waiting"] {
            let (mean, half_width, theory) = figure(&found, name, "m/g/1");
            assert!(
                (theory - mean).abs() <= half_width,
                "{name}: {theory}, simulated {mean} +- {half_width}"
            );
        }
        let (mean, _, theory) = figure(&found, "mean_tpot_ms", "m/g/1");
        assert!((theory - mean).abs() < 1e-6, "all steps take 10 ms: {theory}, {mean}");
    }
}

/// Many at a time and equal steps: nobody waits for anybody, so E2E is outputs times steps, and TTFT a step and what is left of one.
#[test]
fn with_room_for_all_and_equal_steps_theory_lies_within_a_percent() {
    let found = json(&[
        "--replications",
        "10",
        "--set",
        "server.max_num_seqs=256",
        "--set",
        "workload.arrivals.rate_per_s=40",
    ]);
    for name in ["mean_ttft_ms", "mean_tpot_ms", "mean_e2el_ms", "num_running"] {
        let (mean, _, theory) = figure(&found, name, "paged");
        assert!((theory / mean - 1.0).abs() < 0.01, "{name}: {theory}, simulated {mean}");
    }
}

#[test]
fn overload_is_answered_by_the_fluid_and_not_by_a_stationary_number() {
    let found = json(&[
        "--replications",
        "5",
        "--set",
        "server.max_num_seqs=8",
        "--set",
        "workload.arrivals.rate_per_s=80",
    ]);
    let refused = found["not_applicable"].as_array().expect("a list");
    assert!(refused.iter().any(|refusal| refusal["model"] == "paged"
        && refusal["reason"].as_str().is_some_and(|reason| reason.contains("no stationary state"))));
    for name in ["mean_ttft_ms", "request_throughput", "p95_ttft_ms"] {
        let (mean, _, theory) = figure(&found, name, "fluid");
        assert!((theory / mean - 1.0).abs() < 0.05, "{name}: {theory}, simulated {mean}");
    }
    let boundary = found["boundary"]["capacity_per_s"].as_f64().expect("a number");
    let (throughput, _, _) = figure(&found, "request_throughput", "fluid");
    assert!((throughput / boundary - 1.0).abs() < 0.02, "{throughput} {boundary}");
}

#[test]
fn what_no_model_knows_is_named() {
    let bursty = predict(&["--no-simulation", "--set", "workload.arrivals.process=constant"]);
    assert_eq!(bursty.code, Some(1), "{}", bursty.stdout);
    assert!(
        bursty.stdout.contains("workload.arrivals: the models know Poisson arrivals"),
        "{}",
        bursty.stdout
    );
    let priority = predict(&["--no-simulation", "--set", "server.scheduling_policy=priority"]);
    assert!(priority.stdout.contains("server.scheduling_policy"), "{}", priority.stdout);
    let both = predict(&["--ladder"]);
    assert_eq!(both.code, Some(2), "{}", both.stderr);
}

#[test]
fn a_sweep_draws_theory_over_simulated_points() {
    let bench = Bench::new();
    bench.write("s.toml", scenario());
    let args = [
        "predict",
        "s.toml",
        "--quiet",
        "--sweep=0.3,0.6",
        "--replications",
        "2",
        "--set",
        "server.max_num_seqs=8",
        "--set",
        "workload.requests=2000",
        "--out",
        "out",
    ];
    let outcome = bench.kendall(&args);
    assert!(outcome.succeeds().stdout.contains("overload begins at"), "{}", outcome.stdout);
    let csv = bench.read("out/predict_sweep.csv");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    for column in ["load", "mean_ttft_ms_simulated", "mean_ttft_ms_half_width", "mean_ttft_ms_paged"] {
        assert!(
            csv.lines().next().is_some_and(|header| header.split(',').any(|name| name == column)),
            "{csv}"
        );
    }
    let svg = bench.read("out/p99_ttft_ms.svg");
    assert!(svg.contains("simulated") && svg.contains("paged"), "no legend");
}

/// The study's loss system, with a limit on the time to first token.
const LOSS: &str = "
[workload]
requests = 20_000
arrivals = { process = \"poisson\", rate_per_s = 3.0 }
prompt_tokens = { dist = \"lognormal\", median = 256, sigma = 0.55 }
output_tokens = { dist = \"lognormal\", median = 128, sigma = 0.70 }
[server]
engine = \"reserve\"
step_time = { model = \"curve\" }
reserve = { max_batch_size = 4, kv_tokens = 16_384 }
[slo]
goodput = { ttft_ms = 2000 }
";

fn loss(args: &[&str]) -> Value {
    let bench = Bench::new();
    bench.write("loss.toml", LOSS);
    let outcome = bench.kendall(&[&["predict", "loss.toml", "--quiet", "--json"], args].concat());
    serde_json::from_str(&outcome.succeeds().stdout).expect("JSON")
}

/// The best model is named, meets the simulation, and the study's three models stand beside it.
#[test]
fn the_best_model_of_a_loss_system_is_named() {
    let found = loss(&["--replications", "10", "--set", "workload.arrivals.rate_per_s=2"]);
    assert_eq!(found["best_model"], "phase-type chain");
    for (name, within) in [("mean_ttft_ms", 0.02), ("slo_attainment", 0.01), ("mean_e2el_ms", 0.01)] {
        let (mean, half_width, theory) = figure(&found, name, "phase-type chain");
        assert!(
            (theory - mean).abs() <= half_width + within * mean,
            "{name}: {theory}, {mean} +- {half_width}"
        );
    }
    let (_, _, study) = figure(&found, "p99_ttft_ms", "study two-stage");
    assert!(study > 0.0);
    let one = loss(&["--no-simulation", "--set", "server.reserve.max_batch_size=1"]);
    assert_eq!(one["best_model"], "reserved-KV chain");
}

/// Two hundred requests from an empty server wait less than in the stationary state; the transient chain knows, to about an eighth.
#[test]
fn a_short_run_is_answered_by_the_transient_chain() {
    let found = loss(&["--replications", "200", "--set", "workload.requests=200"]);
    assert_eq!(found["best_model"], "transient chain");
    let (mean, half_width, transient) = figure(&found, "mean_ttft_ms", "transient chain");
    let (_, _, stationary) = figure(&found, "mean_ttft_ms", "phase-type chain");
    assert!((transient - mean).abs() <= half_width + 0.1 * mean, "{transient}, {mean} +- {half_width}");
    assert!(stationary > 1.4 * mean, "{stationary} {mean}");
}

/// Solve, export, play: the rule that was solved for has more first tokens in time than open doors.
#[test]
fn an_admission_table_is_solved_exported_and_played() {
    let bench = Bench::new();
    bench.write("loss.toml", LOSS);
    let solved = bench.kendall(&["theory", "admission", "loss.toml", "--out", "policy.csv"]);
    assert!(solved.succeeds().stdout.contains("decision process"), "{}", solved.stdout);
    assert!(bench.read("policy.csv").starts_with("# class: largest size in tokens; 0: "));
    let in_time = |changes: &[&str]| -> f64 {
        let run = bench.kendall(&[&["run", "loss.toml", "--quiet", "--json"], changes].concat());
        let run: Value = serde_json::from_str(&run.succeeds().stdout).expect("JSON");
        run["request_goodput"].as_f64().expect("a number")
    };
    let open = in_time(&[]);
    let ruled = in_time(&["--set", "server.admission.policy_table=policy.csv"]);
    assert!(ruled > 1.2 * open, "{ruled} in time under the rule, {open} with open doors");

    bench.write("s.toml", scenario());
    let paged = bench.kendall(&["theory", "admission", "s.toml", "--ttft-limit-ms", "100"]);
    assert_eq!(paged.code, Some(2));
    assert!(paged.stderr.contains("engine = \"reserve\""), "{}", paged.stderr);
    let parts = bench.kendall(&["theory", "admission", "loss.toml", "--parts", "0.8,0.4"]);
    assert_eq!(parts.code, Some(2));
    assert!(parts.stderr.contains("rise"), "{}", parts.stderr);
}
