//! Every golden schedule, step for step.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

#[test]
fn every_golden_schedule_is_reproduced() {
    reproduce(false);
}

#[test]
fn every_golden_schedule_is_reproduced_one_by_one() {
    reproduce(true);
}

fn reproduce(one_by_one: bool) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let outcomes = kendall_conformance::replay_dir(&dir, one_by_one).unwrap();
    let steps: u64 = outcomes.iter().map(|outcome| outcome.steps).sum();
    assert_eq!((outcomes.len(), steps), (21, 27_494), "the recordings in tests/golden are not all there");
    for outcome in &outcomes {
        let difference = outcome.first_difference.as_ref().map(kendall_conformance::Difference::explain);
        println!(
            "{} {} {}/{}",
            outcome.scenario, outcome.vllm_version, outcome.steps_identical, outcome.steps
        );
        assert!(
            outcome.identical,
            "{} ({})\n{}",
            outcome.scenario,
            outcome.vllm_version,
            difference.unwrap_or_default()
        );
    }
}
