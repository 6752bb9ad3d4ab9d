//! Simulates the cells of three sets of length laws and latency curves and writes them as CSV, for `reserve_cells` to
//! judge the models by. Arguments: accepted and lost requests of each cell, and optionally the first and last cell.
//!
//! `cargo run --release -p kendall-theory --example simulate_laws -- 2000000 > crates/theory/tests/data/other_laws.csv`
#![allow(clippy::unwrap_used, reason = "an example that cannot go on has failed")]

#[path = "../tests/support/loss_system.rs"]
mod loss_system;
#[path = "../tests/support/sets.rs"]
mod sets;

/// More cells of the study's set, and cells of sets 1 to 3: set, arrival rate (requests/s), largest batch, KV (tokens).
const CELLS: [(usize, f64, usize, usize); 36] = [
    (0, 0.7, 1, 3_000),
    (0, 1.2, 1, 6_000),
    (0, 4.0, 1, 10_000),
    (0, 1.0, 2, 1_500),
    (0, 1.5, 2, 3_000),
    (0, 2.5, 3, 12_000),
    (0, 2.5, 6, 6_000),
    (0, 4.0, 8, 5_000),
    (0, 5.0, 8, 16_384),
    (0, 8.0, 8, 8_192),
    (0, 4.0, 16, 8_192),
    (0, 6.5, 16, 16_384),
    (1, 0.3, 1, 8_000),
    (1, 0.7, 1, 16_000),
    (1, 0.8, 4, 12_000),
    (1, 1.1, 4, 24_000),
    (1, 1.6, 4, 12_000),
    (1, 1.5, 8, 16_000),
    (1, 2.0, 8, 32_000),
    (1, 3.0, 8, 24_000),
    (2, 0.4, 1, 3_000),
    (2, 0.8, 1, 6_000),
    (2, 0.8, 2, 4_000),
    (2, 1.5, 2, 4_000),
    (2, 1.5, 4, 5_000),
    (2, 2.5, 6, 6_000),
    (2, 3.5, 16, 12_000),
    (2, 5.0, 16, 10_000),
    (3, 0.7, 1, 2_500),
    (3, 1.4, 1, 4_000),
    (3, 1.5, 2, 2_500),
    (3, 2.4, 3, 4_000),
    (3, 3.0, 4, 3_000),
    (3, 4.0, 5, 8_000),
    (3, 6.0, 8, 6_000),
    (3, 9.0, 12, 9_000),
];

fn main() {
    let number = |i: usize| std::env::args().nth(i).map(|a| a.parse::<usize>().unwrap());
    let requests = number(1).unwrap_or(2_000_000);
    let from = number(2).unwrap_or(0);
    let to = number(3).unwrap_or(CELLS.len());
    println!(
        "set,lam,B,K,requests,mean_ttft,mean_ttft_se,p50,p50_se,p95,p95_se,p99,p99_se,goodput,goodput_se,blocking,blocking_se"
    );
    for &(set, rate, batch, kv) in &CELLS[from..to] {
        let run = loss_system::simulate(&sets::system(set, rate, batch, kv), requests, 1);
        print!("{set},{rate},{batch},{kv},{requests}");
        for (value, error) in run.ttft_s {
            print!(",{value:.6},{error:.6}");
        }
        let (lost, error) = run.blocking;
        println!(",{:.6},{:.6},{lost:.7},{error:.7}", rate * (1.0 - lost), rate * error);
    }
}
