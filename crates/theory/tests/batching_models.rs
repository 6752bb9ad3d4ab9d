//! The models of the loss system: exact where theory is exact, close where precise simulations judge them, and well formed
//! everywhere.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/loss_system.rs"]
mod loss_system;
#[path = "support/sets.rs"]
mod sets;

use std::collections::BTreeMap;
use std::path::Path;

use kendall_theory::batching::single::SingleRequest;
use kendall_theory::batching::{
    BatchStep, LengthLaw, Model, NotApplicable, Prediction, StepTimes, System, best, closed_form, phase_type,
    reserved_kv, short_run,
};
use proptest::prelude::*;

type Solver = fn(&System) -> Result<Prediction, NotApplicable>;
type Cell = BTreeMap<String, f64>;

/// Steps whose decode time does not depend on the batch and whose prefill costs nothing: requests do not share anything.
fn independent(batch: usize) -> StepTimes {
    StepTimes::new(vec![BatchStep { prefill_base_s: 0.0, prefill_token_s: 0.0, decode_s: 0.01 }; batch])
        .unwrap()
}

fn erlang_b(load: f64, servers: usize) -> f64 {
    (1..=servers).fold(1.0, |b, n| load * b / (n as f64 + load * b))
}

#[test]
fn equal_sizes_without_sharing_are_erlangs_loss_system() {
    // 21 tokens each and KV for five of them: M/D/5/5, which loses like M/M/5/5.
    let (prompt, output) = (LengthLaw::constant(1).unwrap(), LengthLaw::constant(20).unwrap());
    let system = System::new(12.0, 8, 105, prompt, output, independent(8)).unwrap();
    let exact = erlang_b(12.0 * 20.0 * 0.01, 5);
    for solve in [closed_form as Solver, phase_type] {
        let ours = solve(&system).unwrap().blocking_probability;
        assert!((ours / exact - 1.0).abs() < 1e-9, "{ours} {exact}");
    }
}

/// Kaufman 1981, Roberts 1981: occupancy of a link of `capacity` units by classes of (load in Erlang, units).
fn kaufman_roberts(capacity: usize, classes: &[(f64, usize)]) -> Vec<f64> {
    let mut q = vec![1.0];
    for j in 1..=capacity {
        let sum: f64 = classes.iter().filter(|c| c.1 <= j).map(|c| c.0 * c.1 as f64 * q[j - c.1]).sum();
        q.push(sum / j as f64);
    }
    let total: f64 = q.iter().sum();
    q.iter().map(|x| x / total).collect()
}

#[test]
fn two_sizes_without_sharing_are_a_multirate_loss_system() {
    // Outputs of 9 and 29 tokens with a prompt of one: sizes 10 and 30, holding times in proportion to the outputs.
    let mut weights = vec![0.0; 29];
    (weights[8], weights[28]) = (0.7, 0.3);
    let output = LengthLaw::from_weights(&weights).unwrap();
    let (rate, kv) = (20.0, 120);
    let system = System::new(rate, 16, kv, LengthLaw::constant(1).unwrap(), output, independent(16)).unwrap();
    let occupancy = kaufman_roberts(kv, &[(rate * 0.7 * 0.09, 10), (rate * 0.3 * 0.29, 30)]);
    let full = |size: usize| occupancy[kv - size + 1..].iter().sum::<f64>();
    let exact = 0.7 * full(10) + 0.3 * full(30);
    let ours = closed_form(&system).unwrap().blocking_probability;
    assert!((ours / exact - 1.0).abs() < 1e-9, "{ours} {exact}");
    let chain = phase_type(&system).unwrap().blocking_probability;
    assert!((chain / exact - 1.0).abs() < 0.01, "{chain} {exact}");
}

#[test]
fn with_unlimited_kv_a_batch_of_one_is_pollaczek_khinchine() {
    let system = System::study(0.5, 1, 16_384).unwrap();
    let exact = SingleRequest::new(0.5, system.prompt(), system.output(), system.steps());
    // The closed form has the mean of M/G/1; the chains have it as far as phases (Erlang-3 prefill) and lattice go.
    for solve in [closed_form as Solver, phase_type, reserved_kv] {
        let ours = solve(&system).unwrap();
        let error = ours.mean_ttft_s / exact.mean_ttft_s - 1.0;
        assert!(error.abs() < 0.005, "{:?}: {error}", ours.model);
    }
}

