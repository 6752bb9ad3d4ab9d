//! `kendall calibrate`: from files to a profile, and from mistakes to a message.

use std::path::PathBuf;

use serde_json::Value;

use crate::program::Bench;

fn fixture(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../calibrate/tests/fixtures")
        .join(name)
        .display()
        .to_string()
}

/// What kendall simulated, kendall finds: the step log of a run gives back the profile that the run had.
#[test]
fn the_steps_of_a_run_give_its_coefficients_back() {
    let bench = Bench::new();
    let truth = "server.step_time={ model = 'linear', base_ps = 7_000_000_000, per_prefill_token_ps = 50_000_000, \
                 per_prefill_context_token_ps = 200_000, per_prefill_attention_ps = 20_000, per_decode_seq_ps = 60_000_000, \
                 per_decode_context_token_ps = 150_000, per_new_seq_ps = 90_000_000 }";
    for (caching, scheduling) in [("false", "true"), ("true", "false")] {
        let caching = format!("server.enable_prefix_caching={caching}");
        let scheduling = format!("server.async_scheduling={scheduling}");
        // Prompts in several chunks: otherwise their tokens and their contexts are one and the same column.
        let chunks = "server.max_num_batched_tokens=256";
        let changes =
            ["workload.requests=400", "workload.arrivals.rate_per_s=6", chunks, &caching, &scheduling, truth];
        let mut arguments = vec!["run", "--quiet", "--steps", "--out", "out"];
        arguments.extend(changes.iter().flat_map(|change| ["--set", change]));
        bench.kendall(&arguments).succeeds();
        let outcome = bench.kendall(&["calibrate", "out/steps.csv", "--json"]);
        let json: Value = serde_json::from_str(&outcome.succeeds().stdout).unwrap();
        let found = &json["fit"]["coefficients"];
        for (key, truth) in [
            ("base_ps", 7e9),
            ("per_prefill_token_ps", 5e7),
            ("per_prefill_context_token_ps", 2e5),
            ("per_prefill_attention_ps", 2e4),
            ("per_decode_seq_ps", 6e7),
            ("per_decode_context_token_ps", 1.5e5),
            ("per_new_seq_ps", 9e7),
        ] {
            let found = found[key].as_f64().unwrap();
            assert!((found / truth - 1.0).abs() < 1e-3, "{key}: {found} against {truth}");
        }
        assert!(json["fit"]["hold_out"]["all"]["p95_percent"].as_f64().unwrap() < 1e-3, "{json:#}");
    }
}

#[test]
fn a_profile_is_written_and_names_its_server() {
    let bench = Bench::new();
    bench
        .kendall(&["run", "--quiet", "--steps", "--out", "out", "--set", "workload.requests=200"])
        .succeeds();
    let refused = bench.kendall(&["calibrate", "out/steps.csv", "--out", "profile.toml"]);
    refused.refuses(&["--out needs to know the server", "give --gpu NAME"]);
    assert!(!bench.path("profile.toml").exists());
    let outcome = bench.kendall(&[
        "calibrate",
        "out/steps.csv",
        "--gpu",
        "a10g",
        "--model",
        "Qwen2.5-1.5B-Instruct",
        "--engine-version",
        "vllm 0.22.0",
        "--fix",
        "per_prefill_attention_ps=2_048",
        "--front-end-ms",
        "7.5",
        "--out",
        "profile.toml",
        "--plot",
        "residuals.svg",
    ]);
    let text = &outcome.succeeds().stdout;
    assert!(text.contains("Coefficients of Qwen/Qwen2.5-1.5B-Instruct on A10G"), "{text}");
    let toml: toml::Table = bench.read("profile.toml").parse().unwrap();
    let profile = &toml["profile"][0];
    assert_eq!(profile["gpu"].as_str(), Some("A10G"));
    assert_eq!(profile["front_end_overhead_ms"].as_float(), Some(7.5));
    assert_eq!(profile["coefficients"]["per_prefill_attention_ps"].as_integer(), Some(2048));
    assert_eq!(profile["origin"]["kind"].as_str(), Some("calibrated"));
    assert!(bench.read("residuals.svg").contains("<circle"));
}

