//! Values at the ends of their types. Every run stays below the memory and time limits of [`crate::program`].

use crate::program::{Bench, QUICKSTART, refused, refused_text};

#[test]
fn more_requests_than_a_run_can_play_are_refused() {
    refused_text(QUICKSTART.replace("20_000", "18446744073709551615"), &["mine.toml:3:12"]);
    refused(&["workload.requests=9223372036854775807"], &["`workload.requests`", "at most 10000000000"]);
    refused(
        &["workload.requests=1000000000"],
        &[
            "`workload.requests`: 1000000000: at 4.0 requests a second",
            "213 days",
            "at most 73786976 requests",
        ],
    );
    let text = QUICKSTART.replace("requests = 20_000", "duration_s = 1e7");
    refused_text(
        text.replace("rate_per_s = 4.0", "rate_per_s = 1e9"),
        &["`workload.duration_s`", "at most 10000000000"],
    );
}

#[test]
fn rates_at_both_ends_are_refused() {
    refused(
        &["workload.arrivals.rate_per_s=1e300"],
        &["`workload.arrivals.rate_per_s`: 1e300", "`process = \"at_once\"`"],
    );
    refused(
        &["workload.arrivals.rate_per_s=1e-300"],
        &["at 1e-300 requests a second", "213 days", "a higher rate"],
    );
    refused(&["workload.arrivals.rate_per_s=5e-324"], &["`workload.arrivals.mean`: inf"]);
}

/// The last of ten requests is due after 210 days on average; with this seed it is late.
#[test]
fn an_arrival_beyond_the_horizon_ends_the_run() {
    refused(
        &["workload.arrivals.rate_per_s=5.5e-7", "workload.requests=10"],
        &[
            "`workload`: request 9 arrives beyond the simulated horizon",
            "use fewer requests or a higher rate",
        ],
    );
}

/// The second turns of conversations, months after the first ones, are not lost in silence.
#[test]
fn a_turn_beyond_the_horizon_ends_the_run() {
    let bench = Bench::new();
    for think_time in ["1e7", "1e300"] {
        let turns = "turns = { dist = \"constant\", tokens = 5 }";
        let sessions = format!("workload.sessions={{ {turns}, think_time_s = {think_time} }}");
        bench.quickstart(&["workload.requests=10", &sessions]).fails(1, &["simulated horizon of 213 days"]);
        assert_eq!(bench.results(), [""; 0]);
    }
}

#[test]
fn more_requests_in_the_system_than_memory_holds_end_the_run() {
    for arrivals in ["process = \"at_once\"", "process = \"constant\", rate_per_s = 1e12"] {
        let bench = Bench::new();
        let change = format!("workload.arrivals={{ {arrivals} }}");
        let outcome = bench.quickstart(&[&change, "workload.requests=10000000000"]);
        outcome.fails(
            1,
            &["overloaded at 0.01", "1000000 requests are in the system", "lower the arrival rate"],
        );
        assert_eq!(bench.results(), [""; 0]);
    }
}

#[test]
fn lengths_beyond_any_model_are_rejected_or_cut() {
    let bench = Bench::new();
    let outcome = bench.quickstart(&["workload.requests=100", "workload.prompt_tokens.median=1e308"]);
    assert!(outcome.succeeds().stdout.contains("100 rejected"));
    let outcome = bench.quickstart(&["workload.requests=3", "workload.output_tokens.median=1e308"]);
    assert!(outcome.succeeds().stdout.contains("3 completed"));
    for lengths in [
        "dist = \"lognormal\", median = 1e308, sigma = 1e308",
        "dist = \"normal\", mean = -1e308, std_dev = 1e308",
        "dist = \"gamma\", mean = 1e308, cv = 1",
        "dist = \"weibull\", scale = 1e308, shape = 5e-324",
        "dist = \"pareto\", minimum = 1e308, shape = 5e-324",
        "dist = \"empirical\", table = [[4294967295, 1e308], [1, 5e-324]]",
        "dist = \"uniform\", low = 1, high = 4294967295",
        "dist = \"constant\", tokens = 4294967295",
    ] {
        let prompts = format!("workload.prompt_tokens={{ {lengths} }}");
        bench.quickstart(&["workload.requests=50", &prompts]).succeeds();
    }
}

