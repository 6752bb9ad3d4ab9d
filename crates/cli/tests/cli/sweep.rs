//! `kendall sweep`: equal bytes on any number of threads and after any number of kills, and what it refuses.

use std::process::Stdio;
use std::time::Duration;

use crate::program::{Bench, names};

const POINTS: [&str; 6] = [
    "--vary",
    "workload.arrivals.rate_per_s=1:12:1",
    "--vary",
    "server.max_num_seqs=8,16,64",
    "--set",
    "workload.requests=400",
];

fn sweep<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["sweep", "--out", "out"], &POINTS[..], args].concat()
}

/// Every file of a folder with its name.
fn contents(bench: &Bench) -> Vec<(String, String)> {
    names(&bench.path("out")).into_iter().map(|name| (bench.read(&format!("out/{name}")), name)).collect()
}

#[test]
fn results_are_the_same_bytes_on_any_number_of_threads() {
    let files = |threads: &str| {
        let bench = Bench::new();
        let outcome = bench.kendall(&sweep(&["--threads", threads]));
        (outcome.succeeds().stdout.clone(), contents(&bench))
    };
    let first = files("1");
    assert!(first.1.len() > 10, "csv, json, journal, plots");
    for threads in ["2", "4"] {
        assert!(files(threads) == first, "{threads} threads");
    }
}

/// A small generator, so that each run of the test kills at other moments of the sweep but can be repeated.
fn moments() -> impl Iterator<Item = Duration> {
    let mut state = u64::from(std::process::id());
    println!("moments from {state}");
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros((state >> 33) % 150_000)
    })
}

/// The promise: killed with SIGKILL at random moments, then resumed, a sweep ends with the bytes of one that was
/// never killed; no finished run is lost, none is there twice.
#[test]
fn a_killed_sweep_goes_on_and_ends_with_the_same_bytes() {
    let whole = Bench::new();
    whole.kendall(&sweep(&[])).succeeds();
    let expected = contents(&whole);
    let killed = Bench::new();
    let mut kept = 0;
    for moment in moments().take(12) {
        let mut command = killed.command(&sweep(&["--threads", "2"]));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("the program starts");
        std::thread::sleep(moment);
        child.kill().expect("a child of ours");
        child.wait().expect("a child of ours");
        let now = runs(&killed);
        assert!(now >= kept, "{now} runs after {kept}");
        kept = now;
    }
    killed.kendall(&sweep(&[])).succeeds();
    assert_eq!(runs(&killed), 36 * 5);
    for ((text, name), (expected, expected_name)) in contents(&killed).iter().zip(&expected) {
        assert_eq!(name, expected_name);
        assert!(text == expected, "{name} differs");
    }
    assert_eq!(contents(&killed).len(), expected.len());
}

/// Whole lines of the journal that are runs, each of which must be there once.
fn runs(bench: &Bench) -> usize {
    let Ok(journal) = std::fs::read_to_string(bench.path("out/runs.jsonl")) else { return 0 };
    let mut ids: Vec<_> = journal
        .split_inclusive('\n')
        .filter(|line| line.ends_with("}\n"))
        .filter_map(|line| line.split_once("\"id\":")?.1.split_once('}').map(|id| id.0.to_owned()))
        .collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "a run is there twice");
    all
}

#[test]
fn a_finished_sweep_is_not_played_again_and_more_replications_come_on_top() {
    let bench = Bench::new();
    bench.kendall(&sweep(&["--replications", "2"])).succeeds();
    let first = bench.read("out/runs.jsonl");
    bench.kendall(&sweep(&["--replications", "2"])).succeeds();
    assert_eq!(bench.read("out/runs.jsonl"), first);
    bench.kendall(&sweep(&["--replications", "3"])).succeeds();
    let more = bench.read("out/runs.jsonl");
    assert_eq!((first.lines().count(), more.lines().count()), (1 + 72, 1 + 108));
    assert!(first.lines().all(|line| more.contains(line)), "a run changed or was lost");
}

#[test]
fn another_sweep_in_the_same_folder_is_refused() {
    let bench = Bench::new();
    bench.kendall(&sweep(&[])).succeeds();
    let before = contents(&bench);
    for change in [["--seed", "1"], ["--set", "server.block_size=32"]] {
        bench.kendall(&sweep(&change)).refuses(&["another sweep", "--fresh"]);
    }
    assert!(contents(&bench) == before);
    bench.kendall(&sweep(&["--seed", "1", "--fresh"])).succeeds();
    assert!(contents(&bench) != before);
}

