//! Simulates the cells of three sets of length laws and latency curves and writes them as CSV, for `reserve_cells` to
//! judge the models by. Arguments: accepted and lost requests of each cell, and optionally the first and last cell.
//!
//! `cargo run --release -p kendall-theory --example simulate_laws -- 2000000 > crates/theory/tests/data/other_laws.csv`
#![allow(clippy::unwrap_used, reason = "an example that cannot go on has failed")]

#[path = "../tests/support/loss_system.rs"]
mod loss_system;
#[path = "../tests/support/sets.rs"]
mod sets;

fn main() {
    let number = |i: usize| std::env::args().nth(i).map(|a| a.parse::<usize>().unwrap());
    let requests = number(1).unwrap_or(2_000_000);
    let (first, last) = (number(2).unwrap_or(0), number(3).unwrap_or(sets::CELLS.len()));
    println!(
        "set,lam,B,K,requests,mean_ttft,mean_ttft_se,p50,p50_se,p95,p95_se,p99,p99_se,goodput,goodput_se,blocking,blocking_se"
    );
    for &(set, rate, batch, kv) in &sets::CELLS[first..last] {
        let run = loss_system::simulate(&sets::system(set, rate, batch, kv), requests, 1);
        print!("{set},{rate},{batch},{kv},{requests}");
        for (value, error) in run.ttft_s {
            print!(",{value:.6},{error:.6}");
        }
        let (lost, error) = run.blocking;
        println!(",{:.6},{:.6},{lost:.7},{error:.7}", rate * (1.0 - lost), rate * error);
    }
}
