//! Invariant 7: no decision depends on an output length that is not known yet.

use kendall_serving::StepRecord;
use kendall_tests::property::Verdict;
use kendall_tests::tape::Played;
use proptest::prelude::*;

use crate::ledger::accounts;
use crate::property;
use crate::scenario::{Scenario, round_robin_scenarios};
use crate::tape::play;

property! {
    /// Invariant 7. Two runs differ in one request only, which asks for more tokens in the second. Their steps agree up
    /// to and including the one that computes that request's last token in the first run, except for what is known
    /// once that step is over: who finished and which blocks are free again.
    ///
    /// Under synchronous scheduling this is every decision before the request ends. Under asynchronous scheduling it is
    /// every decision up to the batch with its last token: the next one is scheduled while that token is in flight, and
    /// vLLM itself then leaves the request out because it knows `max_tokens`. If the request never gets so far in the
    /// first run, and on other replicas, the runs agree from beginning to end.
    output_lengths_are_not_foreseen, cases(), |(scenario, request, more)| {
        let index = request.index(scenario.requests.len());
        let mut longer = scenario.clone();
        longer.requests[index].max_tokens += more;
        let (short, long) = (play(&scenario), play(&longer));
        if !short.is_complete() || !long.is_complete() {
            return Ok(());
        }
        let last_step = step_of_last_token(&scenario, &short, index)?;
        for replica in 0..scenario.config.replicas {
            let last_step = last_step.filter(|step| step.replica == replica).map(|step| step.step);
            agree_until(last_step, &short, &long, replica)?;
        }
        Ok(())
    }
}

fn cases() -> impl Strategy<Value = (Scenario, prop::sample::Index, u32)> {
    (round_robin_scenarios(), any::<prop::sample::Index>(), 1..=40_u32)
}

/// The step that computes the last token that request `index` may have, if there is one.
fn step_of_last_token<'a>(
    scenario: &Scenario,
    played: &'a Played,
    index: usize,
) -> Result<Option<&'a StepRecord>, TestCaseError> {
    let spec = &scenario.requests[index];
    let room = scenario.config.engine.max_model_len.saturating_sub(spec.num_prompt_tokens);
    let account = &accounts(scenario, played)?[index];
    let reached = account.delivered == room.min(spec.max_tokens);
    Ok(account.delivering_steps.last().filter(|_| reached).map(|&place| &played.tape.steps[place]))
}

fn agree_until(last_step: Option<u64>, short: &Played, long: &Played, replica: u32) -> Verdict {
    let (mut shorter, mut longer) = (short.steps_of(replica), long.steps_of(replica));
    loop {
        let (one, other) = (shorter.next(), longer.next());
        match (one, other) {
            (Some(one), Some(other)) if Some(one.step) == last_step => {
                let masked = StepRecord {
                    finished: one.finished.clone(),
                    free_blocks_end: one.free_blocks_end,
                    ..other.clone()
                };
                prop_assert_eq!(one, &masked);
                return Ok(());
            }
            (None, None) => return Ok(()),
            _ => prop_assert_eq!(one, other),
        }
    }
}
