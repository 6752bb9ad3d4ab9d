//! Compares rules of admission to the loss system of the study at equal blocking: everybody who fits (FCFS and shortest work
//! first) thinned at random, the one-step rule, and the rule of the decision process. Prints CSV; with an argument, writes the
//! table of the decision process there.
//!
//! `cargo run --release -p kendall-theory --example admission_policies -- policy.csv`
#![allow(clippy::unwrap_used, reason = "an example that cannot go on has failed")]

#[path = "../tests/support/admission_system.rs"]
mod admission_system;

use admission_system::{Door, Order, Outcome, simulate};
use kendall_theory::batching::{LengthLaw, StepTimes, System};
use kendall_theory::mdp::{AdmissionTable, BatchAdmission, BatchClass};
use kendall_theory::output::t_interval;

/// Arrivals (1/s), largest batch, KV (tokens), limit on the time to first token (s).
const CELLS: [(f64, usize, usize, f64); 2] = [(3.0, 4, 16_384, 2.0), (5.0, 8, 8_192, 1.0)];
/// Blocking of all rules is brought to that of the decision process with this cost of a rejection.
const REJECTION_COST: f64 = 0.25;
const REPLICATIONS: u64 = 20;
/// Replications behind a step of the search for equal blocking.
const FEW: u64 = 5;
const REQUESTS: usize = 40_000;
/// Upper ends of the classes of sizes: shares of requests.
const CLASSES: [f64; 3] = [0.4, 0.8, 1.0];

fn main() {
    println!(
        "rate_per_s,batch,kv_tokens,policy,blocking,blocking_half_width,mean_ttft_s,mean_ttft_half_width,p99_ttft_s,p99_ttft_half_width,in_time_per_s,in_time_half_width"
    );
    for (i, (rate, batch, kv, limit_s)) in CELLS.into_iter().enumerate() {
        let prompt = LengthLaw::floored_lognormal(256.0, 0.55, kv).unwrap();
        let output = LengthLaw::floored_lognormal(128.0, 0.70, kv).unwrap();
        let system = System::new(rate, batch, kv, prompt, output, StepTimes::study(batch)).unwrap();
        let model = model(&system, limit_s);
        let best = model.best(1e-4).unwrap();
        if i == 0
            && let Some(path) = std::env::args().nth(1)
        {
            std::fs::write(path, best.to_csv()).unwrap();
        }
        compare(&system, &model, &best, limit_s);
    }
}

/// The decision process of a system, with classes of sizes from the laws.
fn model(system: &System, ttft_limit_s: f64) -> BatchAdmission {
    let mut classes: Vec<BatchClass> = Vec::new();
    let (prompts, outputs) = (system.prompt(), system.output());
    let kv = system.kv_tokens();
    // Mass, prompt and output of each size.
    let mut by_size = vec![[0.0; 3]; kv + 1];
    for (p, &mp) in prompts.masses().iter().enumerate() {
        for (g, &mg) in outputs.masses().iter().enumerate().take((kv + 1).saturating_sub(p)) {
            let cell = &mut by_size[p + g];
            let mass = mp * mg;
            cell[0] += mass;
            cell[1] += mass * p as f64;
            cell[2] += mass * g as f64;
        }
    }
    let (mut below, mut sums, mut sizes) = (0.0, [0.0; 3], 0.0);
    let mut bounds = CLASSES.into_iter().peekable();
    for (size, cell) in by_size.iter().enumerate() {
        below += cell[0];
        sizes += cell[0] * size as f64;
        (0..3).for_each(|i| sums[i] += cell[i]);
        let last = size == kv;
        if last || bounds.peek().is_some_and(|&bound| bound < 1.0 && below >= bound) {
            bounds.next();
            classes.push(BatchClass {
                most_tokens: size as u32,
                size_tokens: sizes / sums[0],
                rate_per_s: system.arrival_rate_per_s() * sums[0],
                prompt_tokens: sums[1] / sums[0],
                output_tokens: sums[2] / sums[0],
            });
            (sums, sizes) = ([0.0; 3], 0.0);
        }
    }
    let steps = system.steps();
    let batches = 1..=system.max_batch();
    BatchAdmission {
        classes,
        kv_tokens: kv as f64,
        decode_s: batches.clone().map(|b| steps.decode_s(b)).collect(),
        prefill_s: batches.map(|b| (steps.at(b).prefill_base_s, steps.at(b).prefill_token_s)).collect(),
        ttft_limit_s,
        rejection_cost: REJECTION_COST,
    }
}

