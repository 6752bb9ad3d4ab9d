//! `capacity` against capacities that are known without simulating: the questions of `scenarios/capacity`.
//!
//! A server with one seat, steps of equal length and no prefix cache is an M/G/1 queue: a request of G output tokens
//! holds it for G steps, its first token comes one step after its wait. The waiting time of M/G/1 has a mean in closed form
//! (Pollaczek-Khinchine; Gross & Harris, section 5.1), that of M/D/1 a distribution (Erlang 1909; Crommelin 1932).

use kendall_des::Streams;
use kendall_serving::Workload;
use kendall_serving::scenario::{self, Scenario, ScenarioError};
use kendall_study::Workers;
use kendall_study::capacity::{Answer, Decision, Ending, Find, Load, Question, capacity, parse_slos};

const REQUESTS: u64 = 4_000;
const STEP_S: f64 = 0.01;

/// A scenario whose capacity is known, and the question.
struct Case {
    scenario: Scenario,
    slo: &'static str,
    find: Find,
}

const MD1: &str = include_str!("../../../scenarios/capacity/md1-mean.toml");

impl Case {
    fn new(text: &str, slo: &'static str, find: Find) -> Self {
        Self { scenario: Scenario::from_toml(text).expect("a scenario"), slo, find }
    }

    fn answer(&self, seed: u64, threads: usize) -> Answer {
        let slos = parse_slos(&[self.slo.to_owned()], None).expect("an objective");
        let resolved = scenario::resolve(&self.scenario).expect("a server");
        let arrivals = self.scenario.workload.arrivals.as_ref().expect("arrivals");
        let question = Question {
            simulation: &resolved.simulation,
            slos: &slos,
            find: self.find,
            rate_per_s: arrivals.rate_per_s(),
            confidence: 0.95,
            requests: REQUESTS,
            resolution: 0.02,
            load: Load::UNCHANGED,
            sensitivity_runs: 0,
        };
        let plan = scenario::plan(&self.scenario.workload).expect("a workload");
        let open = |replication| -> Result<Box<dyn Workload + Send>, ScenarioError> {
            plan.start(Streams::new(seed, replication))
        };
        let workers = Workers::new(Some(threads)).expect("threads");
        capacity(&question, &open, &workers, &()).expect("an answer")
    }

    /// The answer holds the true capacity and is not much wider than asked for.
    fn holds(&self, truth: f64, seed: u64) -> Result<(), String> {
        let answer = self.answer(seed, 2);
        let (Some(good), Some(bad)) = (answer.good, answer.bad) else {
            return Err(format!("{}: {:?}", self.slo, answer.ending));
        };
        let found = format!("{}: {truth} and [{good}, {bad}]", self.slo);
        println!("{found}, {} trials", answer.trials.len());
        let inside = good <= truth && truth <= bad;
        if inside && bad / good < 1.25 { Ok(()) } else { Err(found) }
    }
}

/// M/D/1 with a service of 20 steps: mean TTFT <= 200 ms.
fn mean_of_md1() -> (Case, f64) {
    let (service, wait) = (20.0 * STEP_S, 0.2 - STEP_S);
    (Case::new(MD1, "mean(ttft)<=200ms", Find::Rate), rate_of_wait(wait, service, service * service))
}

/// M/G/1 with 1 to 39 steps, all equally likely: mean TTFT <= 300 ms.
fn mean_of_mg1() -> (Case, f64) {
    let second_moment = 40.0 * 79.0 / 6.0 * STEP_S * STEP_S;
    let text = include_str!("../../../scenarios/capacity/mg1-mean.toml");
    (
        Case::new(text, "mean(ttft)<=300ms", Find::Rate),
        rate_of_wait(0.3 - STEP_S, 20.0 * STEP_S, second_moment),
    )
}

/// The rate at which the mean wait of M/G/1 is `wait`: W = rate E[S^2] / (2 (1 - rate E[S])), solved for the rate.
fn rate_of_wait(wait: f64, service: f64, second_moment: f64) -> f64 {
    wait / (second_moment / 2.0 + wait * service)
}

/// M/D/1 with a service of 20 steps: p90 of TTFT <= 500 ms.
fn p90_of_md1() -> (Case, f64) {
    let (service, wait) = (20.0 * STEP_S, 0.5 - STEP_S);
    let (mut low, mut high) = (0.0, 1.0 / service);
    for _ in 0..60 {
        let rate = f64::midpoint(low, high);
        if md1_wait_at_most(wait, rate, service) >= 0.9 { low = rate } else { high = rate }
    }
    let text = include_str!("../../../scenarios/capacity/md1-p90.toml");
    (Case::new(text, "p90(ttft)<=500ms", Find::Rate), low)
}

