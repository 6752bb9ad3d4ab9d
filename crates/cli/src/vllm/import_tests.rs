//! Commands from real life become the scenarios that vLLM's own defaults and rounding say.

use super::super::bench::Save;
use super::*;

const SERVE: &str = "vllm serve Qwen/Qwen2.5-1.5B-Instruct";

fn translate(serve: &str, bench: &str, allowed: &[&str]) -> Result<Translation, String> {
    let allowed: Vec<_> = allowed.iter().map(|&flag| flag.to_owned()).collect();
    let (serve, bench) = (Some(serve.to_owned()), Some(bench.to_owned()));
    Commands { serve, bench, gpu: Some("A10G"), allowed: &allowed, ..Commands::default() }.translate()
}

/// The value of a key, and where it comes from.
fn key(translation: &Translation, key: &str) -> Option<(String, String)> {
    let line = translation.text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
    line.split_once("  # ").map(|(value, from)| (value.to_owned(), from.to_owned()))
}

fn of_bench(bench: &str, name: &str) -> Option<(String, String)> {
    key(&translate(SERVE, bench, &[]).unwrap_or_else(|error| panic!("{bench}: {error}")), name)
}

fn value(bench: &str, name: &str) -> String {
    of_bench(bench, name).unwrap_or_else(|| panic!("{bench}: no {name}")).0
}

fn refused(serve: &str, bench: &str) -> String {
    translate(serve, bench, &[]).unwrap_err()
}

fn both(value: &str, from: &str) -> (String, String) {
    (value.to_owned(), from.to_owned())
}

#[test]
fn a_bench_without_flags_has_vllms_defaults() {
    let bench = "vllm bench serve";
    for (name, value, from) in [
        ("seed", "0", "default of --seed"),
        ("requests", "1000", "default of --num-prompts"),
        ("arrivals", "{ process = \"at_once\" }", "default of --request-rate"),
        ("prompt_tokens", "{ dist = \"constant\", tokens = 1024 }", "default of --random-input-len"),
        ("output_tokens", "{ dist = \"constant\", tokens = 128 }", "default of --random-output-len"),
        ("engine_version", "\"0.32\"", "default of --vllm-version"),
    ] {
        assert_eq!(of_bench(bench, name), Some(both(value, from)));
    }
    for absent in ["rescale_arrivals", "max_concurrency", "shared_prefix", "goodput"] {
        assert_eq!(of_bench(bench, absent), None);
    }
}

#[test]
fn arrivals_are_those_of_the_bench() {
    let poisson = "bench serve --request-rate 4";
    assert_eq!(
        of_bench(poisson, "arrivals"),
        Some(both("{ process = \"poisson\", rate_per_s = 4.0 }", "--request-rate"))
    );
    assert_eq!(value(poisson, "rescale_arrivals"), "true");
    let gamma = "bench serve --request-rate 0.5 --burstiness 0.25 --max-concurrency 8 --seed 7";
    assert_eq!(value(gamma, "arrivals"), "{ process = \"gamma\", rate_per_s = 0.5, burstiness = 0.25 }");
    assert_eq!((value(gamma, "max_concurrency"), value(gamma, "seed")), ("8".into(), "7".into()));
    let even = "bench serve --request-rate 2 --burstiness inf";
    assert_eq!(value(even, "arrivals"), "{ process = \"constant\", rate_per_s = 2.0 }");
    assert_eq!(of_bench(even, "rescale_arrivals"), None);
    // Burstiness without a rate says nothing.
    assert_eq!(
        value("bench serve --burstiness 3 --request-rate inf", "arrivals"),
        "{ process = \"at_once\" }"
    );
}

/// `get_sampling_params`: the floor of the lower bound, the ceiling of the upper one, both included.
#[test]
fn random_lengths_are_rounded_outwards() {
    let bench = "bench serve --random-input-len 255 --random-output-len 3 --random-range-ratio 0.3 --random-prefix-len 64";
    assert_eq!(value(bench, "prompt_tokens"), "{ dist = \"uniform\", low = 178, high = 332 }");
    assert_eq!(value(bench, "output_tokens"), "{ dist = \"uniform\", low = 2, high = 4 }");
    assert_eq!(value(bench, "shared_prefix"), "{ tokens = 64 }");
    let apart =
        "bench serve --random-range-ratio '{\"input\": 0.5, \"output\": 0}' --input-len 10 --output-len 1";
    assert_eq!(
        of_bench(apart, "prompt_tokens"),
        Some(both("{ dist = \"uniform\", low = 5, high = 15 }", "--input-len, --random-range-ratio"))
    );
    assert_eq!(value(apart, "output_tokens"), "{ dist = \"constant\", tokens = 1 }");
    // An output has at least one token.
    let short = "bench serve --random-output-len 1 --random-range-ratio 0.9";
    assert_eq!(value(short, "output_tokens"), "{ dist = \"uniform\", low = 1, high = 2 }");
}