#[test]
fn the_simulator_of_the_tests_loses_like_erlang() {
    let (prompt, output) = (LengthLaw::constant(1).unwrap(), LengthLaw::constant(20).unwrap());
    let system = System::new(12.0, 8, 105, prompt, output, independent(8)).unwrap();
    let exact = erlang_b(12.0 * 20.0 * 0.01, 5);
    let (lost, error) = loss_system::simulate(&system, 300_000, 3).blocking;
    // A request starts at the end of a decode step of the others: half a step of 20 more.
    assert!((lost - exact).abs() < 4.0 * error + 0.05 * exact, "{lost} +- {error}, exact {exact}");
}

#[test]
fn the_simulator_of_the_tests_is_pollaczek_khinchine_too() {
    let system = System::study(0.3, 1, 16_384).unwrap();
    let exact = SingleRequest::new(0.3, system.prompt(), system.output(), system.steps());
    let (mean, error) = loss_system::simulate(&system, 200_000, 7).ttft_s[0];
    assert!((mean - exact.mean_ttft_s).abs() < 4.0 * error, "{mean} +- {error}, exact {}", exact.mean_ttft_s);
}

/// Mean absolute relative errors of mean, p50, p95, p99, throughput and (where it is at least 0.01) blocking.
fn mean_errors(solve: Solver, cells: &[Cell]) -> [f64; 6] {
    let mut errors: [Vec<f64>; 6] = Default::default();
    for cell in cells {
        let set = cell.get("set").map_or(0, |&s| s as usize);
        let system = sets::system(set, cell["lam"], cell["B"] as usize, cell["K"] as usize);
        let Ok(ours) = solve(&system) else { panic!("{cell:?} has no answer") };
        let quantile = |p| ours.ttft_quantile_s(p);
        let values = [
            (ours.mean_ttft_s, "mean_ttft"),
            (quantile(0.50), "p50"),
            (quantile(0.95), "p95"),
            (quantile(0.99), "p99"),
            (ours.throughput_per_s, "goodput"),
            (ours.blocking_probability, "blocking"),
        ];
        for (errors, (value, metric)) in errors.iter_mut().zip(values) {
            if metric != "blocking" || cell[metric] >= 0.01 {
                errors.push((value / cell[metric] - 1.0).abs());
            }
        }
    }
    errors.map(|e| e.iter().sum::<f64>() / e.len() as f64)
}

fn read(path: &Path) -> Option<Vec<Cell>> {
    let mut reader = csv::Reader::from_path(path).ok()?;
    Some(reader.deserialize().map(|row| row.unwrap()).collect())
}

fn assert_within(errors: [f64; 6], limits: [f64; 6], what: &str) {
    for (error, limit) in errors.iter().zip(limits) {
        assert!(error <= &limit, "{what}: {errors:.4?} against {limits:?}");
    }
}

#[test]
fn forty_eight_cells_of_the_study() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/reserve_stationary_48.csv");
    let Some(cells) = read(&path) else {
        println!("skipped: {} not present", path.display());
        return;
    };
    assert_eq!(cells.len(), 48);
    assert_within(mean_errors(best, &cells), [0.01, 0.01, 0.01, 0.02, 0.003, 0.015], "best");
    assert_within(mean_errors(closed_form, &cells), [0.035, 0.05, 0.03, 0.05, 0.01, 0.05], "closed form");
}

#[test]
fn other_laws_and_latency_curves() {
    let cells = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/other_laws.csv")).unwrap();
    for (set, count) in [(0, 12), (1, 8), (2, 8), (3, 8)] {
        let of_set: Vec<Cell> = cells.iter().filter(|c| c["set"] as usize == set).cloned().collect();
        assert_eq!(of_set.len(), count);
        let limits = [0.03, 0.05, 0.03, 0.06, 0.01, 0.05];
        assert_within(mean_errors(best, &of_set), limits, &format!("set {set}"));
    }
}

