//! Tables of measured servers: what is simulated, what is not and why, and that no cell makes it panic.

use std::fs;
use std::path::{Path, PathBuf};

use kendall_serving::step_time::roofline::Efficiencies;
use kendall_validate::{Peers, StepTimeChoice, Table, Validation, validate};
use proptest::prelude::*;

const COLUMNS: &str = "experiment,stage,row_kind,gpu,tp,model,precision,engine,engine_version,max_num_seqs,\
    max_num_batched_tokens,max_model_len,kv_blocks,load_mode,arrival_process,rate_rps,concurrency,n_requests,prompt_mean,\
    output_mean,request_trace,latency_scope,notes,workload_confidence,n_failed,ttft_mean,tpot_mean,e2e_mean,throughput_rps";

/// A row of an A10G under light load, which tests change.
const A10G: [(&str, &str); 29] = [
    ("experiment", "chat"),
    ("stage", "0"),
    ("row_kind", "run"),
    ("gpu", "A10G"),
    ("tp", "1"),
    ("model", "Qwen/Qwen2.5-1.5B-Instruct"),
    ("precision", "bf16"),
    ("engine", "vllm"),
    ("engine_version", "0.22.0"),
    ("max_num_seqs", "64"),
    ("max_num_batched_tokens", "2048"),
    ("max_model_len", "2048"),
    ("kv_blocks", "38421"),
    ("load_mode", "open-loop"),
    ("arrival_process", "poisson"),
    ("rate_rps", "2"),
    ("concurrency", ""),
    ("n_requests", "100"),
    ("prompt_mean", "150"),
    ("output_mean", "60"),
    ("request_trace", ""),
    ("latency_scope", "client"),
    ("notes", ""),
    ("workload_confidence", ""),
    ("n_failed", ""),
    ("ttft_mean", "0.030"),
    ("tpot_mean", "0.0085"),
    ("e2e_mean", "0.53"),
    ("throughput_rps", "1.98"),
];

fn row(changes: &[(&str, &str)]) -> String {
    let cell = |(column, value): &(&str, &str)| {
        let value = changes.iter().find(|(changed, _)| changed == column).map_or(*value, |(_, new)| new);
        format!("\"{}\"", value.replace('"', "'"))
    };
    A10G.iter().map(cell).collect::<Vec<_>>().join(",")
}

fn table(folder: &Path, rows: &[String]) -> PathBuf {
    let path = folder.join("servers.csv");
    fs::write(&path, format!("{COLUMNS}\n{}\n", rows.join("\n"))).expect("a file");
    path
}

fn run(path: &Path) -> Validation {
    let table = Table::of_servers(path).expect("a table");
    validate(&table, &Peers::default(), StepTimeChoice::catalogue(), Efficiencies::built_in())
}

fn of_rows(rows: &[String]) -> Validation {
    let folder = tempfile::tempdir().expect("a folder");
    run(&table(folder.path(), rows))
}

#[test]
fn a_row_is_compared_figure_by_figure() {
    let validation = of_rows(&[row(&[])]);
    let only = &validation.rows[0];
    assert_eq!((only.reason.as_deref(), only.counted), (None, true));
    assert!(only.step_time.as_deref().is_some_and(|of| of.starts_with("profile a10g")), "{only:?}");
    let ttft = &only.metrics["ttft_mean"];
    let error = ttft.error_pct.expect("measured");
    assert!((error - 100.0 * (ttft.predicted / 0.030 - 1.0)).abs() < 1e-9);
    // 100 requests of 60 tokens at 2 a second are all answered, at the rate that was offered.
    assert!((only.metrics["throughput_rps"].predicted - 2.0).abs() < 0.05);
    assert_eq!(only.metrics["completed"].predicted.to_bits(), 100.0_f64.to_bits());
    assert_eq!(only.metrics["ttft_p99"].measured, None);
    let all: Vec<_> = validation.summary.iter().filter(|line| line.group == "all").collect();
    assert_eq!(
        all.iter().map(|line| line.metric).collect::<Vec<_>>(),
        ["ttft_mean", "tpot_mean", "e2e_mean", "throughput_rps"]
    );
    assert!((all[0].median_ape - error.abs()).abs() < 1e-9 && all[0].n == 1);
    assert_eq!(validation.summary[0].group, "all");
}

