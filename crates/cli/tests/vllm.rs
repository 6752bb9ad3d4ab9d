//! `kendall run --vllm ... --bench ...` as a user meets it: pasted commands, their result in vLLM's own layout, errors.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const SERVE: &str = "vllm serve Qwen/Qwen2.5-1.5B-Instruct --max-num-seqs 64 --port 8000";
const BENCH: &str = "vllm bench serve --model Qwen/Qwen2.5-1.5B-Instruct --request-rate 8 --num-prompts 60 \
                     --random-input-len 256 --random-range-ratio 0.5 --goodput ttft:500 tpot:50";

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn kendall(folder: &Path, args: &[&str]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_kendall"))
        .arg("run")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs a bench on an A10G.
fn bench(folder: &Path, bench: &str, more: &[&str]) -> Outcome {
    let args: Vec<_> = ["--gpu", "A10G", "--vllm", SERVE, "--bench", bench]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    let outcome = kendall(folder, &args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome
}

fn saved(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// numpy's `percentile` with linear interpolation.
fn percentile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = q * (sorted.len() - 1) as f64;
    let below = rank.floor() as usize;
    sorted[below] + (sorted[(below + 1).min(sorted.len() - 1)] - sorted[below]) * (rank - below as f64)
}

fn close(left: f64, right: f64) {
    assert!((left - right).abs() <= 1.1e-3 * right.abs(), "{left} and {right}");
}

/// Labels, widths and order of vLLM 0.32, `vllm/benchmarks/serve.py`.
#[test]
fn the_result_has_vllms_layout() {
    let dir = tempfile::tempdir().unwrap();
    let stdout = bench(dir.path(), BENCH, &[]).stdout;
    let (block, warnings) = stdout.split_once(&format!("\n{}\n", "=".repeat(50))).unwrap();
    let warnings = warnings.split_once('\n').filter(|(note, _)| note.contains("so they have no intervals"));
    assert!(warnings.is_some_and(|(_, warnings)| warnings.starts_with("! p99 of TTFT")), "{warnings:?}");
    let expected = [
        "============ Serving Benchmark Result ============",
        "Successful requests:",
        "Failed requests:",
        "Request rate configured (RPS):",
        "Benchmark duration (s):",
        "Total input tokens:",
        "Total generated tokens:",
        "Request throughput (req/s):",
        "Request goodput (req/s):",
        "Output token throughput (tok/s):",
        "Peak output token throughput (tok/s):",
        "Peak concurrent requests:",
        "Total token throughput (tok/s):",
        "---------------Time to First Token----------------",
        "Mean TTFT (ms):",
        "Median TTFT (ms):",
        "P99 TTFT (ms):",
        "-----Time per Output Token (excl. 1st token)------",
        "Mean TPOT (ms):",
        "Median TPOT (ms):",
        "P99 TPOT (ms):",
        "---------------Inter-token Latency----------------",
        "Mean ITL (ms):",
        "Median ITL (ms):",
        "P99 ITL (ms):",
    ];
    let labels =
        block.lines().map(|line| line.get(..41).filter(|_| line.contains(':')).map_or(line, str::trim_end));
    assert_eq!(labels.collect::<Vec<_>>(), expected);
    let long = block.lines().filter(|line| line.len() != 51 && line.contains(':')).collect::<Vec<_>>();
    assert_eq!(long, Vec::<&str>::new());
    assert!(block.contains(&format!("{:<40} {:<10}\n", "Successful requests:", 60)));
    assert!(block.contains(&format!("{:<40} {:<10}\n", "Request rate configured (RPS):", "8.00")));
}

#[test]
fn metrics_and_percentiles_are_those_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let asked = "bench serve --num-prompts 40 --request-rate 20 --max-concurrency 4 --metric-percentiles 50,99.9 \
                 --percentile-metrics e2el,client_queue_time,e2el_including_client_queue,tpott";
    let stdout = bench(dir.path(), asked, &[]).stdout;
    for part in [
        "Maximum request concurrency:             4         \n",
        "----------------End-to-end Latency----------------\n",
        "\nP50 E2EL (ms): ",
        "\nP99.9 E2EL (ms): ",
        "---------------Client-side Queueing---------------\nMean Client Queue Time (ms): ",
        "--------Queue-inclusive End-to-end Latency--------\nMean E2EL incl. Client Queue (ms): ",
        "! --percentile-metrics: `tpott` is no metric",
    ] {
        assert!(stdout.contains(part), "{part}:\n{stdout}");
    }
    assert!(!stdout.contains("TTFT (ms)") && !stdout.contains("goodput"), "{stdout}");
    let old = bench(dir.path(), asked, &["--vllm-version", "0.29"]).stdout;
    assert!(!old.contains("Client-side Queueing"), "{old}");
}

#[test]
fn the_saved_result_agrees_with_itself() {
    let dir = tempfile::tempdir().unwrap();
    let command = format!(
        "{BENCH} --save-result --save-detailed --result-dir r --metadata gpu=a10g --percentile-metrics ttft,tpot,itl,e2el"
    );
    bench(dir.path(), &command, &[]);
    let result = saved(dir.path(), "r/openai-8.0qps-Qwen2.5-1.5B-Instruct.json");
    let (starts, ttfts, latencies) =
        (numbers(&result["start_times"]), numbers(&result["ttfts"]), numbers(&result["latencies"]));
    let itls: Vec<_> = result["itls"].as_array().unwrap().iter().map(numbers).collect();
    assert_eq!(starts.len(), 60);
    // Arrivals are stretched to end at n / rate.
    assert!((starts[59] - 7.5).abs() < 1e-9 && starts.is_sorted(), "{starts:?}");
    for (i, gaps) in itls.iter().enumerate() {
        assert_eq!(result["output_lens"][i], gaps.len() + 1);
        close(ttfts[i] + gaps.iter().sum::<f64>(), latencies[i]);
        assert!((128.0..=384.0).contains(&result["input_lens"][i].as_f64().unwrap()));
    }
    let tpots: Vec<_> = itls.iter().map(|gaps| gaps.iter().sum::<f64>() / gaps.len() as f64).collect();
    let pooled: Vec<_> = itls.concat();
    for (name, values) in [("ttft", &ttfts), ("tpot", &tpots), ("itl", &pooled), ("e2el", &latencies)] {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / values.len() as f64;
        let figure = |word: &str| result[format!("{word}_{name}_ms")].as_f64().unwrap() / 1e3;
        close(figure("mean"), mean);
        close(figure("median"), percentile(values, 0.5));
        close(figure("std"), variance.sqrt());
        close(figure("p99"), percentile(values, 0.99));
    }
    assert_eq!(
        (&result["gpu"], &result["completed"], &result["failed"]),
        (&"a10g".into(), &60.into(), &0.into())
    );
    assert_eq!(result["errors"], Value::from(vec![""; 60]));
    assert_eq!(numbers(&result["queue_times"]), vec![0.0; 60]);
    peaks_agree(&result, &starts, &ttfts, &itls);
}

/// Buckets of a second from the first send, as `calculate_metrics` of vLLM makes them.
fn peaks_agree(result: &Value, starts: &[f64], ttfts: &[f64], itls: &[Vec<f64>]) {
    let (mut tokens, mut open) = ([0.0_f64; 100], [0.0_f64; 100]);
    for ((start, ttft), gaps) in starts.iter().zip(ttfts).zip(itls) {
        let mut now = start - starts[0] + ttft;
        tokens[now as usize] += 1.0;
        for gap in gaps {
            now += gap;
            tokens[now as usize] += 1.0;
        }
        open[(start - starts[0]) as usize..=now as usize].iter_mut().for_each(|open| *open += 1.0);
    }
    let most = |buckets: [f64; 100]| buckets.into_iter().fold(0.0, f64::max);
    // A token on the edge of a second may fall on either side of it in floating point.
    assert!((result["max_output_tokens_per_s"].as_f64().unwrap() - most(tokens)).abs() <= 2.0);
    assert!((result["max_concurrent_requests"].as_f64().unwrap() - most(open)).abs() <= 1.0);
}

/// The keys of a file that vLLM 0.32 wrote, without its own metadata.
#[test]
fn saved_results_have_vllms_keys_in_vllms_order() {
    let dir = tempfile::tempdir().unwrap();
    let command = "bench serve --num-prompts 9 --request-rate 8 --save-result --result-filename r.json --percentile-metrics ttft,e2el";
    let keys = |name: &str| {
        saved(dir.path(), name).as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    bench(dir.path(), &format!("{command} --save-detailed"), &[]);
    let setup = "date endpoint_type backend label model_id tokenizer_id num_prompts request_rate burstiness max_concurrency";
    let totals = "duration completed failed total_input_tokens total_output_tokens request_throughput request_goodput \
                  output_throughput total_token_throughput";
    let metrics = "max_output_tokens_per_s max_concurrent_requests rtfx mean_ttft_ms median_ttft_ms std_ttft_ms p99_ttft_ms \
                   mean_e2el_ms median_e2el_ms std_e2el_ms p99_e2el_ms kendall_version kendall_warnings";
    let arrays = "input_lens output_lens ttfts itls latencies start_times queue_times generated_texts errors";
    assert_eq!(keys("r.json"), format!("{setup} {totals} {arrays} {metrics}"));
    bench(dir.path(), command, &["--vllm-version", "0.22"]);
    assert_eq!(keys("r.json"), format!("{setup} {totals} {metrics}"));
}

#[test]
fn results_can_be_appended() {
    let dir = tempfile::tempdir().unwrap();
    let command = "bench serve --num-prompts 3 --append-result --result-filename all.json";
    bench(dir.path(), command, &[]);
    bench(dir.path(), command, &["--seed", "1"]);
    let text = std::fs::read_to_string(dir.path().join("all.json")).unwrap();
    let results: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0]["request_rate"], "inf");
}

