//! The judges are only as good as the cases: what the random scenarios must reach.

use std::cell::RefCell;
use std::collections::BTreeMap;

use kendall_serving::{
    LinearCoefficients, RequestRecord, RequestStatus, RowKind, SchedulingPolicy, StepRecord, StepRow,
};

use crate::scenario::{Scenario, livelock_scenarios, scenarios};
use crate::tape::play;
use kendall_tests::tape::Played;

/// Each corner is reached by one run in a hundred at least.
#[test]
fn scenarios_reach_the_corners() {
    let runs = count(&scenarios());
    for (corner, &runs) in &runs {
        assert!(runs >= 10, "{corner}: {runs} of 1000 runs");
    }
}

/// The recompute live-lock of vLLM is found at random, too.
#[test]
fn livelocks_are_found() {
    let stalls = std::cell::Cell::new(0);
    kendall_tests::property::few(&livelock_scenarios(), |scenario| {
        stalls.set(stalls.get() + u32::from(!play(&scenario).is_complete()));
        Ok(())
    });
    assert!(stalls.get() >= 5, "{stalls:?} of 200 runs");
}

fn count(cases: &impl proptest::strategy::Strategy<Value = Scenario>) -> BTreeMap<&'static str, u32> {
    let runs = RefCell::new(BTreeMap::new());
    kendall_tests::property::hold(1_000, proptest::test_runner::RngSeed::Fixed(1909), cases, |scenario| {
        let played = play(&scenario);
        for (corner, reached) in corners(&scenario, &played) {
            *runs.borrow_mut().entry(corner).or_default() += u32::from(reached);
        }
        Ok(())
    });
    runs.into_inner()
}

fn corners(scenario: &Scenario, played: &Played) -> Vec<(&'static str, bool)> {
    let (engine, tape) = (&scenario.config.engine, &played.tape);
    let any_row =
        |wanted: &dyn Fn(&StepRow) -> bool| tape.steps.iter().any(|step| step.rows.iter().any(wanted));
    let aborted = |wanted: &dyn Fn(&RequestRecord) -> bool| played.ended(RequestStatus::Aborted).any(wanted);
    let preempts = tape.steps.iter().any(|step| !step.preempted.is_empty());
    let priority = engine.scheduling_policy == SchedulingPolicy::Priority;
    vec![
        ("a preemption under fcfs", preempts && !priority),
        ("a preemption under priority", preempts && priority),
        ("a preemption under asynchronous scheduling", preempts && engine.async_scheduling),
        (
            "a preemption before the first token",
            tape.records.iter().any(|r| r.num_preemptions > 0 && r.ttft_parts.preemption.as_ps() > 0),
        ),
        ("several victims in one step", tape.steps.iter().any(|step| step.preempted.len() > 1)),
        ("a step without rows", tape.steps.iter().any(|step| step.rows.is_empty())),
        ("a prefix hit", any_row(&|row| row.kind == RowKind::Admitted && row.num_computed_tokens > 0)),
        (
            "a prefix hit after a preemption",
            any_row(&|row| row.kind == RowKind::Resumed && row.num_computed_tokens > 0),
        ),
        (
            "a chunk of a prompt",
            any_row(&|row| {
                row.num_computed_tokens + row.num_tokens
                    < scenario.requests[row.request as usize].num_prompt_tokens
            }),
        ),
        ("an abort before admission", aborted(&|r| r.first_scheduled.is_none())),
        (
            "an abort between admission and first token",
            aborted(&|r| r.first_scheduled.is_some() && r.first_token.is_none()),
        ),
        ("an abort while decoding", aborted(&|r| r.first_token.is_some())),
        ("an abort after a preemption", aborted(&|r| r.num_preemptions > 0)),
        ("a finish without blocks, after a preemption in flight", finishes_late(played)),
        ("a rejection", played.ended(RequestStatus::Rejected).next().is_some()),
        (
            "an output cut by max_model_len",
            played
                .ended(RequestStatus::Finished)
                .any(|r| r.num_output_tokens < scenario.requests[r.index as usize].max_tokens),
        ),
        ("a run on several replicas", scenario.config.replicas > 1),
        (
            "steps in no time",
            played.end.end.as_ps() > 0 && scenario.config.step_time == LinearCoefficients::default().into(),
        ),
    ]
}

/// Whether a request finished when its last step had been followed by a preemption.
fn finishes_late(played: &Played) -> bool {
    played.tape.steps.iter().any(|step| {
        step.preempted.iter().any(|&victim| {
            let ran_later = |later: &&StepRecord| {
                later.replica == step.replica
                    && later.step > step.step
                    && later.rows.iter().any(|r| r.request == victim)
            };
            played.ended(RequestStatus::Finished).any(|r| r.index == victim)
                && played.tape.steps.iter().find(ran_later).is_none()
        })
    })
}
