//! How often the drift test is wrong, and how long an overload can hide from it.

use kendall_des::{Purpose, Streams};
use kendall_theory::output::{Horizon, Verdict, drift_test, verdict};

const STEPS: Purpose = Purpose(4);
const SEED: u64 = 1;
/// Instants at which the number in the system is seen.
const SAMPLES: usize = 1024;

/// Number in an M/M/1 system with mean service time 1 at equally spaced instants, over about so many arrivals: the
/// uniformised chain, with time counted in its steps of 1 / (rho + 1) on average.
fn levels(rho: f64, customers: usize, replication: u32) -> (Vec<f64>, f64) {
    let mut rng = Streams::new(SEED, replication).stream(STEPS).entity(0);
    let arrival = rho / (rho + 1.0);
    let steps = (customers as f64 / arrival) as usize / SAMPLES;
    let mut number = 0_u64;
    let mut seen = vec![0.0];
    for _ in 0..SAMPLES {
        for _ in 0..steps {
            number = if rng.next_open01() < arrival { number + 1 } else { number.saturating_sub(1) };
        }
        seen.push(number as f64);
    }
    (seen, steps as f64 / (rho + 1.0))
}

/// Verdicts over many runs, in percent.
struct Verdicts {
    stable: f64,
    near_capacity: f64,
    overloaded: f64,
    /// Intervals of the growth rate that contain rho - 1, in percent of all runs.
    growth_covered: f64,
}

fn verdicts(rho: f64, customers: usize, runs: u32) -> Verdicts {
    let mut counts = [0_u32; 4];
    for run in 0..runs {
        let (levels, spacing) = levels(rho, customers, run);
        let Ok(drift) = drift_test(&levels, spacing, 0.95) else { continue };
        match verdict(None, Some(&drift), Horizon::Stationary) {
            Verdict::Stable { .. } => counts[0] += 1,
            Verdict::NearCapacity { .. } => counts[1] += 1,
            Verdict::Overloaded { .. } => counts[2] += 1,
            Verdict::Transient { .. } | Verdict::Bounded => {}
        }
        counts[3] += u32::from(drift.growth_per_s.contains(rho - 1.0));
    }
    let [stable, near_capacity, overloaded, growth_covered] =
        counts.map(|count| 100.0 * f64::from(count) / f64::from(runs));
    Verdicts { stable, near_capacity, overloaded, growth_covered }
}

#[test]
#[ignore = "a minute: the table of docs/output-analysis.md"]
fn table_of_verdicts() {
    for rho in [0.5, 0.8, 0.95, 1.0, 1.02, 1.1] {
        for customers in [2_000, 10_000, 40_000, 160_000] {
            let v = verdicts(rho, customers, 1000);
            println!(
                "| {rho} | {customers} | {:.1} | {:.1} | {:.1} | {:.1} |",
                v.stable, v.near_capacity, v.overloaded, v.growth_covered
            );
        }
    }
}

#[test]
fn a_slow_overload_is_found_in_time_and_never_called_stable() {
    let short = verdicts(1.02, 2_000, 100);
    assert!(short.overloaded < 30.0 && short.stable < 5.0, "not to be known from 2,000 customers");
    let long = verdicts(1.02, 160_000, 50);
    assert!(long.overloaded > 95.0, "{} % of overloads found", long.overloaded);
    assert!(long.stable + long.near_capacity < 5.0);
}

#[test]
fn a_busy_queue_is_no_overload() {
    for customers in [2_000, 40_000] {
        let busy = verdicts(0.95, customers, 100);
        assert!(busy.overloaded <= 2.0, "{} % false alarms at {customers}", busy.overloaded);
    }
    assert!(verdicts(0.8, 40_000, 100).stable > 95.0);
}
