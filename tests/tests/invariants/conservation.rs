//! Invariants 3, 4 and 9: requests, blocks and time spent are conserved.

use std::collections::{BTreeMap, BTreeSet};

use kendall_des::{SimTime, TimeWeighted};
use kendall_serving::{EngineGauges, RequestStatus, RouterPolicy, RunEnd};
use proptest::prelude::*;

use crate::scenario::{Scenario, scenarios};
use crate::tape::{Played, play, play_steps};
use crate::{Verdict, property};

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
        prop_assert!(played.tape.faults.is_empty(), "{}", played.tape.faults[0]);
        free_and_used_are_all(&scenario, &played)?;
        nothing_is_left(&played)
    }
}

property! {
    /// Invariant 9. Little's law, exactly: the area under the number in the system is the sum of the times spent in it,
    /// for the system from the engine's input queue on, and for the engine itself.
    littles_law_is_exact, scenarios(), |scenario| {
        let played = play(&scenario);
        if !played.is_complete() {
            return Ok(());
        }
        let RunEnd { end, ref in_system, .. } = played.end;
        prop_assert_eq!(in_system.value(), 0);
        prop_assert_eq!(in_system.integral(end), played.tape.metrics.sojourn_ps());
        let in_engine: u128 = played.tape.records.iter().filter_map(|record| {
            Some(u128::from((record.finish - record.queued?).as_ps()))
        }).sum();
        prop_assert_eq!(area_under_gauges(&scenario, &played), in_engine);
        Ok(())
    }
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

fn nothing_is_left(played: &Played) -> Verdict {
    if !played.is_complete() {
        return Ok(());
    }
    let last: BTreeMap<_, _> =
        played.tape.gauges.iter().map(|(replica, _, gauges)| (*replica, *gauges)).collect();
    let empty =
        EngineGauges { num_waiting: 0, num_running: 0, used_blocks: 0, held_blocks: 0, held_tokens: 0 };
    for (replica, gauges) in last {
        prop_assert_eq!(gauges, empty, "replica {}", replica);
    }
    Ok(())
}

/// Integral over time of the requests that wait or run, summed over replicas.
fn area_under_gauges(scenario: &Scenario, played: &Played) -> u128 {
    let start = TimeWeighted::new(SimTime::ZERO, 0);
    let mut in_engine = vec![start; scenario.config.replicas as usize];
    for (replica, now, gauges) in &played.tape.gauges {
        in_engine[*replica as usize].set(*now, u64::from(gauges.num_waiting + gauges.num_running));
    }
    in_engine.iter().map(|number| number.integral(played.end.end)).sum()
}
