//! `kendall capacity`: answers, refusals, the same bytes on any number of threads.

use serde_json::Value;

use crate::program::{Bench, Outcome, one_seat};

/// Of one seat with 20 tokens a request: 5 requests a second at most.
fn ask(args: &[&str]) -> Outcome {
    let bench = Bench::new();
    bench.write("s.toml", one_seat(1_000, 1.0, "{ dist = \"constant\", tokens = 20 }"));
    bench.kendall(&[&["capacity", "s.toml", "--requests", "1000"], args].concat())
}

/// M/D/1: the mean wait is 190 ms at 3.27586 requests a second (Pollaczek-Khinchine).
#[test]
fn the_answer_holds_the_truth_in_text_and_json() {
    let outcome = ask(&["--slo", "mean(ttft)<=200ms", "--json"]);
    let json: Value = serde_json::from_str(&outcome.succeeds().stdout).unwrap();
    let (low, high) = (json["feasible"].as_f64().unwrap(), json["infeasible"].as_f64().unwrap());
    assert!(low <= 3.275_86 && 3.275_86 <= high && high < 1.5 * low, "{low} to {high}");
    assert!((json["load_bound_per_s"].as_f64().unwrap() - 5.0).abs() < 0.01);
    assert_eq!((json["confidence"].as_f64(), json["ending"].as_str()), (Some(0.95), Some("found")));
    let trials = json["trials"].as_array().unwrap();
    assert!(trials.iter().all(|trial| trial["slos"][0]["half_width"].as_f64().unwrap() > 0.0));
    let text = ask(&["--slo", "mean(ttft)<=200ms"]).succeeds().stdout.clone();
    for part in
        ["with 95 % confidence", "What binds", "max_num_seqs", "step time", "arrivals in pairs", "feasible"]
    {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn the_number_of_threads_does_not_show() {
    let text = |threads| ask(&["--slo", "mean(ttft)<=200ms", "--threads", threads]).succeeds().stdout.clone();
    assert_eq!(text("1"), text("3"));
}

#[test]
fn vllms_goodput_syntax_and_the_scenarios_own_limits_are_understood() {
    let text = ask(&["--slo", "ttft:400 tpot:50", "--slo", "goodput>=0.9", "--no-sensitivity"]);
    assert!(text.succeeds().stdout.contains("goodput(ttft:400 tpot:50)>=90%"), "{}", text.stdout);
    let own = ask(&["--set", "slo.goodput.ttft_ms=400", "--no-sensitivity"]);
    assert!(own.succeeds().stdout.contains("goodput(ttft:400)>=99%"), "{}", own.stdout);
}

#[test]
fn what_no_load_can_meet_says_which_objective_fails() {
    let outcome = ask(&["--slo", "p99(ttft)<=500ms", "--slo", "p50(e2el)<=199ms"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stdout.contains("Impossible") && outcome.stdout.contains("p50(e2el)<=199ms"),
        "{outcome:?}"
    );
    assert!(!outcome.stdout.contains("misses p99(ttft)"), "{outcome:?}");
}

#[test]
fn replicas_and_clients_are_found() {
    let replicas = ["--find", "replicas", "--set", "workload.arrivals.rate_per_s=8", "--no-sensitivity"];
    let outcome = ask(&[&replicas[..], &["--slo", "p99(ttft)<=9999s"]].concat());
    assert!(outcome.succeeds().stdout.contains("replicas"), "{}", outcome.stdout);
    // Device time rules one replica out; with one seat a client that waits for no one sees 10 ms.
    let clients = ask(&["--find", "concurrency", "--slo", "p99(ttft)<=15ms"]);
    assert!(clients.succeeds().stdout.contains("Capacity: 1 clients at a time"), "{}", clients.stdout);
    assert!(!clients.stdout.contains("burstiness"), "clients that wait have no bursts: {}", clients.stdout);
}

#[test]
fn questions_without_sense_are_refused_with_a_remedy() {
    ask(&["--slo", "p99(ttft)<=500"]).refuses(&["no unit", "objectives look like"]);
    ask(&["--slo", "p99(ttft)>=500ms"]).refuses(&["at most"]);
    ask(&["--slo", "goodput>=0.99"]).refuses(&["[slo.goodput]"]);
    ask(&[]).refuses(&["no objective"]);
    let slo = ["--slo", "p99(ttft)<=500ms"];
    let with = |args: &[&str]| ask(&[&slo[..], args].concat());
    with(&["--set", "workload.max_concurrency=4"]).refuses(&["--find concurrency"]);
    with(&["--set", "workload.arrivals={process=\"at_once\"}"]).refuses(&["no rate"]);
    with(&["--requests", "10"]).refuses(&["--requests"]);
    with(&["--set", "server.max_num_seq=4"]).refuses(&["did you mean `max_num_seqs`?"]);
    let bench = Bench::new();
    bench.write("t.csv", "arrival_s,prompt_tokens,output_tokens\n0.5,10,10\n");
    bench.write("s.toml", "[workload]\ntrace = { path = \"t.csv\" }\n[server]\ngpu = \"A10G\"\nmodel = \"Qwen2.5-1.5B-Instruct\"\n");
    bench.kendall(&["capacity", "s.toml", "--slo", "p99(ttft)<=500ms"]).refuses(&["t.csv", "nothing random"]);
}
