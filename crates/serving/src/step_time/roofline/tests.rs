use proptest::prelude::*;

use super::*;
use crate::catalog::{Gpu, Model, gpu, gpus, model, models};
use crate::step_time::StepTimeModel;

const LIMITS: Limits = Limits { max_num_seqs: 256, max_num_batched_tokens: 8_192, max_model_len: 16_384 };

fn on<'a>(gpu_name: &str, model_name: &str) -> Deployment<'a> {
    Deployment {
        gpu: gpu(gpu_name).expect("in the catalogue"),
        model: model(model_name).expect("in the catalogue"),
        tensor_parallel_size: 1,
        kv_dtype_bytes: 2,
        async_scheduling: true,
        sorts_logits: false,
    }
}

fn steps(of: &Deployment<'_>) -> RooflineSteps {
    RooflineSteps::new(of, LIMITS, Efficiencies::built_in()).expect("every fact is known")
}

fn decode(seqs: u64, context_each: u64) -> BatchShape {
    BatchShape { decode_seqs: seqs, decode_context_tokens: seqs * context_each, ..BatchShape::default() }
}

fn prefill(tokens: u64) -> BatchShape {
    let mut shape = BatchShape::default();
    shape.add_prefill(tokens, tokens);
    shape.new_seqs = 1;
    shape
}

fn ms(steps: &RooflineSteps, shape: &BatchShape) -> f64 {
    steps.step_time(shape).as_secs_f64() * 1e3
}

fn within(found: f64, measured: f64, share: f64, what: &str) {
    assert!((found / measured - 1.0).abs() < share, "{what}: {found} ms, measured {measured} ms");
}

/// Median steps of vLLM 0.23, contexts of 1050 tokens. Source: inference-sim. One of the two runs was fitted.
#[test]
fn whole_steps_of_qwen3_14b_on_an_h100() {
    let steps = steps(&on("H100", "Qwen/Qwen3-14B"));
    for (seqs, measured) in [(1, 11.212), (2, 11.327), (4, 11.560), (8, 11.815), (10, 11.997)] {
        within(ms(&steps, &decode(seqs, 1_050)), measured, 0.03, "decode");
    }
    let mut mixed = prefill(986);
    mixed.add_decode(1_050);
    within(ms(&steps, &mixed), 40.056, 0.05, "a prompt of 986 tokens beside one decoding sequence");
}

/// Not fitted: one request alone on an H100, vLLM 0.11, whose scheduling is synchronous. Source: inference-sim.
#[test]
fn decode_steps_of_servers_that_were_not_fitted() {
    for (name, context, measured) in
        [("codellama/CodeLlama-34b-Instruct-hf", 3_145, 25.989), ("meta-llama/Llama-2-7b-hf", 1_816, 6.715)]
    {
        let of = Deployment { async_scheduling: false, ..on("H100", name) };
        within(ms(&steps(&of), &decode(1, context)), measured, 0.10, name);
    }
}

/// Not fitted, and no GPU of its kind was: median steps of vLLM 0.22 at contexts of 45 tokens. Source: EE384S.
#[test]
fn decode_steps_of_an_a10g() {
    let steps = steps(&on("A10G", "Qwen/Qwen2.5-1.5B-Instruct"));
    for (seqs, measured) in [(1, 7.920), (2, 8.070), (4, 8.116), (8, 8.417), (16, 8.675), (32, 10.177)] {
        within(ms(&steps, &decode(seqs, 45)), measured, 0.25, "A10G");
    }
}

#[test]
fn a_batch_touches_experts_by_chance() {
    let experts = Experts { count: 128.0, per_token: 8.0, hidden: 2_048.0, width: 768.0 };
    assert!((experts.touched(1.0) - 8.0).abs() < 1e-9);
    // 128 (1 - (15/16)^2) = 15.5
    assert!((experts.touched(2.0) - 15.5).abs() < 1e-9);
    assert!((experts.touched(10_000.0) - 128.0).abs() < 1e-9);
    let all = Experts { per_token: 128.0, ..experts };
    assert!((all.touched(1.0) - 128.0).abs() < 1e-9);
}

