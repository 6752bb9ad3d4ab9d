//! The anatomy of latencies: what `kendall explain` says adds up, and agrees with the run.

use kendall_des::SimDuration;
use kendall_serving::anatomy::{Anatomist, Anatomy, LatencyPart as Part};
use kendall_serving::{RequestRecord, Simulation};
use kendall_tests::property::Verdict;
use proptest::prelude::*;

use crate::property;
use crate::scenario::{Scenario, livelock_scenarios, scenarios};
use crate::tape::{play, play_without_steps};

property! {
    /// The parts of every request sum exactly to its TTFT and to its time in the system, whatever happened to it; where
    /// steps take time they refine the parts that the run itself reports; and the turns of its life are those of its record.
    latencies_are_taken_apart_exactly, scenarios(), |scenario| { latencies_are_exact(&scenario) }
}

property! {
    /// So they do in runs that end because they make no progress: the step that is in flight then is part of the story.
    stalled_requests_are_taken_apart_exactly, livelock_scenarios(), |scenario| { latencies_are_exact(&scenario) }
}

fn latencies_are_exact(scenario: &Scenario) -> Verdict {
    let played = play_without_steps(scenario);
    let records = played.tape.records.clone();
    let anatomies = dissect(scenario, records.clone());
    prop_assert_eq!(anatomies.len(), records.len());
    for (record, anatomy) in records.iter().zip(&anatomies) {
        prop_assert_eq!(record, &anatomy.record);
        the_parts_are_the_whole(anatomy)?;
        the_turns_are_those_of_the_record(anatomy)?;
    }
    // Steps in no time leave the order of what happens at one instant open, and with it who is booked nothing.
    let step_takes_time = |step: &kendall_serving::StepRecord| step.end > step.start;
    if play(scenario).tape.steps.iter().all(step_takes_time) {
        anatomies.iter().try_for_each(the_run_says_the_same)?;
    }
    Ok(())
}

fn dissect(scenario: &Scenario, records: Vec<RequestRecord>) -> Vec<Anatomy> {
    let workload = Box::new(scenario.requests.clone().into_iter().map(Ok));
    let anatomist = Anatomist::new(&scenario.config, records);
    let simulation = Simulation::new(&scenario.config, workload, anatomist).expect("legal");
    let (_, anatomist) = simulation.run().expect("it ran before");
    anatomist.finish()
}

fn the_parts_are_the_whole(anatomy: &Anatomy) -> Verdict {
    let record = &anatomy.record;
    prop_assert_eq!(anatomy.whole().total(), record.finish - record.arrival, "{:?}", anatomy);
    let up_to = record.first_token.unwrap_or(record.finish);
    prop_assert_eq!(anatomy.to_first_token.total(), up_to - record.arrival, "{:?}", anatomy);
    let waits =
        [Part::FrontEnd, Part::StepBoundary, Part::SeatWait, Part::BudgetWait, Part::KvWait, Part::Prefill];
    prop_assert_eq!(anatomy.after.sum_of(&waits), SimDuration::ZERO, "after the first token: {:?}", anatomy);
    let unharmed = record.num_preemptions == 0;
    let harm = anatomy.whole().sum_of(&[Part::Preempted, Part::Recompute]);
    prop_assert!(!unharmed || harm == SimDuration::ZERO, "{:?}", anatomy);
    Ok(())
}

fn the_turns_are_those_of_the_record(anatomy: &Anatomy) -> Verdict {
    use kendall_serving::anatomy::Turn;
    let record = &anatomy.record;
    let count = |wanted: fn(&Turn) -> bool| anatomy.events.iter().filter(|event| wanted(&event.what)).count();
    prop_assert_eq!(count(|turn| matches!(turn, Turn::Preempted { .. })), record.num_preemptions as usize);
    prop_assert_eq!(
        count(|turn| matches!(turn, Turn::Admitted { .. })),
        usize::from(record.first_scheduled.is_some())
    );
    let lost: u64 = anatomy
        .events
        .iter()
        .map(|event| match event.what {
            Turn::Preempted { lost_tokens } => u64::from(lost_tokens),
            Turn::Admitted { .. } | Turn::Resumed => 0,
        })
        .sum();
    prop_assert_eq!(lost, record.num_lost_tokens);
    prop_assert!(anatomy.events.is_sorted_by_key(|event| event.at));
    Ok(())
}

fn the_run_says_the_same(anatomy: &Anatomy) -> Verdict {
    let (record, parts) = (&anatomy.record, &anatomy.to_first_token);
    if record.first_token.is_none() {
        return Ok(());
    }
    let said = record.ttft_parts;
    let queue = [Part::StepBoundary, Part::SeatWait, Part::BudgetWait, Part::KvWait, Part::RuleWait];
    let found = [
        parts.get(Part::FrontEnd),
        parts.sum_of(&queue),
        parts.get(Part::Prefill),
        parts.sum_of(&[Part::ChunkInterference, Part::Sharing]),
        parts.sum_of(&[Part::Preempted, Part::Recompute]),
    ];
    prop_assert_eq!(
        found,
        [said.front_end, said.queue, said.prefill, said.interference, said.preemption],
        "{:?}",
        anatomy
    );
    Ok(())
}
