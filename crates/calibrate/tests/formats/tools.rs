//! guidellm, inference-perf, genai-bench, llmperf, fmperf and `AIBrix`, request by request.

use kendall_calibrate::CaveatKind;

use crate::{agree, close, computed, has, run};

#[test]
fn guidellm_s_own_tpot_contains_the_ttft_and_is_not_taken() {
    let run = run("guidellm/benchmarks.json");
    let (stated, ours) = (&run.summary, computed(&run));
    assert_eq!((ours.completed, ours.failed), (Some(23), Some(7)));
    assert_eq!(
        (stated.completed, stated.failed, stated.output_tokens),
        (Some(23), Some(7), ours.output_tokens)
    );
    assert_eq!(agree("ttft", ours.ttft_s.as_ref(), stated.ttft_s.as_ref(), 0.05), 9);
    assert!(close(ours.ttft_s.unwrap().mean.unwrap(), stated.ttft_s.as_ref().unwrap().mean.unwrap(), 1e-9));
    assert!(close(ours.e2e_s.unwrap().mean.unwrap(), stated.e2e_s.as_ref().unwrap().mean.unwrap(), 1e-9));
    // Its inter_token_latency is (last - first) / (n - 1), and so is ours; its time_per_output_token has 11.5 ms.
    assert!(close(ours.tpot_s.unwrap().mean.unwrap(), stated.tpot_s.as_ref().unwrap().mean.unwrap(), 1e-6));
    assert!(has(&run, CaveatKind::OtherDefinition) && has(&run, CaveatKind::NoTokenTimes));
    assert_eq!(run.version.as_deref(), Some("0.8.1"));
}

#[test]
fn guidellm_s_csv_says_what_its_json_says() {
    let (csv, json) = (run("guidellm/benchmarks.csv").summary, run("guidellm/benchmarks.json").summary);
    assert_eq!((csv.completed, csv.failed), (json.completed, json.failed));
    assert_eq!(csv.duration_s, json.duration_s);
    for (name, csv, json) in [
        ("ttft", &csv.ttft_s, &json.ttft_s),
        ("tpot", &csv.tpot_s, &json.tpot_s),
        ("e2e", &csv.e2e_s, &json.e2e_s),
    ] {
        assert_eq!(agree(name, csv.as_ref(), json.as_ref(), 1e-9), 3, "{name}");
    }
}

#[test]
fn inference_perf_with_chunks_and_failures() {
    let run = run("inference-perf/per_request_lifecycle_metrics.json");
    let stated = crate::run("inference-perf/stage_0_lifecycle_metrics.json").summary;
    let ours = computed(&run);
    assert_eq!((ours.completed, ours.failed), (Some(35), Some(5)));
    assert_eq!((ours.completed, ours.failed), (stated.completed, stated.failed));
    assert_eq!((ours.prompt_tokens, ours.output_tokens), (stated.prompt_tokens, stated.output_tokens));
    for (name, ours, stated) in [
        ("ttft", &ours.ttft_s, &stated.ttft_s),
        ("tpot", &ours.tpot_s, &stated.tpot_s),
        ("e2e", &ours.e2e_s, &stated.e2e_s),
    ] {
        assert!(agree(name, ours.as_ref(), stated.as_ref(), 1e-9) >= 7, "{name}");
    }
    // A chunk's tokens share one time: gaps are between chunks.
    assert!(has(&run, CaveatKind::ManyTokensPerChunk));
    assert_eq!(run.setting.model.as_deref(), Some("mock-llm"));
}

/// inference-perf 0.2 has two times a token: its stage file says 3.70 ms a token where the stand-in server took 8.2.
#[test]
fn inference_perf_0_2_counts_every_token_twice() {
    let run = run("inference-perf-0.2/per_request_lifecycle_metrics.json");
    let stage = crate::run("inference-perf-0.2/stage_0_lifecycle_metrics.json");
    let (ours, stated) = (computed(&run), &stage.summary);
    assert!(has(&run, CaveatKind::DoubledTokens) && has(&stage, CaveatKind::DoubledTokens));
    assert!(stated.tpot_s.is_none() && stated.itl_s.is_none());
    let tpot = ours.tpot_s.unwrap().mean.unwrap();
    assert!(close(tpot, 8.194e-3, 1e-3), "{tpot}");
    assert!(
        run.requests.iter().all(|request| request.gaps_s.len() as u64 + 1 == request.output_tokens.unwrap())
    );
    assert!(agree("ttft", ours.ttft_s.as_ref(), stated.ttft_s.as_ref(), 1e-9) >= 7);
    assert!(agree("e2e", ours.e2e_s.as_ref(), stated.e2e_s.as_ref(), 1e-9) >= 7);
}

