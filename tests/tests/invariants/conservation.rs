//! Invariants 3, 4 and 9: requests, blocks and time spent are conserved.

use std::collections::{BTreeMap, BTreeSet};

use kendall_serving::{RequestStatus, RouterPolicy};
use kendall_tests::checks;
use kendall_tests::property::Verdict;
use kendall_tests::tape::Played;
use proptest::prelude::*;

use crate::property;
use crate::scenario::{Scenario, scenarios};
use crate::tape::{play, play_steps};

property! {
    /// Invariant 3. Each request departs exactly once, from its replica; none is left behind unless the run stalled;
    /// the prompts that do not fit are rejected, and no others; the steps name the same departures as the records.
    requests_are_conserved, scenarios(), |scenario| {
        let played = play(&scenario);
        each_request_departs_once(&scenario, &played)?;
        steps_name_the_departures(&played)
    }
}

property! {
    /// Invariant 3. A run that is interrupted, or stalls, conserves requests as well: who has arrived and not left is in
    /// the system and reported as unfinished.
    interrupted_runs_conserve_requests, (scenarios(), 0..60_usize), |(scenario, patience)| {
        let played = play_steps(&scenario, patience);
        let unfinished = played.ended(RequestStatus::Unfinished).count() as u64;
        let left = played.tape.records.len() as u64 - unfinished;
        let in_system = played.end.in_system.value();
        prop_assert_eq!(left + in_system, played.end.num_arrived);
        prop_assert_eq!(unfinished, in_system);
        Ok(())
    }
}

property! {
    /// Invariant 4. [`kendall_serving::Engine::check`] holds after every step (free list, reference counts and tables
    /// agree), free and used blocks are the usable ones, and all are free once nobody is left.
    blocks_are_conserved, scenarios(), |scenario| {
        let played = play(&scenario);
        free_and_used_are_all(&scenario, &played)?;
        checks::nothing_is_left(&played)
    }
}

property! {
    /// Invariant 9. Little's law, exactly: the area under the number in the system is the sum of the times spent in it,
    /// for the system from the engine's input queue on, and for the engine itself.
    littles_law_is_exact, scenarios(), |scenario| { checks::littles_law_is_exact(&play(&scenario)) }
}

fn each_request_departs_once(scenario: &Scenario, played: &Played) -> Verdict {
    let num_requests = scenario.requests.len() as u64;
    let mut departed = BTreeMap::new();
    for record in &played.tape.records {
        if scenario.config.router.policy == RouterPolicy::RoundRobin {
            prop_assert_eq!(u64::from(record.replica), record.index % u64::from(scenario.config.replicas));
        }
        prop_assert_eq!(
            departed.insert(record.index, record.status),
            None,
            "request {} left twice",
            record.index
        );
    }
    if played.is_complete() {
        prop_assert_eq!((played.end.num_arrived, departed.len() as u64), (num_requests, num_requests));
        prop_assert_eq!(played.ended(RequestStatus::Unfinished).count(), 0);
    }
    for (&index, &status) in &departed {
        let spec = &scenario.requests[index as usize];
        let too_long = spec.num_prompt_tokens >= scenario.config.engine.max_model_len;
        prop_assert_eq!(too_long, status == RequestStatus::Rejected, "request {}", index);
        prop_assert!(spec.abort.is_some() || status != RequestStatus::Aborted);
    }
    Ok(())
}

fn steps_name_the_departures(played: &Played) -> Verdict {
    let mut finished = BTreeSet::new();
    for step in &played.tape.steps {
        for (indices, status) in
            [(&step.finished, RequestStatus::Finished), (&step.aborted, RequestStatus::Aborted)]
        {
            for &index in indices {
                let found = played.ended(status).find(|record| record.index == index);
                prop_assert_eq!(found.map(|record| record.finish), Some(step.end), "request {}", index);
                prop_assert!(finished.insert(index) || status == RequestStatus::Aborted);
            }
        }
    }
    let all: BTreeSet<_> = played.ended(RequestStatus::Finished).map(|record| record.index).collect();
    prop_assert!(all.is_subset(&finished), "{all:?} finished, the steps name {finished:?}");
    Ok(())
}

fn free_and_used_are_all(scenario: &Scenario, played: &Played) -> Verdict {
    let engine = &scenario.config.engine;
    let usable = engine.usable_blocks();
    for (_, _, gauges) in &played.tape.gauges {
        prop_assert!(gauges.used_blocks <= usable);
        prop_assert!(gauges.held_tokens <= gauges.held_blocks * u64::from(engine.block_size));
        let held = u64::from(gauges.used_blocks);
        prop_assert!(held <= gauges.held_blocks, "{held} blocks are used, {} held", gauges.held_blocks);
        prop_assert!(
            engine.enable_prefix_caching || held == gauges.held_blocks,
            "nothing is shared without a cache"
        );
    }
    for (step, &used) in played.tape.steps.iter().zip(&played.tape.used_after) {
        prop_assert!(step.free_blocks <= usable && step.free_blocks_end <= usable);
        prop_assert_eq!(step.free_blocks_end + used, usable, "after {:?}", step);
    }
    Ok(())
}