#[test]
fn one_script_may_hold_both_commands() {
    let dir = tempfile::tempdir().unwrap();
    let script = "#!/bin/bash\n# it's a server and its benchmark\nset -e\nexport HF_TOKEN=x\nvllm serve Qwen/Qwen2.5-1.5B-Instruct \\\n  \
                  --max-num-seqs 16 &\nsleep 60\n\nvllm bench serve \\\n  --num-prompts 12 \\\n  --request-rate inf\nkill %1\n";
    std::fs::write(dir.path().join("all.sh"), script).unwrap();
    let args = ["--gpu", "A10G", "--vllm", "@all.sh", "--bench", "@all.sh", "--print-scenario"];
    let printed = kendall(dir.path(), &args).stdout;
    assert!(
        printed.contains("max_num_seqs = 16  # --max-num-seqs")
            && printed.contains("requests = 12  # --num-prompts"),
        "{printed}"
    );
    // What is printed plays the same.
    std::fs::write(dir.path().join("printed.toml"), printed).unwrap();
    let direct = kendall(dir.path(), &[&args[..6], &["--json"]].concat()).stdout;
    let by_file = kendall(dir.path(), &["printed.toml", "--json"]).stdout;
    assert_eq!(direct.replace("\"vllm\"", "\"printed\""), by_file);
}

