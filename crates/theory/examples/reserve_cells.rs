//! Every model of the loss system beside simulated values: relative errors, cell by cell, and their mean and largest.
//! Arguments: a CSV file of cells (`reserve_stationary_48.csv`, or what `simulate_laws` writes) and optionally one model.
//!
//! `cargo run --release -p kendall-theory --example reserve_cells -- ../shared/reference/reserve_stationary_48.csv`
//! `cargo run --release -p kendall-theory --example reserve_cells -- crates/theory/tests/data/other_laws.csv`
#![allow(clippy::disallowed_types, reason = "the example reports what a model costs")]
#![allow(clippy::unwrap_used, reason = "an example that cannot go on has failed")]

#[path = "../tests/support/sets.rs"]
mod sets;

use std::collections::BTreeMap;
use std::time::Instant;

use kendall_theory::batching::{NotApplicable, Prediction, System, closed_form, phase_type, reserved_kv};

type Cell = BTreeMap<String, f64>;
type Solver = fn(&System) -> Result<Prediction, NotApplicable>;

const METRICS: [&str; 6] = ["mean_ttft", "p50", "p95", "p99", "goodput", "blocking"];

fn predicted(p: &Prediction) -> [f64; 6] {
    [
        p.mean_ttft_s,
        p.ttft_quantile_s(0.50),
        p.ttft_quantile_s(0.95),
        p.ttft_quantile_s(0.99),
        p.throughput_per_s,
        p.blocking_probability,
    ]
}

fn main() {
    let path = std::env::args().nth(1).unwrap_or("../shared/reference/reserve_stationary_48.csv".into());
    let only = std::env::args().nth(2);
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let cells: Vec<Cell> = reader.deserialize().map(|row| row.unwrap()).collect();
    let models: [(&str, Solver); 3] =
        [("closed-form", closed_form), ("phase-type", phase_type), ("reserved", reserved_kv)];
    for (name, solve) in models {
        if only.as_deref().is_some_and(|o| o != name) {
            continue;
        }
        println!("{name}: signed relative error in %");
        println!("rate  B     K |   mean    p50    p95    p99  goodp  block |     ms states");
        let mut errors: Vec<Vec<f64>> = vec![Vec::new(); METRICS.len()];
        let mut slowest: f64 = 0.0;
        for cell in &cells {
            let (batch, kv) = (cell["B"] as usize, cell["K"] as usize);
            let set = cell.get("set").map_or(0, |&set| set as usize);
            let system = sets::system(set, cell["lam"], batch, kv);
            let start = Instant::now();
            let answer = solve(&system);
            let ms = start.elapsed().as_secs_f64() * 1e3;
            slowest = slowest.max(ms);
            let answer = match answer {
                Ok(answer) => answer,
                Err(_) => continue,
            };
            print!("{:4} {batch:2} {kv:5} |", cell["lam"]);
            for ((metric, ours), errors) in METRICS.iter().zip(predicted(&answer)).zip(&mut errors) {
                let reference = cell[*metric];
                if *metric == "blocking" && reference < 0.01 {
                    print!("      -");
                    continue;
                }
                let error = ours / reference - 1.0;
                errors.push(error.abs());
                print!(" {:6.2}", 100.0 * error);
            }
            println!(" | {ms:6.1} {:6}", answer.states);
        }
        for (label, of) in [("mean", mean as fn(&[f64]) -> f64), ("max", largest)] {
            print!("{label:>13} |");
            for e in &errors {
                print!(" {:6.2}", 100.0 * of(e));
            }
            println!();
        }
        println!("slowest cell: {slowest:.0} ms");
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn largest(x: &[f64]) -> f64 {
    x.iter().copied().fold(0.0, f64::max)
}