/// Points meet the same customers: where the limit on sequences does not matter, figures are equal to the bit.
#[test]
fn points_share_their_random_numbers() {
    let bench = Bench::new();
    // The number of KV blocks would follow from the number of sequences.
    let changes = ["--set", "workload.requests=300", "--set", "server.num_gpu_blocks=4000"];
    let args = ["sweep", "--vary", "server.max_num_seqs=50,60", "--json"];
    let outcome = bench.kendall(&[&args[..], &changes].concat());
    let json: serde_json::Value = serde_json::from_str(&outcome.succeeds().stdout).unwrap();
    let points = json["points"].as_array().unwrap();
    assert_eq!(points[0]["figures"], points[1]["figures"]);
    assert_eq!(points[1]["values"]["server.max_num_seqs"], 60);
    let interval = &points[0]["figures"]["mean_ttft_ms"];
    assert!(interval["half_width"].as_f64().unwrap() > 0.0 && interval["replications"] == 5);
}

#[test]
fn mistakes_are_found_before_the_first_run() {
    let bench = Bench::new();
    for (vary, parts) in [
        (&["server.max_num_seq=1,2"][..], &["max_num_seq", "did you mean `max_num_seqs`?"][..]),
        (&["workload.arivals.rate_per_s=1:2:1"], &["did you mean `arrivals`?"]),
        (&["server.max_num_seqs=16,0"], &["server.max_num_seqs", "at least 1"]),
        (&["workload.arrivals.rate_per_s=4,-4"], &["rate_per_s", "-4"]),
        (&["server.gpu=A10G,H10O"], &["H10O", "nearest name"]),
        (&["server.max_num_seqs"], &["KEY=FROM:TO:STEP"]),
        (&["server.max_num_seqs=1:9:-1"], &["does not lead"]),
        (&["server.max_num_seqs=1,2", "server.max_num_seqs=3"], &["varied twice"]),
    ] {
        let vary: Vec<_> = vary.iter().flat_map(|vary| ["--vary", vary]).collect();
        bench.kendall(&[&["sweep", "--out", "out"], &vary[..]].concat()).refuses(parts);
        assert_eq!(bench.results(), [""; 0]);
    }
    let uneven = ["--paired", "--vary", "server.max_num_seqs=1,2", "--vary", "seed=1,2,3"];
    bench.kendall(&[&["sweep"], &uneven[..]].concat()).refuses(&["equally many"]);
    bench.kendall(&["sweep"]).refuses(&["--vary"]);
}

#[test]
fn values_of_any_type_can_be_varied() {
    let bench = Bench::new();
    let args = [
        "sweep",
        "--vary",
        "server.scheduling_policy=fcfs,priority",
        "--vary",
        "server.async_scheduling=true,false",
    ];
    let outcome = bench.kendall(&[&args[..], &["--set", "workload.requests=100", "--out", "out"]].concat());
    assert!(outcome.succeeds().stdout.contains("priority"));
    let plot = bench.read("out/mean_ttft_ms.svg");
    assert!(plot.contains("fcfs") && plot.contains("async_scheduling = true"), "{plot}");
    assert_eq!(bench.read("out/sweep.csv").lines().count(), 5);
}

/// Every point but the baseline itself differs from it by what the two points' means differ by, and far less uncertainly than the
/// points are known: both met the same customers.
#[test]
fn differences_are_paired_with_a_baseline() {
    let bench = Bench::new();
    let args = [
        "sweep",
        "--quiet",
        "--vary",
        "server.max_num_batched_tokens=1024,2048",
        "--set",
        "workload.requests=500",
    ];
    let baseline = ["--baseline", "server.max_num_batched_tokens=1024", "--out", "out"];
    let outcome = bench.kendall(&[&args[..], &baseline].concat());
    assert!(
        outcome.succeeds().stdout.contains("Differences from max_num_batched_tokens = 1024"),
        "{}",
        outcome.stdout
    );
    let json: serde_json::Value = serde_json::from_str(&bench.read("out/sweep.json")).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let points = &json["points"];
    let [own, other] = [0, 1].map(|point| &points[point]["figures"]["mean_e2el_ms"]);
    assert!(number(&points[0]["differences"]["mean_e2el_ms"]["mean"]).abs() < 1e-12);
    let difference = &points[1]["differences"]["mean_e2el_ms"];
    assert!((number(&difference["mean"]) - (number(&other["mean"]) - number(&own["mean"]))).abs() < 1e-9);
    assert!(number(&difference["half_width"]) < 0.2 * number(&own["half_width"]), "{difference} {own}");
    let csv = bench.read("out/sweep.csv");
    assert!(
        csv.lines().next().unwrap().contains("mean_ttft_ms_difference,mean_ttft_ms_difference_half_width")
    );
    assert!(bench.results().contains(&"mean_ttft_ms-difference.svg".to_owned()), "{:?}", bench.results());
    for (named, words) in
        [("server.max_num_seqs=4", "not varied"), ("server.max_num_batched_tokens=7", "it takes 1024, 2048")]
    {
        bench.kendall(&[&args[..], &["--baseline", named]].concat()).refuses(&[words]);
    }
}
