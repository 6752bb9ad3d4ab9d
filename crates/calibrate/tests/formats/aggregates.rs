//! Files that hold aggregates alone: reports, `InferenceX`, inference-benchmarker, scrapes.

use kendall_calibrate::{CaveatKind, Format, read_bytes};

use crate::{agree, bytes, close, has, message, run, runs};

/// Three reports of the same vLLM run, in two versions, and the file of vLLM itself.
#[test]
fn reports_say_what_the_tool_behind_says() {
    let vllm = run("vllm/aggregates.json").summary;
    for name in
        ["llm-d-benchmark/br-0.1-vllm.yaml", "llm-d-benchmark/br-0.2.1-vllm.yaml", "inferencex/agg.json"]
    {
        let report = run(name);
        for (metric, ours, theirs) in [
            ("ttft", &report.summary.ttft_s, &vllm.ttft_s),
            ("tpot", &report.summary.tpot_s, &vllm.tpot_s),
            ("itl", &report.summary.itl_s, &vllm.itl_s),
            ("e2e", &report.summary.e2e_s, &vllm.e2e_s),
        ] {
            assert!(agree(&format!("{name} {metric}"), ours.as_ref(), theirs.as_ref(), 1e-9) >= 5);
        }
        assert!(close(
            report.summary.output_throughput_per_s.unwrap(),
            vllm.output_throughput_per_s.unwrap(),
            1e-9
        ));
        assert!(has(&report, CaveatKind::AggregatesOnly));
    }
    let report = run("llm-d-benchmark/br-0.1-vllm.yaml").summary;
    assert_eq!(
        (report.completed, report.prompt_tokens, report.output_tokens),
        (Some(80), Some(10_448), Some(3_893))
    );
    assert_eq!(report.duration_s, vllm.duration_s);
}

#[test]
fn a_report_s_units_are_read() {
    // inference-perf writes seconds, vLLM and guidellm milliseconds.
    let seconds = run("llm-d-benchmark/br-0.2.1-inference-perf.yaml");
    assert_eq!(seconds.summary.ttft_s.as_ref().unwrap().mean, Some(0.061_975_955_208_348_9));
    assert_eq!(seconds.summary.duration_s, Some(11.062));
    let guidellm = run("llm-d-benchmark/br-0.2.1-guidellm.yaml");
    assert!(close(guidellm.summary.ttft_s.as_ref().unwrap().mean.unwrap(), 52.299_304_803_212_49e-3, 1e-12));
    // time_per_output_token of guidellm (9.87 ms) contains the TTFT.
    let tpot = guidellm.summary.tpot_s.as_ref().unwrap().mean.unwrap();
    assert!(tpot < 9.5e-3, "{tpot}");
    // 60 requests in 5.497 s, not the mean of instantaneous rates, 10.91.
    assert!(close(guidellm.summary.request_throughput_per_s.unwrap(), 60.0 / 5.497_050_046_920_776, 1e-9));
    let text = String::from_utf8(bytes("llm-d-benchmark/br-0.1-vllm.yaml")).unwrap();
    assert_eq!(
        message(&text.replace("units: ms\n", "units: fortnights\n")),
        "r: metrics.latency.time_to_first_token.units is `\"fortnights\"`; expected s, ms, us or ns, per token or not; \
         write it again with the tool"
    );
}

#[test]
fn inference_benchmarker_without_its_warm_up() {
    let runs = runs("inference-benchmarker/results.json");
    let labels: Vec<_> = runs.iter().filter_map(|run| run.label.as_deref()).collect();
    assert_eq!(labels, ["constant@4.00req/s", "constant@8.00req/s"]);
    let first = &runs[0].summary;
    assert_eq!((first.completed, first.failed, first.output_tokens), (Some(30), Some(0), Some(921)));
    assert!(close(first.tpot_s.as_ref().unwrap().mean.unwrap(), 8.172e-3, 1e-12));
    assert!(close(first.e2e_s.as_ref().unwrap().quantile(99.0).unwrap(), 432.124e-3, 1e-12));
    assert!(close(first.duration_s.unwrap(), 7.649, 1e-12));
}

#[test]
fn a_scrape_and_aiperf_s_export_of_the_same_server() {
    let (scrape, export) = (run("prometheus/metrics.txt"), run("aiperf/server_metrics_export.json"));
    assert_eq!((scrape.format, export.format), (Format::Prometheus, Format::Prometheus));
    for (metric, scrape, export) in [
        ("ttft", &scrape.summary.ttft_s, &export.summary.ttft_s),
        ("tpot", &scrape.summary.tpot_s, &export.summary.tpot_s),
        ("itl", &scrape.summary.itl_s, &export.summary.itl_s),
        ("e2e", &scrape.summary.e2e_s, &export.summary.e2e_s),
    ] {
        assert_eq!(agree(metric, scrape.as_ref(), export.as_ref(), 1e-12), 5);
    }
    assert_eq!(scrape.summary.completed, export.summary.completed);
    let summary = &scrape.summary;
    assert_eq!((summary.completed, summary.failed, summary.preemptions), (Some(60), Some(0), Some(0)));
    assert_eq!((summary.prompt_tokens, summary.output_tokens), (Some(7_534), Some(2_914)));
    // sum / count of the histogram.
    assert!(close(summary.e2e_s.as_ref().unwrap().mean.unwrap(), 27.413_810_025_000_885 / 60.0, 1e-12));
    // 38 of 60 at most 0.5 s, 3 at most 0.25: the median lies in between, at 0.25 + 0.25 * (30 - 3) / 35.
    assert!(close(summary.e2e_s.as_ref().unwrap().quantile(50.0).unwrap(), 0.25 + 0.25 * 27.0 / 35.0, 1e-12));
    assert!(has(&scrape, CaveatKind::Histogram) && has(&scrape, CaveatKind::ServerClock));
}

#[test]
fn of_two_scrapes_the_difference_counts() {
    let before = String::from_utf8(bytes("prometheus/metrics.txt")).unwrap();
    let after = before
        .replace(
            "latency_seconds_sum{engine=\"0\",model_name=\"mock-llm\"} 27.413810025000885",
            "latency_seconds_sum{engine=\"0\",model_name=\"mock-llm\"} 37.413810025000885",
        )
        .replace(
            "e2e_request_latency_seconds_count{engine=\"0\",model_name=\"mock-llm\"} 60.0",
            "e2e_request_latency_seconds_count{engine=\"0\",model_name=\"mock-llm\"} 80.0",
        );
    let run = read_bytes("r", format!("{before}{after}").as_bytes()).unwrap().remove(0);
    assert!(close(run.summary.e2e_s.as_ref().unwrap().mean.unwrap(), 0.5, 1e-9));
    assert_eq!(run.summary.completed, Some(0));
    let restarted = read_bytes("r", format!("{after}{before}").as_bytes()).unwrap_err().to_string();
    assert!(restarted.contains("the server restarted between two scrapes"), "{restarted}");
}
