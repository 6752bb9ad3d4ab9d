//! The 16 measured A10G rows (EE384S, vLLM 0.22): recorded arrivals and lengths replayed, figures compared.
//!
//! The measured files carry no licence and are not in this project; without them the test says so and passes. The same
//! 300 prompts were replayed at each rate, so a row is simulated twice: on a cold server, and with the prompts cached.
//! Its own measured p99 tells which it was (analysis/profiles/README.md).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use kendall_des::{SimDuration, SimTime};
use kendall_serving::scenario::{Scenario, resolve};
use kendall_serving::{PromptContent, RequestSpec, RunMetrics, Simulation, TokenSegment, TokenStream};

/// The chat template in front of every prompt.
const TEMPLATE_TOKENS: u32 = 29;
const TEMPLATE: TokenStream = TokenStream::Shared(u64::MAX);
/// The longest prompt takes about 95 ms to compute, and p99 of 300 requests rests on the longest: below this measured
/// p99 they were not computed.
const COLD_P99_S: f64 = 0.07;

struct Request {
    arrival_at_unit_rate_s: f64,
    prompt_tokens: u32,
    output_tokens: u32,
}

type Row = BTreeMap<String, String>;

fn read(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap()
}

fn specs(requests: &[Request], rate: f64, start: SimTime) -> Vec<RequestSpec> {
    let spec = |(index, request): (usize, &Request)| {
        let arrival = start + SimDuration::from_secs_f64(request.arrival_at_unit_rate_s / rate).unwrap();
        let template =
            TokenSegment { stream: TEMPLATE, start: 0, len: TEMPLATE_TOKENS.min(request.prompt_tokens) };
        let own = TokenSegment {
            stream: TokenStream::Shared(index as u64),
            start: template.len,
            len: request.prompt_tokens - template.len,
        };
        RequestSpec {
            prompt: PromptContent::Segments(Box::new([template, own])),
            ..RequestSpec::new(arrival, request.prompt_tokens, request.output_tokens)
        }
    };
    requests.iter().enumerate().map(spec).collect()
}

