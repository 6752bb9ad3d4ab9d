//! `kendall calibrate --rows`: servers whose parameters are known give them back, and what is wrong with a table is said.

use std::fmt::Write as _;

use serde_json::Value;

use crate::program::Bench;

const FIGURES: [&str; 5] = ["ttft_mean", "ttft_p99", "tpot_mean", "e2e_mean", "throughput_rps"];

const HEADER: &str = "experiment,stage,gpu,model,precision,tp,engine,engine_version,max_num_seqs,max_num_batched_tokens,\
    max_model_len,kv_blocks,load_mode,arrival_process,rate_rps,n_requests,prompt_min,prompt_max,prompt_dist,output_min,\
    output_max,output_dist";

/// Two servers of one kind, each at several rates.
const ROWS: [(&str, u32, f64); 6] = [
    ("big-1", 128, 1.0),
    ("big-3", 128, 3.0),
    ("big-6", 128, 6.0),
    ("big-9", 128, 9.0),
    ("small-2", 64, 2.0),
    ("small-8", 64, 8.0),
];

fn described((name, max_num_seqs, rate): &(&str, u32, f64)) -> String {
    format!(
        "{name},0,A10G,Qwen/Qwen2.5-1.5B-Instruct,bf16,1,vllm,0.22.0,{max_num_seqs},2048,2048,20000,open-loop,poisson,{rate},300,\
         30,900,uniform 30..900,20,300,uniform 20..300"
    )
}

/// A profile as `kendall validate --profile` reads it.
fn truth(parameters: &str) -> String {
    format!(
        "[[profile]]\nname = \"truth\"\ngpu = \"A10G\"\nmodel = \"Qwen/Qwen2.5-1.5B-Instruct\"\nengine_version = \"vllm 0.22.0\"\n\
         tensor_parallel_size = 1\nfront_end_overhead_ms = 9.0\n{parameters}\n[profile.origin]\nkind = \"calibrated\"\n\
         fitted_on = \"nothing: the truth of a test\"\nresiduals = \"none\"\ncoefficient_sources = \"none\"\n\
         [profile.origin.range]\nmin_decode_seqs = 1\nmax_decode_seqs = 128\nmin_context_tokens = 1\n\
         max_context_tokens = 2048\nmax_prefill_tokens = 2048\n"
    )
}

/// Writes `servers.csv`: what servers of this truth would have been measured at, each figure off by up to `noise`.
fn measured(bench: &Bench, truth: &str, noise: f64) {
    bench.write("truth.toml", truth);
    let plain: String = ROWS.iter().map(|row| described(row) + "\n").collect();
    bench.write("plain.csv", format!("{HEADER}\n{plain}"));
    let outcome = bench.kendall(&["validate", "plain.csv", "--profile", "truth.toml", "--json"]);
    let json: Value = serde_json::from_str(&outcome.succeeds().stdout).expect("JSON");
    let mut table = format!("{HEADER},{}\n", FIGURES.join(","));
    let mut turn = 0_usize;
    for (place, row) in ROWS.iter().enumerate() {
        let _ = write!(table, "{}", described(row));
        for figure in FIGURES {
            let exact = json["rows"][place]["metrics"][figure]["predicted"].as_f64().expect("simulated");
            // Seven values with mean zero, in an order that does not follow the columns.
            let off = [0.7, -0.4, 1.0, -1.0, 0.2, -0.7, 0.2][turn % 7];
            turn += 1;
            let _ = write!(table, ",{}", exact * (1.0 + noise * off));
        }
        table.push('\n');
    }
    bench.write("servers.csv", table);
}

fn fitted(bench: &Bench, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["calibrate"].into_iter().chain(arguments.iter().copied()).collect();
    let all = [all, vec!["--json"]].concat();
    serde_json::from_str(&bench.kendall(&all).succeeds().stdout).expect("JSON")
}

fn parameter(json: &Value, name: &str) -> (f64, f64) {
    let all = json["rows"]["matched"]["parameters"].as_array().expect("parameters");
    let found = all.iter().find(|parameter| parameter["name"] == name).expect("it is matched");
    let number = |key: &str| found[key].as_f64().expect("a number");
    (number("value"), number("std_error"))
}

