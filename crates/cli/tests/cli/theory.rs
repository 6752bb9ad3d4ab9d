//! `kendall theory check`: what agrees, what does not, what is unknown, and what is no file of reference values.

use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Bench, Outcome};

fn entry(id: &str, model: &str, params: &Value, metric: &str, value: f64) -> Value {
    json!({ "id": id, "model": model, "params": params, "metric": metric, "value": value, "method": "by hand",
            "tolerance": 1e-9 })
}

fn check(entries: &[Value], args: &[&str]) -> Outcome {
    let bench = Bench::new();
    bench.write("reference.json", Value::from(entries).to_string());
    bench.kendall(&[&["theory", "check", "reference.json"], args].concat())
}

fn half_loaded() -> Value {
    json!({ "lambda": 0.5, "mu": 1.0 })
}

#[test]
fn agreement_ends_well() {
    let entries = [
        entry("one", "mm1", &half_loaded(), "L", 1.0),
        entry("two", "erlang_b", &json!({"a": 2.0, "c": 3}), "blocking", 4.0 / 19.0),
    ];
    let table = check(&entries, &[]);
    let lines: Vec<_> =
        table.succeeds().stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[0], ["model", "agreed", "disagreed", "unsupported"]);
    assert!(lines.contains(&vec!["mm1", "1", "0", "0"]), "{}", table.stdout);
    assert_eq!(lines.last(), Some(&vec!["all", "2", "0", "0"]));
    let json: Value = serde_json::from_str(&check(&entries, &["--json"]).succeeds().stdout).expect("JSON");
    assert_eq!(json["entries"], 2);
    assert_eq!(
        (&json["agreed"], &json["disagreed"], &json["unsupported"]),
        (&json!(2), &json!(0), &json!(0))
    );
}

#[test]
fn one_disagreement_fails_and_is_named() {
    let entries = [
        entry("right", "mm1", &half_loaded(), "L", 1.0),
        entry("wrong", "mm1", &half_loaded(), "L", 1.1),
        entry("negative", "mm1", &json!({ "lambda": -2.0, "mu": 1.0 }), "L", 1.0),
        entry("overloaded", "mmc", &json!({ "lambda": 3.0, "mu": 1.0, "c": 3 }), "L", 1.0),
        entry("incomplete", "mmc", &json!({ "lambda": 3.0, "mu": 1.0 }), "L", 1.0),
    ];
    let table = check(&entries, &[]);
    assert_eq!(table.code, Some(1), "{table:?}");
    for part in [
        "wrong: L is 1",
        "negative: lambda = -2",
        "overloaded: utilization 1",
        "incomplete: parameter `c` is missing",
    ] {
        assert!(table.stdout.contains(part), "`{part}` is not in\n{}", table.stdout);
    }
    let outcome = check(&entries, &["--json"]);
    assert_eq!(outcome.code, Some(1));
    let json: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!((&json["agreed"], &json["disagreed"]), (&json!(1), &json!(4)));
    assert_eq!(json["disagreements"][0]["id"], "wrong");
    assert_eq!(json["disagreements"][0]["ours"], 1.0);
}

#[test]
fn the_unknown_is_counted_apart() {
    let entries = [
        entry("model", "gg1_magic", &half_loaded(), "L", 1.0),
        entry("metric", "mm1", &half_loaded(), "colour", 1.0),
    ];
    let json: Value = serde_json::from_str(&check(&entries, &["--json"]).succeeds().stdout).expect("JSON");
    assert_eq!((&json["disagreed"], &json["unsupported"]), (&json!(0), &json!(2)));
    assert!(check(&entries, &[]).stdout.contains("? metric: model `mm1` has no metric `colour`"));
}

#[test]
fn what_is_no_reference_file_is_refused() {
    let bench = Bench::new();
    bench.kendall(&["theory", "check", "absent.json"]).refuses(&["absent.json", "cannot read"]);
    for (text, parts) in [
        ("[{", vec!["broken.json", "line 1"]),
        ("{}", vec!["broken.json", "not a JSON list"]),
        (r#"[{"id": "lonely", "model": "mm1"}]"#, vec!["entry 1 (lonely)", "params"]),
        (
            r#"[{"id": "odd", "model": "mm1", "params": [], "metric": "L", "value": 1, "tolerance": 0}]"#,
            vec!["odd"],
        ),
    ] {
        bench.write("broken.json", text);
        bench.kendall(&["theory", "check", "broken.json"]).refuses(&parts);
    }
}

#[test]
fn the_public_reference_agrees() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/queueing.json");
    if !path.exists() {
        println!("skipped: shared/reference/queueing.json not present");
        return;
    }
    let path = path.to_str().expect("a path in UTF-8");
    let outcome = Bench::new().kendall(&["theory", "check", path, "--json"]);
    let json: Value = serde_json::from_str(&outcome.succeeds().stdout).expect("JSON");
    assert_eq!(json["agreed"], json["entries"], "{}", outcome.stdout);
    assert!(json["entries"].as_u64() >= Some(494));
}