#[test]
fn a_gemm_has_its_two_roofs() {
    let h100 = gpu("H100").expect("in the catalogue");
    let corner = Corner { latency_us: 0.0, bandwidth: 1.0, compute: 1.0, overlap: 50.0 };
    let mut efficiencies = Efficiencies::built_in().clone();
    efficiencies.kernels[0].gemm16 = corner;
    let device = Device::new(h100, &efficiencies.kernels[0], &efficiencies.nvlink, 1);
    // One row: 2 bytes for each of 2^26 weights at 3.35 TB/s. Many rows: 2 operations each at 989 TFLOPS.
    let one = device.gemm(1.0, 8_192.0, 8_192.0, WeightFormat::SIXTEEN_BITS);
    within(one * 1e3, 134_217_728.0 / 3.35e12 * 1e3, 1e-3, "reading");
    let many = device.gemm(65_536.0, 8_192.0, 8_192.0, WeightFormat::SIXTEEN_BITS);
    within(many * 1e3, 65_536.0 * 134_217_728.0 / 989e12 * 1e3, 1e-3, "computing");
}

/// Beside a prompt every query head takes its tile, on GPUs whose kernel does not pack them.
#[test]
fn heads_are_unpacked_beside_prompts() {
    let longer = |gpu_name: &str| {
        let steps = steps(&on(gpu_name, "meta-llama/Llama-3.1-8B-Instruct"));
        let alone = BatchShape { decode_seqs: 32, ..prefill(1) };
        let mixed = BatchShape { decode_context_tokens: 32 * 2_048, ..alone };
        let of_context = steps.step_time(&mixed).as_ps() - steps.step_time(&alone).as_ps();
        of_context as f64 / (steps.decode_ps(32).1 * 32 * 2_048) as f64
    };
    // LLMServingSim's profile of the RTX 4090, a token of context in a layer: 5.0 ns without a prompt and 8.4 to 9.9 ns
    // beside one with 32 sequences, 4.5 and 17.2 ns with 128.
    let ada = longer("RTX4090-24GB");
    assert!((1.7..3.8).contains(&ada), "{ada}");
    let hopper = longer("H100");
    assert!((hopper - 1.0).abs() < 1e-9, "{hopper}");
}

#[test]
fn shared_blocks_are_read_once_as_far_as_the_cache_holds_them() {
    let steps = steps(&on("H100", "Qwen/Qwen3-14B"));
    let all = decode(16, 1_000);
    let shared = BatchShape { shared_tokens: 15 * 512, ..all };
    let saved = steps.step_time(&all).as_ps() - steps.step_time(&shared).as_ps();
    let read = steps.decode_ps(16).1 * shared.shared_tokens;
    let share = Efficiencies::built_in().engine.shared_from_cache;
    assert!((saved as f64 / read as f64 - share).abs() < 1e-3, "{saved} of {read} ps");
    // More cannot be saved than is read.
    let beyond = BatchShape { shared_tokens: u64::MAX, ..all };
    assert!(steps.step_time(&beyond) >= steps.step_time(&BatchShape { decode_context_tokens: 0, ..all }));
}

#[test]
fn long_products_lower_the_clocks() {
    let engine = &Efficiencies::built_in().engine;
    let (short, long) = (engine.sustained(1e-3), engine.sustained(1.0));
    assert!(short > long && short < 1.02 * engine.sustained_compute);
    let half = engine.sustained(0.1) / engine.sustained(0.0);
    assert!((half - (1.0 - 0.5 * engine.power_limit_loss)).abs() < 1e-9);
}

#[test]
fn an_fp8_kv_cache_is_read_twice_as_fast() {
    let sixteen = on("H100", "Qwen/Qwen3-14B");
    let eight = Deployment { kv_dtype_bytes: 1, ..sixteen };
    let (sixteen, eight) = (steps(&sixteen).decode_ps(1).1, steps(&eight).decode_ps(1).1);
    assert!(sixteen.abs_diff(2 * eight) <= 1, "{sixteen} and {eight} ps");
    // 163,840 bytes a token at 3.35 TB/s take 48,907 ps.
    assert!(sixteen > 48_907 && sixteen < 70_000, "{sixteen} ps");
}

#[test]
fn a_synchronous_engine_is_slower_and_so_are_sorted_logits() {
    let plain = on("H100", "Qwen/Qwen2.5-7B-Instruct");
    let step = |of: &Deployment<'_>| ms(&steps(of), &decode(32, 500));
    assert!(step(&Deployment { async_scheduling: false, ..plain }) > step(&plain) + 1.0);
    assert!(step(&Deployment { sorts_logits: true, ..plain }) > step(&plain) + 0.5);
}