#[test]
fn json_has_the_fields_that_readers_expect() {
    let json = serde_json::to_value(of_rows(&[row(&[])])).expect("JSON");
    let keys: Vec<&str> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["summary", "rows"]);
    let mut line: Vec<&str> =
        json["summary"][0].as_object().expect("a line").keys().map(String::as_str).collect();
    line.sort_unstable();
    assert_eq!(line, ["group", "mean_ape", "median_ape", "metric", "n"]);
}

#[test]
fn what_cannot_be_simulated_says_why() {
    for (change, word) in [
        (("model", "someone/unheard-of-13B"), "unknown model"),
        (("gpu", "TPUv9"), "unknown GPU"),
        (("engine", "sglang"), "sglang"),
        (("precision", "int8"), "int8"),
        (("tp", "5"), "tensor_parallel_size"),
        (("workload_confidence", "SUSPECT: do not score"), "suspect"),
        (("prompt_mean", ""), "prompt_mean"),
        (("rate_rps", ""), "when requests arrive"),
        (("n_requests", "1e12"), "at most"),
        (("prompt_mean", "5000"), "refused"),
        (("kv_blocks", "1"), "num_gpu_blocks"),
        (("load_mode", "closed-loop"), "concurrency"),
    ] {
        let validation = of_rows(&[row(&[change])]);
        let reason = validation.rows[0].reason.as_deref().unwrap_or_default();
        assert!(reason.contains(word), "{change:?}: {reason}");
        assert!(!validation.rows[0].counted && validation.summary.is_empty());
    }
}

#[test]
fn stages_share_a_server_and_summaries_are_not_counted_twice() {
    let stages = |rows: &[String]| of_rows(rows);
    let both = stages(&[
        row(&[("row_kind", "summary"), ("stage", "all"), ("n_requests", "200")]),
        row(&[("stage", "1"), ("rate_rps", "4")]),
        row(&[]),
    ]);
    assert_eq!(both.rows.iter().map(|row| row.counted).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(both.rows[0].metrics["completed"].predicted.to_bits(), 200.0_f64.to_bits());
    // A summary whose stages are not in the table stands for them.
    let alone = stages(&[row(&[("row_kind", "summary"), ("stage", "all")])]);
    assert!(alone.rows[0].counted);
}

#[test]
fn recorded_arrivals_are_replayed() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = "arrival_s,prompt_tokens,output_tokens\n0.0,100,10\n5.0,100,10\n9.5,100,10\nnonsense,1,1\n";
    fs::write(folder.path().join("requests.csv"), trace).expect("a file");
    let rows = [row(&[("request_trace", "requests.csv"), ("n_requests", "")])];
    let validation = run(&table(folder.path(), &rows));
    let metrics = &validation.rows[0].metrics;
    assert_eq!(metrics["completed"].predicted.to_bits(), 3.0_f64.to_bits());
    let span = 3.0 / metrics["throughput_rps"].predicted;
    assert!(span > 9.5 && span < 9.8, "{span}");
}

#[test]
fn recorded_stages_may_have_any_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let last = usize::MAX;
    let trace = format!(
        "stage,arrival_s,prompt_tokens,output_tokens\n0,0.0,100,10\n{last},5.0,100,10\n,7.0,100,10\n"
    );
    fs::write(folder.path().join("requests.csv"), trace).expect("a file");
    let stage = last.to_string();
    let change = ("request_trace", "requests.csv");
    let rows = [row(&[change]), row(&[change, ("stage", &stage)])];
    let validation = run(&table(folder.path(), &rows));
    let completed = |row: usize| validation.rows[row].metrics["completed"].predicted as u64;
    assert_eq!((completed(0), completed(1)), (2, 1), "what has no stage counts to the first");
}

#[test]
fn a_missing_recording_is_drawn_instead_and_said() {
    let validation = of_rows(&[row(&[("request_trace", "nowhere.csv")])]);
    assert_eq!(validation.rows[0].reason, None);
    assert!(validation.rows[0].notes[0].contains("nowhere.csv"), "{:?}", validation.rows[0].notes);
}

