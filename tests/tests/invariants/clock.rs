//! Invariant 2: the clock never goes back.

use kendall_des::SimTime;
use kendall_tests::checks::observations_are_in_order;
use kendall_tests::property::Verdict;
use kendall_tests::tape::Played;
use proptest::prelude::*;

use crate::property;
use crate::scenario::{Scenario, scenarios};
use crate::tape::play;

property! {
    /// Invariant 2. What the observer is told is in order of time, and the run ends no earlier. On each replica steps
    /// are numbered without a gap, are scheduled in order, and the device runs one batch at a time.
    the_clock_never_goes_back, scenarios(), |scenario| {
        let played = play(&scenario);
        observations_are_in_order(&played)?;
        (0..scenario.config.replicas).try_for_each(|replica| one_batch_at_a_time(&scenario, &played, replica))
    }
}

fn one_batch_at_a_time(scenario: &Scenario, played: &Played, replica: u32) -> Verdict {
    let depth = if scenario.config.engine.async_scheduling { 2 } else { 1 };
    let steps: Vec<_> = played.steps_of(replica).collect();
    for (number, step) in steps.iter().enumerate() {
        prop_assert_eq!(step.step, number as u64);
        let duration = scenario.config.step_time.step_time(&step.shape);
        prop_assert!(step.scheduled <= step.start);
        prop_assert_eq!(step.start.checked_add(duration), Some(step.end));
        let previous = number.checked_sub(1).map(|i| steps[i]);
        let device_is_free = previous.map_or(SimTime::ZERO, |previous| previous.end);
        prop_assert_eq!(step.start, step.scheduled.max(device_is_free), "a batch starts as soon as it can");
        prop_assert!(previous.is_none_or(|previous| previous.scheduled <= step.scheduled));
        let processed = number.checked_sub(depth).map(|i| steps[i]);
        prop_assert!(
            processed.is_none_or(|oldest| oldest.end <= step.scheduled),
            "{depth} batches in flight at most"
        );
    }
    Ok(())
}