#[test]
fn genai_bench_in_both_units() {
    for (name, failed, same_tpot) in
        [("genai-bench/milliseconds.json", 0, true), ("genai-bench/seconds_and_errors.json", 6, false)]
    {
        let run = run(name);
        let (stated, ours) = (&run.summary, computed(&run));
        assert_eq!((ours.completed, ours.failed), (stated.completed, Some(failed)), "{name}");
        assert_eq!(agree("ttft", ours.ttft_s.as_ref(), stated.ttft_s.as_ref(), 1e-9), 9);
        assert_eq!(agree("e2e", ours.e2e_s.as_ref(), stated.e2e_s.as_ref(), 1e-9), 9);
        // With four tokens a chunk genai-bench's TPOT is not (e2e - ttft) / (n - 1): a caveat says so.
        assert_eq!(has(&run, CaveatKind::Disagreement), !same_tpot);
        if same_tpot {
            assert_eq!(agree("tpot", ours.tpot_s.as_ref(), stated.tpot_s.as_ref(), 1e-9), 9);
        }
        assert!((0.2..0.5).contains(&ours.e2e_s.unwrap().mean.unwrap()), "seconds");
    }
}

#[test]
fn llmperf_without_its_itl() {
    let run = run("llmperf/individual_responses.json");
    let stated = crate::run("llmperf/summary.json").summary;
    let ours = computed(&run);
    assert_eq!(
        (ours.completed, ours.prompt_tokens, ours.output_tokens),
        (Some(60), Some(18_081), Some(2_380))
    );
    assert_eq!(
        (stated.completed, stated.prompt_tokens, stated.output_tokens),
        (Some(60), Some(18_081), Some(2_380))
    );
    for (name, ours, stated) in [("ttft", &ours.ttft_s, &stated.ttft_s), ("e2e", &ours.e2e_s, &stated.e2e_s)]
    {
        // llmperf's deviation divides by n - 1.
        assert_eq!(agree(name, ours.as_ref(), stated.as_ref(), 0.01), 9, "{name}");
        let (ours, stated) = (ours.as_ref().unwrap(), stated.as_ref().unwrap());
        assert!(close(ours.mean.unwrap(), stated.mean.unwrap(), 1e-9));
        assert!(close(ours.quantile(99.0).unwrap(), stated.quantile(99.0).unwrap(), 1e-9));
    }
    assert!(stated.tpot_s.is_none() && has(&run, CaveatKind::OtherDefinition));
}

/// fmperf has no aggregates: one request summed by hand from its rows.
#[test]
fn fmperf_rows_become_requests() {
    let run = run("fmperf/results.json");
    assert_eq!((run.requests.len(), run.setting.max_concurrency), (12, Some(3)));
    let first = &run.requests[0];
    // duration_ms of (worker 0, request 0): 59.309727, 6.980301, 12.923761, ...
    assert!(close(first.ttft_s.unwrap(), 59.309_727e-3, 1e-12));
    assert!(close(first.gaps_s[0], 6.980_301e-3, 1e-12) && close(first.gaps_s[1], 12.923_761e-3, 1e-12));
    assert_eq!(first.output_tokens, Some(first.gaps_s.len() as u64 + 1));
    let sum = first.ttft_s.unwrap() + first.gaps_s.iter().sum::<f64>();
    assert!(close(first.e2e_s.unwrap(), sum, 1e-12));
    // A worker sends its next request when the last one is answered.
    let next =
        run.requests.iter().find(|request| request.send_s.unwrap() > first.send_s.unwrap() + 0.01).unwrap();
    assert!(next.send_s.unwrap() < 1.0);
}

/// `tpot` of the file is (end - first) / n.
#[test]
fn aibrix_tpot_is_computed_anew() {
    let run = run("aibrix/output.jsonl");
    assert_eq!(run.requests.len(), 60);
    let first = &run.requests[0];
    let (latency, ttft, theirs) =
        (0.311_501_184_999_997_35, 0.131_618_479_999_815_46, 0.014_990_225_416_681_824);
    assert_eq!((first.e2e_s, first.ttft_s, first.output_tokens), (Some(latency), Some(ttft), Some(12)));
    assert!(close(theirs, (latency - ttft) / 12.0, 1e-9));
    assert!(close(first.tpot_s().unwrap(), theirs * 12.0 / 11.0, 1e-9));
}