const FACTORS: &str = "tokenising_us_per_token = 1.0\nstreaming_us_per_token = 100.0\n\
    [profile.corrections]\nfixed = 1.3\ntokens = 0.85\nsequences = 1.0\ncontext = 1.1\nprefill_attention = 1.0";

/// Factors come back within four of their standard errors, and the profile predicts the server that was held out.
#[test]
fn rows_alone_give_the_factors_back() {
    let bench = Bench::new();
    measured(&bench, &truth(FACTORS), 0.02);
    let json = fitted(
        &bench,
        &[
            "--rows",
            "servers.csv",
            "--where",
            "max_num_seqs=128",
            "--out",
            "found.toml",
            "--plot",
            "rows.svg",
        ],
    );
    for (name, truth) in [
        ("fixed", 1.3),
        ("tokens", 0.85),
        ("sequences", 1.0),
        ("context", 1.1),
        ("prefill_attention", 1.0),
        ("tokenising_us_per_token", 1.0),
        ("front_end_overhead_ms", 9.0),
    ] {
        let (value, error) = parameter(&json, name);
        assert!((value - truth).abs() <= 4.0 * error, "{name}: {value} +- {error}, truth {truth}");
    }
    // What loads of one kind of request tell, and what they do not.
    for (name, most) in [("tokens", 0.06), ("context", 0.2), ("front_end_overhead_ms", 3.0)] {
        let (_, error) = parameter(&json, name);
        assert!(error < most, "{name}: {error}");
    }
    let untold = json["rows"]["untold"]["parameters"].as_array().expect("names");
    assert!(untold.contains(&"tokenising_us_per_token".into()), "{untold:?}");
    assert_eq!(json["rows"]["fitted"].as_array().map(Vec::len), Some(4));
    let held_out = json["rows"]["hold_out"].as_array().expect("rows");
    assert_eq!(held_out.len(), 2);
    for row in held_out {
        for figure in ["ttft_mean", "tpot_mean", "e2e_mean"] {
            let error = row["metrics"][figure]["error_pct"].as_f64().expect("measured");
            assert!(error.abs() < 5.0, "{figure}: {error} %");
        }
    }
    // One dot a row and a mean.
    assert_eq!(bench.read("rows.svg").matches("<circle").count(), 18);
    // What was written gives the errors that were stated.
    let outcome = bench.kendall(&["validate", "servers.csv", "--profile", "found.toml", "--json"]);
    let again: Value = serde_json::from_str(&outcome.succeeds().stdout).expect("JSON");
    assert_eq!(again["rows"][0]["metrics"], json["rows"]["fitted"][0]["metrics"]);
    assert_eq!(again["rows"][5]["metrics"], json["rows"]["hold_out"][1]["metrics"]);
}

const LINEAR: &str = "[profile.coefficients]\nbase_ps = 8_400_000_000\nper_prefill_token_ps = 55_000_000\n\
    per_prefill_context_token_ps = 69_146\nper_prefill_attention_ps = 2_243\nper_decode_seq_ps = 64_000_000\n\
    per_decode_context_token_ps = 75_000\nper_new_seq_ps = 0";

/// Decodes of short contexts: steps of a benchmark, whose base is 8 ms where the server's is 8.4.
fn decode_log(gpu: &str) -> String {
    let mut log = String::from("step_s,prefill_tokens,decode_seqs,context_tokens_per_seq,gpu,model\n");
    for step in 0..240_u32 {
        let (seqs, context) = (1 << (step % 6), 20 + step % 40);
        let exact = 8e-3 + 64e-6 * f64::from(seqs) + 75e-9 * f64::from(seqs * context);
        let noisy = exact * (1.0 + 0.01 * [0.7, -0.4, 1.0, -1.0, 0.2, -0.7, 0.2][(step % 7) as usize]);
        let _ = writeln!(log, "{noisy},0,{seqs},{context},{gpu},Qwen/Qwen2.5-1.5B-Instruct");
    }
    log
}

