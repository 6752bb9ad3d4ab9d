//! `kendall import`: what each tool's file becomes, what is lost, and that the result runs.

use crate::program::Bench;

/// Imports `content` under `name` and returns the table and the scenario.
fn imported(bench: &Bench, name: &str, content: &str, options: &[&str]) -> (String, String) {
    bench.write(name, content);
    let args = [&["import", name, "--out", "made.toml", "--force"], options].concat();
    let outcome = bench.kendall(&args);
    outcome.succeeds();
    (outcome.stdout.clone(), bench.read("made.toml"))
}

/// The scenario runs, with few requests.
fn runs(bench: &Bench, change: &[&str]) -> String {
    let outcome = bench.kendall(&[&["run", "made.toml", "--quiet", "--json"], change].concat());
    outcome.succeeds();
    outcome.stdout.clone()
}

/// A line of the table that holds all of these words.
fn says(table: &str, words: &[&str]) {
    let found = table.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "{words:?} in\n{table}");
}

const INFERENCE_PERF: &str = "
api: {type: completion, streaming: true}
data:
  type: random
  input_distribution: {min: 16, max: 300, mean: 128, std_dev: 40, total_count: 200, type: normal, skew: 0.0}
  output_distribution: {min: 4, max: 64, mean: 36, std: 12}
load:
  type: poisson
  interval: 1.0
  stages:
  - {rate: 4.0, duration: 6}
  - {rate: 8.0, duration: 5}
  num_workers: 1
  worker_max_concurrency: 100
  request_timeout: 20
  request_retries: 2
  base_seed: 12345
  lora_traffic_split: [{name: a, split: 0.5}]
report: {goodput: {constraints: {ttft: 0.1, tpot: 0.012}}}
server: {type: vllm, ignore_eos: true}
";

#[test]
fn inference_perf_stages_lengths_limits_and_retries() {
    let bench = Bench::new();
    let (table, scenario) = imported(&bench, "config.yaml", INFERENCE_PERF, &[]);
    says(&table, &["load.stages", "4/s for 6 s, 8/s for 5 s", "understood"]);
    says(&table, &["load.interval", "approximated"]);
    says(&table, &["load.lora_traffic_split.0.split", "0.5", "NOT UNDERSTOOD"]);
    says(&table, &["api", "no effect"]);
    says(&table, &["(server)", "quick start"]);
    let toml: toml::Table = scenario.parse().unwrap();
    let workload = &toml["workload"];
    assert_eq!(toml["seed"].as_integer(), Some(12345));
    assert_eq!(workload["arrivals"]["stages"].as_array().unwrap().len(), 3);
    assert_eq!(workload["prompt_tokens"]["mean"].as_float(), Some(128.5));
    assert_eq!(workload["output_tokens"]["outside"].as_str(), Some("clip"));
    assert_eq!(workload["clients"]["retries"]["max"].as_integer(), Some(2));
    assert_eq!(workload["max_concurrency"].as_integer(), Some(100));
    assert_eq!(toml["slo"]["goodput"]["ttft_ms"].as_float(), Some(100.0));
    assert!(runs(&bench, &[]).contains("\"completed\""));
}

#[test]
fn inference_perf_levels_of_concurrency_are_chosen() {
    let concurrent = "data: {type: shared_prefix, shared_prefix: {num_groups: 3, num_prompts_per_group: 4, system_prompt_len: 80, \
                      question_len: 20, output_len: 10}}\n\
                      load: {type: concurrent, stages: [{num_requests: 30, concurrency_level: 2}, \
                      {num_requests: 60, concurrency_level: 5}]}\n";
    let bench = Bench::new();
    let (table, scenario) = imported(&bench, "config.yml", concurrent, &["--stage", "1"]);
    says(&table, &["load.stages", "2 stages", "NOT UNDERSTOOD"]);
    let toml: toml::Table = scenario.parse().unwrap();
    assert_eq!(toml["workload"]["arrivals"]["concurrency"].as_integer(), Some(5));
    assert_eq!(toml["workload"]["requests"].as_integer(), Some(60));
    assert_eq!(toml["workload"]["distinct_prompts"].as_integer(), Some(12));
    assert!(runs(&bench, &[]).contains("\"completed\": 60"));
}

