//! Invariant 8: a run ends, or says that it is stalled and with whom.

use kendall_des::SimTime;
use kendall_serving::{
    EngineConfig, LinearCoefficients, RequestSpec, RequestStatus, RouterConfig, SchedulingPolicy,
    SimulationConfig, StalledRequests,
};
use proptest::prelude::*;

use crate::property;
use crate::scenario::{Scenario, livelock_scenarios, scenarios};
use crate::tape::play;

property! {
    /// Invariant 8. Every run ends. It stalls only in vLLM's own recompute live-lock, which needs the priority policy and
    /// admissions by the first chunk.
    runs_end, scenarios(), |scenario| {
        let played = play(&scenario);
        let engine = &scenario.config.engine;
        let may_stall = engine.scheduling_policy == SchedulingPolicy::Priority && !engine.scheduler_reserve_full_isl;
        prop_assert!(played.is_complete() || may_stall, "{:?}", played.end.stalled);
        Ok(())
    }
}

property! {
    /// Invariant 8. A stall names the requests in the replica that makes no progress, and exactly these are reported as
    /// unfinished. Scenarios with one replica in which the live-lock is likely.
    stalls_name_their_requests, livelock_scenarios(), |scenario| {
        let played = play(&scenario);
        let unfinished: Vec<_> = played.ended(RequestStatus::Unfinished).map(|record| record.index).collect();
        match &played.end.stalled {
            None => prop_assert_eq!(unfinished, Vec::<u64>::new()),
            Some(stalled) => {
                prop_assert_eq!(stalled.replica, 0);
                prop_assert!(stalled.requests.len() > 1, "a lone request always fits");
                prop_assert_eq!(&unfinished, &stalled.requests);
            }
        }
        Ok(())
    }
}

/// The smallest live-lock that was found: two equals and blocks for 32 tokens. Once they fill the pool together, the
/// longest-running one loses its blocks, comes back, and catches up one token a step; before it has caught up, the pool
/// is full again and the other one, which runs for longer by now, loses everything in turn.
fn two_equals() -> Scenario {
    let engine = EngineConfig {
        max_num_seqs: 2,
        max_num_batched_tokens: 32,
        max_model_len: 32,
        block_size: 1,
        num_gpu_blocks: 33,
        long_prefill_token_threshold: 1,
        enable_prefix_caching: false,
        scheduling_policy: SchedulingPolicy::Priority,
        scheduler_reserve_full_isl: false,
        ..EngineConfig::default()
    };
    let step_time = LinearCoefficients { base_ps: 1_000_000_000, ..LinearCoefficients::default() };
    let requests = vec![RequestSpec::new(SimTime::ZERO, 1, 22), RequestSpec::new(SimTime::ZERO, 1, 25)];
    Scenario {
        config: SimulationConfig {
            engine,
            step_time: step_time.into(),
            replicas: 1,
            router: RouterConfig::default(),
            front_end: kendall_serving::FrontEnd::default(),
        },
        requests,
    }
}

/// Invariant 8. The live-lock of the specification is reported, with the requests in it, in bounded time.
#[test]
fn the_recompute_livelock_is_reported() {
    let played = play(&two_equals());
    assert_eq!(played.end.stalled, Some(StalledRequests { replica: 0, requests: vec![0, 1] }));
    assert!(played.ended(RequestStatus::Unfinished).all(|record| record.num_preemptions > 100));
    assert!(played.tape.steps.len() < 11_000, "{} steps", played.tape.steps.len());
}

/// Arrival times that differ by a picosecond, other priorities, admission by the whole length, or fcfs: no live-lock.
#[test]
fn a_livelock_needs_equals() {
    let arrival = |scenario: &mut Scenario| scenario.requests[1].arrival = SimTime::from_ps(1);
    let priority = |scenario: &mut Scenario| scenario.requests[1].priority = 1;
    let reserve = |scenario: &mut Scenario| scenario.config.engine.scheduler_reserve_full_isl = true;
    let fcfs = |scenario: &mut Scenario| scenario.config.engine.scheduling_policy = SchedulingPolicy::Fcfs;
    let changes: [&dyn Fn(&mut Scenario); 4] = [&arrival, &priority, &reserve, &fcfs];
    for (number, change) in changes.into_iter().enumerate() {
        let mut scenario = two_equals();
        change(&mut scenario);
        let played = play(&scenario);
        assert_eq!(
            played.ended(RequestStatus::Finished).count(),
            2,
            "change {number}: {:?}",
            played.end.stalled
        );
    }
}
