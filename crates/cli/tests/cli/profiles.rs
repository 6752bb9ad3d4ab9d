//! Profiles as files: fitted to requests, used by a scenario, their errors carried into answers.

use serde_json::Value;

use crate::program::Bench;

const SERVER: &str = r#"[workload]
requests = 1500
arrivals = { process = "poisson", rate_per_s = 6.0 }
prompt_tokens = { dist = "lognormal", median = 300, sigma = 0.6 }
output_tokens = { dist = "lognormal", median = 120, sigma = 0.6 }

[server]
gpu = "L4"
model = "Qwen/Qwen2.5-1.5B-Instruct"
engine_version = "0.22"
max_num_seqs = 128
max_model_len = 4096
num_gpu_blocks = 20000
enable_prefix_caching = false
"#;

/// What the server of these tests really does: a part of a step takes longer than the datasheets say, another shorter.
const TRUTH: &str = r#"[[profile]]
name = "truth"
gpu = "L4"
model = "Qwen/Qwen2.5-1.5B-Instruct"
engine_version = "vllm 0.22.0"
tensor_parallel_size = 1
front_end_overhead_ms = 15.0

[profile.corrections]
fixed = 1.6
tokens = 1.2
sequences = 1.0
context = 0.9
prefill_attention = 1.0

[profile.origin]
kind = "calibrated"
fitted_on = "nothing: the truth of a test"
residuals = "none"
coefficient_sources = "none"

[profile.origin.range]
min_decode_seqs = 1
max_decode_seqs = 128
min_context_tokens = 1
max_context_tokens = 4096
max_prefill_tokens = 4096
"#;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("server.toml", SERVER);
    bench.write("truth.toml", TRUTH);
    bench
}

fn summary(bench: &Bench, arguments: &[&str]) -> Value {
    let mut all = vec!["run", "server.toml", "--quiet", "--json"];
    all.extend(arguments);
    serde_json::from_str(&bench.kendall(&all).succeeds().stdout).expect("JSON")
}

/// Requests of a server whose parameters are known give a profile that predicts another load of that server, where the
/// datasheets do not.
#[test]
fn requests_alone_give_a_profile_that_predicts_another_load() {
    let bench = bench();
    let with_truth = ["--set", "server.profile=truth.toml"];
    bench
        .kendall(&["run", "server.toml", "--quiet", "--out", "out", with_truth[0], with_truth[1]])
        .succeeds();
    let fit = bench.kendall(&[
        "calibrate",
        "out/requests.csv",
        "--server",
        "server.toml",
        "--out",
        "fitted.toml",
        "--json",
    ]);
    let fit: Value = serde_json::from_str(&fit.succeeds().stdout).expect("JSON");
    for error in ["ttft_percent", "tpot_percent", "e2e_percent"] {
        assert!(fit["fit"]["hold_out"][error].as_f64().expect("a number").abs() < 2.0, "{:#}", fit["fit"]);
    }
    let busier = ["--set", "workload.arrivals.rate_per_s=9", "--seed", "5"];
    let under = |profile: Option<&str>| {
        let change = profile.map(|profile| format!("server.profile={profile}"));
        let mut arguments = busier.to_vec();
        if let Some(change) = &change {
            arguments.extend(["--set", change.as_str()]);
        }
        let summary = summary(&bench, &arguments);
        ["mean_ttft_ms", "mean_tpot_ms"].map(|figure| summary[figure].as_f64().expect("a figure"))
    };
    let (truth, fitted, datasheet) = (under(Some("truth.toml")), under(Some("fitted.toml")), under(None));
    for figure in 0..2 {
        let error = |found: [f64; 2]| (found[figure] / truth[figure] - 1.0).abs();
        assert!(error(fitted) < 0.03, "{truth:?} {fitted:?}");
        assert!(error(datasheet) > 0.10, "{truth:?} {datasheet:?}");
    }
}