#[test]
fn prefix_repetition_is_a_shared_prefix_of_groups() {
    let bench =
        "bench serve --dataset-name prefix_repetition --num-prompts 105 --prefix-repetition-prefix-len 512";
    assert_eq!(value(bench, "shared_prefix"), "{ tokens = 512, groups = 10 }");
    assert_eq!(value(bench, "prompt_tokens"), "{ dist = \"constant\", tokens = 256 }");
    assert_eq!(value(bench, "requests"), "100");
    let warnings = translate(SERVE, bench, &[]).unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("--ignore-eos")), "{warnings:?}");
    assert!(
        refused(SERVE, "bench serve --dataset-name prefix_repetition --num-prompts 5")
            .contains("more prefixes than prompts")
    );
}

#[test]
fn the_server_keeps_its_flags() {
    let serve = "vllm serve --model Qwen/Qwen2.5-1.5B-Instruct -tp 2 --max-num-batched-tokens 8k --no-enable-prefix-caching \
                 --max-model-len -1 --gpu-memory-utilization 0.85 --scheduling-policy priority --max-num-seqs 1 --max-num-seqs 64 \
                 --enforce-eager --no-enforce-eager --api-key secret";
    let translation = translate(serve, "bench serve --goodput ttft:500 tpot:50.5", &[]).unwrap();
    for (name, value) in [
        ("gpu", "\"A10G\""),
        ("model", "\"Qwen/Qwen2.5-1.5B-Instruct\""),
        ("tensor_parallel_size", "2"),
        ("max_num_batched_tokens", "8000"),
        ("enable_prefix_caching", "false"),
        ("gpu_memory_utilization", "0.85"),
        ("scheduling_policy", "\"priority\""),
        ("max_num_seqs", "64"),
        ("goodput", "{ ttft_ms = 500.0, tpot_ms = 50.5 }"),
    ] {
        assert_eq!(key(&translation, name).unwrap_or_else(|| panic!("{name}")).0, value);
    }
    assert_eq!(key(&translation, "max_model_len"), None);
    assert!(!translation.text.contains("secret"));
    kendall_serving::scenario::Scenario::from_toml(&translation.text).unwrap();
}

#[test]
fn what_is_not_modelled_stops_unless_allowed() {
    let serve = "vllm serve Qwen/Qwen2.5-1.5B-Instruct -q awq --speculative-config '{\"method\": \"ngram\"}' --kv-cache-dtype auto";
    let bench =
        "bench serve --num-warmups 2 --ramp-up-strategy linear --ramp-up-start-rps 1 --ramp-up-end-rps 9";
    let message = refused(serve, bench);
    for part in [
        "--vllm: --quantization awq: smaller weights",
        "--vllm: --speculative-config {\"method\": \"ngram\"}: several tokens",
        "--bench: --num-warmups 2: ",
        "--bench: --ramp-up-strategy linear: ",
        "--allow-ignored --quantization --allow-ignored --speculative-config --allow-ignored",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains("kv-cache-dtype"));
    let allowed = ["quantization", "--speculative_config", "--num-warmups", "--ramp-up-strategy"];
    let translation = translate(serve, bench, &allowed).unwrap();
    let flags: Vec<_> = translation.ignored.iter().map(|ignored| ignored.flag).collect();
    assert_eq!(flags, ["--quantization", "--speculative-config", "--ramp-up-strategy", "--num-warmups"]);
    assert!(
        translation
            .warnings
            .iter()
            .any(|warning| warning.starts_with("`--quantization awq` is ignored: smaller"))
    );
    assert!(translate(serve, bench, &allowed[..3]).unwrap_err().contains("--ramp-up-strategy"));
    assert!(
        translate(
            SERVE,
            "bench serve --num-warmups 0 --burstiness 1 --backend vllm --ramp-up-end-rps 3",
            &[]
        )
        .is_ok()
    );
}

/// Sampling decides where an output ends, unless the end is not looked for.
#[test]
fn sampling_matters_only_where_the_model_may_end_an_output() {
    assert!(translate(SERVE, "bench serve --temperature 0 --top-p 0.9", &[]).is_ok());
    let message = refused(SERVE, "bench serve --dataset-name prefix_repetition --temperature 0");
    assert!(message.contains("--temperature 0"), "{message}");
    assert!(
        translate(SERVE, "bench serve --dataset-name prefix_repetition --temperature 0 --ignore-eos", &[])
            .is_ok()
    );
}