#[test]
fn sizes_at_the_ends_of_their_types_are_refused() {
    for (key, most) in [
        ("max_num_seqs", "16777216"),
        ("max_num_batched_tokens", "134217728"),
        ("max_model_len", "134217728"),
        ("block_size", "65536"),
        ("num_gpu_blocks", "268435456"),
    ] {
        let message = format!("`server.{key}`: 4294967295: it must be at most {most}");
        refused(&[&format!("server.{key}=4294967295")], &[&message]);
        refused(&[&format!("server.{key}=4294967296")], &["integer `4294967296`", "from 0 to 4294967295"]);
    }
    refused(
        &["server.replicas=4294967295"],
        &["`server.replicas`: 4294967295: it must lie between 1 and 100000"],
    );
    refused(&["server.tensor_parallel_size=4294967295"], &["`server.tensor_parallel_size`", "choose 1 or 2"]);
}

/// The largest sizes that pass the door work.
#[test]
fn the_largest_sizes_work() {
    let bench = Bench::new();
    let counted =
        ["workload.requests=20", "server.enable_prefix_caching=false", "server.num_gpu_blocks=268435456"];
    let run = |more: &[&str]| {
        bench.quickstart(&[&counted, more].concat()).succeeds();
    };
    run(&["server.block_size=65536", "server.max_model_len=134217728"]);
    run(&["server.block_size=1", "server.max_model_len=134217728"]);
    run(&["server.watermark=0.9999999", "server.engine_version=\"0.32\""]);
    let free = "server.step_time.model=linear";
    run(&[free, "server.max_num_batched_tokens=134217728", "server.max_num_seqs=16777216"]);
    let outputs = "workload.output_tokens={ dist = \"constant\", tokens = 4294967295 }";
    run(&[outputs, "workload.requests=1", "server.max_model_len=300000"]);
    bench.quickstart(&["workload.requests=20", "server.num_gpu_blocks=8388608"]).succeeds();
}

#[test]
fn kv_blocks_of_all_replicas_fit_in_memory() {
    refused(
        &["server.num_gpu_blocks=8388609", "server.enable_prefix_caching=true"],
        &["`server.enable_prefix_caching`", "1 x 8388609 blocks", "set `enable_prefix_caching = false`"],
    );
    let cached = ["server.replicas=100000", "server.enable_prefix_caching=true"];
    refused(&cached, &["100000 x 38438 blocks", "lower `replicas`"]);
    let bench = Bench::new();
    bench
        .quickstart(&["server.replicas=2000", "server.enable_prefix_caching=false", "workload.requests=100"])
        .succeeds();
}

/// A second for each token of a prompt is allowed, and a prompt of a hundred million of them is years.
#[test]
fn tokenising_beyond_the_horizon_ends_the_run() {
    let bench = Bench::new();
    let long = "workload.prompt_tokens={dist=\"constant\",tokens=100000000}";
    let outcome = bench.quickstart(&["server.tokenising_us_per_token=1_000_000", long]);
    outcome.fails(1, &["beyond the simulated horizon of 213 days"]);
    assert_eq!(bench.results(), [""; 0]);
}

/// A coefficient in the wrong unit makes steps of hours: refused. Steps of minutes run out of simulated time.
#[test]
fn steps_are_shorter_than_an_hour() {
    let linear = "server.step_time.model=linear";
    for key in ["base_ps", "per_prefill_attention_ps", "per_decode_seq_ps", "per_decode_context_token_ps"] {
        refused(
            &[linear, &format!("server.step_time.{key}=1000000000000000000")],
            &[
                &format!("`server.step_time.{key}`: 1000000000000000000"),
                "more than an hour",
                "1 ms is 1_000_000_000 ps",
            ],
        );
    }
    let bench = Bench::new();
    let slow = "server.step_time.base_ps=3600000000000000";
    let outcome = bench.quickstart(&[linear, slow, "server.max_num_seqs=1"]);
    outcome.fails(1, &["beyond the simulated horizon of 213 days", "give it fewer requests"]);
    assert_eq!(bench.results(), [""; 0]);
    bench.quickstart(&[linear, "workload.requests=20"]).succeeds();
}
