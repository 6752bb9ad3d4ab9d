use kendall_theory::batching::LengthLaw;
use kendall_theory::batching::paged::*;

fn main() {
    let prompt = LengthLaw::floored_lognormal(256.0, 0.55, 8192).unwrap();
    let output = LengthLaw::floored_lognormal(128.0, 0.70, 8192).unwrap();
    let step = |s: &StepShape| {
        7.952793e-3
            + 52.583e-6 * s.prefill_tokens
            + 59.733e-9 * s.prefill_context_tokens
            + 2.048e-9 * s.prefill_attention
            + 64.417158e-6 * s.decode_seqs
            + 59.733e-9 * s.decode_context_tokens
    };
    for rate in [5.9, 11.8, 15.7, 17.65] {
        let system = PagedSystem {
            arrival_rate_per_s: rate,
            prompt: &prompt,
            output: &output,
            limits: EngineLimits {
                max_num_seqs: 64,
                max_num_batched_tokens: 2048,
                usable_blocks: 38437,
                block_size: 16,
                async_scheduling: true,
            },
            front_end_s: 0.010,
            step_time: &step,
        };
        let start = std::time::Instant::now();
        let p = predict(&system).unwrap();
        let q = |x: f64| p.ttft.quantile_s(x) * 1e3;
        println!(
            "{rate} ttft {:.2} {:.2} {:.2} {:.2} tpot {:.3} e2e {:.1} run {:.3} wait {:.4} P {:.4} cap {:.4} ({:?}) {:?}",
            p.ttft.mean_s() * 1e3,
            q(0.5),
            q(0.95),
            q(0.99),
            p.mean_tpot_s * 1e3,
            p.e2e.mean_s() * 1e3,
            p.mean_running,
            p.mean_waiting,
            p.waits,
            p.saturation.capacity_per_s,
            p.saturation.limit,
            start.elapsed()
        );
    }
}
