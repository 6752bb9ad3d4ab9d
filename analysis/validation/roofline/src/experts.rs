//! Experts with 4-bit weights: no table has their kernels, servers of gpt-oss-120b do. One number is fitted to half of the
//! servers: the share of the peak at which the kernel computes. The other half is reported.

use std::path::Path;

use anyhow::Result;
use kendall_serving::step_time::roofline::Efficiencies;
use kendall_validate::{Peers, StepTimeChoice, Table, Validation, validate};

use crate::numbers::{median, robust};

const MODEL: &str = "gpt-oss";

/// Servers whose figures contradict their columns: 5 ms a token with 512 requests in flight.
const CONTRADICTORY: &str = "_c512_";

/// TTFT beside TPOT, as in the fit of the engine.
const TTFT_WEIGHT: f64 = 0.4;

/// Every other server is fitted, told by a sum over its name that nobody chose.
fn is_fitted(experiment: &str) -> bool {
    experiment.bytes().map(u32::from).sum::<u32>() % 2 == 0
}

fn servers(measured: &Path, fitted: bool) -> Result<Table> {
    let all = Table::of_servers(&measured.join("e2e_measured.csv"))?;
    Ok(all.of_experiments(|experiment, model| {
        model.contains(MODEL) && !experiment.contains(CONTRADICTORY) && is_fitted(experiment) == fitted
    }))
}

/// Sets the computing share of 4-bit experts of the generation that the servers have.
pub(crate) fn fit(measured: &Path, efficiencies: &mut Efficiencies) -> Result<()> {
    const ROUNDS: usize = 14;
    let table = servers(measured, true)?;
    let cost = |log_compute: f64| {
        let changed = with(efficiencies, libm::exp(log_compute));
        let errors = errors(&simulated(&table, &changed), TTFT_WEIGHT);
        errors.into_iter().map(|(_, error)| robust(error)).sum::<f64>()
    };
    // The golden section between 3 % and 100 % of the peak (Kiefer 1953).
    let golden = (libm::sqrt(5.0) - 1.0) / 2.0;
    let (mut low, mut high) = (libm::log(0.03), 0.0);
    for _ in 0..ROUNDS {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if cost(left) < cost(right) {
            high = right;
        } else {
            low = left;
        }
    }
    *efficiencies = with(efficiencies, libm::exp(f64::midpoint(low, high)));
    Ok(())
}

fn with(efficiencies: &Efficiencies, compute: f64) -> Efficiencies {
    let mut changed = efficiencies.clone();
    for kernels in changed.kernels.iter_mut().filter(|kernels| kernels.architecture == "Hopper") {
        kernels.moe4.compute = compute;
    }
    changed
}

fn simulated(table: &Table, efficiencies: &Efficiencies) -> Validation {
    validate(table, &Peers::default(), StepTimeChoice::Roofline, efficiencies)
}

/// Logarithmic errors by metric; those of TTFT times `ttft_weight`.
fn errors(validation: &Validation, ttft_weight: f64) -> Vec<(&'static str, f64)> {
    let of = |metric: &'static str, weight: f64| {
        let rows = validation.rows.iter().filter(|row| row.counted);
        rows.filter_map(move |row| {
            let compared = row.metrics.get(metric)?;
            Some((metric, weight * libm::log(compared.predicted / compared.measured?)))
        })
    };
    of("ttft_mean", ttft_weight).chain(of("tpot_mean", 1.0)).collect()
}

/// Prints the errors of the servers that were not fitted.
pub(crate) fn report(measured: &Path, efficiencies: &Efficiencies) -> Result<()> {
    println!("servers of {MODEL}, the half that was not fitted\n");
    let table = servers(measured, false)?;
    let errors = errors(&simulated(&table, efficiencies), 1.0);
    println!("| figure | rows | median error | median absolute error |\n|---|---|---|---|");
    for metric in ["ttft_mean", "tpot_mean"] {
        let of: Vec<f64> =
            errors.iter().filter(|(of, _)| *of == metric).map(|(_, e)| libm::exp(*e) - 1.0).collect();
        println!(
            "| {metric} | {} | {:+.1} % | {:.1} % |",
            of.len(),
            100.0 * median(of.clone()),
            100.0 * median(of.iter().map(|error| error.abs()).collect())
        );
    }
    println!();
    Ok(())
}