/// Steps give what a sequence costs, rows what no step tells; the profile stays linear and says which is which.
#[test]
fn steps_and_rows_each_give_what_they_tell() {
    let bench = Bench::new();
    measured(&bench, &truth(LINEAR), 0.02);
    bench.write("decode.csv", decode_log("A10G"));
    let arguments =
        ["decode.csv", "--rows", "servers.csv", "--where", "max_num_seqs=128", "--out", "found.toml"];
    let json = fitted(&bench, &arguments);
    for (name, truth, least) in [
        ("base_ps", 8.4e9, 0.1e9),
        ("per_prefill_token_ps", 55e6, 5e6),
        ("per_decode_context_token_ps", 75e3, 15e3),
        ("front_end_overhead_ms", 9.0, 2.0),
    ] {
        let (value, error) = parameter(&json, name);
        assert!(
            (value - truth).abs() <= 3.0 * error && error < least,
            "{name}: {value} +- {error}, truth {truth}"
        );
    }
    let coefficients = &json["fit"]["coefficients"];
    let per_seq = coefficients["per_decode_seq_ps"].as_f64().expect("a number");
    assert!((per_seq / 64e6 - 1.0).abs() < 0.03, "{per_seq}");
    let toml: toml::Table = bench.read("found.toml").parse().expect("TOML");
    let profile = &toml["profile"][0];
    assert!(
        profile["coefficients"]["base_ps"]
            .as_integer()
            .is_some_and(|ps| (ps - 8_400_000_000).abs() < 100_000_000)
    );
    let sources = profile["origin"]["coefficient_sources"].as_str().expect("words");
    assert!(sources.contains("data: per_decode_seq_ps;"), "{sources}");
    assert!(
        sources.contains(
            "measured servers, by simulating them: base_ps, per_prefill_token_ps, per_decode_context_token_ps"
        ),
        "{sources}"
    );
    // What rows gave varies together; what steps gave by itself.
    let names: Vec<&str> = profile["covariance"]["parameters"]
        .as_array()
        .expect("names")
        .iter()
        .filter_map(|name| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "base_ps",
            "per_prefill_token_ps",
            "per_decode_seq_ps",
            "per_decode_context_token_ps",
            "front_end_overhead_ms"
        ]
    );
    let covariance = |i: usize, j: usize| profile["covariance"]["matrix"][i][j].as_float().expect("a number");
    assert!(covariance(1, 4) < 0.0, "a longer way to the engine stands for shorter prefills");
    assert!(covariance(2, 4).abs() < f64::MIN_POSITIVE && covariance(2, 2) > 0.0);
    // The catalogue's reader takes it.
    bench.kendall(&["validate", "servers.csv", "--profile", "found.toml"]).succeeds();
}

/// A coefficient and a front end that are given stay.
#[test]
fn what_is_given_is_not_fitted() {
    let bench = Bench::new();
    measured(&bench, &truth(LINEAR), 0.0);
    bench.write("decode.csv", decode_log("A10G"));
    let json = fitted(
        &bench,
        &[
            "decode.csv",
            "--rows",
            "servers.csv",
            "--fix",
            "per_decode_context_token_ps=75_000",
            "--front-end-ms",
            "9",
            "--out",
            "found.toml",
        ],
    );
    let names: Vec<&Value> = json["rows"]["matched"]["parameters"]
        .as_array()
        .expect("parameters")
        .iter()
        .map(|parameter| &parameter["name"])
        .collect();
    assert_eq!(names, ["base_ps", "per_prefill_token_ps"]);
    // Without noise the truth comes back to the granularity of a simulation.
    for (name, truth) in [("base_ps", 8.4e9), ("per_prefill_token_ps", 55e6)] {
        let (value, _) = parameter(&json, name);
        assert!((value / truth - 1.0).abs() < 0.01, "{name}: {value}");
    }
    let toml: toml::Table = bench.read("found.toml").parse().expect("TOML");
    assert_eq!(toml["profile"][0]["front_end_overhead_ms"].as_float(), Some(9.0));
    assert_eq!(json["rows"]["hold_out"].as_array().map(Vec::len), Some(0));
}

