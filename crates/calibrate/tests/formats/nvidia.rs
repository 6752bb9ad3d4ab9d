//! aiperf and genai-perf: per-request files against the aggregates of the same run.

use kendall_calibrate::{CaveatKind, Format, Statistic};

use crate::{agree, close, computed, has, run};

#[test]
fn aiperf_records_give_aiperf_s_aggregates() {
    let (records, stated) =
        (run("aiperf/profile_export.jsonl"), run("aiperf/profile_export_aiperf.json").summary);
    assert_eq!((records.format, records.requests.len()), (Format::Aiperf, 40));
    let ours = computed(&records);
    assert_eq!((ours.completed, ours.failed), (Some(33), Some(7)));
    assert_eq!(
        (ours.completed, ours.failed, ours.output_tokens),
        (stated.completed, stated.failed, stated.output_tokens)
    );
    for (name, ours, stated) in [
        ("ttft", &ours.ttft_s, &stated.ttft_s),
        ("tpot", &ours.tpot_s, &stated.tpot_s),
        ("itl", &ours.itl_s, &stated.itl_s),
        ("e2e", &ours.e2e_s, &stated.e2e_s),
    ] {
        assert_eq!(agree(name, ours.as_ref(), stated.as_ref(), 1e-9), 9, "{name}");
    }
    assert!(has(&records, CaveatKind::ManyTokensPerChunk) && has(&records, CaveatKind::Failures));
}

/// aiperf states two lengths of a run and two counts of a prompt. Records, JSON and CSV say the same here: from the first send
/// to the last answer (3.506 s, where its throughput is over 3.671 s), and the server's count (67 tokens a prompt,
/// where the client counts 64 without the chat template).
#[test]
fn aiperf_s_lengths_are_the_server_s_and_its_duration_is_that_of_the_requests() {
    let (records, json, csv) = (
        computed(&run("aiperf/profile_export.jsonl")),
        run("aiperf/profile_export_aiperf.json"),
        run("aiperf/profile_export_aiperf.csv").summary,
    );
    assert!(
        json.caveats.iter().any(|caveat| caveat.text.contains("3.671 s") && caveat.text.contains("3.506 s"))
    );
    let json = json.summary;
    assert_eq!(json.duration_s, Some(3.506_305_792));
    assert_eq!(json.request_throughput_per_s, Some(8.989_601_005_262_948));
    assert!(close(records.duration_s.unwrap(), json.duration_s.unwrap(), 1e-4), "{:?}", records.duration_s);
    assert_eq!(csv.duration_s, Some(3.51));
    for summary in [&records, &json, &csv] {
        assert_eq!((summary.prompt_tokens, summary.output_tokens), (Some(33 * 67), Some(33 * 33)));
    }
}

#[test]
fn genai_perf_chunks_give_genai_perf_s_aggregates() {
    let (chunks, stated) =
        (run("genai-perf/profile_export.json"), run("genai-perf/profile_export_genai_perf.json"));
    assert_eq!((chunks.format, chunks.requests.len()), (Format::GenaiPerf, 50));
    let ours = computed(&chunks);
    let stated = stated.summary;
    // The role chunk, which comes some microseconds before the first token, and [DONE] are no tokens.
    assert_eq!(ours.output_tokens, stated.output_tokens);
    assert_eq!(agree("ttft", ours.ttft_s.as_ref(), stated.ttft_s.as_ref(), 1e-9), 9);
    assert_eq!(agree("tpot", ours.tpot_s.as_ref(), stated.tpot_s.as_ref(), 1e-6), 9);
    // The stream ends a little behind the last token, up to which genai-perf counts.
    let (ours, stated) = (ours.e2e_s.unwrap().mean.unwrap(), stated.e2e_s.unwrap().mean.unwrap());
    assert!(ours > stated && close(ours, stated, 2e-3), "{ours} {stated}");
}

fn without_deviation(statistic: Statistic) -> Statistic {
    Statistic { std: None, ..statistic }
}

#[test]
fn the_csv_says_what_the_json_says() {
    for (csv, json) in [
        ("aiperf/profile_export_aiperf.csv", "aiperf/profile_export_aiperf.json"),
        ("genai-perf/profile_export_genai_perf.csv", "genai-perf/profile_export_genai_perf.json"),
    ] {
        let (csv, json) = (run(csv).summary, run(json).summary);
        assert_eq!(csv.completed, json.completed);
        // Two decimals of a millisecond; the smallest mean or quantile here is 3.45 ms. Deviations are smaller.
        let rounded = 0.005 / 3.45;
        let csv = kendall_calibrate::MeasuredSummary {
            ttft_s: csv.ttft_s.map(without_deviation),
            tpot_s: csv.tpot_s.map(without_deviation),
            e2e_s: csv.e2e_s.map(without_deviation),
            ..csv
        };
        assert!(agree("ttft", csv.ttft_s.as_ref(), json.ttft_s.as_ref(), rounded) >= 11);
        assert!(agree("tpot", csv.tpot_s.as_ref(), json.tpot_s.as_ref(), rounded) >= 11);
        assert!(agree("e2e", csv.e2e_s.as_ref(), json.e2e_s.as_ref(), rounded) >= 11);
        assert!(close(csv.request_throughput_per_s.unwrap(), json.request_throughput_per_s.unwrap(), 1e-3));
    }
}

#[test]
fn warm_up_requests_are_left_out() {
    let row = |phase: &str, ns: u64| {
        format!(
            r#"{{"metadata": {{"request_start_ns": {ns}, "benchmark_phase": "{phase}"}}, "metrics": {{
            "request_latency": {{"value": 100.0, "unit": "ms"}}, "time_to_first_token": {{"value": 20000, "unit": "us"}},
            "usage_prompt_tokens": {{"value": 5, "unit": "tokens"}}, "output_sequence_length": {{"value": 3, "unit": "tokens"}}}},
            "error": null}}"#
        )
        .replace('\n', " ")
    };
    let start = 1_795_304_636_595_580_515;
    let text = [row("warmup", start), row("profiling", start + 5), row("profiling", start + 1_000_000_005)]
        .join("\n");
    let run = kendall_calibrate::read_bytes("r", text.as_bytes()).unwrap().remove(0);
    assert!(has(&run, CaveatKind::WarmUp) && has(&run, CaveatKind::ClientTokenCounts));
    let [first, second] = &run.requests[..] else { panic!("{} requests", run.requests.len()) };
    // Nanoseconds since 1970 are more than a double holds: the difference must still be exact.
    assert_eq!((first.send_s, second.send_s), (Some(0.0), Some(1.0)));
    assert_eq!((first.ttft_s, first.prompt_tokens, first.output_tokens), (Some(0.02), Some(5), Some(3)));
    assert!((first.tpot_s().unwrap() - 0.04).abs() < 1e-12);
}
