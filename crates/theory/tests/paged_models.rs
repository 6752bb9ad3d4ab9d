//! The models of the paged engine, held to exact cases, to conservation laws, and to simulations whose results stand here with
//! their standard errors.

use kendall_theory::batching::LengthLaw;
use kendall_theory::batching::paged::{
    EngineLimits, Limit, PagedNotApplicable, PagedSystem, StepShape, fluid, predict, saturation, single,
};
use proptest::prelude::*;

/// Steps of the A10G and Qwen2.5-1.5B (calibrated profile of the catalogue, rounded).
fn a10g(s: &StepShape) -> f64 {
    7.952_793e-3
        + 52.583e-6 * s.prefill_tokens
        + 59.733e-9 * (s.prefill_context_tokens + s.decode_context_tokens)
        + 2.048e-9 * s.prefill_attention
        + 64.417_158e-6 * s.decode_seqs
}

fn equal_steps(_: &StepShape) -> f64 {
    0.01
}

const LIMITS: EngineLimits = EngineLimits {
    max_num_seqs: 64,
    max_num_batched_tokens: 2048,
    usable_blocks: 38_437,
    block_size: 16,
    prefix_caching: false,
    async_scheduling: true,
};

fn quickstart() -> (LengthLaw, LengthLaw) {
    (
        LengthLaw::floored_lognormal(256.0, 0.55, 8192).expect("a law"),
        LengthLaw::floored_lognormal(128.0, 0.70, 8192).expect("a law"),
    )
}

fn system<'a>(
    rate: f64,
    laws: &'a (LengthLaw, LengthLaw),
    limits: EngineLimits,
    step_time: &'a dyn kendall_theory::batching::paged::StepTime,
) -> PagedSystem<'a> {
    PagedSystem {
        arrival_rate_per_s: rate,
        prompt: &laws.0,
        output: &laws.1,
        limits,
        front_end_s: 0.010,
        step_time,
    }
}

/// kendall's own simulation of the quick start at these rates: (rate, mean TTFT, p99 TTFT, mean TPOT) in ms, from 10 runs of
/// 100,000 requests (17.65: 24 runs of 500,000), `kendall run --replications`. Half-widths at 95 % are below 1 % for the
/// first two; at 15.7 they are 0.7, 13 and 0.04 ms, at 17.65 2.8, 40 and 0.014 ms.
const SIMULATED: [(f64, f64, f64, f64); 4] = [
    (5.9, 51.39, 99.57, 9.835),
    (11.8, 59.98, 124.1, 12.64),
    (15.7, 70.89, 179.9, 15.55),
    (17.65, 136.9, 1067.6, 17.528),
];

#[test]
fn the_quick_start_is_met_up_to_90_percent_of_capacity() {
    let laws = quickstart();
    for (rate, mean_ms, p99_ms, tpot_ms) in SIMULATED {
        let found = predict(&system(rate, &laws, LIMITS, &a10g)).unwrap();
        let error = |value_s: f64, simulated_ms: f64| (value_s * 1e3 / simulated_ms - 1.0).abs();
        assert!(error(found.ttft.mean_s(), mean_ms) < 0.05, "{rate}: mean {}", found.ttft.mean_s());
        assert!(
            error(found.ttft.quantile_s(0.99), p99_ms) < 0.10,
            "{rate}: p99 {}",
            found.ttft.quantile_s(0.99)
        );
        assert!(error(found.mean_tpot_s, tpot_ms) < 0.02, "{rate}: TPOT {}", found.mean_tpot_s);
    }
}

/// 19.6505 req/s: the slope between 40,000 and 120,000 requests that come at three times that rate.
#[test]
fn the_boundary_of_overload_is_that_of_the_simulation() {
    let laws = quickstart();
    let full = saturation(&system(1.0, &laws, LIMITS, &a10g)).unwrap();
    assert_eq!(full.limit, Limit::Seqs);
    assert!((full.capacity_per_s / 19.6505 - 1.0).abs() < 0.002, "{}", full.capacity_per_s);
    let above = predict(&system(19.7, &laws, LIMITS, &a10g));
    assert!(matches!(above, Err(PagedNotApplicable::Overloaded { .. })));
}

/// Blocks that bind, with and without prefix caching: what is preempted finds a part of its prompt again. Simulated: the slope
/// between 10,000 and 40,000 requests that come at 60/s on `scenarios/kv-starved.toml`, two runs each.
#[test]
fn preempted_prompts_that_stay_cached_move_the_boundary() {
    let output = LengthLaw::floored_lognormal(200.0, 0.5, 2048).expect("a law");
    let laws = (LengthLaw::uniform(50, 400).expect("a law"), output);
    let steps = |s: &StepShape| {
        8e-3 + 50e-6 * s.prefill_tokens + 100e-6 * s.decode_seqs + 60e-9 * s.decode_context_tokens
    };
    for (usable_blocks, cached, simulated) in
        [(399, false, 6.292), (399, true, 6.469), (799, false, 9.761), (799, true, 10.110)]
    {
        let limits =
            EngineLimits { usable_blocks, prefix_caching: cached, max_num_batched_tokens: 1024, ..LIMITS };
        let full = saturation(&system(1.0, &laws, limits, &steps)).unwrap();
        assert_eq!(full.limit, Limit::Blocks);
        let error = full.capacity_per_s / simulated - 1.0;
        assert!(error.abs() < 0.02, "{usable_blocks} blocks, cached {cached}: {}", full.capacity_per_s);
        assert!((0.7..1.0).contains(&full.preemptions_per_request), "{}", full.preemptions_per_request);
    }
}