#[test]
fn changes_apply_to_the_translated_scenario() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "--vllm",
        SERVE,
        "--bench",
        BENCH,
        "--set",
        "server.gpu=A10G",
        "--set",
        "workload.requests=7",
        "--json",
        "--out",
        "o",
    ];
    let outcome = kendall(dir.path(), &args);
    let summary: Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.stderr));
    assert_eq!(summary["completed"], 7);
    // The result speaks of what was played, not of what the command said.
    let changes = [
        "--set",
        "workload.arrivals.rate_per_s=2",
        "--set",
        "workload.max_concurrency=3",
        "--set",
        "workload.requests=5",
    ];
    let stdout = bench(dir.path(), &format!("{BENCH} --save-result"), &changes).stdout;
    assert!(stdout.contains("Maximum request concurrency:             3 "), "{stdout}");
    assert!(stdout.contains("Request rate configured (RPS):           2.00 "), "{stdout}");
    let result = saved(dir.path(), "openai-2.0qps-concurrency3-Qwen2.5-1.5B-Instruct.json");
    assert_eq!(result["num_prompts"], 5);
    let scenario = std::fs::read_to_string(dir.path().join("o/scenario.toml")).unwrap();
    assert!(
        scenario.contains("requests = 7") && scenario.contains("max_num_seqs = 64  # --max-num-seqs"),
        "{scenario}"
    );
}