/// Mean TTFT, mean TPOT (s), throughput (req/s) of one row, on a server that has or has not seen the prompts before.
fn simulate(row: &Row, requests: &[Request], warm: bool) -> (f64, f64, f64) {
    let text = format!(
        "[workload]\n[server]\ngpu = \"A10G\"\nmodel = \"Qwen/Qwen2.5-1.5B-Instruct\"\nengine_version = \"0.22\"\n\
         max_model_len = 2048\nmax_num_batched_tokens = 2048\nmax_num_seqs = {}\nnum_gpu_blocks = {}\n",
        row["max_num_seqs"], row["kv_blocks"]
    );
    let resolved = resolve(&Scenario::from_toml(&text).unwrap()).unwrap();
    let rate = number(row, "rate_rps");
    let run = |workload: Vec<RequestSpec>| {
        let metrics = RunMetrics::new(&resolved.simulation.engine, 1, None);
        let workload = Box::new(workload.into_iter().map(Ok));
        let (end, metrics) = Simulation::new(&resolved.simulation, workload, metrics).unwrap().run().unwrap();
        (metrics.summary(end.end), end)
    };
    let (cold, _) = run(specs(requests, rate, SimTime::ZERO));
    if !warm {
        return (
            cold.ttft_ms.mean.unwrap() / 1e3,
            cold.tpot_ms.mean.unwrap() / 1e3,
            cold.request_throughput.unwrap(),
        );
    }
    // The same requests a second time, after a pause: the sums of both passes less those of the first.
    let second = SimTime::ZERO + SimDuration::from_secs_f64(300.0 / rate + 100.0).unwrap();
    let both: Vec<_> =
        specs(requests, rate, SimTime::ZERO).into_iter().chain(specs(requests, rate, second)).collect();
    let (both, _) = run(both);
    let of_second = |both: &kendall_serving::LatencySummary, first: &kendall_serving::LatencySummary| {
        let sum = |latency: &kendall_serving::LatencySummary| latency.mean.unwrap() * latency.count as f64;
        (sum(both) - sum(first)) / first.count as f64 / 1e3
    };
    let span = both.duration_s - second.as_secs_f64();
    (
        of_second(&both.ttft_ms, &cold.ttft_ms),
        of_second(&both.tpot_ms, &cold.tpot_ms),
        requests.len() as f64 / span,
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[test]
fn sixteen_measured_a10g_servers() {
    let measured = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/measured");
    if !measured.exists() {
        println!("skipped: measured data not present");
        return;
    }
    let requests: Vec<_> = read(&measured.join("requests/ee384s_a10g_sharegpt300.csv"))
        .iter()
        .map(|row| Request {
            arrival_at_unit_rate_s: number(row, "arrival_unit_rate_s"),
            prompt_tokens: row["prompt_tokens"].parse().unwrap(),
            output_tokens: row["output_tokens"].parse().unwrap(),
        })
        .collect();
    let rows: Vec<_> = read(&measured.join("e2e_measured.csv"))
        .into_iter()
        .filter(|row| row["source"] == "EE384S")
        .collect();
    assert_eq!((rows.len(), requests.len()), (16, 300));
    println!(
        "seqs  req/s  cache   TTFT ms (measured)  error    TPOT ms (measured)  error    throughput error | TTFT error if cold, if warm"
    );
    let (mut ttft, mut tpot, mut throughput) = (Vec::new(), Vec::new(), Vec::new());
    let mut ttft_of_replays = [Vec::new(), Vec::new()];
    for row in &rows {
        let error = |simulated: f64, column: &str| simulated / number(row, column) - 1.0;
        let replays = [false, true].map(|warm| simulate(row, &requests, warm));
        for (replay, errors) in replays.iter().zip(&mut ttft_of_replays) {
            errors.push(error(replay.0, "ttft_mean"));
        }
        let warm = number(row, "ttft_p99") < COLD_P99_S;
        let (simulated_ttft, simulated_tpot, simulated_throughput) = replays[usize::from(warm)];
        ttft.push(error(simulated_ttft, "ttft_mean"));
        tpot.push(error(simulated_tpot, "tpot_mean"));
        throughput.push(error(simulated_throughput, "throughput_rps"));
        let last = |errors: &Vec<f64>| errors[errors.len() - 1] * 100.0;
        println!(
            "{:>4}  {:>5}  {}  {:>7.2} ({:>7.2})  {:>+6.1} %  {:>7.3} ({:>7.3})  {:>+6.2} %  {:>+6.2} % | {:>+6.1} %  {:>+6.1} %",
            row["max_num_seqs"],
            row["rate_rps"],
            if warm { "warm" } else { "cold" },
            simulated_ttft * 1e3,
            number(row, "ttft_mean") * 1e3,
            last(&ttft),
            simulated_tpot * 1e3,
            number(row, "tpot_mean") * 1e3,
            last(&tpot),
            last(&throughput),
            last(&ttft_of_replays[0]),
            last(&ttft_of_replays[1]),
        );
    }
    let absolute = |errors: &[f64]| errors.iter().map(|error| error.abs()).collect::<Vec<_>>();
    let worst = |errors: &[f64]| absolute(errors).into_iter().fold(0.0, f64::max);
    println!(
        "median absolute error: TTFT {:.1} % (all cold {:.1} %, all warm {:.1} %), TPOT {:.2} %; worst: TTFT {:.1} %, TPOT {:.2} %, throughput {:.2} %",
        median(absolute(&ttft)) * 100.0,
        median(absolute(&ttft_of_replays[0])) * 100.0,
        median(absolute(&ttft_of_replays[1])) * 100.0,
        median(absolute(&tpot)) * 100.0,
        worst(&ttft) * 100.0,
        worst(&tpot) * 100.0,
        worst(&throughput) * 100.0
    );
    assert!(worst(&throughput) <= 0.015, "throughput");
    assert!(median(absolute(&tpot)) <= 0.04, "mean TPOT");
    assert!(worst(&ttft) <= 0.20, "mean TTFT");
}