#[test]
fn contradictions_are_refused() {
    let bench = Bench::new();
    let lengths =
        "data: {type: random, input_distribution: {min: 5, max: 9}, output_distribution: {min: 5, max: 9}}\n";
    for (name, content, words) in [
        (
            "both.yaml",
            "load: {type: poisson, stages: [{rate: 1, duration: 5, concurrency_level: 3}]}\n",
            "concurrency_level",
        ),
        ("none.yaml", "load: {type: constant, stages: []}\n", "at least one stage"),
        (
            "sweep.yaml",
            "load: {type: constant, sweep: {type: linear}, stages: [{rate: 1, duration: 5}]}\n",
            "while it runs",
        ),
        (
            "rate.yaml",
            "load: {type: concurrent, stages: [{rate: 3, num_requests: 5, concurrency_level: 3}]}\n",
            "has none",
        ),
        ("zero.yaml", "load: {type: constant, stages: [{rate: 0, duration: 5}]}\n", "above 0"),
    ] {
        bench.write(name, format!("{lengths}{content}"));
        bench.kendall(&["import", name]).refuses(&[name, words]);
    }
    bench.write("bounds.yaml", "data: {type: random, input_distribution: {min: 9, max: 5}}\nload: {stages: [{rate: 1, duration: 5}]}\n");
    bench.write("lengths.json", "{\"prompt_len\": [5, 9], \"gen_len\": [3, 4]}");
    bench.kendall(&["import", "lengths.json"]).refuses(&["lengths without arrivals", "lengths = { path"]);
    bench.kendall(&["import", "bounds.yaml"]).refuses(&["`min` 9 is above `max` 5"]);
    bench.write("sharegpt.yaml", "data: {type: shareGPT}\nload: {stages: [{rate: 1, duration: 5}]}\n");
    bench.kendall(&["import", "sharegpt.yaml"]).refuses(&["data.type", "no tokenizer"]);
    bench.write(
        "sweep.json",
        r#"{"spec": {"profile": {"kind": "sweep"}, "data": [{"prompt_tokens": 5, "output_tokens": 5}]}}"#,
    );
    bench.kendall(&["import", "sweep.json"]).refuses(&["sweep", "while it runs"]);
    bench.write(
        "endless.json",
        r#"{"profile": "poisson", "rate": 4, "data": {"prompt_tokens": 5, "output_tokens": 5}}"#,
    );
    bench.kendall(&["import", "endless.json"]).refuses(&["max_requests", "no end"]);
    bench.write(
        "both.json",
        r#"{"profile": "synchronous", "rate": 4, "max_requests": 9, "data": {"prompt_tokens": 5, "output_tokens": 5}}"#,
    );
    bench.kendall(&["import", "both.json"]).refuses(&["`rate` is 4", "synchronous", "leave it out"]);
    bench.write("other.json", r#"{"completed": 5}"#);
    bench.kendall(&["import", "other.json"]).refuses(&["other.json", "--format"]);
    bench.kendall(&["import", "absent.yaml"]).refuses(&["absent.yaml", "cannot read"]);
}

#[test]
fn guidellm_old_and_new() {
    let bench = Bench::new();
    let old = r#"{"profile": "concurrent", "rate": [1, 4, 25], "max-seconds": "30",
        "data": {"prompt_tokens": 64, "prompt_tokens_stdev": 10, "output_tokens": 8, "turns": 2}}"#;
    let (table, scenario) = imported(&bench, "old.json", old, &["--stage", "1"]);
    says(&table, &["rate", "[1.0, 4.0, 25.0]", "NOT UNDERSTOOD", "number 1"]);
    let toml: toml::Table = scenario.parse().unwrap();
    assert_eq!(toml["workload"]["arrivals"]["concurrency"].as_integer(), Some(4));
    assert_eq!(toml["workload"]["duration_s"].as_float(), Some(30.0));
    assert_eq!(toml["workload"]["sessions"]["turns"]["tokens"].as_integer(), Some(2));
    assert!(runs(&bench, &["--set", "workload.duration_s=3"]).contains("\"completed\""));
    let new = "spec:
  backend: {kind: openai_http, timeout: 60}
  profile: {kind: constant, rate: [8.0], rampup_duration: 5.0, max_concurrency: 40}
  constraints: [{kind: max_requests, count: 44}, {kind: over_saturation}]
  seed: {kind: static, value: 42}
  data: [{kind: synthetic_text, prompt_tokens: 128, prompt_tokens_stdev: 40, prompt_tokens_min: 16, prompt_tokens_max: 300,
          output_tokens: 48, prefix_buckets: [{prefix_tokens: 32, prefix_count: 4}]}]
";
    let (table, scenario) = imported(&bench, "new.yaml", new, &[]);
    says(&table, &["constraints.1.kind", "over_saturation", "NOT UNDERSTOOD"]);
    let toml: toml::Table = scenario.parse().unwrap();
    assert_eq!(toml["workload"]["arrivals"]["process"].as_str(), Some("piecewise"));
    assert_eq!(toml["workload"]["shared_prefix"]["groups"].as_integer(), Some(4));
    assert_eq!(toml["workload"]["output_tokens"]["tokens"].as_integer(), Some(48));
    assert_eq!(toml["workload"]["clients"]["timeout_s"].as_float(), Some(60.0));
    assert!(runs(&bench, &[]).contains("\"completed\": 44"));
}