fn compare(system: &System, model: &BatchAdmission, best: &AdmissionTable, limit_s: f64) {
    let by_table = |table: &AdmissionTable, door: &Door<'_>| {
        let mut inside = vec![0; table.classes().len()];
        for size in door.sizes {
            inside[table.class_of(*size as u32)] += 1;
        }
        table.accepts(&inside, table.class_of(door.size as u32))
    };
    let some = |runs: u64, order: Order, thin: f64, rule: &dyn Fn(&Door<'_>) -> bool| -> Vec<Outcome> {
        (0..runs)
            .map(|seed| {
                simulate(system, order, limit_s, REQUESTS, seed, &|door| door.coin >= thin && rule(door))
            })
            .collect()
    };
    let run =
        |order: Order, thin: f64, rule: &dyn Fn(&Door<'_>) -> bool| some(REPLICATIONS, order, thin, rule);
    let few = |order: Order, thin: f64, rule: &dyn Fn(&Door<'_>) -> bool| some(FEW, order, thin, rule);
    let found = run(Order::Fcfs, 0.0, &|door| by_table(best, door));
    let goal = mean(&found[..FEW as usize], |outcome| outcome.blocking);
    report(system, "mdp", &found);
    // Thinned until they block as much as the decision process.
    for (name, order) in [("fcfs_thinned", Order::Fcfs), ("srpt_thinned", Order::ShortestWork)] {
        let thin =
            bisect(goal, 0.0, 1.0, |thin| mean(&few(order, thin, &|_| true), |outcome| outcome.blocking));
        report(system, name, &run(order, thin, &|_| true));
    }
    let price = bisect(goal, 0.0, 64.0, |price| {
        let table = model.one_step(price).unwrap();
        mean(&few(Order::Fcfs, 0.0, &|door| by_table(&table, door)), |outcome| outcome.blocking)
    });
    // Prices at which the rule jumps past the goal are mixed by thinning the lower one.
    let table = model.one_step(price).unwrap();
    let thin = bisect(goal, 0.0, 1.0, |thin| {
        mean(&few(Order::Fcfs, thin, &|door| by_table(&table, door)), |outcome| outcome.blocking)
    });
    report(system, "one_step", &run(Order::Fcfs, thin, &|door| by_table(&table, door)));
}

/// The largest argument found, on a few replications, at which a rising function stays at or below the goal.
fn bisect(goal: f64, mut low: f64, mut high: f64, of: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..10 {
        let middle = 0.5 * (low + high);
        if of(middle) > goal { high = middle } else { low = middle }
    }
    low
}

fn mean(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64) -> f64 {
    outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64
}

fn report(system: &System, policy: &str, outcomes: &[Outcome]) {
    let figure = |of: &dyn Fn(&Outcome) -> f64| {
        let values: Vec<f64> = outcomes.iter().map(of).collect();
        let half_width = t_interval(&values, 0.95).map_or(f64::NAN, |interval| interval.half_width);
        format!("{:.5},{half_width:.5}", values.iter().sum::<f64>() / values.len() as f64)
    };
    println!(
        "{},{},{},{policy},{},{},{},{}",
        system.arrival_rate_per_s(),
        system.max_batch(),
        system.kv_tokens(),
        figure(&|outcome| outcome.blocking),
        figure(&|outcome| outcome.mean_ttft_s),
        figure(&|outcome| outcome.p99_ttft_s),
        figure(&|outcome| outcome.in_time_per_s),
    );
}