#[test]
fn errors_name_the_command_the_flag_and_the_remedy() {
    for (bench, parts) in [
        (
            "bench serve --num-prompt-count 3",
            vec!["--bench: `--num-prompt-count` is not a flag", "did you mean"],
        ),
        ("bench serve --request-rate 0", vec!["--bench: `--request-rate 0`", "above 0"]),
        ("bench serve --num-prompts many", vec!["`--num-prompts many`", "whole number, at least 1"]),
        ("bench serve --num-prompts 0", vec!["at least 1"]),
        ("bench serve --max-concurrency 0", vec!["`--max-concurrency 0`"]),
        ("bench serve --random-range-ratio 1", vec!["`--random-range-ratio 1`", "below 1"]),
        ("bench serve --random-input-len 1 --random-range-ratio 0.5", vec!["no token of their own"]),
        ("bench serve --goodput itl:50", vec!["`--goodput itl:50`", "ttft, tpot or e2el"]),
        ("bench serve --metric-percentiles 99,101", vec!["0 to 100"]),
        ("bench serve --metadata gpu", vec!["KEY=VALUE"]),
        ("bench serve --dataset-name hf", vec!["`--dataset-name hf`", "no tokenizer", "prefix_repetition"]),
        ("bench serve --dataset-name sharegpt", vec!["--dataset-path FILE"]),
        ("bench serve --dataset-path x.json", vec!["has no file"]),
        ("vllm serve M", vec!["--bench: this is a command of `vllm serve`"]),
    ] {
        let message = refused(SERVE, bench);
        for part in parts {
            assert!(message.contains(part), "{bench}: `{part}` is not in: {message}");
        }
    }
    assert!(refused("vllm serve --port 1", "bench serve").contains("--vllm: the command names no model"));
    assert!(refused("vllm serve M --max-num-batched-tokens lots", "bench serve").contains("8K (8192)"));
    let gpuless =
        Commands { serve: Some(SERVE.into()), bench: Some("bench serve".into()), ..Commands::default() };
    let message = gpuless.translate().unwrap_err();
    assert!(message.contains("--gpu A10G") && message.contains("kendall catalog gpus"), "{message}");
}

#[test]
fn flags_belong_to_versions() {
    let at = |version, serve: &str| {
        let commands =
            Commands { serve: Some(serve.into()), bench: Some("bench serve".into()), ..Commands::default() };
        Commands { gpu: Some("A10G"), version: Some(version), ..commands }.translate()
    };
    let serve = "vllm serve M --watermark 0.01";
    assert!(
        at("0.23", serve).unwrap_err().contains("does not have `--watermark`, which exists from 0.24 on")
    );
    assert!(at("0.24.1", serve).is_ok());
    assert!(at("0.18", serve).unwrap_err().contains("0.18"));
    let queue = |version| at(version, "vllm serve M").unwrap().bench.unwrap().settings.client_queue;
    assert_eq!([queue("0.29"), queue("0.30.1"), queue("v0.33")], [false, true, true]);
}

#[test]
fn what_no_command_gives_comes_from_the_scenario() {
    let base = "name = \"mine\"\n[workload]\nrequests = 9\n[server]\nmodel = \"M\"\nengine_version = \"0.22\"\nmax_num_seqs = 3\n";
    let server_only =
        Commands { serve: Some(SERVE.into()), base: Some(base), gpu: Some("H100"), ..Commands::default() };
    let text = server_only.translate().unwrap().text;
    assert!(
        text.contains("requests = 9") && text.contains("name = \"mine\"") && text.contains("Qwen2.5-1.5B"),
        "{text}"
    );
    assert!(!text.contains("max_num_seqs"), "{text}");
    let bench_only = Commands {
        bench: Some("bench serve --num-prompts 4".into()),
        base: Some(base),
        ..Commands::default()
    };
    let translation = bench_only.translate().unwrap();
    let text = &translation.text;
    assert!(
        text.contains("requests = 4") && text.contains("max_num_seqs = 3") && !text.contains("mine"),
        "{text}"
    );
    let bench = translation.bench.unwrap();
    assert_eq!((bench.settings.model_id.as_str(), bench.settings.client_queue), ("M", false));
}

#[test]
fn results_are_saved_where_vllm_would() {
    let bench = |bench: &str| translate(SERVE, bench, &[]).unwrap().bench.unwrap();
    assert_eq!(bench("bench serve").save, None);
    let plain = bench("bench serve --save-result --request-rate 4 --max-concurrency 8");
    assert_eq!(plain.save, Some(Save { dir: ".".into(), file: None, append: false }));
    assert_eq!(plain.settings.result_filename(), "openai-4.0qps-concurrency8-Qwen2.5-1.5B-Instruct.json");
    let named = bench("bench serve --append-result --result-dir r --result-filename f.json --label l").save;
    assert_eq!(named, Some(Save { dir: "r".into(), file: Some("f.json".into()), append: true }));
    let labelled = bench("bench serve --save-result --label mine").settings;
    assert_eq!(labelled.result_filename(), "mine-infqps-Qwen2.5-1.5B-Instruct.json");
}
