//! The table is sound, and command lines from real life are read as vLLM reads them.

use super::*;

fn serve(command: &str) -> ParsedCommand {
    parse(command, serve_flags()).unwrap_or_else(|error| panic!("{command}: {error}"))
}

fn bench(command: &str) -> ParsedCommand {
    parse(command, bench_flags()).unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// `--flag=value,value` of every option.
fn shown(parsed: &ParsedCommand) -> Vec<String> {
    let path = |option: &ParsedOption| option.path.as_ref().map_or(String::new(), |path| format!(".{path}"));
    let show =
        |option: &ParsedOption| format!("{}{}={}", option.flag.flag, path(option), option.values.join(","));
    parsed.options.iter().map(show).collect()
}

fn refused(command: &str) -> String {
    parse(command, serve_flags()).unwrap_err().to_string()
}

fn class(command: &str) -> Class {
    let parsed = serve(command);
    assert_eq!(parsed.options.len(), 1, "{command}");
    parsed.options[0].class
}

#[test]
fn every_entry_of_the_table_is_sound() {
    for flags in [serve_flags(), bench_flags()] {
        let mut names: Vec<String> = flags.list.iter().flat_map(spellings).map(|(name, ..)| name).collect();
        for flag in &flags.list {
            let name = &flag.flag;
            assert!(name.starts_with("--") && !name.contains('_'), "{name}");
            assert_eq!(flag.key.is_some(), flag.class == Class::Scenario, "{name}");
            assert_eq!(flag.effect.is_some(), flag.class == Class::Unmodelled, "{name}");
            assert!(flag.effect.iter().all(|effect| effect.split_whitespace().count() <= 12), "{name}");
            assert!(flag.neutral_values.is_empty() || flag.class == Class::Unmodelled, "{name}");
            assert!(!flag.negatable || flag.takes_value == TakesValue::No, "{name}");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands for two flags");
    }
    assert!(serve_flags().list.len() > 300 && bench_flags().list.len() > 100);
}

#[test]
fn a_deployment_with_every_kind_of_spelling() {
    let parsed = serve(
        "$ CUDA_VISIBLE_DEVICES=0,1 VLLM_USE_V1=1 vllm serve meta-llama/Llama-3.1-8B-Instruct \\\n  -tp 2 \\\r\n  \
         --max_num_seqs=64 --max-num-batched-tokens 8k --no-enable-prefix-caching --async-scheduling \\\n  \
         --served-model-name llama default --port 8000 -O3 --compilation-config.cudagraph_mode FULL \
         --speculative-config '{\"method\": \"ngram\", \"num_speculative_tokens\": 4}' > server.log 2>&1 &",
    );
    assert_eq!(parsed.positional, ["meta-llama/Llama-3.1-8B-Instruct"]);
    assert_eq!(
        shown(&parsed),
        [
            "--tensor-parallel-size=2",
            "--max-num-seqs=64",
            "--max-num-batched-tokens=8k",
            "--enable-prefix-caching=false",
            "--async-scheduling=true",
            "--served-model-name=llama,default",
            "--port=8000",
            "--optimization-level=3",
            "--compilation-config.cudagraph_mode=FULL",
            "--speculative-config={\"method\": \"ngram\", \"num_speculative_tokens\": 4}",
        ]
    );
    let key = |at: usize| parsed.options[at].flag.key.as_deref();
    assert_eq!((key(0), key(3)), (Some("server.tensor_parallel_size"), Some("server.enable_prefix_caching")));
    assert_eq!(parsed.options[6].class, Class::Neutral);
    assert_eq!(parsed.options[9].class, Class::Unmodelled);
}

#[test]
fn every_way_to_start_a_server() {
    for command in [
        "vllm serve Qwen/Qwen2.5-1.5B-Instruct --max-num-seqs 8",
        "/opt/venv/bin/vllm serve Qwen/Qwen2.5-1.5B-Instruct --max-num-seqs 8 | tee log",
        "cd /srv && export HF_TOKEN=x && uv run vllm serve Qwen/Qwen2.5-1.5B-Instruct --max-num-seqs 8",
        "docker run --gpus all -p 8000:8000 img:1 vllm serve Qwen/Qwen2.5-1.5B-Instruct --max-num-seqs 8",
        "serve Qwen/Qwen2.5-1.5B-Instruct --max-num-seqs 8",
        "Qwen/Qwen2.5-1.5B-Instruct --max-num-seqs 8",
    ] {
        let parsed = serve(command);
        assert_eq!(parsed.positional, ["Qwen/Qwen2.5-1.5B-Instruct"], "{command}");
        assert_eq!(shown(&parsed), ["--max-num-seqs=8"], "{command}");
    }
    for command in [
        "python -m vllm.entrypoints.openai.api_server --model M --max-num-seqs 8",
        "nohup python3 -m vllm.entrypoints.openai.api_server --model=M --max-num-seqs=8 >log 2>&1 &",
        "docker run --runtime nvidia --ipc=host vllm/vllm-openai:v0.22.0 --model M --max-num-seqs 8",
        "--model M --max-num-seqs 8",
    ] {
        let parsed = serve(command);
        assert_eq!(shown(&parsed), ["--model=M", "--max-num-seqs=8"], "{command}");
        assert!(parsed.positional.is_empty(), "{command}");
    }
}

#[test]
fn benchmarks_are_read() {
    let parsed = bench(
        "vllm bench serve --model M --dataset-name random --random-input-len 1024 --random-output-len 128 \
         --num-prompts 500 --request-rate inf --goodput ttft:500 tpot:50 --ignore-eos --save-result # a note",
    );
    assert_eq!(parsed.options.len(), 9);
    let goodput = parsed.options.iter().find(|option| option.flag.flag == "--goodput").unwrap();
    assert_eq!(goodput.values, ["ttft:500", "tpot:50"]);
    assert_eq!(goodput.flag.key.as_deref(), Some("bench.goodput"));
    assert!(parsed.options.iter().all(|option| option.class == Class::Scenario));
    let script =
        bench("python3 benchmarks/benchmark_serving.py --backend vllm --request-rate 4 --burstiness 0.5");
    assert_eq!(shown(&script), ["--backend=vllm", "--request-rate=4", "--burstiness=0.5"]);
    assert_eq!(script.options[0].class, Class::Neutral);
}

#[test]
fn switches_have_opposites_and_flags_have_beginnings() {
    assert_eq!(shown(&serve("vllm serve M --disable-prefix-caching")), ["--enable-prefix-caching=false"]);
    assert_eq!(shown(&serve("vllm serve M --disable-log-requests")), ["--enable-log-requests=false"]);
    assert_eq!(
        shown(&serve("vllm serve M --no-scheduler-reserve-full-isl")),
        ["--scheduler-reserve-full-isl=false"]
    );
    assert_eq!(shown(&serve("vllm serve M --tensor-parallel 2")), ["--tensor-parallel-size=2"]);
    assert_eq!(
        shown(&serve("vllm serve M -tp=2 -cc.mode=3")),
        ["--tensor-parallel-size=2", "--compilation-config.mode=3"]
    );
    assert_eq!(shown(&serve("vllm serve M -O 2 --hf-token")), ["--optimization-level=2", "--hf-token="]);
    assert_eq!(shown(&serve("vllm serve M --max-model-len -1")), ["--max-model-len=-1"]);
}

#[test]
fn an_unmodelled_flag_at_its_default_is_neutral() {
    for neutral in
        ["--kv-cache-dtype auto", "--dtype bfloat16", "-dp 1", "--no-enable-lora", "--stream-interval=1"]
    {
        assert_eq!(class(&format!("vllm serve M {neutral}")), Class::Neutral, "{neutral}");
    }
    for unmodelled in ["--kv-cache-dtype fp8", "-q awq", "-dp 2", "--enable-lora", "--enforce-eager", "-pp 2"]
    {
        assert_eq!(class(&format!("vllm serve M {unmodelled}")), Class::Unmodelled, "{unmodelled}");
    }
}

#[test]
fn errors_name_the_word_and_the_remedy() {
    assert_eq!(
        refused("vllm serve M --max-num-sequences 4"),
        "`--max-num-sequences` is not a flag of `vllm serve`: did you mean `--max-num-seqs`?"
    );
    assert_eq!(
        refused("vllm serve M --zzz"),
        "`--zzz` is not a flag of `vllm serve`: leave it out or check its spelling"
    );
    assert_eq!(
        refused("vllm serve M --max-num-seqs"),
        "`--max-num-seqs` needs a value: write `--max-num-seqs VALUE`"
    );
    assert_eq!(refused("vllm serve M --port --api-key k"), "`--port` needs a value: write `--port VALUE`");
    assert!(
        refused("vllm serve M --enforce-eager=yes").contains("is a switch and takes no value, but has `yes`")
    );
    assert!(
        refused("vllm serve M --max-num-b 4 --max-num 3").contains("`--max-num` may stand for `--max-num-")
    );
    assert!(refused("vllm serve 'M").contains("open quote"));
    assert!(refused("vllm serve M other --port 1").starts_with("`other` belongs to no flag"));
    assert!(refused("  ").contains("empty"));
    assert!(
        refused("vllm bench serve --model M").contains("of `vllm bench serve`, which does not belong here")
    );
    assert!(refused("vllm chat --url x").contains("`vllm` is not a known program"));
    assert!(refused("sglang.launch_server run M").contains("`sglang.launch_server`"));
}

#[test]
fn words_follow_the_shell() {
    let words = |command: &str| tokenize(command, Program::Serve).unwrap();
    assert_eq!(words("A=1 B='x y' vllm serve \"a b\""), ["vllm", "serve", "a b"]);
    assert_eq!(words("vllm serve M 2> err.log --port 1 &> all.log"), ["vllm", "serve", "M", "--port", "1"]);
    assert_eq!(words("vllm serve M --reasoning-config.think_start_str '<think>'").last().unwrap(), "<think>");
}

#[test]
fn a_script_has_a_command_a_line() {
    let script = "#!/bin/bash\n# it's the server\nset -euo pipefail\nexport HF_TOKEN=x\nvllm serve M \\\n  --max-num-seqs 8 \\\n  \
                  --port 1 &\nsleep 60  # until it's up\nvllm bench serve --model M\n  --num-prompts 9 --metadata 'a=b\nc'\nkill %1\n";
    assert_eq!(shown(&serve(script)), ["--max-num-seqs=8", "--port=1"]);
    assert_eq!(shown(&bench(script)), ["--model=M", "--num-prompts=9", "--metadata=a=b\nc"]);
}
