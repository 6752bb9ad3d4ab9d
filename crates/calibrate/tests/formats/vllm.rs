//! `vllm bench serve` and sglang: the lists give the aggregates of the same file.

use kendall_calibrate::{CaveatKind, Format};

use crate::{agree, close, computed, has, message, run};

/// Rounding the lists to 0.1 us moves means of some milliseconds by no more.
const ROUNDED: f64 = 1e-4;

#[test]
fn four_tokens_a_chunk_and_failures() {
    let run = run("vllm/errors_and_chunks.json");
    assert_eq!((run.format, run.requests.len()), (Format::VllmBench, 40));
    let (stated, ours) = (&run.summary, computed(&run));
    assert_eq!((ours.completed, ours.failed), (Some(33), Some(7)));
    assert_eq!((ours.completed, ours.failed), (stated.completed, stated.failed));
    assert_eq!((ours.prompt_tokens, ours.output_tokens), (stated.prompt_tokens, stated.output_tokens));
    assert!(agree("ttft", ours.ttft_s.as_ref(), stated.ttft_s.as_ref(), ROUNDED) >= 4);
    assert!(agree("tpot", ours.tpot_s.as_ref(), stated.tpot_s.as_ref(), ROUNDED) >= 4);
    assert!(agree("itl", ours.itl_s.as_ref(), stated.itl_s.as_ref(), ROUNDED) >= 4);
    // Chunks: a gap is four tokens long, the TPOT is not.
    assert!(has(&run, CaveatKind::ManyTokensPerChunk) && has(&run, CaveatKind::Failures));
    assert!(ours.itl_s.unwrap().mean.unwrap() > 3.5 * ours.tpot_s.unwrap().mean.unwrap());
    assert_eq!(run.requests.iter().find_map(|request| request.error.as_deref()), Some("Service Unavailable"));
    assert_eq!(run.setting.request_rate_per_s, Some(10.0));
    assert!(run.requests.iter().all(|request| request.send_s.is_some_and(|send| send < 5.0)));
}

#[test]
fn legacy_layout_without_start_times() {
    let run = run("vllm/legacy.json");
    let (stated, ours) = (&run.summary, computed(&run));
    assert_eq!(ours.completed, Some(60));
    assert!(agree("ttft", ours.ttft_s.as_ref(), stated.ttft_s.as_ref(), ROUNDED) >= 4);
    assert!(agree("tpot", ours.tpot_s.as_ref(), stated.tpot_s.as_ref(), ROUNDED) >= 4);
    // E2E is rebuilt from the first token and the gaps.
    assert!(agree("e2e", ours.e2e_s.as_ref(), stated.e2e_s.as_ref(), ROUNDED) >= 4);
    assert!(has(&run, CaveatKind::NoSendTimes) && has(&run, CaveatKind::CoalescedTokens));
}

#[test]
fn the_rust_client_s_layout() {
    let run = run("vllm/rust.json");
    let (stated, ours) = (&run.summary, computed(&run));
    for (name, ours, stated) in [
        ("ttft", &ours.ttft_s, &stated.ttft_s),
        ("tpot", &ours.tpot_s, &stated.tpot_s),
        ("itl", &ours.itl_s, &stated.itl_s),
        ("e2e", &ours.e2e_s, &stated.e2e_s),
    ] {
        assert!(agree(name, ours.as_ref(), stated.as_ref(), ROUNDED) >= 5, "{name}");
    }
    assert_eq!(run.version.as_deref(), Some("detailed (vllm-bench in Rust)"));
}

#[test]
fn aggregates_alone() {
    let run = run("vllm/aggregates.json");
    assert!(run.requests.is_empty() && has(&run, CaveatKind::AggregatesOnly));
    // "mean_ttft_ms": 52.79874062500767, "p99_e2el_ms": 657.7060618400128, "completed": 80.
    let mean = run.summary.ttft_s.as_ref().and_then(|ttft| ttft.mean).expect("stated");
    let p99 = run.summary.e2e_s.as_ref().and_then(|e2e| e2e.quantile(99.0)).expect("stated");
    assert!(close(mean, 52.798_740_625_007_67e-3, 1e-12) && close(p99, 657.706_061_840_012_8e-3, 1e-12));
    assert_eq!((run.summary.completed, run.summary.output_tokens), (Some(80), Some(3893)));
}

/// With `openai-chat` there are as many gaps as tokens, and the first is some microseconds.
#[test]
fn the_chat_s_role_chunk_is_no_token() {
    let text = r#"{"num_prompts": 1, "completed": 1, "request_throughput": 1.0, "request_rate": "inf",
        "input_lens": [9], "output_lens": [3], "ttfts": [0.5], "itls": [[0.000005, 0.25, 0.25]], "errors": [""],
        "start_times": [7.0], "mean_tpot_ms": 250.0025}"#;
    let run = kendall_calibrate::read_bytes("r", text.as_bytes()).unwrap().remove(0);
    assert!(has(&run, CaveatKind::RoleChunk) && !has(&run, CaveatKind::Disagreement));
    assert_eq!(run.requests[0].gaps_s, [0.25, 0.25]);
    assert_eq!((run.requests[0].send_s, run.setting.request_rate_per_s), (Some(0.0), None));
    assert!((run.requests[0].tpot_s().unwrap() - 0.250_002_5).abs() < 1e-12);
}

#[test]
fn appended_results_are_one_run_a_line() {
    let line = r#"{"num_prompts": 1, "completed": 1, "request_throughput": 2.0, "mean_ttft_ms": 3.0}"#;
    let text = format!("{line}\n\n{line}\n");
    assert_eq!(kendall_calibrate::read_bytes("r", text.as_bytes()).unwrap().len(), 2);
    let text =
        format!("{line}\n{}\n", line.replace("3.0", "-3.0").replace("completed\": 1", "completed\": 1.5"));
    assert_eq!(
        message(&text),
        "r:2: completed is `1.5`; expected a whole number from 0 to 1e12; write it again with `vllm bench serve \
         --save-result --save-detailed`"
    );
}

#[test]
fn aggregates_that_the_requests_contradict_are_a_caveat() {
    let text = r#"{"num_prompts": 1, "completed": 2, "request_throughput": 1.0, "input_lens": [9], "output_lens": [3],
        "ttfts": [0.5], "itls": [[0.25, 0.25]], "mean_ttft_ms": 400.0}"#;
    let run = kendall_calibrate::read_bytes("r", text.as_bytes()).unwrap().remove(0);
    let texts: Vec<&str> = run
        .caveats
        .iter()
        .filter(|caveat| caveat.kind == CaveatKind::Disagreement)
        .map(|caveat| caveat.text.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "mean TTFT: the tool states 400.000 ms, its requests give 500.000 ms; the requests are used",
            "completed: the tool states 2, its requests give 1; the requests are used"
        ]
    );
}

#[test]
fn sglang_four_tokens_a_chunk_and_failures() {
    let run = run("sglang/errors_and_chunks.jsonl");
    assert_eq!(run.format, Format::Sglang);
    let (stated, ours) = (&run.summary, computed(&run));
    assert_eq!((ours.completed, ours.failed), (stated.completed, Some(7)));
    assert!(agree("ttft", ours.ttft_s.as_ref(), stated.ttft_s.as_ref(), ROUNDED) >= 5);
    // sglang's own latency ends some microseconds behind the last chunk.
    assert!(agree("tpot", ours.tpot_s.as_ref(), stated.tpot_s.as_ref(), 1e-3) >= 1);
    assert!(has(&run, CaveatKind::ManyTokensPerChunk) && has(&run, CaveatKind::NoSendTimes));
}