/// Sizes that the model's heads allow.
fn split(gpu: &'static Gpu, model: &'static Model, gpus: u32) -> Option<RooflineSteps> {
    let of = Deployment { tensor_parallel_size: gpus, gpu, model, ..on("H100", "Qwen/Qwen3-14B") };
    RooflineSteps::new(&of, LIMITS, Efficiencies::built_in()).ok()
}

#[test]
fn more_gpus_are_faster_for_prompts_but_never_by_more_than_their_number() {
    for gpu in gpus().iter().filter(|gpu| gpu.nvlink_gb_per_s.is_some()) {
        for model in models() {
            let (Some(one), Some(four)) = (split(gpu, model, 1), split(gpu, model, 4)) else { continue };
            let (one, four) = (ms(&one, &prefill(4_096)), ms(&four, &prefill(4_096)));
            assert!(four < one && 4.0 * four > one, "{} on {}: {one} and {four} ms", model.name, gpu.name);
        }
    }
}

/// A token of context of latent attention is 576 elements a layer on every GPU, whatever the number of heads.
#[test]
fn latent_attention_reads_one_vector_a_token() {
    let kimi = model("Kimi-K2.5").expect("in the catalogue");
    let context_ps = |tensor_parallel_size| {
        steps(&Deployment { model: kimi, tensor_parallel_size, ..on("H200", "Qwen/Qwen3-14B") })
            .decode_ps(1)
            .1
    };
    let attained = 4.8e12 * Efficiencies::built_in().kernels[0].attention.bandwidth;
    let expected = 61.0 * 576.0 * 2.0 / attained * 1e12;
    within(context_ps(8) as f64, expected, 0.001, "eight GPUs");
    assert_eq!(context_ps(8), context_ps(16));
}

#[test]
fn what_is_not_known_is_an_error() {
    let with = |model: &Model| {
        let of = Deployment { model, ..on("H100", "Qwen/Qwen3-14B") };
        RooflineSteps::new(&of, LIMITS, Efficiencies::built_in()).expect_err("not derivable").to_string()
    };
    let kimi = model("Kimi-K2.5").expect("in the catalogue");
    assert!(with(&Model { v_head_dim: None, ..kimi.clone() }).contains("a width of its latent attention"));
    let mut huge = model("Qwen/Qwen3-14B").expect("in the catalogue").clone();
    huge.num_hidden_layers = 4_000_000;
    assert!(with(&huge).contains("a step of more than an hour would be possible"));
}

fn deployments() -> impl Strategy<Value = RooflineSteps> {
    let gpu = (0..gpus().len()).prop_map(|i| &gpus()[i]);
    let model = (0..models().len()).prop_map(|i| &models()[i]);
    (gpu, model, prop_oneof![Just(1_u32), Just(2), Just(4)])
        .prop_filter_map("a model that is known and splits", |(gpu, model, gpus)| split(gpu, model, gpus))
}

proptest! {
    /// What the engine relies on to advance over runs of steps: design, `A(n) + D(n) c` in integers.
    #[test]
    fn decode_steps_are_linear_in_the_context(
        steps in deployments(), seqs in 1..256_u64, context in 1..1_000_000_u64, more in 0..1_000_000_u64,
    ) {
        let model = StepTimeModel::from(steps);
        let at = |context| {
            let shape = BatchShape { decode_seqs: seqs, decode_context_tokens: context, ..BatchShape::default() };
            model.step_time(&shape).as_ps()
        };
        prop_assert_eq!(at(context + more), at(context) + model.decode_ps(seqs).1 * more);
    }

    #[test]
    fn more_work_never_takes_less_time(
        steps in deployments(), seqs in 0..255_u64, context in 1..8_192_u64, chunk in 1..4_096_u64,
    ) {
        let time = |shape: &BatchShape| steps.step_time(shape).as_ps();
        let small = decode(seqs, context);
        let mut larger = small;
        larger.add_decode(context);
        prop_assert!(time(&small) < time(&larger));
        let mut mixed = small;
        mixed.add_prefill(chunk, chunk + 16);
        prop_assert!(time(&small) < time(&mixed));
        let mut longer = small;
        longer.add_prefill(chunk + 1, chunk + 17);
        prop_assert!(time(&mixed) < time(&longer));
    }

    #[test]
    fn a_step_without_tokens_takes_no_time(steps in deployments()) {
        prop_assert_eq!(steps.step_time(&BatchShape::default()), SimDuration::ZERO);
    }
}
