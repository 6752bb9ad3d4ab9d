//! Values that no server and no workload can have: the key, the value, the remedy.

use crate::program::{Bench, refused};

#[test]
fn a_rate_is_a_finite_number_above_zero() {
    for (rate, shown) in [("-4", "-4.0"), ("0", "0.0"), ("nan", "NaN"), ("inf", "inf"), ("-inf", "-inf")] {
        for process in ["poisson", "constant", "gamma"] {
            let burstiness = if process == "gamma" { ", burstiness = 0.5" } else { "" };
            let change =
                format!("workload.arrivals={{ process = \"{process}\", rate_per_s = {rate}{burstiness} }}");
            let message =
                format!("`workload.arrivals.rate_per_s`: {shown}: it must be a finite number above 0");
            refused(&[&change], &[&message, ":4:"]);
        }
    }
    refused(
        &["workload.arrivals={ process = \"gamma\", rate_per_s = 1, burstiness = 0 }"],
        &["`workload.arrivals.burstiness`: 0.0: it must be a finite number above 0"],
    );
}

#[test]
fn lengths_have_proper_distributions() {
    for (lengths, key) in [
        ("dist = \"constant\", tokens = 0", "tokens"),
        ("dist = \"normal\", mean = 100, std_dev = -1", "std_dev"),
        ("dist = \"lognormal\", median = 0, sigma = 1", "median"),
        ("dist = \"lognormal\", median = 100, sigma = nan", "sigma"),
        ("dist = \"exponential\", mean = -1", "mean"),
        ("dist = \"gamma\", mean = nan, cv = 1", "mean"),
        ("dist = \"gamma\", mean = 10, cv = 0", "cv"),
        ("dist = \"weibull\", scale = 0, shape = 1", "scale"),
        ("dist = \"pareto\", minimum = 1, shape = inf", "shape"),
        ("dist = \"uniform\", low = 0, high = 3", "low"),
    ] {
        let message = format!("`workload.prompt_tokens.{key}`: ");
        refused(
            &[&format!("workload.prompt_tokens={{ {lengths} }}")],
            &[&message, "it must be a finite number above 0", ":5:"],
        );
    }
    refused(&["workload.output_tokens={ dist = \"uniform\", low = 9, high = 3 }"], &["from 9 to 3 is empty"]);
    for table in ["[]", "[[10, 0.0]]", "[[10, -1.0]]", "[[10, nan]]"] {
        let change = format!("workload.output_tokens={{ dist = \"empirical\", table = {table} }}");
        refused(&[&change], &["`workload.output_tokens.table`", "at least one value"]);
    }
}

#[test]
fn a_workload_has_an_extent() {
    refused(&["workload.requests=0"], &["`workload.requests`: 0: it must be at least 1", ":3:12"]);
    refused(&["workload.requests=-1"], &["integer `-1`", "from 0 on", ":3:12"]);
    refused(&["workload.duration_s=10"], &["`workload.duration_s`", "not both"]);
    let bench = Bench::new();
    for (duration, shown) in [("0", "above 0"), ("-1", "negative"), ("nan", "finite"), ("1e9", "213 days")] {
        let text =
            crate::program::QUICKSTART.replace("requests = 20_000", &format!("duration_s = {duration}"));
        bench.write("mine.toml", text);
        bench.kendall(&["run", "mine.toml"]).refuses(&["`workload.duration_s`", shown, "mine.toml:3:14"]);
    }
    let text = crate::program::QUICKSTART.replace("requests = 20_000", "duration_s = 10");
    bench.write("mine.toml", text);
    let at_once = "workload.arrivals={ process = \"at_once\" }";
    bench
        .kendall(&["run", "mine.toml", "--set", at_once])
        .refuses(&["`workload.duration_s`", "give `requests`"]);
}

#[test]
fn sizes_of_the_engine_are_at_least_one() {
    for key in ["num_gpu_blocks", "block_size", "max_num_seqs", "max_num_batched_tokens", "replicas"] {
        let name = format!("`server.{key}`");
        refused(&[&format!("server.{key}=0")], &[&name, "0", "1"]);
        refused(&[&format!("server.{key}=-1")], &["integer `-1`", "from 0 to 4294967295"]);
    }
    refused(&["server.tensor_parallel_size=0"], &["`server.tensor_parallel_size`", "choose 1 or 2"]);
    refused(&["server.max_model_len=1"], &["`server.max_model_len`: 1", "at least 2"]);
    refused(
        &["server.max_num_active_seqs=0", "server.engine_version=\"0.32\""],
        &["between 1 and `max_num_seqs`"],
    );
}