#[test]
fn mistakes_name_file_column_and_remedy() {
    let bench = Bench::new();
    let row = |name: &str, change: &dyn Fn(String) -> String| change(described(&(name, 128, 2.0)));
    let keep = |text: String| text;
    let rows = [
        row("one", &keep),
        row("again", &keep),
        row("other-gpu", &|text| text.replace("A10G", "H100")),
        row("unknown", &|text| text.replace("Qwen/Qwen2.5-1.5B-Instruct", "someone/else-13B")),
        row("eight-bit", &|text| text.replace("bf16", "fp8")),
    ];
    let with = |figures: &str| {
        let mut table = format!("{HEADER},{}\n", FIGURES.join(","));
        for row in &rows {
            let _ = writeln!(table, "{row},{figures}");
        }
        table
    };
    bench.write("t.csv", with("0.05,0.1,0.01,1.5,2"));
    bench.write("silent.csv", with(",,,,2"));
    bench.write("ms.csv", with("5e12,1e13,1e12,1.5e14,2"));
    bench.write("h100.csv", decode_log("H100"));
    bench.write("requests.csv", "send_s,prompt_tokens,output_tokens,ttft_s,e2e_s\n0,10,10,0.1,0.2\n");
    for (arguments, parts) in [
        (vec!["--rows", "nowhere.csv"], vec!["nowhere.csv", "expected a CSV table"]),
        (
            vec!["--rows", "t.csv"],
            vec!["rows of different servers, `A10G` and `H100` in column gpu", "--where gpu=VALUE"],
        ),
        (vec!["--rows", "t.csv", "--where", "max_seqs=1"], vec!["t.csv: it has no column `max_seqs`"]),
        (
            vec!["--rows", "t.csv", "--where", "gpu=L4"],
            vec!["t.csv: no row with gpu=L4: gpu has `A10G`, `H100`"],
        ),
        (vec!["--rows", "t.csv", "--where", "gpu"], vec!["--where", "expected COLUMN=VALUE"]),
        (
            vec!["--rows", "t.csv", "--where", "experiment=one", "--hold-out", "gpu=B9"],
            vec!["no row with gpu=B9"],
        ),
        (
            vec!["--rows", "t.csv", "--where", "experiment=unknown"],
            vec!["t.csv: experiment `unknown`, stage `0` cannot be simulated: unknown model", "--where"],
        ),
        (
            vec!["--rows", "t.csv", "--where", "experiment=eight-bit"],
            vec!["experiment `eight-bit`", "the weights as published", "--where"],
        ),
        (
            vec!["--rows", "silent.csv", "--where", "experiment=one"],
            vec!["silent.csv: 0 latencies to compare", "ttft_mean, ttft_p99, tpot_mean, e2e_mean"],
        ),
        (
            vec!["--rows", "ms.csv", "--where", "experiment=one", "--where", "experiment=again"],
            vec!["ms.csv", "check the units of the table, whose latencies are seconds"],
        ),
        (
            vec!["h100.csv", "--rows", "t.csv", "--where", "experiment=one"],
            vec!["t.csv: column gpu of the rows is `A10G`, and the step log is of `H100", "--where"],
        ),
        (vec!["requests.csv", "--rows", "t.csv", "--where", "experiment=one"], vec!["no steps to fit"]),
        (
            vec!["--rows", "t.csv", "--where", "experiment=one", "--fix", "base_ps=1"],
            vec!["--fix keeps a coefficient", "give a step log"],
        ),
        (vec!["--where", "gpu=A10G"], vec!["--rows"]),
        (vec!["--rows", "t.csv", "--gpu", "A10G"], vec!["--gpu", "--rows"]),
    ] {
        let arguments: Vec<&str> = ["calibrate"].into_iter().chain(arguments).collect();
        bench.kendall(&arguments).refuses(&parts);
    }
}
