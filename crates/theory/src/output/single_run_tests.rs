//! What the intervals of one run promise, apart from their coverage (measured on queues in `tests/tests/coverage`).

use proptest::prelude::*;

use super::{BatchAccumulator, NoInterval, mean_interval, quantile_interval, quantile_of_replications};
use super::{Interval, QuantileInterval, mean_of_replications};

/// Uniform noise on [0, 1) from a congruential generator.
fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..n).map(next).collect()
}

fn recorded(values: &[f64]) -> BatchAccumulator {
    let mut run = BatchAccumulator::new();
    for &value in values {
        run.record(value as u64);
    }
    run
}

fn independent(seed: u64, n: usize) -> Vec<f64> {
    noise(seed, n).iter().map(|u| (u * 1e6).floor()).collect()
}

#[test]
fn a_stream_and_a_series_agree() {
    let values = independent(5, 20_000);
    let run = recorded(&values);
    let (stream, series) = (run.mean_interval(0.95).unwrap(), mean_interval(&values, 0.95).unwrap());
    assert!((stream.mean - series.mean).abs() < 1e-6 && (stream.half_width - series.half_width).abs() < 1e-6);
    let (stream, series) =
        (run.quantile_interval(0.9, 0.95).unwrap(), quantile_interval(&values, 0.9, 0.95).unwrap());
    for (a, b) in [(stream.estimate, series.estimate), (stream.low, series.low), (stream.high, series.high)] {
        assert!((a / b - 1.0).abs() < 1.0 / 128.0, "{stream:?} {series:?}");
    }
    assert!(series.low < 9e5 && 9e5 < series.high, "{series:?}");
    // Independent observations: the width is that of the textbook, sqrt(p (1 - p) / n) over the density 1e-6.
    let textbook = 1.96 * (0.9_f64 * 0.1 / 20_000.0).sqrt() * 1e6;
    assert!((series.half_width() / textbook - 1.0).abs() < 0.4, "{series:?} {textbook}");
}

#[test]
fn short_and_moving_runs_are_refused() {
    let few = recorded(&independent(1, 63));
    assert!(matches!(few.mean_interval(0.95), Err(NoInterval::FewObservations { observations: 63, .. })));
    let growing: Vec<f64> = (0..10_000).map(f64::from).collect();
    assert!(matches!(recorded(&growing).mean_interval(0.95), Err(NoInterval::NotSettled { .. })));
    // Half a period of a slow wave, there and back: settled by MSER's lights, but one excursion only.
    let wave: Vec<f64> = (0..10_000_i32).map(|i| f64::from((i - 5_000).pow(2))).collect();
    assert!(mean_interval(&wave, 0.95).is_err());
    let values = independent(2, 900);
    assert!(matches!(quantile_interval(&values, 0.99, 0.95), Err(NoInterval::RareEvents { .. })));
    assert!(matches!(mean_interval(&independent(2, 100), 0.95), Err(NoInterval::FewEffective { .. })));
    assert!(matches!(mean_interval(&[f64::NAN; 500], 0.95), Err(NoInterval::Invalid { .. })));
    assert!(matches!(quantile_interval(&values, 1.0, 0.95), Err(NoInterval::Invalid { .. })));
    assert!(matches!(mean_interval(&values, 0.0), Err(NoInterval::Invalid { .. })));
}

#[test]
fn what_never_varies_is_certain() {
    let run = recorded(&vec![7e9; 5000]);
    let exact = Interval { mean: 7e9, half_width: 0.0, confidence: 0.95, replications: 63 };
    let mean = run.mean_interval(0.95).unwrap();
    assert_eq!(Interval { replications: 63, ..mean }, exact);
    let QuantileInterval { estimate, low, high, .. } = run.quantile_interval(0.5, 0.95).unwrap();
    assert!((estimate / 7e9 - 1.0).abs() < 1.0 / 128.0);
    assert!(low.total_cmp(&estimate).is_eq() && high.total_cmp(&estimate).is_eq());
}

#[test]
fn a_clear_warm_up_is_cut() {
    let steady = independent(3, 40_000);
    let warm_up = |i: usize| if i < 6_000 { 5e6 } else { 0.0 };
    let values: Vec<f64> = steady.iter().enumerate().map(|(i, x)| x + warm_up(i)).collect();
    let interval = mean_interval(&values, 0.95).unwrap();
    assert!((interval.mean - 5e5).abs() < 1e4, "{interval:?}");
    let runs: Vec<BatchAccumulator> = (0..5).map(|_| recorded(&values)).collect();
    assert!((mean_of_replications(&runs, 0.95).unwrap().mean - 5e5).abs() < 1e4);
}

#[test]
fn replications_of_any_lengths_combine() {
    let lengths = [3_000, 1_000, 5_000, 900, 20_000];
    let run = |(i, &n): (usize, &usize)| recorded(&independent(i as u64 + 10, n));
    let runs: Vec<BatchAccumulator> = lengths.iter().enumerate().map(run).collect();
    let mean = mean_of_replications(&runs, 0.95).unwrap();
    assert!((mean.mean - 5e5).abs() < 2e4 && mean.replications == 5, "{mean:?}");
    let p90 = quantile_of_replications(&runs, 0.9, 0.95).unwrap();
    assert!((p90.estimate / 9e5 - 1.0).abs() < 0.02, "{p90:?}");
    assert!(matches!(mean_of_replications(&runs[..1], 0.95), Err(NoInterval::FewReplications { .. })));
    assert!(matches!(
        quantile_of_replications(&runs[..4], 0.9, 0.95),
        Err(NoInterval::FewReplications { .. })
    ));
}

proptest! {
    #[test]
    fn bulk_credit_is_one_by_one(bulks in prop::collection::vec((0_u64..1 << 50, 0_u64..200), 0..60)) {
        let (mut bulk, mut single) = (BatchAccumulator::new(), BatchAccumulator::new());
        for (value, times) in bulks {
            bulk.record_n(value, times);
            (0..times).for_each(|_| single.record(value));
        }
        prop_assert_eq!(bulk.count(), single.count());
        prop_assert_eq!(bulk.mean_interval(0.95), single.mean_interval(0.95));
        prop_assert_eq!(bulk.quantile_interval(0.9, 0.95), single.quantile_interval(0.9, 0.95));
    }

    #[test]
    fn no_input_panics(values in prop::collection::vec(any::<f64>(), 0..300), p in any::<f64>(), c in any::<f64>()) {
        let _ = (mean_interval(&values, c), quantile_interval(&values, p, c));
        let whole: Vec<f64> = values.iter().map(|x| x.abs()).collect();
        let run = recorded(&whole);
        let _ = (run.mean_interval(c), run.quantile_interval(p, c));
        let runs = vec![run; 5];
        let _ = (mean_of_replications(&runs, c), quantile_of_replications(&runs, p, c));
    }
}
