//! Invariant 6: no step exceeds its limits, and computed tokens add up.

use std::collections::BTreeSet;

use kendall_serving::{RequestStatus, RowKind, SchedulingPolicy, StepRecord, StepRow};
use kendall_tests::property::Verdict;
use proptest::prelude::*;

use crate::ledger::accounts;
use crate::property;
use crate::scenario::{Scenario, scenarios};
use crate::tape::play;

property! {
    /// Invariant 6. A step keeps the token budget, `max_num_seqs`, `max_num_active_seqs`, the chunk threshold and whole
    /// prompts without chunked prefill; nobody is in it twice, or runs and is preempted, or comes in when somebody is
    /// thrown out.
    steps_keep_their_limits, scenarios(), |scenario| {
        let played = play(&scenario);
        played.tape.steps.iter().try_for_each(|step| {
            rows_keep_the_limits(&scenario, step)?;
            admissions_keep_the_limits(&scenario, step)?;
            let caches = scenario.config.engine.enable_prefix_caching;
            prop_assert!(caches || step.shape.shared_tokens == 0, "shared without a prefix cache");
            shape_sums_the_rows(step)
        })
    }
}

property! {
    /// Invariant 6. For every request the tokens computed between preemptions add up (see [`accounts`]), and a finished
    /// one has computed all its tokens but the last.
    computed_tokens_add_up, scenarios(), |scenario| {
        let played = play(&scenario);
        let accounts = accounts(&scenario, &played)?;
        for record in played.ended(RequestStatus::Finished) {
            let computed = accounts[record.index as usize].computed;
            let all_but_last = record.num_prompt_tokens + record.num_output_tokens - 1;
            // With batches in flight a request can be preempted after its last token was scheduled.
            let preempted_late = computed.is_none() && scenario.config.engine.async_scheduling;
            prop_assert!(computed == Some(all_but_last) || preempted_late, "{computed:?} of {record:?}");
        }
        Ok(())
    }
}

fn rows_keep_the_limits(scenario: &Scenario, step: &StepRecord) -> Verdict {
    let engine = &scenario.config.engine;
    let tokens: u32 = step.rows.iter().map(|row| row.num_tokens).sum();
    prop_assert!(tokens <= engine.max_num_batched_tokens, "{tokens} tokens");
    prop_assert!(step.rows.len() <= step.num_running as usize);
    let limit = engine.max_num_active_seqs.unwrap_or(engine.max_num_seqs);
    prop_assert!(step.num_running <= limit, "{} of {limit} run", step.num_running);
    let mut seen = BTreeSet::new();
    for index in step.rows.iter().map(|row| row.request).chain(step.preempted.iter().copied()) {
        prop_assert!(seen.insert(index), "request {index} is in the step twice");
    }
    let (num_requests, threshold) =
        (step.num_running + step.num_waiting, engine.long_prefill_token_threshold);
    if threshold > 0 && num_requests > 1 {
        let share = engine.max_num_batched_tokens / num_requests;
        let longest =
            if engine.long_prefill_token_threshold_adaptive { threshold.max(share) } else { threshold };
        prop_assert!(step.rows.iter().all(|row| row.num_tokens <= longest), "chunks of {longest} at most");
    }
    Ok(())
}

fn admissions_keep_the_limits(scenario: &Scenario, step: &StepRecord) -> Verdict {
    let engine = &scenario.config.engine;
    let is_new = |row: &&StepRow| row.kind != RowKind::Running;
    let admitted: Vec<_> = step.rows.iter().filter(is_new).collect();
    prop_assert!(step.preempted.is_empty() || admitted.is_empty(), "admissions in a step that preempted");
    prop_assert!(
        step.rows.is_sorted_by_key(|row| row.kind != RowKind::Running),
        "running requests come first"
    );
    if !engine.enable_chunked_prefill && engine.long_prefill_token_threshold == 0 {
        for row in admitted.iter().filter(|row| row.kind == RowKind::Admitted) {
            let prompt = scenario.requests[row.request as usize].num_prompt_tokens;
            prop_assert_eq!(row.num_computed_tokens + row.num_tokens, prompt, "a whole prompt");
        }
    }
    let numbers: Vec<_> =
        admitted.iter().filter(|row| row.kind == RowKind::Admitted).map(|row| row.request).collect();
    prop_assert!(
        engine.scheduling_policy == SchedulingPolicy::Priority || numbers.is_sorted(),
        "first come, first served"
    );
    Ok(())
}

fn shape_sums_the_rows(step: &StepRecord) -> Verdict {
    let tokens: u64 = step.rows.iter().map(|row| u64::from(row.num_tokens)).sum();
    let context: u64 = step.rows.iter().map(|row| u64::from(row.num_computed_tokens + row.num_tokens)).sum();
    let new = step.rows.iter().filter(|row| row.kind != RowKind::Running).count();
    let shape = step.shape;
    prop_assert_eq!(shape.prefill_tokens + shape.decode_seqs, tokens);
    prop_assert_eq!(shape.prefill_context_tokens + shape.decode_context_tokens, context);
    prop_assert_eq!(shape.new_seqs, new as u64);
    Ok(())
}
