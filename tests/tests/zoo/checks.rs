//! The invariants, judged from what was seen.

use std::collections::{BTreeMap, BTreeSet};

use kendall_des::SimTime;
use kendall_serving::{RequestRecord, RequestStatus, RowKind, StepRecord};
use kendall_tests::checks::{
    gaps_fill_the_time_between_tokens, littles_law_is_exact, nothing_is_left, observations_are_in_order,
};
use kendall_tests::property::Verdict;
use kendall_tests::tape::Played;
use proptest::prelude::*;

use crate::Particulars;
use crate::cases::Scenario;

/// Holds a scenario to all of them.
pub(crate) fn all(scenario: &Scenario, particulars: Particulars) -> Verdict {
    let played = scenario.play(true);
    prop_assert_eq!(&played.end.stalled, &None, "invariant 8");
    the_clock_never_goes_back(scenario, &played, particulars)?;
    requests_are_conserved(scenario, &played)?;
    blocks_are_conserved(scenario, &played)?;
    lives_are_in_order(scenario, &played)?;
    steps_keep_their_limits(scenario, &played, particulars)?;
    littles_law_is_exact(&played)?;
    runs_of_steps_change_nothing(scenario, &played)?;
    if !particulars.foresees && scenario.config.replicas == 1 {
        output_lengths_are_not_foreseen(scenario, &played)?;
    }
    Ok(())
}

/// Invariant 2: what the observer is told is in order of time, and each replica runs one step at a time, as long as its shape
/// says.
fn the_clock_never_goes_back(scenario: &Scenario, played: &Played, particulars: Particulars) -> Verdict {
    observations_are_in_order(played)?;
    for replica in 0..scenario.config.replicas {
        let mut free = SimTime::ZERO;
        for step in played.steps_of(replica) {
            let end = step.start.checked_add(scenario.config.step_time.step_time(&step.shape));
            prop_assert!(free <= step.start && end <= Some(step.end));
            prop_assert!(particulars.delays || end == Some(step.end), "{step:?}");
            free = step.end;
        }
    }
    Ok(())
}

/// Invariant 3: each request leaves exactly once, with a reason if it was turned away, as the steps say.
fn requests_are_conserved(scenario: &Scenario, played: &Played) -> Verdict {
    let departed: BTreeSet<u64> = played.tape.records.iter().map(|record| record.index).collect();
    prop_assert_eq!(departed.len(), played.tape.records.len(), "nobody leaves twice");
    prop_assert_eq!(departed.len(), scenario.requests.len(), "everybody leaves");
    prop_assert_eq!(played.ended(RequestStatus::Unfinished).count(), 0);
    for record in &played.tape.records {
        let spec = &scenario.requests[record.index as usize];
        prop_assert_eq!(record.rejection.is_some(), record.status == RequestStatus::Rejected);
        prop_assert!(spec.abort.is_some() || record.status != RequestStatus::Aborted);
        let too_long = spec.num_prompt_tokens >= scenario.config.engine.max_model_len;
        prop_assert!(!too_long || record.status == RequestStatus::Rejected);
    }
    let summary = played.summary();
    prop_assert_eq!(summary.rejections.values().sum::<u64>(), summary.rejected);
    let finished: BTreeSet<u64> =
        played.tape.steps.iter().flat_map(|step| step.finished.iter().copied()).collect();
    let expected: BTreeSet<u64> = played.ended(RequestStatus::Finished).map(|record| record.index).collect();
    prop_assert_eq!(finished, expected);
    Ok(())
}

/// Invariant 4: requests, tokens and blocks add up between any two steps, nothing exceeds the cache, and nothing is left.
fn blocks_are_conserved(scenario: &Scenario, played: &Played) -> Verdict {
    let engine = &scenario.config.engine;
    for (_, _, gauges) in &played.tape.gauges {
        prop_assert!(gauges.used_blocks <= engine.usable_blocks());
        prop_assert!(gauges.held_tokens <= gauges.held_blocks * u64::from(engine.block_size));
        prop_assert!(u64::from(gauges.used_blocks) <= gauges.held_blocks);
    }
    nothing_is_left(played)
}

/// Invariant 5: stamps are in order, the parts of the time to the first token sum to it, tokens are those of the steps, and
/// gaps fill the time between them.
fn lives_are_in_order(scenario: &Scenario, played: &Played) -> Verdict {
    let mut deliveries: BTreeMap<u64, Vec<SimTime>> = BTreeMap::new();
    for step in &played.tape.steps {
        for row in step.rows.iter().filter(|row| row.delivers) {
            deliveries.entry(row.request).or_default().push(step.end);
        }
    }
    for record in &played.tape.records {
        let tokens = deliveries.get(&record.index).map_or(&[][..], Vec::as_slice);
        life_is_in_order(scenario, record, tokens)?;
    }
    gaps_fill_the_time_between_tokens(played)
}