#[test]
fn clients_of_an_overloaded_server_give_up() {
    // 30 requests a second of 800 tokens each are far beyond an A10G.
    let overload =
        [("rate_rps", "30"), ("n_requests", "3000"), ("prompt_mean", "800"), ("output_mean", "800")];
    let patient = of_rows(&[row(&overload)]);
    let mut with_timeout = overload.to_vec();
    with_timeout.push(("notes", "OVERLOADED: 10 of 3000 requests timed out at 60 s"));
    let hasty = of_rows(&[row(&with_timeout)]);
    let completed = |validation: &Validation| validation.rows[0].metrics["completed"].predicted;
    assert_eq!(completed(&patient).to_bits(), 3000.0_f64.to_bits());
    assert!(completed(&hasty) > 0.0 && completed(&hasty) < 1500.0, "{}", completed(&hasty));
    assert!(hasty.rows[0].metrics["e2e_p99"].predicted <= 60.0);
}

#[test]
fn server_side_latencies_have_no_front_end() {
    let client = of_rows(&[row(&[])]);
    let server = of_rows(&[row(&[("latency_scope", "server side (OTEL)")])]);
    let ttft = |validation: &Validation| validation.rows[0].metrics["ttft_mean"].predicted;
    assert!((ttft(&client) - ttft(&server) - 0.010).abs() < 0.002, "the profile has a front end of 10 ms");
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let rows: Vec<String> =
        (1..9).map(|i| row(&[("experiment", &format!("e{i}")), ("rate_rps", &format!("{i}"))])).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = table(folder.path(), &rows);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| run(&path))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn a_file_that_is_no_table_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.csv");
    fs::write(&path, "a,b\n1,2\n").expect("a file");
    let error = Table::of_servers(&path).expect_err("no servers").to_string();
    assert!(error.contains("no column `experiment`"), "{error}");
    assert!(Table::of_servers(&folder.path().join("nowhere.csv")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any cell may hold anything: a row is simulated or has a reason.
    #[test]
    fn any_cell_may_hold_anything(
        place in 0..A10G.len(),
        value in prop_oneof![
            Just(String::new()), Just("-1".to_owned()), Just("0".to_owned()), Just("1e300".to_owned()),
            Just("nan".to_owned()), Just("inf".to_owned()), Just("0.001".to_owned()), Just("4294967296".to_owned()),
            Just("all".to_owned()), Just("timed out at -5 s".to_owned()), Just("timed out at 1e30 s".to_owned()),
            "[0-9]{1,4}", ".{0,12}"
        ],
    ) {
        let changes = [("n_requests", "20"), (A10G[place].0, value.as_str())];
        let changes: Vec<_> = changes.into_iter().rev().collect();
        let validation = of_rows(&[row(&changes)]);
        prop_assert_eq!(validation.rows.len(), 1);
        let only = &validation.rows[0];
        prop_assert!(only.reason.is_some() || only.metrics.contains_key("completed"));
    }
}

#[test]
fn the_measured_table_is_met() {
    let measured = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/measured");
    let path = measured.join("e2e_measured.csv");
    if !path.exists() {
        println!("skipped: measured data not present");
        return;
    }
    let table = Table::of_servers(&path).expect("a table");
    let peers = Peers::read(&measured.join("peer_predictions.csv")).expect("predictions");
    let validation = validate(&table, &peers, StepTimeChoice::catalogue(), Efficiencies::built_in());
    assert_eq!(validation.rows.len(), 314);
    let open = |metric: &str| {
        let line =
            validation.summary.iter().find(|line| line.group == "load=open-loop" && line.metric == metric);
        line.map_or(f64::INFINITY, |line| line.median_ape)
    };
    println!(
        "open loop: TTFT {:.1} %, TPOT {:.1} %, E2E {:.1} %",
        open("ttft_mean"),
        open("tpot_mean"),
        open("e2e_mean")
    );
    assert!(open("ttft_mean") <= 15.0 && open("tpot_mean") <= 5.0 && open("e2e_mean") <= 5.0);
    assert!(open("throughput_rps") <= 2.0);
    let overloaded = validation.rows.iter().find(|row| row.experiment == "h100-llama-2-7b-tp1-reasoning");
    let overloaded = overloaded.expect("in the table");
    let error = |metric: &str| overloaded.metrics[metric].error_pct.expect("measured").abs();
    assert!(error("completed") <= 10.0 && error("ttft_mean") <= 25.0, "{overloaded:?}");
}
