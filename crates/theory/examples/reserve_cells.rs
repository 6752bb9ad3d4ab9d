//! Every model of the loss system beside simulated values: relative errors, cell by cell, and their mean and largest.
//! Arguments: a CSV file of cells (`reserve_stationary_48.csv`, or what `simulate_laws` writes) and optionally one model.
//!
//! `cargo run --release -p kendall-theory --example reserve_cells -- ../shared/reference/reserve_stationary_48.csv`
//! `cargo run --release -p kendall-theory --example reserve_cells -- crates/theory/tests/data/other_laws.csv best`
#![allow(clippy::disallowed_types, reason = "the example reports what a model costs")]
#![allow(clippy::unwrap_used, reason = "an example that cannot go on has failed")]

#[path = "../tests/support/sets.rs"]
mod sets;

use std::collections::BTreeMap;
use std::time::Instant;

use kendall_theory::batching::{
    NotApplicable, Prediction, System, best, closed_form, phase_type, reserved_kv,
};

type Cell = BTreeMap<String, f64>;
type Solver = fn(&System) -> Result<Prediction, NotApplicable>;

const MODELS: [(&str, Solver); 4] =
    [("best", best), ("closed-form", closed_form), ("phase-type", phase_type), ("reserved-kv", reserved_kv)];
const METRICS: [&str; 6] = ["mean_ttft", "p50", "p95", "p99", "goodput", "blocking"];
/// Below this a relative error of the blocking probability says little.
const LEAST_BLOCKING: f64 = 0.01;

fn predicted(p: &Prediction) -> [f64; 6] {
    let quantile = |q| p.ttft_quantile_s(q);
    [
        p.mean_ttft_s,
        quantile(0.50),
        quantile(0.95),
        quantile(0.99),
        p.throughput_per_s,
        p.blocking_probability,
    ]
}

fn set_of(cell: &Cell) -> usize {
    cell.get("set").map_or(0, |&set| set as usize)
}

/// Absolute relative errors of one set of cells, by metric.
#[derive(Default)]
struct Errors([Vec<f64>; 6]);

impl Errors {
    fn print(&self, label: &str) {
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let largest = |x: &[f64]| x.iter().copied().fold(0.0, f64::max);
        print!("{label:>14} mean |");
        self.0.iter().for_each(|e| print!(" {:6.2}", 100.0 * mean(e)));
        print!("\n{label:>14}  max |");
        self.0.iter().for_each(|e| print!(" {:6.2}", 100.0 * largest(e)));
        println!();
    }
}

fn judge(name: &str, solve: Solver, cells: &[Cell]) {
    println!("{name}: signed relative error in % (blocking where it is at least {LEAST_BLOCKING})");
    println!("set rate  B     K   |   mean    p50    p95    p99  goodp  block |     ms states");
    let mut errors: BTreeMap<usize, Errors> = BTreeMap::new();
    let mut slowest: f64 = 0.0;
    for cell in cells {
        let (set, batch, kv) = (set_of(cell), cell["B"] as usize, cell["K"] as usize);
        let system = sets::system(set, cell["lam"], batch, kv);
        let start = Instant::now();
        let answer = solve(&system);
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let Ok(answer) = answer else { continue };
        slowest = slowest.max(ms);
        print!("{set:3} {:4} {batch:2} {kv:6}  |", cell["lam"]);
        for (i, (metric, ours)) in METRICS.iter().zip(predicted(&answer)).enumerate() {
            let reference = cell[*metric];
            if *metric == "blocking" && reference < LEAST_BLOCKING {
                print!("      -");
                continue;
            }
            let error = ours / reference - 1.0;
            errors.entry(set).or_default().0[i].push(error.abs());
            print!(" {:6.2}", 100.0 * error);
        }
        println!(" | {ms:6.1} {:6}", answer.states);
    }
    for (set, errors) in &errors {
        errors.print(&format!("set {set}"));
    }
    println!("slowest cell: {slowest:.0} ms\n");
}

fn main() {
    let path = std::env::args().nth(1).unwrap_or("../shared/reference/reserve_stationary_48.csv".into());
    let only = std::env::args().nth(2);
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let cells: Vec<Cell> = reader.deserialize().map(|row| row.unwrap()).collect();
    for (name, solve) in MODELS {
        if only.as_deref().is_none_or(|o| o == name) {
            judge(name, solve, &cells);
        }
    }
}