/// With equal steps and synchronous scheduling the seats bound the rate at `seats / (E[G] step)`, exactly.
#[test]
fn equal_steps_have_an_exact_boundary() {
    let laws = (LengthLaw::constant(1).unwrap(), LengthLaw::geometric(50.0, 5_000).unwrap());
    let limits = EngineLimits { async_scheduling: false, max_num_seqs: 8, ..LIMITS };
    let full = saturation(&system(1.0, &laws, limits, &equal_steps)).unwrap();
    assert!((full.capacity_per_s - 8.0 / (50.0 * 0.01)).abs() < 1e-6, "{}", full.capacity_per_s);
}

/// One request at a time with equal steps is M/G/1: mean wait by Pollaczek-Khinchine from the moments of the output.
#[test]
fn one_at_a_time_is_pollaczek_khinchine() {
    let laws = (LengthLaw::constant(1).unwrap(), LengthLaw::geometric(50.0, 5_000).unwrap());
    let limits = EngineLimits { async_scheduling: false, max_num_seqs: 1, ..LIMITS };
    let rate = 1.4;
    let found = single(&system(rate, &laws, limits, &equal_steps)).unwrap();
    let (mean, square) = (0.01 * laws.1.mean(), 1e-4 * laws.1.mean_square());
    let wait = rate * square / (2.0 * (1.0 - rate * mean));
    assert!((found.mean_ttft_s - (0.010 + wait + 0.01)).abs() < 1e-9);
    assert!((found.mean_tpot_s - 0.01).abs() < 1e-9);
    // Geometric services are close to exponential ones, whose wait exceeds t with probability load * exp(-(1 - load) t / mean).
    let load = rate * mean;
    let p99 = found.ttft_quantile_s(0.99).unwrap() - 0.020;
    let exponential = mean / (1.0 - load) * libm::log(load / 0.01);
    assert!((p99 / exponential - 1.0).abs() < 0.02, "{p99} {exponential}");
}

#[test]
fn what_has_no_stationary_state_is_refused() {
    let laws = quickstart();
    let refused = |rate, limits| predict(&system(rate, &laws, limits, &a10g)).unwrap_err();
    assert!(matches!(refused(25.0, LIMITS), PagedNotApplicable::Overloaded { .. }));
    assert!(matches!(refused(f64::NAN, LIMITS), PagedNotApplicable::System(_)));
    let tiny = EngineLimits { usable_blocks: 40, ..LIMITS };
    assert!(matches!(refused(1.0, tiny), PagedNotApplicable::TooFewBlocks { .. }));
    let one_token = (LengthLaw::constant(100).unwrap(), LengthLaw::constant(1).unwrap());
    let tokens = EngineLimits { max_num_batched_tokens: 80, ..LIMITS };
    assert!(matches!(refused(1.0, tokens), PagedNotApplicable::BudgetBinds { .. }));
    let prompts_only = predict(&system(1.0, &one_token, LIMITS, &a10g)).unwrap_err();
    assert_eq!(prompts_only, PagedNotApplicable::PromptsOnly);
}

/// In overload the queue grows at the excess of arrivals, so the last request waits for all before it.
#[test]
fn the_fluid_queue_grows_at_the_excess() {
    let laws = quickstart();
    let found = fluid(&system(30.0, &laws, LIMITS, &a10g), 30_000).unwrap();
    let served = found.saturation.capacity_per_s;
    let last = 30_000.0 / served - 30_000.0 / 30.0;
    let longest = found.ttft_quantile_s(1.0);
    assert!((longest / last - 1.0).abs() < 0.02, "{longest} {last}");
    assert!((found.throughput_per_s / served - 1.0).abs() < 0.02);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Little's law of the running list, shares in [0, 1], and quantiles in order, on any engine that has an answer.
    #[test]
    fn predictions_are_laws(
        load in 0.05..0.9_f64,
        seats in 4_usize..48,
        budget in 256_usize..4096,
        prompt in 20.0..600.0_f64,
        output in 20.0..300.0_f64,
        asynchronous: bool,
    ) {
        let laws = (
            LengthLaw::floored_lognormal(prompt, 0.5, 4096).unwrap(),
            LengthLaw::floored_lognormal(output, 0.6, 4096).unwrap(),
        );
        let limits = EngineLimits {
            max_num_seqs: seats, max_num_batched_tokens: budget, async_scheduling: asynchronous, ..LIMITS
        };
        let full = saturation(&system(1.0, &laws, limits, &a10g)).unwrap();
        prop_assume!(full.limit == Limit::Seqs);
        let capacity = full.capacity_per_s;
        let found = predict(&system(load * capacity, &laws, limits, &a10g)).unwrap();
        let q = |p: f64| found.ttft.quantile_s(p);
        prop_assert!(q(0.5) <= q(0.9) && q(0.9) <= q(0.99));
        prop_assert!((found.ttft.total() - 1.0).abs() < 1e-6, "{}", found.ttft.total());
        prop_assert!(found.mean_running <= seats as f64 && found.mean_running > 0.0);
        prop_assert!((0.0..=1.0).contains(&found.kv_use) && (-1e-9..=1.0).contains(&found.waits));
        let steps = laws.1.mean() + f64::from(u8::from(asynchronous));
        let by_little = found.mean_running / (load * capacity) / steps;
        prop_assert!((found.mean_tpot_s / by_little - 1.0).abs() < 1e-9);
        let fastest_s = a10g(&StepShape { decode_seqs: 1.0, ..StepShape::default() });
        prop_assert!(found.mean_tpot_s > 0.9 * fastest_s, "{}", found.mean_tpot_s);
    }
}