/// Requests alone on a server: their gaps are steps of one sequence, and what a prefill leaves of the TTFT is the front
/// end.
#[test]
fn requests_alone_give_decode_steps_and_a_front_end() {
    let bench = Bench::new();
    let n = 30;
    let (mut sends, mut ttfts, mut itls, mut prompts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        let prompt = 100 + 150 * (i % 7);
        sends.push(f64::from(10 * i));
        prompts.push(prompt);
        // 9 ms of front end, then a step of 8 ms and 0.05 ms a prompt token.
        ttfts.push(0.009 + 0.008 + 5e-5 * f64::from(prompt));
        itls.push((0..20).map(|j| 0.008 + 2e-7 * f64::from(prompt + 1 + j)).collect::<Vec<_>>());
    }
    let json = serde_json::json!({
        "num_prompts": n, "completed": n, "request_throughput": 0.1, "start_times": sends, "ttfts": ttfts, "itls": itls,
        "input_lens": prompts, "output_lens": vec![21; n as usize], "max_concurrency": 1
    });
    bench.write("alone.json", json.to_string());
    let outcome =
        bench.kendall(&["calibrate", "alone.json", "--fix", "per_prefill_token_ps=50_000_000", "--json"]);
    let json: Value = serde_json::from_str(&outcome.succeeds().stdout).unwrap();
    assert_eq!(json["measured"][0]["steps"].as_u64(), Some(600));
    let found = |key: &str| json["fit"]["coefficients"][key].as_f64().unwrap();
    assert!((found("per_decode_context_token_ps") / 2e5 - 1.0).abs() < 1e-3, "{json:#}");
    // The base and a step's one sequence are one and the same here, and the result says so.
    assert!((found("base_ps") + found("per_decode_seq_ps") - 8e9).abs() < 1e6, "{json:#}");
    assert!(!json["fit"]["identification"]["confounded"].as_array().unwrap().is_empty());
    assert_eq!(json["front_end"]["measured"]["requests"].as_u64(), Some(30));
    // The prefill step has the base without the sequence.
    let expected = 9.0 + found("per_decode_seq_ps") / 1e9;
    let overhead = json["front_end"]["overhead_ms"].as_f64().unwrap();
    assert!((overhead - expected).abs() < 0.01, "{overhead} against {expected}");
}

#[test]
fn inspection_shows_what_a_file_says() {
    let bench = Bench::new();
    let file = fixture("vllm/errors_and_chunks.json");
    let outcome = bench.kendall(&["calibrate", "--inspect", &file]);
    let text = &outcome.succeeds().stdout;
    for part in [
        "vllm bench serve",
        "33 answered, 7 failed",
        "TTFT   46.729",
        "! 3.67 tokens a chunk: gaps are not inter-token latencies; TPOT is right",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let json: Value =
        serde_json::from_str(&bench.kendall(&["calibrate", "--inspect", "--json", &file]).succeeds().stdout)
            .unwrap();
    assert_eq!(json["runs"][0]["requests"].as_array().map(Vec::len), Some(40));
    assert_eq!(json["runs"][0]["summary"]["completed"].as_u64(), Some(33));
}

#[test]
fn bad_input_ends_with_2_and_says_why() {
    let bench = Bench::new();
    bench.write("foreign.json", "{\"packages\": []}");
    bench.write("cut.json", "{\"ttfts\": [0.1");
    bench.write("bad.csv", "step_s,prefill_tokens,decode_seqs\n0.01,0,1\n0.01,zero,1\n");
    bench.write("short.csv", "step_s,prefill_tokens,decode_seqs\n0.01,0,1\n");
    let step_log = |gpu: &str| {
        format!("step_s,prefill_tokens,decode_seqs,gpu\n{}", format!("0.01,0,1,{gpu}\n").repeat(30))
    };
    bench.write("a.csv", step_log("A10G"));
    bench.write("b.csv", step_log("H100"));
    let chunks = fixture("vllm/errors_and_chunks.json");
    for (arguments, parts) in [
        (vec!["absent.json"], vec!["absent.json: cannot be read"]),
        (vec!["foreign.json"], vec!["foreign.json: no known measured result: an object with packages"]),
        (vec!["cut.json"], vec!["cut.json:1: the file ends in the middle of its JSON"]),
        (vec!["bad.csv"], vec!["bad.csv:3: prefill_tokens is `zero`"]),
        (vec!["short.csv"], vec!["1 usable steps; expected at least 20"]),
        (vec![chunks.as_str()], vec!["no steps to fit", "--max-concurrency 1"]),
        (vec!["a.csv", "b.csv"], vec!["different servers, `A10G` and `H100`", "--gpu"]),
        (vec!["a.csv", "--fix", "base=1"], vec!["--fix is `base=1`", "base_ps"]),
        (vec!["a.csv", "--front-end-ms=-1"], vec!["--front-end-ms"]),
        (vec![], vec!["MEASURED"]),
    ] {
        let arguments: Vec<&str> = ["calibrate"].into_iter().chain(arguments).collect();
        bench.kendall(&arguments).refuses(&parts);
    }
}
