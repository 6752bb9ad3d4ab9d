//! What holds of every run, whatever the engine: checked from what the run told, by nothing else.

use std::collections::BTreeMap;

use kendall_des::{SimTime, TimeWeighted};
use kendall_serving::EngineGauges;
use proptest::{prop_assert, prop_assert_eq};

use crate::property::Verdict;
use crate::tape::Played;

/// Invariant 2: what the observer is told is in order of time, and the run ends no earlier.
///
/// # Errors
/// If it is not.
pub fn observations_are_in_order(played: &Played) -> Verdict {
    let tape = &played.tape;
    let gauges: Vec<SimTime> = tape.gauges.iter().map(|(_, now, _)| *now).collect();
    let step_ends: Vec<SimTime> = tape.steps.iter().map(|step| step.end).collect();
    let departures: Vec<SimTime> = tape.records.iter().map(|record| record.finish).collect();
    for times in [gauges, step_ends, departures] {
        prop_assert!(times.is_sorted(), "{times:?}");
        prop_assert!(times.last().is_none_or(|&last| last <= played.end.end));
    }
    Ok(())
}

/// Invariant 4: no engine found a fault in itself, and once nobody is left nothing is held.
///
/// # Errors
/// If one did, or something is.
pub fn nothing_is_left(played: &Played) -> Verdict {
    prop_assert!(played.tape.faults.is_empty(), "{}", played.tape.faults[0]);
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

/// Invariant 5: gaps between tokens fill the time between the first and the last one.
///
/// # Errors
/// If there are more or fewer, or they sum to something else.
pub fn gaps_fill_the_time_between_tokens(played: &Played) -> Verdict {
    let (mut num_gaps, mut gaps_ps) = (0, 0_u128);
    for (gap, n) in &played.tape.gaps {
        num_gaps += n;
        gaps_ps += u128::from(gap.as_ps()) * u128::from(*n);
    }
    let (mut later_tokens, mut decode_ps) = (0, 0_u128);
    for record in &played.tape.records {
        later_tokens += u64::from(record.num_output_tokens.saturating_sub(1));
        if let (Some(first), Some(last)) = (record.first_token, record.last_token) {
            decode_ps += u128::from((last - first).as_ps());
        }
    }
    prop_assert_eq!((num_gaps, gaps_ps), (later_tokens, decode_ps));
    Ok(())
}

/// Invariant 9. Little's law, exactly: the area under the number in the system is the sum of the times spent in it, for the
/// system from the engine's input queue on, and for the engines themselves. Of runs that came to their natural end.
///
/// # Errors
/// If the two differ.
pub fn littles_law_is_exact(played: &Played) -> Verdict {
    if !played.is_complete() {
        return Ok(());
    }
    let (end, in_system) = (played.end.end, &played.end.in_system);
    prop_assert_eq!(in_system.value(), 0);
    prop_assert_eq!(in_system.integral(end), played.tape.metrics.sojourn_ps());
    let mut in_engine = BTreeMap::new();
    for (replica, now, gauges) in &played.tape.gauges {
        let number = in_engine.entry(replica).or_insert_with(|| TimeWeighted::new(SimTime::ZERO, 0));
        number.set(*now, u64::from(gauges.num_waiting + gauges.num_running));
    }
    let area: u128 = in_engine.values().map(|number| number.integral(end)).sum();
    let spent = played.tape.records.iter().filter_map(|record| Some(record.finish - record.queued?));
    prop_assert_eq!(area, spent.map(|time| u128::from(time.as_ps())).sum::<u128>());
    Ok(())
}