#[test]
fn a_bench_command_in_a_script() {
    let bench = Bench::new();
    let script = "#!/bin/sh\n# sends the load\nvllm bench serve --request-rate 4 --burstiness 0.5 --num-prompts 50 \\\n  --random-input-len 64 \
                  --random-output-len 16 --goodput ttft:500 --ramp-up-strategy linear --ramp-up-start-rps 1 --ramp-up-end-rps 4\n";
    let (table, scenario) = imported(&bench, "bench.sh", script, &[]);
    says(&table, &["--num-prompts", "50", "requests"]);
    says(&table, &["--ramp-up-strategy", "NOT UNDERSTOOD"]);
    let toml: toml::Table = scenario.parse().unwrap();
    assert_eq!(toml["workload"]["arrivals"]["burstiness"].as_float(), Some(0.5));
    assert!(runs(&bench, &[]).contains("\"completed\": 50"));
}

#[test]
fn a_client_of_servegen_is_two_files() {
    let bench = Bench::new();
    let dataset = r#"{"0": {"input_tokens": "{18: 0.25, 200: 0.75}", "output_tokens": "{1: 0.5, 9: 0.5}"},
        "1200": {"input_tokens": "{18: 1.0}", "output_tokens": "{5: 1.0}"}}"#;
    bench.write("chunk-3-dataset.json", dataset);
    let trace =
        "0,2.0,3.0,Weibull,0.4,0.02\n600,0,0,,0,0\n1200,1.0,1.5,Gamma,1.0,1.0\n1800,1.0,1.5,Gamma,1.0,1.0\n";
    let (table, scenario) = imported(&bench, "chunk-3-trace.csv", trace, &[]);
    says(&table, &["rate", "4 windows, 2400 requests", "understood"]);
    says(&table, &["cv", "2.250", "approximated"]);
    let toml: toml::Table = scenario.parse().unwrap();
    // 1,200 requests of each half: 18 tokens have 5/8 of the weight.
    let lengths = toml["workload"]["prompt_tokens"]["table"].as_array().unwrap();
    assert_eq!(lengths[0][1].as_float(), Some(0.625));
    assert_eq!(lengths.len(), 2);
    let (table, _) = imported(&bench, "chunk-3-trace.csv", trace, &["--start-s", "600", "--end-s", "1800"]);
    says(&table, &["2 windows, 600 requests"]);
    assert!(runs(&bench, &[]).contains("\"completed\""));
    bench.kendall(&["import", "chunk-3-trace.csv", "--start-s", "9e9"]).refuses(&["no window"]);
    bench.write("chunk-4-trace.csv", trace);
    bench.kendall(&["import", "chunk-4-trace.csv"]).refuses(&["chunk-4-dataset.json", "absent"]);
}