fn life_is_in_order(scenario: &Scenario, record: &RequestRecord, tokens: &[SimTime]) -> Verdict {
    let spec = &scenario.requests[record.index as usize];
    let stamps = [
        Some(record.arrival),
        Some(record.received),
        record.queued,
        record.first_scheduled,
        record.first_token,
        record.last_token,
        Some(record.finish),
    ];
    prop_assert!(stamps.iter().flatten().is_sorted(), "{record:?}");
    prop_assert!(stamps[..6].is_sorted_by_key(Option::is_none), "a stage was left out: {record:?}");
    prop_assert_eq!(record.ttft_parts.total(), record.ttft().unwrap_or_default(), "{:?}", record);
    if let (Some(scheduled), Some(_)) = (record.first_scheduled, record.first_token) {
        prop_assert_eq!(record.ttft_parts.queue, scheduled - record.received);
    }
    let longest = scenario.config.engine.max_model_len.saturating_sub(spec.num_prompt_tokens);
    if record.status == RequestStatus::Finished {
        prop_assert_eq!(record.num_output_tokens, longest.min(spec.max_tokens));
        prop_assert_eq!(record.last_token, Some(record.finish));
        prop_assert_eq!(record.num_output_tokens as usize, tokens.len(), "{:?}", record);
        prop_assert_eq!(record.last_token, tokens.last().copied());
        prop_assert_eq!(record.first_token, tokens.first().copied());
    } else {
        // The result of the step in which a client gives up is dropped.
        let given = record.num_output_tokens as usize;
        prop_assert!((given..=given + 1).contains(&tokens.len()), "{record:?}");
    }
    Ok(())
}

/// Invariant 6: a step's rows are those of its batch, each once, continue where the one before stopped, and add up to its shape.
fn steps_keep_their_limits(scenario: &Scenario, played: &Played, particulars: Particulars) -> Verdict {
    let mut computed: BTreeMap<u64, u32> = BTreeMap::new();
    for step in &played.tape.steps {
        prop_assert!(step.num_running <= scenario.max_batch(), "{} run", step.num_running);
        let mut seen = BTreeSet::new();
        for request in &step.preempted {
            computed.remove(request);
        }
        for row in &step.rows {
            prop_assert!(seen.insert(row.request) && row.num_tokens > 0);
            let before = computed.insert(row.request, row.num_computed_tokens + row.num_tokens);
            if row.kind == RowKind::Running {
                prop_assert!(before.is_none_or(|before| before == row.num_computed_tokens), "{row:?}");
            }
        }
        let tokens: u64 = step.rows.iter().map(|row| u64::from(row.num_tokens)).sum();
        let context: u64 =
            step.rows.iter().map(|row| u64::from(row.num_computed_tokens + row.num_tokens)).sum();
        let shape = step.shape;
        let of_shape = (
            shape.prefill_tokens + shape.decode_seqs,
            shape.prefill_context_tokens + shape.decode_context_tokens,
        );
        if particulars.pads {
            prop_assert!(of_shape.0 >= tokens && of_shape.1 >= context);
        } else {
            prop_assert_eq!(of_shape, (tokens, context));
        }
    }
    Ok(())
}

/// Invariant 10: runs of steps give the same records, ends and figures as their steps one by one; and invariant 1.
fn runs_of_steps_change_nothing(scenario: &Scenario, with_steps: &Played) -> Verdict {
    let asleep = scenario.play(false);
    let mut oracle = scenario.clone();
    oracle.config.engine.one_by_one = true;
    let one_by_one = oracle.play(false);
    prop_assert_eq!(one_by_one.tape.runs, 0);
    prop_assert!(asleep.tape.faults.is_empty(), "{}", asleep.tape.faults[0]);
    for played in [&asleep, with_steps] {
        prop_assert_eq!(&played.tape.records, &one_by_one.tape.records);
        prop_assert_eq!(&played.end, &one_by_one.end);
        prop_assert_eq!(played.summary(), one_by_one.summary());
    }
    Ok(())
}

/// Invariant 7: if a request asks for more tokens, nothing changes before its last token is delivered.
fn output_lengths_are_not_foreseen(scenario: &Scenario, short: &Played) -> Verdict {
    for record in short.ended(RequestStatus::Finished) {
        let index = record.index as usize;
        let mut longer = scenario.clone();
        longer.requests[index].max_tokens += 7;
        let long = longer.play(true);
        let until = |step: &&StepRecord| step.start < record.finish;
        let seen =
            |step: &StepRecord| (step.start, step.end, step.rows.clone(), step.num_waiting, step.shape);
        let (one, other): (Vec<_>, Vec<_>) = (
            short.tape.steps.iter().filter(until).map(seen).collect(),
            long.tape.steps.iter().filter(until).map(seen).collect(),
        );
        prop_assert_eq!(one, other, "request {}", index);
    }
    Ok(())
}
