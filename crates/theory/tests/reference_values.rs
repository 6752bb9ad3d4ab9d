//! Every public reference value agrees within its tolerance, and what is no reference value is told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use kendall_theory::check::{Counts, Report, Verdict, check_file};

fn assert_all_agree(report: &Report) {
    let wrong: Vec<String> = report
        .results
        .iter()
        .filter(|(_, verdict)| *verdict != Verdict::Agreed)
        .map(|(entry, verdict)| format!("{} = {}: {verdict:?}", entry.id, entry.value))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), report.results.len(), wrong.join("\n"));
}

#[test]
fn every_public_reference_value_agrees() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/queueing.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: shared/reference/queueing.json not present");
        return;
    };
    let report = check_file(&text).unwrap();
    assert_all_agree(&report);
    assert_eq!(report.counts(), Counts { agreed: 494, disagreed: 0, unsupported: 0 });
}

/// Values at high load, in large systems and far tails, by other methods at 50 digits and more: see the script beside them.
#[test]
fn independent_values_agree() {
    let report = check_file(include_str!("independent/values.json")).unwrap();
    assert_all_agree(&report);
    assert!(report.counts().agreed > 150);
}

fn verdict_of(entry: &str) -> Verdict {
    check_file(&format!("[{entry}]")).unwrap().results.remove(0).1
}

#[test]
fn values_are_compared_within_their_tolerance() {
    let entry = |value: &str, tolerance: &str| {
        verdict_of(&format!(
            r#"{{"id":"a","model":"mm1","params":{{"lambda":0.5,"mu":1}},"metric":"L","value":{value},"tolerance":{tolerance}}}"#
        ))
    };
    assert_eq!(entry("1", "0"), Verdict::Agreed);
    assert_eq!(entry("1.0000000009", "1e-9"), Verdict::Agreed);
    assert_eq!(entry("1.0000000011", "1e-9"), Verdict::Disagreed { ours: 1.0 });
    assert_eq!(entry("1.0000000009", "0"), Verdict::Disagreed { ours: 1.0 });
    let atom = r#"{"id":"a","model":"mm1","params":{"lambda":0.3,"mu":1},"metric":"wait_p50","value":0.0,"tolerance":1e-9}"#;
    assert_eq!(verdict_of(atom), Verdict::Agreed);
}

#[test]
fn what_is_unknown_is_unsupported_and_what_is_impossible_is_refused() {
    let entry = |model: &str, params: &str, metric: &str| {
        verdict_of(&format!(
            r#"{{"id":"a","model":"{model}","params":{params},"metric":"{metric}","value":1,"tolerance":1e-9}}"#
        ))
    };
    assert!(matches!(entry("gg7", "{}", "L"), Verdict::Unsupported { .. }));
    assert!(matches!(entry("mm1", r#"{"lambda":0.5,"mu":1}"#, "colour"), Verdict::Unsupported { .. }));
    for (model, params, part) in [
        ("mm1", r#"{"mu":1}"#, "lambda"),
        ("mm1", r#"{"lambda":-1,"mu":1}"#, "lambda = -1"),
        ("mm1", r#"{"lambda":1,"mu":1}"#, "utilization"),
        ("mm1", r#"{"lambda":"fast","mu":1}"#, "must be a number"),
        ("mmc", r#"{"lambda":1,"mu":1,"c":2.5}"#, "whole number"),
    ] {
        let Verdict::Refused { error } = entry(model, params, "L") else {
            panic!("{params} was not refused")
        };
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// Every entry of the file with each of its numbers, in turn, made impossible or extreme: an answer or an error, never a panic.
#[test]
fn no_value_of_a_parameter_panics() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/queueing.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: shared/reference/queueing.json not present");
        return;
    };
    let entries: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for entry in entries {
        // One entry of each model, metric and service law shows every path; decisions take long to give up, so one each.
        let metric =
            if entry["model"].to_string().contains("mdp") { "" } else { entry["metric"].as_str().unwrap() };
        let service = entry["params"]["service"]["type"].to_string();
        let path = (entry["model"].to_string(), metric.to_owned(), service);
        if !seen.insert(path) {
            continue;
        }
        for name in entry["params"].as_object().unwrap().keys() {
            for value in ["-1", "0", "1e300", "1e-300", "2.5", "[]", "{}", "null", "\"x\"", "[[1,2],[3]]"] {
                let mut changed = entry.clone();
                changed["params"][name] = serde_json::from_str(value).unwrap();
                check_file(&serde_json::Value::Array(vec![changed]).to_string()).unwrap();
            }
        }
    }
    assert!(seen.len() > 100, "only {} entries", seen.len());
}