#[test]
fn a_profile_carries_its_covariance_into_intervals() {
    let bench = bench();
    bench
        .kendall(&["run", "server.toml", "--quiet", "--out", "out", "--set", "server.profile=truth.toml"])
        .succeeds();
    bench
        .kendall(&["calibrate", "out/requests.csv", "--server", "server.toml", "--out", "fitted.toml"])
        .succeeds();
    let profile = std::fs::read_to_string(bench.path("fitted.toml")).expect("written");
    assert!(profile.contains("[profile.covariance]"), "{profile}");
    let runs = ["--replications", "3", "--parameter-uncertainty=8", "--set", "server.profile=fitted.toml"];
    let summary = summary(&bench, &runs);
    let figure = &summary["parameter_uncertainty"]["figures"]["mean_tpot_ms"];
    let width = |key: &str| figure[key].as_f64().expect("a width");
    assert!(width("parameter_half_width") > 0.0, "{figure}");
    assert!(
        width("half_width") >= width("sampling_half_width").max(width("parameter_half_width")),
        "{figure}"
    );
}

/// An estimate's uncertainty is a factor of 5.3 % on all step times, so that TPOT varies as much.
#[test]
fn an_estimates_uncertainty_is_that_of_servers_that_were_left_out() {
    let bench = bench();
    let summary = summary(&bench, &["--replications", "3", "--parameter-uncertainty=40"]);
    let figure = &summary["parameter_uncertainty"]["figures"]["mean_tpot_ms"];
    let share =
        figure["parameter_half_width"].as_f64().expect("a width") / figure["mean"].as_f64().expect("a mean");
    // Student's t of 39 degrees of freedom times 5.3 %, and a little more because a longer step finds a larger batch.
    assert!(share > 0.08 && share < 0.20, "{share}");
}

#[test]
fn capacity_under_draws_is_wider_than_without() {
    let bench = bench();
    let arguments = [
        "capacity",
        "server.toml",
        "--slo",
        "mean(tpot)<=40ms",
        "--requests",
        "500",
        "--no-sensitivity",
        "--resolution",
        "10%",
        "--parameter-uncertainty=3",
        "--quiet",
        "--json",
    ];
    let json: Value = serde_json::from_str(&bench.kendall(&arguments).succeeds().stdout).expect("JSON");
    let answers = json["parameter_uncertainty"]["answers"].as_array().expect("answers");
    assert_eq!(answers.len(), 3, "{json:#}");
    assert!(answers[0].as_f64() < answers[2].as_f64(), "{answers:?}");
    // What is printed beside them has the sampling error too.
    let interval = json["parameter_uncertainty"]["interval"].as_array().expect("two ends");
    assert!(interval[0].as_f64() < answers[0].as_f64(), "{interval:?}");
    assert!(answers[2].as_f64() < interval[1].as_f64(), "{interval:?}");
}

#[test]
fn mistakes_in_profiles_name_their_remedy() {
    let bench = bench();
    let run = |change: &str| bench.kendall(&["run", "server.toml", "--quiet", "--set", change]);
    run("server.profile=nowhere.toml").refuses(&["nowhere.toml", "cannot read this profile"]);
    bench.write("empty.toml", "profile = []");
    run("server.profile=empty.toml").refuses(&["0 profiles", "expected one"]);
    bench.write("wild.toml", TRUTH.replace("fixed = 1.6", "fixed = 1e9"));
    run("server.profile=wild.toml").refuses(&["corrections.fixed = 1000000000"]);
    bench.write("neither.toml", TRUTH.replace("[profile.corrections]", "[profile.correction]"));
    run("server.profile=neither.toml").refuses(&["correction"]);
    bench.kendall(&["run", "server.toml", "--quiet", "--parameter-uncertainty"]).refuses(&["--replications"]);
    let given = "server.step_time={ model = 'linear', base_ps = 1_000_000_000 }";
    let arguments =
        ["run", "server.toml", "--quiet", "--replications", "2", "--parameter-uncertainty", "--set", given];
    bench.kendall(&arguments).refuses(&["nothing is known of the errors"]);
}
