//! `--set KEY=VALUE`.

use crate::program::{Bench, refused};

#[test]
fn a_change_is_a_key_and_a_value() {
    refused(&["workload.requests"], &["--set workload.requests: write it as KEY=VALUE"]);
    refused(&[""], &["write it as KEY=VALUE"]);
    for change in ["=5", ".requests=5", "workload.=5", "workload..requests=5"] {
        refused(&[change], &[&format!("--set {change}: a part of the key is empty")]);
    }
}

#[test]
fn a_change_leads_to_a_known_key() {
    refused(&["workload.request=5"], &["unknown field `request`", "did you mean `requests`?"]);
    refused(&["sever.gpu=A10G"], &["unknown field `sever`", "did you mean `server`?"]);
    refused(&["workload.requests.x=5"], &["`requests` is a value, not a table"]);
    refused(&["server.gpu.name=A10G"], &["`gpu` is a value, not a table"]);
    refused(&["workload=5"], &["invalid type: integer `5`", "Workload"]);
}

/// The message shows the text after the change, and says that there was one.
#[test]
fn a_change_has_a_proper_value() {
    refused(
        &["workload.requests=many"],
        &["string \"many\"", "quickstart.toml (embedded) with --set workload.requests=many:3:12"],
    );
    for number in ["18446744073709551615", "-9223372036854775809", "1__0"] {
        refused(&[&format!("workload.requests={number}")], &["malformed or beyond 64 bits"]);
    }
    refused(&["workload.requests="], &["string \"\""]);
}

/// A version looks like a number, and a class is one of a list.
#[test]
fn a_value_is_a_string_where_one_is_wanted() {
    let bench = Bench::new();
    bench.quickstart(&["server.engine_version=0.20", "workload.requests=5", "name=7"]).succeeds();
    let played = bench.read("out/scenario.toml");
    assert!(played.contains("engine_version = \"0.20\"") && played.contains("name = \"7\""), "{played}");
    refused(&["server.gpu=7"], &["unknown GPU", "7"]);
}

#[test]
fn classes_are_named_by_number_or_by_name() {
    let bench = Bench::new();
    let scenario = include_str!("../../../../scenarios/classes.toml");
    let path = bench.write("classes.toml", scenario);
    let name =
        scenario.split("name = \"").nth(2).and_then(|rest| rest.split('"').next()).expect("a named class");
    let run = |change: &str| {
        let path = path.to_string_lossy();
        bench.kendall(&["run", &path, "--print-scenario", "--set", change])
    };
    for entry in ["0", name] {
        let outcome = run(&format!("workload.class.{entry}.priority=7"));
        outcome.succeeds();
        assert_eq!(outcome.stdout.matches("priority = 7").count(), 1, "{}", outcome.stdout);
    }
    run("workload.class.nobody.priority=7").fails(2, &["no entry `nobody`", "or by name", name]);
}

#[test]
fn changes_apply_in_order_and_reach_the_results() {
    let bench = Bench::new();
    let changes =
        ["workload.requests=5", "workload.requests=7", "server.gpu=L4", "name = a name with = signs"];
    bench.quickstart(&changes).succeeds();
    let summary: serde_json::Value = serde_json::from_str(&bench.read("out/summary.json")).expect("JSON");
    assert_eq!(summary["completed"], 7);
    assert_eq!(summary["scenario"], "a name with = signs");
    let played = bench.read("out/scenario.toml");
    assert!(played.contains("requests = 7") && played.contains("gpu = \"L4\""), "{played}");
    let again = bench.kendall(&["run", "out/scenario.toml", "--out", "again"]);
    again.succeeds();
    assert_eq!(bench.read("again/requests.csv"), bench.read("out/requests.csv"));
}
