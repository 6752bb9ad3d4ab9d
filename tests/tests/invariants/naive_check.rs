//! The engine against the naive scheduler, decision by decision.

use kendall_des::SimTime;
use kendall_serving::{RequestRecord, StepRecord};
use proptest::prelude::*;

use crate::naive::{Decision, Naive};
use crate::property;
use crate::scenario::plain_scenarios;
use crate::tape::play;

property! {
    /// Invariants 3 to 6, judged by an independent scheduler. Synchronous scheduling without a prefix cache takes the
    /// same decisions as [`Naive`]: rows, preemptions, departures, queue lengths, free blocks and times of every step,
    /// and the stamps of every request. A stalled run is compared as far as it goes.
    the_naive_scheduler_agrees, plain_scenarios(), |scenario| {
        let played = play(&scenario);
        let config = &scenario.config;
        let step_time = config.step_time.as_linear().expect("plain scenarios have linear steps");
        let mut naive = Naive::new(&config.engine, step_time, &scenario.requests);
        let stop_at = if played.is_complete() { usize::MAX } else { played.tape.steps.len() };
        let mut decisions = naive.play(stop_at);
        decisions.retain(|decision| !decision.rows.is_empty() || !decision.preempted.is_empty());
        for (step, decision) in played.tape.steps.iter().zip(&decisions) {
            prop_assert_eq!(&decision_of(step), decision);
        }
        prop_assert_eq!(played.tape.steps.len(), decisions.len());
        for record in played.tape.records.iter().filter(|_| played.is_complete()) {
            let customer = &naive.customers[record.index as usize];
            let theirs = (customer.first_scheduled, customer.first_token, customer.left, customer.preemptions);
            prop_assert_eq!(stamps(record), theirs, "request {}", record.index);
        }
        Ok(())
    }
}

fn decision_of(step: &StepRecord) -> Decision {
    let numbers = |indices: &[u64]| indices.iter().map(|&index| index as usize).collect();
    Decision {
        scheduled: step.scheduled.as_ps(),
        end: step.end.as_ps(),
        rows: step
            .rows
            .iter()
            .map(|row| (row.request as usize, row.num_tokens, row.num_computed_tokens))
            .collect(),
        preempted: numbers(&step.preempted),
        finished: numbers(&step.finished),
        aborted: numbers(&step.aborted),
        num_waiting: step.num_waiting as usize,
        num_running: step.num_running as usize,
        free_blocks: step.free_blocks,
        free_blocks_end: step.free_blocks_end,
    }
}

type Stamps = (Option<u64>, Option<u64>, Option<u64>, u32);

fn stamps(record: &RequestRecord) -> Stamps {
    let left = record.queued.map(|_| record.finish.as_ps());
    let [scheduled, token] =
        [record.first_scheduled, record.first_token].map(|stamp| stamp.map(SimTime::as_ps));
    (scheduled, token, left, record.num_preemptions)
}