/// P(W <= t) = (1 - rho) sum over i <= t / D of (-rate (t - i D))^i / i! * exp(rate (t - i D)).
fn md1_wait_at_most(t: f64, rate: f64, service: f64) -> f64 {
    let mut sum = 0.0;
    let mut factorial = 1.0;
    let mut i = 0.0_f64;
    while i * service <= t {
        if i > 0.0 {
            factorial *= i;
        }
        let left = rate * (t - i * service);
        sum += libm::pow(-left, i) / factorial * libm::exp(left);
        i += 1.0;
    }
    (1.0 - rate * service) * sum
}

/// Clients in lockstep: a step with c of them lasts 10 + 0.5 c ms, so that TPOT <= 20.3 ms holds up to 20 clients.
fn lockstep() -> Case {
    let text = include_str!("../../../scenarios/capacity/lockstep.toml");
    Case::new(text, "mean(tpot)<=20.3ms", Find::Concurrency)
}

/// 13 requests a second, evenly spaced, of 0.2 s each: 2.6 servers' worth of work, so three replicas.
fn even_arrivals() -> Case {
    let text = include_str!("../../../scenarios/capacity/even-arrivals.toml");
    Case::new(text, "p99(ttft)<=50ms", Find::Replicas)
}

#[test]
fn the_mean_wait_of_md1_and_of_mg1() -> Result<(), String> {
    for (case, truth) in [mean_of_md1(), mean_of_mg1()] {
        case.holds(truth, 1)?;
    }
    Ok(())
}

#[test]
fn a_percentile_of_md1() -> Result<(), String> {
    // Crommelin's formula itself: the atom at 0, and 1 far out.
    assert!((md1_wait_at_most(0.0, 3.0, 0.2) - 0.4).abs() < 1e-12);
    assert!((md1_wait_at_most(3.0, 3.0, 0.2) - 1.0).abs() < 1e-3);
    let (case, truth) = p90_of_md1();
    case.holds(truth, 1)
}

#[test]
fn clients_in_lockstep_are_counted_exactly() {
    let answer = lockstep().answer(1, 2);
    assert_eq!((answer.good, answer.bad), (Some(20.0), Some(21.0)), "{:?}", answer.trials);
}

#[test]
fn evenly_spaced_arrivals_need_three_replicas() {
    let answer = even_arrivals().answer(1, 2);
    assert_eq!((answer.good, answer.bad), (Some(3.0), Some(2.0)), "{:?}", answer.trials);
}

#[test]
fn the_answer_does_not_depend_on_the_number_of_threads() {
    let (case, _) = mean_of_md1();
    let answers = [1, 2, 3].map(|threads| format!("{:?}", case.answer(5, threads)));
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

/// A first token takes a step of 10 ms: no rate meets 9 ms, and the answer says so before any search.
#[test]
fn what_the_server_alone_misses_is_impossible() {
    let answer = Case::new(MD1, "p99(ttft)<=9ms", Find::Rate).answer(1, 2);
    assert_eq!(answer.ending, Ending::Impossible);
    assert_eq!(answer.zero_load.decision, Decision::Infeasible);
    assert!(answer.trials.is_empty());
}

/// With an objective that any wait meets, only the queue's growth speaks: nothing at or above the service rate of 5 may
/// be called feasible.
#[test]
fn a_loose_objective_does_not_hide_an_overload() {
    let answer = Case::new(MD1, "p99(ttft)<=9999s", Find::Rate).answer(1, 2);
    assert!(answer.good.is_some_and(|good| good > 3.5 && good < 5.0), "{:?}", answer.good);
    assert!(answer.bad.is_some_and(|bad| bad <= 5.000_001), "{:?}", answer.bad);
    let overloaded = answer.trials.iter().filter(|trial| trial.x >= 5.0);
    assert!(overloaded.into_iter().all(|trial| trial.decision != Decision::Feasible));
}

/// The stated confidence: of 40 answers to each of three questions, at least 38 hold the truth (by Bonferroni nearly all
/// do).
#[test]
#[ignore = "minutes: how often answers hold the truth"]
fn coverage_of_many_answers() {
    for (case, truth) in [mean_of_md1(), mean_of_mg1(), p90_of_md1()] {
        let missed: Vec<String> = (0..40).filter_map(|seed| case.holds(truth, seed).err()).collect();
        println!("{}: {} of 40 hold {truth}", case.slo, 40 - missed.len());
        assert!(missed.len() <= 2, "{missed:#?}");
    }
}
