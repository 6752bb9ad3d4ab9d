//! p99 of the time to first token against the KV budget of the study's loss system: theory and simulation, as CSV.
//!
//! `cargo run --release -p kendall-theory --example kv_budget -- 400000`
#![allow(clippy::unwrap_used, reason = "an example that cannot go on has failed")]

#[path = "../tests/support/loss_system.rs"]
mod loss_system;

use kendall_theory::batching::{LengthLaw, StepTimes, System, best};

/// Arrivals (1/s) and largest batch.
const LOADS: [(f64, usize); 4] = [(1.0, 1), (3.0, 4), (3.5, 4), (5.0, 8)];
/// KV budgets (tokens).
const BUDGETS: [usize; 12] =
    [1_536, 2_048, 3_072, 4_096, 6_144, 8_192, 10_240, 12_288, 16_384, 20_480, 24_576, 32_768];

fn main() {
    let requests = std::env::args().nth(1).map_or(400_000, |text| text.parse().unwrap());
    println!(
        "rate_per_s,batch,kv_tokens,p99_ttft_s,p99_se_s,blocking,blocking_se,theory_model,theory_p99_ttft_s,theory_blocking"
    );
    for (rate, batch) in LOADS {
        for kv in BUDGETS {
            let prompt = LengthLaw::floored_lognormal(256.0, 0.55, kv).unwrap();
            let output = LengthLaw::floored_lognormal(128.0, 0.70, kv).unwrap();
            let system = System::new(rate, batch, kv, prompt, output, StepTimes::study(batch)).unwrap();
            let run = loss_system::simulate(&system, requests, 1);
            let (p99, p99_se) = run.ttft_s[3];
            let (lost, lost_se) = run.blocking;
            let theory = best(&system).unwrap();
            println!(
                "{rate},{batch},{kv},{p99:.5},{p99_se:.5},{lost:.6},{lost_se:.6},{},{:.5},{:.6}",
                theory.model.name(),
                theory.ttft_quantile_s(0.99),
                theory.blocking_probability,
            );
        }
    }
}