/// 500 s from an empty system, against 4,000 simulated runs a cell: the mean over runs of each run's mean.
#[test]
fn forty_eight_short_runs_of_the_study() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/reserve_horizon500_48.csv");
    let Some(cells) = read(&path) else {
        println!("skipped: {} not present", path.display());
        return;
    };
    let (mut stationary, mut transient, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for cell in &cells {
        let system = System::study(cell["lam"], cell["B"] as usize, cell["K"] as usize).unwrap();
        let ours = short_run(&system, 500.0).unwrap();
        let error = ours.run.mean_ttft_s / cell["mean_ttft"] - 1.0;
        println!("{} {} {}: {:+.2} %", cell["lam"], cell["B"], cell["K"], 100.0 * error);
        stationary.push((best(&system).unwrap().mean_ttft_s / cell["mean_ttft"] - 1.0).abs());
        transient.push((ours.run.mean_ttft_s / cell["mean_ttft"] - 1.0).abs());
        if cell["blocking"] >= 0.01 {
            lost.push((ours.run.blocking_probability / cell["blocking"] - 1.0).abs());
        }
    }
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    println!(
        "mean TTFT: {:.4} stationary, {:.4} transient; loss {:.4}",
        mean(&stationary),
        mean(&transient),
        mean(&lost)
    );
    assert!(mean(&transient) < 0.01 && mean(&transient) < mean(&stationary), "{transient:?}");
    assert!(mean(&lost) < 0.03, "{lost:?}");
}

/// Next to an empty system nobody waits; a long run is the stationary state; a run without end is not followed.
#[test]
fn a_run_lies_between_empty_and_stationary() {
    let system = System::study(3.0, 4, 8192).unwrap();
    let ttft = |horizon_s: f64| short_run(&system, horizon_s).unwrap().run.mean_ttft_s;
    let stationary = phase_type(&system).unwrap().mean_ttft_s;
    let rising = [0.01, 1.0, 10.0, 100.0, 1000.0].map(ttft);
    assert!(rising.is_sorted() && rising[4] < stationary, "{rising:?} {stationary}");
    let empty = system.steps().prefill_s(system.prompt().mean(), 1) + system.steps().decode_s(1);
    // Somebody may come during its prefill and be prefilled as well before the first token.
    assert!((1.0..1.15).contains(&(rising[0] / empty)), "{} {empty}", rising[0]);
    assert!((ttft(2e4) / stationary - 1.0).abs() < 0.005);
    let long = short_run(&system, 1e9).unwrap_err();
    assert_eq!(long.model, Model::Transient);
}

#[test]
fn a_model_says_when_it_does_not_apply() {
    let wide = System::study(1.0, 4, 8192).unwrap();
    let why = reserved_kv(&wide).unwrap_err();
    assert_eq!(why.model, Model::ReservedKv);
    assert!(why.to_string().contains("max_batch = 4"), "{why}");
    let wider = System::study(1.0, 300, 8192).unwrap();
    assert!(phase_type(&wider).is_err() && closed_form(&wider).is_err());
    assert!(best(&System::study(1.0, 100, 8192).unwrap()).is_ok_and(|p| p.model == Model::ClosedForm));
    let large = System::study(0.2, 1, 200_000).unwrap();
    assert!(reserved_kv(&large).unwrap_err().to_string().contains("kv_tokens = 200000"));
    assert_eq!(best(&large).unwrap().model, Model::PhaseType);
}

#[test]
fn a_system_must_be_possible() {
    let law = || LengthLaw::constant(10).unwrap();
    let new = |rate, batch, kv| System::new(rate, batch, kv, law(), law(), StepTimes::study(4));
    assert!(new(1.0, 4, 20).is_ok());
    assert!(new(0.0, 4, 20).unwrap_err().to_string().contains("arrival_rate_per_s = 0"));
    assert!(new(f64::NAN, 4, 20).is_err());
    assert!(new(1.0, 0, 20).is_err());
    assert!(new(1.0, 5, 20).unwrap_err().to_string().contains("up to a batch of 4"));
    assert!(new(1.0, 4, 19).unwrap_err().to_string().contains("needs 20"));
}