#[test]
fn what_is_ignored_is_in_the_warnings_and_in_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let serve = format!("{SERVE} --enforce-eager --kv-cache-dtype fp8");
    let bench = "bench serve --num-prompts 5 --save-result --result-filename r.json";
    let args = ["--gpu", "A10G", "--vllm", &serve, "--bench", bench, "--allow-ignored", "--enforce-eager"];
    let refused = kendall(dir.path(), &args);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    assert!(
        refused.stderr.contains("--kv-cache-dtype fp8: ")
            && refused.stderr.contains("--allow-ignored --kv-cache-dtype")
    );
    assert!(!refused.stderr.contains("enforce-eager"), "{}", refused.stderr);
    let args = [&args[..], &["--allow-ignored", "kv_cache_dtype", "--json"]].concat();
    let summary: Value = serde_json::from_str(&kendall(dir.path(), &args).stdout).unwrap();
    let warned = |warnings: &Value| {
        warnings
            .as_array()
            .unwrap()
            .iter()
            .any(|w| w.as_str().unwrap().starts_with("`--enforce-eager` is ignored"))
    };
    assert!(warned(&summary["warnings"]) && warned(&saved(dir.path(), "r.json")["kendall_warnings"]));
    let entry = |setting: &str| {
        summary["ledger"].as_array().unwrap().iter().find(|entry| entry["setting"] == setting).cloned()
    };
    let entry = entry("--kv-cache-dtype").unwrap();
    assert_eq!((&entry["treatment"], &entry["value"]), (&"ignored".into(), &"fp8".into()));
}

#[test]
fn mistakes_exit_with_2_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    for (args, parts) in [
        (vec!["--vllm", SERVE], vec!["--gpu A10G", "kendall catalog gpus"]),
        (vec!["--gpu", "A10G"], vec!["--vllm"]),
        (
            vec!["--gpu", "A10G", "--vllm", "vllm serve M --max-num-sequences 4"],
            vec!["--vllm: `--max-num-sequences`", "`--max-num-seqs`?"],
        ),
        (vec!["--gpu", "A10G", "--vllm", "@none.sh"], vec!["none.sh: cannot read this command"]),
        (vec!["--gpu", "A10G", "--vllm", SERVE, "--vllm-version", "0.9"], vec!["0.9"]),
        (vec!["--gpu", "A10G", "--vllm", BENCH], vec!["--vllm: this is a command of `vllm bench serve`"]),
        (
            vec!["x.toml", "--gpu", "A10G", "--vllm", SERVE, "--bench", BENCH],
            vec!["replace all of a scenario"],
        ),
        (vec!["--gpu", "A10X", "--vllm", SERVE, "--bench", BENCH], vec!["A10X", "gpu = \"A10X\"  # --gpu"]),
        (vec!["--gpu", "A10G", "--vllm", "vllm serve nobody/nothing"], vec!["nobody/nothing"]),
        (
            vec![
                "--gpu",
                "A10G",
                "--vllm",
                SERVE,
                "--bench",
                "bench serve --dataset-name sharegpt --dataset-path none.json",
            ],
            vec!["none.json", "no tokenizer", "prompt_len"],
        ),
        (
            vec!["--gpu", "A10G", "--vllm", SERVE, "--bench", "bench serve --goodput ttft:-1"],
            vec!["`--goodput ttft:-1`"],
        ),
    ] {
        let outcome = kendall(dir.path(), &args);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{args:?}: {}", outcome.stderr);
        for part in parts {
            assert!(outcome.stderr.contains(part), "{args:?}: `{part}` is not in: {}", outcome.stderr);
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn recorded_lengths_stand_for_sharegpt() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("lengths.json"), r#"{"prompt_len": [10, 20, 30], "gen_len": [5, 6, 7]}"#)
        .unwrap();
    let command = "bench serve --dataset-name sharegpt --dataset-path lengths.json --num-prompts 6 --disable-shuffle --ignore-eos";
    let stdout = bench(dir.path(), command, &[]).stdout;
    assert!(stdout.contains(&format!("{:<40} {:<10}\n", "Total input tokens:", 120)), "{stdout}");
    let command = format!("{command} --no-oversample");
    let stdout = bench(dir.path(), &command, &[]).stdout;
    assert!(stdout.contains(&format!("{:<40} {:<10}\n", "Total input tokens:", 60)), "{stdout}");
}
