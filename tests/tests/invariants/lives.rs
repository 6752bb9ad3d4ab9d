//! Invariant 5: the life of each request is in order and its time to the first token adds up.

use kendall_des::SimDuration;
use kendall_serving::{BatchShape, RequestRecord, RequestStatus, RowKind};
use kendall_tests::checks::gaps_fill_the_time_between_tokens;
use kendall_tests::property::Verdict;
use kendall_tests::tape::Played;
use proptest::prelude::*;

use crate::ledger::{Account, accounts};
use crate::property;
use crate::scenario::{Scenario, scenarios};
use crate::tape::play;

property! {
    /// Invariant 5. Time stamps are in order, and those of the first admission and of the tokens are those of the steps;
    /// the parts of the time to the first token sum exactly to the whole, and the prefill part is the request's own;
    /// each request gets the tokens that it asked for, up to the longest sequence; every token after the first has one
    /// gap, and the gaps fill the time between.
    lives_are_in_order, scenarios(), |scenario| {
        let played = play(&scenario);
        let accounts = accounts(&scenario, &played)?;
        for record in &played.tape.records {
            stamps_are_in_order(&scenario, record)?;
            parts_sum_to_the_whole(&scenario, record)?;
            if !scenario.config.engine.async_scheduling {
                prefill_is_what_it_takes_alone(&scenario, &played, record)?;
            }
            if played.is_complete() && record.status != RequestStatus::Rejected {
                steps_tell_the_same(&scenario, &played, record, &accounts[record.index as usize])?;
            }
        }
        gaps_fill_the_time_between_tokens(&played)
    }
}

fn stamps_are_in_order(scenario: &Scenario, record: &RequestRecord) -> Verdict {
    let spec = &scenario.requests[record.index as usize];
    prop_assert_eq!(record.arrival, spec.arrival);
    let front_end = scenario.config.front_end.of_prompt(record.num_prompt_tokens);
    prop_assert_eq!(
        front_end.and_then(|front_end| record.arrival.checked_add(front_end)),
        Some(record.received)
    );
    let stamps = [
        Some(record.received),
        record.queued,
        record.first_scheduled,
        record.first_token,
        record.last_token,
        Some(record.finish),
    ];
    prop_assert!(stamps.iter().flatten().is_sorted(), "{record:?}");
    let reached = &stamps[..5];
    prop_assert!(reached.is_sorted_by_key(Option::is_none), "a stage was left out: {record:?}");
    let longest =
        scenario.config.engine.max_model_len.saturating_sub(spec.num_prompt_tokens).min(spec.max_tokens);
    prop_assert!(record.num_output_tokens <= longest);
    prop_assert_eq!(record.first_token.is_some(), record.num_output_tokens > 0);
    prop_assert!(record.num_output_tokens > 1 || record.first_token == record.last_token);
    if record.status == RequestStatus::Finished {
        prop_assert_eq!(record.num_output_tokens, longest);
        prop_assert_eq!(record.last_token, Some(record.finish));
    }
    Ok(())
}

fn parts_sum_to_the_whole(scenario: &Scenario, record: &RequestRecord) -> Verdict {
    let parts = record.ttft_parts;
    prop_assert_eq!(parts.total(), record.ttft().unwrap_or_default(), "{:?}", record);
    let (Some(scheduled), Some(_)) = (record.first_scheduled, record.first_token) else { return Ok(()) };
    prop_assert_eq!(parts.front_end, record.received - record.arrival);
    prop_assert_eq!(parts.queue, scheduled - record.received);
    prop_assert!(record.num_preemptions > 0 || parts.preemption == SimDuration::ZERO);
    if scenario.requests.len() == 1 && !scenario.config.engine.async_scheduling {
        prop_assert_eq!(parts.interference, SimDuration::ZERO, "nobody else was there");
    }
    Ok(())
}

/// The prefill part is the time that the request's chunks would take in batches without others, each token counted
/// once: what a preemption took and was computed again is not in it.
fn prefill_is_what_it_takes_alone(scenario: &Scenario, played: &Played, record: &RequestRecord) -> Verdict {
    let Some(first_token) = record.first_token else { return Ok(()) };
    let (mut alone_ps, mut computed, mut lost) = (0, 0, 0);
    let mut delivered = false;
    for step in played.steps_of(record.replica).take_while(|step| step.end <= first_token) {
        if step.preempted.contains(&record.index) {
            lost = computed.max(lost);
        }
        let own = step.rows.iter().find(|row| row.request == record.index);
        let Some(row) = own.filter(|_| !delivered) else { continue };
        computed = row.num_computed_tokens + row.num_tokens;
        delivered = computed == record.num_prompt_tokens;
        if computed > lost {
            let mut shape = BatchShape::default();
            shape.add_prefill(u64::from(row.num_tokens), u64::from(computed));
            shape.new_seqs = u64::from(row.kind != RowKind::Running);
            alone_ps += scenario.config.step_time.step_time(&shape).as_ps();
        }
    }
    prop_assert_eq!(record.ttft_parts.prefill.as_ps(), alone_ps, "{:?}", record);
    Ok(())
}

fn steps_tell_the_same(
    scenario: &Scenario,
    played: &Played,
    record: &RequestRecord,
    account: &Account,
) -> Verdict {
    let steps = &played.tape.steps;
    let places = &account.delivering_steps;
    let tokens = record.num_output_tokens as usize;
    prop_assert_eq!(record.num_preemptions, account.num_preemptions);
    prop_assert_eq!(record.num_lost_tokens, account.num_lost_tokens);
    prop_assert_eq!(record.num_cached_tokens, account.first_hit.unwrap_or_default());
    prop_assert_eq!(record.first_scheduled.is_some(), account.first_hit.is_some());
    let first_token = places.first().filter(|_| tokens > 0).map(|&place| steps[place].end);
    prop_assert_eq!(record.first_token, first_token);
    if record.status == RequestStatus::Finished {
        prop_assert_eq!(tokens, places.len(), "each delivering step delivers a token");
        prop_assert_eq!(record.last_token, places.last().map(|&place| steps[place].end));
    } else {
        // Results of batches that were in flight at the abort are dropped.
        let depth = if scenario.config.engine.async_scheduling { 2 } else { 1 };
        prop_assert!(
            (tokens..=tokens + depth).contains(&places.len()),
            "{} steps for {record:?}",
            places.len()
        );
    }
    Ok(())
}