#[test]
fn goodput_counts_what_comes_in_time() {
    let answer = closed_form(&System::study(2.0, 4, 8192).unwrap()).unwrap();
    let median = answer.ttft_quantile_s(0.5);
    assert!((answer.goodput_per_s(median) / answer.throughput_per_s - 0.5).abs() < 1e-9);
    assert!((answer.goodput_per_s(1e6) / answer.throughput_per_s - 1.0).abs() < 1e-9);
    assert!(answer.goodput_per_s(0.0) < 1e-3 * answer.throughput_per_s);
}

fn any_system() -> impl Strategy<Value = System> {
    let law = prop_oneof![
        (1_usize..200).prop_map(|n| LengthLaw::constant(n).unwrap()),
        (1_usize..100, 0_usize..200).prop_map(|(a, more)| LengthLaw::uniform(a, a + more).unwrap()),
        (1.0..150.0_f64).prop_map(|mean| LengthLaw::geometric(mean, 1500).unwrap()),
        (5.0..200.0_f64, 0.1..1.5_f64).prop_map(|(m, s)| LengthLaw::floored_lognormal(m, s, 1500).unwrap()),
    ];
    let step = (0.0..0.02_f64, 0.0..2e-4_f64, 1e-3..0.02_f64);
    (law.clone(), law, 0.01..20.0_f64, 1_usize..6, 400_usize..4000, step).prop_map(
        |(prompt, output, rate, batch, kv, (prefill_base_s, prefill_token_s, decode_s))| {
            let row = BatchStep { prefill_base_s, prefill_token_s, decode_s };
            System::new(rate, batch, kv, prompt, output, StepTimes::new(vec![row; batch]).unwrap()).unwrap()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the system, an answer is a law of a duration and its probabilities are probabilities.
    #[test]
    fn every_answer_is_well_formed(system in any_system()) {
        for solve in [closed_form as Solver, phase_type, reserved_kv] {
            let Ok(ours) = solve(&system) else { continue };
            let name = ours.model.name();
            prop_assert!((0.0..=1.0).contains(&ours.blocking_probability), "{name}: {}", ours.blocking_probability);
            prop_assert!(ours.throughput_per_s <= system.arrival_rate_per_s() * (1.0 + 1e-12));
            prop_assert!((ours.ttft.total() - 1.0).abs() < 1e-6, "{name}: mass {}", ours.ttft.total());
            let quantiles = [0.01, 0.5, 0.95, 0.99].map(|p| ours.ttft_quantile_s(p));
            prop_assert!(quantiles.is_sorted() && quantiles[0] >= 0.0, "{name}: {quantiles:?}");
            let decode_s = system.steps().decode_s(1);
            prop_assert!(ours.mean_ttft_s >= decode_s && ours.mean_ttft_s.is_finite(), "{name}: {}", ours.mean_ttft_s);
            prop_assert!(ours.mean_in_system >= 0.0 && ours.states > 0);
        }
    }
}

/// Far beyond its capacity a server is never idle, and a chain that climbs to full does not come down: chances of its states
/// differ by more than numbers can hold.
#[test]
fn deep_overload_has_an_answer() {
    let law = |n| LengthLaw::constant(n).unwrap();
    let row = BatchStep {
        prefill_base_s: 0.005_592_014_365_273_987_5,
        prefill_token_s: 0.0,
        decode_s: 0.017_358_566_739_935_21,
    };
    let service_s = row.prefill_base_s + 72.0 * row.decode_s;
    for rate in [10.0, 17.211_262_915_479_498, 18.0, 30.0] {
        let system = System::new(rate, 1, 2754, law(1), law(72), StepTimes::new(vec![row]).unwrap()).unwrap();
        let ours = reserved_kv(&system).unwrap();
        assert!((ours.ttft.total() - 1.0).abs() < 1e-6, "{rate}: mass {}", ours.ttft.total());
        assert!((ours.throughput_per_s * service_s - 1.0).abs() < 0.01, "{rate}: {}", ours.throughput_per_s);
    }
}