#[test]
fn traces_are_named_and_counted() {
    let bench = Bench::new();
    for (name, content, format, count) in [
        (
            "azure.csv",
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\n2023-11-16 18:15:50.99,396,109\n",
            "azure",
            "2 requests in 4.3 s",
        ),
        (
            "burst.csv",
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n\
          45,ChatGPT,1087,0,1087,Conversation log\n60,GPT-4,417,276,693,API log\n",
            "burstgpt",
            "2 requests in 55.0 s",
        ),
        (
            "mooncake.jsonl",
            "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [0, 1]}\n\
          {\"timestamp\": 500, \"input_length\": 512, \"output_length\": 5, \"hash_ids\": [0]}\n",
            "mooncake",
            "2 requests in 0.5 s",
        ),
    ] {
        let (table, scenario) = imported(&bench, name, content, &[]);
        says(&table, &["arrivals", count]);
        let toml: toml::Table = scenario.parse().unwrap();
        assert_eq!(toml["workload"]["trace"]["format"].as_str(), Some(format));
        assert!(runs(&bench, &[]).contains("\"completed\": 2"), "{name}");
    }
    // The trace is found from where the scenario lies.
    let outcome = bench.kendall(&["import", "azure.csv", "--out", "below/made.toml"]);
    outcome.succeeds();
    bench.kendall(&["run", "below/made.toml", "--quiet"]).succeeds();
}

#[test]
fn without_out_the_scenario_is_printed() {
    let bench = Bench::new();
    bench.write("config.yaml", INFERENCE_PERF);
    let outcome = bench.kendall(&["import", "config.yaml"]);
    outcome.succeeds();
    assert!(outcome.stdout.parse::<toml::Table>().is_ok());
    assert!(outcome.stderr.contains("NOT UNDERSTOOD"));
    bench.write("taken.toml", "mine");
    bench.kendall(&["import", "config.yaml", "--out", "taken.toml"]).refuses(&["taken.toml", "--force"]);
    assert_eq!(bench.read("taken.toml"), "mine");
}

/// Files of the tools themselves, where they are at hand.
#[test]
fn genuine_files_of_the_tools() {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let files = [
        "formats/inference-perf/config.yaml",
        "formats/inference-perf-0.2/config.yaml",
        "formats/guidellm/benchmarks.json",
        "traces/AzureLLMInferenceTrace_code.csv",
        "traces/mooncake_synthetic_trace.jsonl",
        "traces/servegen_language_m-small_chunk-14-trace.csv",
        "traces/servegen_reason_deepseek-r1_chunk-18-dataset.json",
    ];
    for name in files {
        let path = shared.join(name);
        if !path.exists() {
            eprintln!("skipped: {name} not present");
            continue;
        }
        let bench = Bench::new();
        let file = path.display().to_string();
        let outcome = bench.kendall(&["import", &file, "--out", "made.toml"]);
        outcome.succeeds();
        says(&outcome.stdout, &["understood"]);
        let unknown = outcome.stdout.lines().filter(|line| line.contains("does not know")).count();
        assert!(unknown < 4, "{name}: {}", outcome.stdout);
    }
}

/// Columns of any names, of a file that nothing but its first bytes tells.
#[test]
fn columns_of_a_parquet_file_are_named() {
    let bench = Bench::new();
    bench.write("t.parquet", include_bytes!("../../../../docs/examples/trace.parquet"));
    bench.kendall(&["import", "t.parquet"]).refuses(&["arrival", "--arrival-column", "`sent_s`"]);
    let columns = ["--arrival-column", "sent_s", "--prompt-column", "n_in", "--output-column", "n_out"];
    let outcome = bench.kendall(&[&["import", "t.parquet"], &columns[..]].concat());
    let columns = "columns = { arrival = \"sent_s\", prompt = \"n_in\", output = \"n_out\" }";
    assert!(outcome.succeeds().stdout.contains(columns), "{}", outcome.stdout);
}
