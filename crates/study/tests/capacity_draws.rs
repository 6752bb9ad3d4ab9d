//! `capacity_of_draws` against capacities in closed form, and against a whole search for each draw.

use kendall_des::Streams;
use kendall_serving::scenario::{self, Scenario, ScenarioError};
use kendall_serving::{SimulationConfig, Workload};
use kendall_study::Workers;
use kendall_study::capacity::{
    Answer, Ending, Find, Load, Moved, Question, capacity, capacity_of_draws, parse_slos,
};

/// How much longer all steps are, as draws of an estimate's parameters make them.
const FACTORS: [f64; 6] = [0.8, 0.9, 0.97, 1.0, 1.06, 1.25];

/// Answers of one search, moved to servers whose steps are longer by each factor; and a whole search for each.
struct Played {
    answer: Answer,
    moved: Vec<Option<Moved>>,
    searched: Vec<Answer>,
}

fn play(text: &str, slo: &str, find: Find, factors: &[f64], search_each: bool) -> Played {
    let scenario = Scenario::from_toml(text).expect("a scenario");
    let resolved = scenario::resolve(&scenario).expect("a server");
    let slos = parse_slos(&[slo.to_owned()], None).expect("an objective");
    let question = Question {
        simulation: &resolved.simulation,
        slos: &slos,
        find,
        rate_per_s: scenario
            .workload
            .arrivals
            .as_ref()
            .and_then(kendall_serving::workload::Arrivals::rate_per_s),
        confidence: 0.95,
        requests: 4_000,
        resolution: 0.02,
        load: Load::UNCHANGED,
        sensitivity_runs: 0,
    };
    let plan = scenario::plan(&scenario.workload).expect("a workload");
    let open = |replication| -> Result<Box<dyn Workload + Send>, ScenarioError> {
        plan.start(Streams::new(1, replication))
    };
    let workers = Workers::new(Some(2)).expect("threads");
    let answer = capacity(&question, &open, &workers, &()).expect("an answer");
    let draws: Vec<SimulationConfig> = factors
        .iter()
        .map(|&factor| SimulationConfig {
            step_time: resolved.simulation.step_time.scaled(factor),
            ..resolved.simulation.clone()
        })
        .collect();
    let moved = capacity_of_draws(&question, &answer, &draws, &open, &workers, &()).expect("answers");
    let search = |simulation| {
        capacity(&Question { simulation, ..question.clone() }, &open, &workers, &()).expect("an answer")
    };
    let searched = if search_each { draws.iter().map(search).collect() } else { Vec::new() };
    Played { answer, moved, searched }
}

/// M/D/1 with a service of 20 steps, mean TTFT <= 200 ms. With steps of `factor * 10 ms` the mean wait may be
/// 200 ms less one step, and Pollaczek-Khinchine gives the rate: the ends of the answer, moved, hold it.
#[test]
fn a_rate_moves_as_pollaczek_and_khinchine_say() {
    let text = include_str!("../../../scenarios/capacity/md1-mean.toml");
    let played = play(text, "mean(ttft)<=200ms", Find::Rate, &FACTORS, false);
    for (factor, moved) in FACTORS.iter().zip(&played.moved) {
        let moved = moved.expect("an answer");
        let (service, wait) = (0.2 * factor, 0.2 - 0.01 * factor);
        let truth = wait / (service * service / 2.0 + wait * service);
        assert!(moved.good <= truth && truth <= moved.bad, "{factor}: {truth} and {moved:?}");
        assert!(moved.bad / moved.good < 1.06, "{factor}: {moved:?}");
    }
    // Nothing moves where nothing is changed.
    let same = played.moved[3].expect("an answer");
    assert_eq!((Some(same.good), Some(same.bad)), (played.answer.good, played.answer.bad));
}

/// What is printed, from the lowest lower end to the highest upper one, holds what a whole search for each draw finds, as single
/// numbers; and each draw's two answers overlap.
#[test]
fn moved_answers_hold_those_of_whole_searches() {
    let text = include_str!("../../../scenarios/capacity/md1-p90.toml");
    let played = play(text, "p90(ttft)<=500ms", Find::Rate, &FACTORS, true);
    let moved: Vec<Moved> = played.moved.iter().map(|moved| moved.expect("an answer")).collect();
    let low = moved.iter().map(|moved| moved.good).fold(f64::INFINITY, f64::min);
    let high = moved.iter().map(|moved| moved.bad).fold(0.0, f64::max);
    for (moved, searched) in moved.iter().zip(&played.searched) {
        let (good, bad) = searched.good.zip(searched.bad).expect("both ends");
        let middle = f64::midpoint(good, bad);
        assert!(low <= middle && middle <= high, "{low} to {high}, and {middle}");
        assert!(moved.good < bad && good < moved.bad, "{moved:?} and {good} to {bad}");
    }
}

/// Clients in lockstep: a step with c of them lasts `factor * (10 + 0.5 c)` ms, and TPOT <= 20.3 ms.
#[test]
fn clients_are_counted_exactly() {
    let text = include_str!("../../../scenarios/capacity/lockstep.toml");
    let (factors, clients) = ([0.9, 1.0, 1.1, 1.5], [25.0, 20.0, 16.0, 7.0]);
    let played = play(text, "mean(tpot)<=20.3ms", Find::Concurrency, &factors, false);
    let moved: Vec<_> = played.moved.iter().map(|moved| moved.map(|moved| moved.good)).collect();
    assert_eq!(moved, clients.map(Some));
}

/// 13 requests a second, evenly spaced, of `factor * 0.2` s each: as many replicas as that is, rounded up.
#[test]
fn replicas_are_counted_exactly() {
    let text = include_str!("../../../scenarios/capacity/even-arrivals.toml");
    let (factors, replicas) = ([0.3, 0.7, 1.0, 1.3, 2.2], [1.0, 2.0, 3.0, 4.0, 6.0]);
    let played = play(text, "p99(ttft)<=50ms", Find::Replicas, &factors, false);
    let moved: Vec<_> = played.moved.iter().map(|moved| moved.map(|moved| moved.good)).collect();
    assert_eq!(moved, replicas.map(Some));
}

/// A first token takes a step of 10 ms: a server that misses 9 ms may be one that keeps it, with steps 20 % shorter.
#[test]
fn without_an_answer_to_move_each_draw_is_searched() {
    let text = include_str!("../../../scenarios/capacity/md1-mean.toml");
    let played = play(text, "p99(ttft)<=9ms", Find::Concurrency, &[0.8, 1.2], true);
    assert_eq!(played.answer.ending, Ending::Impossible);
    for (moved, searched) in played.moved.iter().zip(&played.searched) {
        assert_eq!(moved.is_some(), searched.good.is_some(), "{searched:?}");
    }
}