#[test]
fn a_step_holds_a_token_of_every_sequence() {
    refused(
        &["server.max_num_batched_tokens=32"],
        &["`server.max_num_batched_tokens`: 32: it must be at least `max_num_seqs` (64)", ":14:26"],
    );
}

#[test]
fn shares_are_shares() {
    for share in ["0", "-0.5", "1.01", "nan", "inf"] {
        let change = format!("server.gpu_memory_utilization={share}");
        refused(&[&change], &["`server.gpu_memory_utilization`", "is not in (0, 1]", ":16:26"]);
    }
    for share in ["1", "-0.1", "nan"] {
        let change = format!("server.watermark={share}");
        refused(&[&change, "server.engine_version=\"0.32\""], &["`server.watermark`", "at least 0, below 1"]);
    }
}

#[test]
fn times_are_times() {
    for (key, range, too_much) in [
        ("front_end_overhead_ms", "between 0 ms and an hour", "3_600_001"),
        ("cold_start_ms", "between 0 ms and an hour", "3_600_001"),
        ("tokenising_us_per_token", "between 0 us and a second (1,000,000 us)", "1_000_001"),
        ("streaming_us_per_token", "between 0 us and a second (1,000,000 us)", "1_000_001"),
    ] {
        for (value, shown) in [("-1", "-1: "), ("nan", "NaN: "), ("inf", "inf: "), (too_much, "0001: ")] {
            let change = format!("server.{key}={value}");
            refused(&[&change], &[&format!("`server.{key}`: "), shown, range]);
        }
    }
    for limit in ["0", "-5", "nan", "inf"] {
        let change = format!("slo.goodput.ttft_ms={limit}");
        refused(&[&change], &["`slo.goodput.ttft_ms`", "a number of milliseconds above 0", ":19:"]);
    }
    refused(&["slo.goodput={}"], &["`slo.goodput`: no limit is given"]);
}

#[test]
fn an_unknown_gpu_or_model_gets_the_nearest() {
    refused(
        &["server.gpu=H100-SXM5-80"],
        &[
            "`server.gpu`: unknown GPU \"H100-SXM5-80\"",
            "nearest name is \"H100",
            "kendall catalog gpus",
            ":9:7",
        ],
    );
    refused(
        &["server.model=Qwen/Qwen2.5-1.5B-Instuct"],
        &[
            "`server.model`",
            "nearest name is \"Qwen/Qwen2.5-1.5B-Instruct\"",
            "kendall catalog models",
            ":10:9",
        ],
    );
    refused(&["server.engine_version=\"7.1\""], &["`server.engine_version`", "7.1", "0.19", ":12:18"]);
}

#[test]
fn weights_that_do_not_fit_get_a_remedy() {
    refused(
        &["server.model=meta-llama/Llama-3.1-70B-Instruct"],
        &["the weights of", "take 141.1 GB", "allows 21.3 GB", "set tensor_parallel_size = 8"],
    );
    refused(
        &["server.tensor_parallel_size=3"],
        &["`server.tensor_parallel_size`", "does not divide", "choose 1 or 2"],
    );
}

/// vLLM would refuse to start; with the length left open, kendall takes what fits and rejects the rest.
#[test]
fn a_cache_that_cannot_hold_one_sequence_gets_a_remedy() {
    refused(
        &["server.num_gpu_blocks=10", "server.max_model_len=4096"],
        &[
            "`server.num_gpu_blocks`: 10",
            "needs 256 blocks",
            "raise it to 257",
            "lower `max_model_len` to 144",
        ],
    );
    refused(&["server.num_gpu_blocks=1"], &["`server.max_model_len`", "at least 2"]);
}

#[test]
fn prompts_that_are_too_long_are_rejected_and_counted() {
    for (change, limit) in [("server.max_model_len=300", 300), ("server.num_gpu_blocks=10", 144)] {
        let bench = Bench::new();
        let outcome = bench.quickstart(&["workload.requests=200", change]);
        outcome.succeeds();
        let summary: serde_json::Value = serde_json::from_str(&bench.read("out/summary.json")).expect("JSON");
        let rejected = summary["rejected"].as_u64().expect("a count");
        let requests = bench.read("out/requests.csv");
        let too_long = requests.lines().skip(1).filter(|line| {
            line.split(',').nth(10).and_then(|tokens| tokens.parse::<u32>().ok()).is_some_and(|n| n >= limit)
        });
        assert!(rejected > 0 && rejected == too_long.count() as u64);
        assert_eq!(rejected, requests.lines().filter(|line| line.contains(",rejected,")).count() as u64);
        assert_eq!(summary["completed"].as_u64(), Some(200 - rejected));
        let warning = format!("! {rejected} of 200 requests were rejected");
        assert!(outcome.stdout.contains(&warning) && outcome.stdout.contains(&format!("({limit} tokens)")));
    }
}
