//! `kendall validate`: tables, JSON, plots, and messages.

use serde_json::Value;

use crate::program::Bench;

fn example(name: &str) -> String {
    format!("{}/../../docs/validate.in/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn json_has_a_summary_and_every_row() {
    let bench = Bench::new();
    let outcome = bench.kendall(&["validate", &example("servers.csv"), "--json", "--plot", "errors.svg"]);
    let json: Value = serde_json::from_str(&outcome.succeeds().stdout).expect("JSON");
    let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
    // What a page needs to know of where it comes from follows.
    assert_eq!(keys, ["summary", "rows", "kendall_version", "command", "table"]);
    assert_eq!(json["summary"][0]["group"], "all");
    assert_eq!(json["rows"].as_array().map(Vec::len), Some(4));
    assert!(json["rows"][3]["reason"].as_str().expect("unknown").contains("unheard-of"));
    assert_eq!(json["rows"][0]["metrics"]["ttft_mean"]["peers"]["no-cache-roofline"], 0.045);
    let svg = std::fs::read_to_string(bench.path("errors.svg")).expect("a plot");
    // TTFT and TPOT of three rows, E2E of two.
    assert_eq!(svg.matches("<circle").count(), 8);
}

#[test]
fn threads_do_not_show() {
    let bench = Bench::new();
    let table = example("servers.csv");
    let with = |threads: &str| {
        bench.kendall(&["validate", &table, "--json", "--threads", threads]).succeeds().stdout.clone()
    };
    assert_eq!(with("1"), with("3"));
}

#[test]
fn the_roofline_can_be_asked_for() {
    let bench = Bench::new();
    let text = bench.kendall(&["validate", &example("servers.csv"), "--step-time", "roofline"]);
    let text = text.succeeds().stdout.clone();
    assert!(!text.contains("profile") && text.contains("roofline"), "{text}");
}

#[test]
fn what_is_no_table_is_refused() {
    let bench = Bench::new();
    bench.kendall(&["validate", "nowhere.csv"]).refuses(&["nowhere.csv"]);
    bench.write("t.csv", "a,b\n1,2\n");
    bench.kendall(&["validate", "t.csv"]).refuses(&["no column `experiment`", "docs/validate.md"]);
    let outcome = bench.kendall(&["validate", &example("servers.csv"), "--peers", "t.csv"]);
    outcome.refuses(&["no column `simulator`"]);
}
