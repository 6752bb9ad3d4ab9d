//! Equal inputs give equal runs (the part of invariant 1 that one process can see).

use kendall_serving::PromptContent;
use proptest::prelude::*;

use crate::property;
use crate::scenario::{round_robin_scenarios, scenarios};
use crate::tape::{play, play_unshared, play_without_steps};

property! {
    /// Invariant 1. The same configuration and workload twice give equal records, steps, gaps, states and ends.
    equal_inputs_give_equal_runs, scenarios(), |scenario| {
        let (first, second) = (play(&scenario), play(&scenario));
        prop_assert_eq!(&first.end, &second.end);
        prop_assert_eq!(&first.tape.records, &second.tape.records);
        prop_assert_eq!(&first.tape.steps, &second.tape.steps);
        prop_assert_eq!(&first.tape.gaps, &second.tape.gaps);
        prop_assert_eq!(&first.tape.gauges, &second.tape.gauges);
        let summaries = [&first, &second].map(|played| played.tape.metrics.summary(played.end.end));
        prop_assert_eq!(&summaries[0], &summaries[1]);
        Ok(())
    }
}

property! {
    /// Replicas behind the round-robin router do not touch each other: each of them alone, given its own requests, takes
    /// the same steps.
    replicas_are_independent, round_robin_scenarios(), |scenario| {
        let together = play(&scenario);
        let replicas = scenario.config.replicas;
        for replica in (0..replicas).filter(|_| together.is_complete()) {
            let alone = play(&crate::scenario::share_of(&scenario, replica));
            let steps = together.steps_of(replica).map(|step| (step.scheduled, step.end, step.rows.len(), step.shape));
            let same = alone.tape.steps.iter().map(|step| (step.scheduled, step.end, step.rows.len(), step.shape));
            prop_assert!(steps.eq(same), "replica {replica}");
        }
        Ok(())
    }
}

property! {
    /// Invariant 10. Advancing in lockstep and in runs of steps equals scheduling every request of every step by itself:
    /// the same records, steps, block tables, ends and figures. Without thresholds on prompt chunks, because with them
    /// nothing runs in lockstep.
    runs_of_steps_change_nothing, (scenarios(), any::<bool>()), |(mut scenario, any_threshold)| {
        if !any_threshold {
            scenario.config.engine.long_prefill_token_threshold = 0;
        }
        let in_runs = play(&scenario);
        let asleep = play_without_steps(&scenario);
        scenario.config.engine.one_by_one = true;
        let one_by_one = play(&scenario);
        prop_assert_eq!(&in_runs.tape.steps, &one_by_one.tape.steps);
        prop_assert_eq!(&in_runs.tape.records, &one_by_one.tape.records);
        prop_assert_eq!(&in_runs.end, &one_by_one.end);
        let summaries = [&in_runs, &one_by_one].map(|played| played.tape.metrics.summary(played.end.end));
        prop_assert_eq!(&summaries[0], &summaries[1]);
        prop_assert_eq!(&asleep.tape.faults, &Vec::<String>::new());
        prop_assert_eq!(&asleep.tape.records, &one_by_one.tape.records);
        prop_assert_eq!(&asleep.end, &one_by_one.end);
        prop_assert_eq!(&asleep.tape.metrics.summary(asleep.end.end), &summaries[1]);
        Ok(())
    }
}

property! {
    /// Where no two requests have tokens in common, the blocks of a prefix cache are only counted, but for the time in which
    /// somebody is there who was preempted. That changes nothing: not even what a preempted request finds of its own.
    counted_blocks_change_nothing, (scenarios(), any::<bool>()), |(mut scenario, any_threshold)| {
        let engine = &mut scenario.config.engine;
        (engine.enable_prefix_caching, engine.track_block_ids) = (true, false);
        if !any_threshold {
            engine.long_prefill_token_threshold = 0;
        }
        scenario.requests.iter_mut().for_each(|request| request.prompt = PromptContent::Unique);
        let counted = play_unshared(&scenario);
        let in_order = play_without_steps(&scenario);
        scenario.config.engine.one_by_one = true;
        let one_by_one = play(&scenario);
        prop_assert_eq!(&counted.tape.faults, &Vec::<String>::new());
        let figures = one_by_one.tape.metrics.summary(one_by_one.end.end);
        for played in [&counted, &in_order] {
            prop_assert_eq!(&played.tape.records, &one_by_one.tape.records);
            prop_assert_eq!(&played.end, &one_by_one.end);
            prop_assert_eq!(&played.tape.metrics.summary(played.end.end), &figures);
        }
        Ok(())
    }
}
