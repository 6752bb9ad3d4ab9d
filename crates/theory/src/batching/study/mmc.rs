//! The study's first base line: M/M/C with C places, Erlang B for loss and Erlang C for waiting.

use super::{LONGEST_WAIT_S, StudyCell, StudyMetrics};

/// M/M/C base line: places are limited by the batch and by how many mean requests the KV cache holds.
pub fn mmc_baseline(cell: &StudyCell) -> StudyMetrics {
    let steps = cell.steps();
    let (prompt, output) = (cell.prompt.mean(), cell.output.mean());
    let lambda = cell.arrival_rate_per_s;
    let held = libm::floor(cell.kv_tokens as f64 / (prompt + output)) as usize;
    let places = cell.max_batch.min(held).max(1);

    // The batch at work grows with the load that single requests would offer.
    let alone_s = steps.prefill_s(prompt.round_ties_even(), 1) + output * steps.decode_s(1);
    let load = (lambda * alone_s / places as f64).min(1.0);
    let typical = (1.0 + (places as f64 - 1.0) * load).round_ties_even() as usize;
    let typical = typical.clamp(1, places);

    let decode_s = steps.decode_s(typical);
    let joint_prefill_s = steps.prefill_s((prompt * typical as f64).round_ties_even(), typical);
    let service_s = joint_prefill_s + output * decode_s;
    let first_token_s = steps.prefill_s(prompt.round_ties_even(), places) + decode_s;

    let capacity_per_s = places as f64 / service_s;
    let mut blocking = erlang_b(lambda * service_s, places);
    if capacity_per_s < lambda {
        blocking = blocking.max(1.0 - capacity_per_s / lambda);
    }
    let blocking = blocking.clamp(0.0, 1.0);
    let accepted_per_s = lambda * (1.0 - blocking);
    // The study waits on what is left after losses, held under 95 % of capacity.
    let stable_per_s = accepted_per_s.min(0.95 * capacity_per_s);
    let utilization = stable_per_s * service_s / places as f64;
    let wait_s = erlang_c_wait_s(stable_per_s, service_s, places).min(LONGEST_WAIT_S);
    let tail_s = wait_s * (1.0 + 2.0 * utilization.clamp(0.0, 0.999));
    let quantile_s = |p: f64| first_token_s - libm::log(1.0 - p) * tail_s;
    StudyMetrics {
        mean_ttft_s: first_token_s + wait_s,
        p50_ttft_s: quantile_s(0.50),
        p95_ttft_s: quantile_s(0.95),
        p99_ttft_s: quantile_s(0.99),
        goodput_per_s: accepted_per_s.min(capacity_per_s),
        blocking_probability: blocking,
    }
}

/// Erlang's loss formula by its recursion.
fn erlang_b(load: f64, servers: usize) -> f64 {
    (1..=servers).fold(1.0, |blocking, n| load * blocking / (n as f64 + load * blocking))
}

/// Mean wait of M/M/c from Erlang C, here from Erlang B: `C = B / (1 - rho (1 - B))`. The load is below one.
fn erlang_c_wait_s(lambda: f64, service_s: f64, servers: usize) -> f64 {
    let load = lambda * service_s;
    let idle = 1.0 - load / servers as f64;
    let blocking = erlang_b(load, servers);
    let waits = blocking / (1.0 - (1.0 - idle) * (1.0 - blocking));
    waits * service_s / (servers as f64 * idle)
}
