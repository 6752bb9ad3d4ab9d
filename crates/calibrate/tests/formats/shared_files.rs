//! The genuine files, whole, where they are at hand: every one that a tool calls a result is read, and the tool's own
//! means are those of its requests.

use std::path::{Path, PathBuf};

use kendall_calibrate::{CaveatKind, Measured, ReadErrorKind, read_file};

use crate::computed;

fn formats() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/formats");
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} not present", path.display());
    None
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path
            .extension()
            .is_some_and(|ext| ["json", "jsonl", "csv", "yaml"].iter().any(|known| ext == *known))
        {
            found.push(path);
        }
    }
}

/// What is no result: inputs, configurations, logs of other things.
fn is_no_result(name: &str) -> bool {
    [
        "inputs.json",
        "workload.jsonl",
        "manifest",
        "timeslices",
        "_raw.jsonl",
        "server_metrics.json",
        "server_metrics_export.csv",
        "results_ready",
        "experiment_metadata",
        "config",
        "sample_requests",
        "power_validation",
        "validation.json",
        "day06_summary",
        "repo_cross_check",
        "/run.json",
        "system_info",
    ]
    .iter()
    .any(|part| name.contains(part))
}

#[test]
fn every_genuine_result_is_read_and_agrees_with_itself() {
    let Some(folder) = formats() else { return };
    let mut found = Vec::new();
    files(&folder, &mut found);
    let (mut read, mut compared) = (0, 0);
    for path in &found {
        let name = path.display().to_string();
        match read_file(path) {
            Err(error) => {
                assert!(matches!(*error.kind, ReadErrorKind::Unrecognised { .. }), "{error}");
                assert!(is_no_result(&name), "not read: {error}");
            }
            Ok(runs) => {
                assert!(!is_no_result(&name), "{name} is no result");
                read += 1;
                compared += runs.iter().map(|run| agrees(&name, run)).sum::<usize>();
            }
        }
    }
    assert!(read >= 45 && compared >= 60, "{read} files, {compared} means");
}

/// Means that the tool states and its requests give. How many.
fn agrees(name: &str, run: &Measured) -> usize {
    let ours = computed(run);
    if ours.completed == Some(0) {
        return 0;
    }
    let known = name.contains("edge-errors") && name.contains("genaibench");
    assert_eq!(run.has(CaveatKind::Disagreement), known, "{name}: {:?}", run.caveats);
    let mut compared = 0;
    for (metric, ours, stated, within) in [
        ("ttft", &ours.ttft_s, &run.summary.ttft_s, 1e-6),
        ("e2e", &ours.e2e_s, &run.summary.e2e_s, 1e-3),
        ("tpot", &ours.tpot_s, &run.summary.tpot_s, if known { 0.1 } else { 3e-3 }),
    ] {
        if let (Some(ours), Some(stated)) =
            (ours.as_ref().and_then(|s| s.mean), stated.as_ref().and_then(|s| s.mean))
        {
            assert!((ours / stated - 1.0).abs() < within, "{name} {metric}: {ours} against {stated}");
            compared += 1;
        }
    }
    compared
}

/// Servers on a GPU: the whole lists, and the trap of the chat's role chunk.
#[test]
fn vllm_on_a_real_gpu() {
    let Some(folder) = formats() else { return };
    let path =
        folder.join("measured-on-gpus/pillaiharish-rtx5070ti/results/day06/raw/day06_c16_i128_o64_n64.json");
    let run = read_file(&path).unwrap().remove(0);
    assert!(run.has(CaveatKind::RoleChunk) && !run.has(CaveatKind::CoalescedTokens));
    assert_eq!((run.requests.len(), run.setting.max_concurrency), (64, Some(16)));
    assert!(
        run.requests.iter().all(|request| request.gaps_s.len() == 63 && request.output_tokens == Some(64))
    );
}

/// Every result cut anywhere: an error that names the file and what to do, or (where the cut falls behind a whole line or a
/// whole table) fewer requests; never a panic.
#[test]
fn a_cut_result_is_an_error_with_a_remedy_or_says_less() {
    let Some(folder) = formats() else { return };
    let mut found = Vec::new();
    files(&folder, &mut found);
    let (mut refused, mut shorter) = (0, 0);
    for path in &found {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).expect("readable");
        let Ok(whole) = kendall_calibrate::read_bytes(&name, &bytes) else { continue };
        let requests = |runs: &[Measured]| runs.iter().map(|run| run.requests.len()).sum::<usize>();
        for percent in [0, 1, 7, 33, 50, 90, 99] {
            match kendall_calibrate::read_bytes(&name, &bytes[..bytes.len() * percent / 100]) {
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(&name) && text.len() > name.len() + 20, "{text}");
                    refused += 1;
                }
                Ok(part) => {
                    let lines = ["csv", "jsonl", "yaml"].iter().any(|end| name.ends_with(end));
                    assert!(lines, "{name} at {percent} %: JSON that was cut is no JSON");
                    assert!(requests(&part) <= requests(&whole), "{name}");
                    shorter += 1;
                }
            }
        }
    }
    assert!(refused > 6 * shorter, "{refused} refused, {shorter} shorter");
}
