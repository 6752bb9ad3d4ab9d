//! Experts with 4-bit weights, and with a scale for each block of fp8 weights: no table has kernels that servers use,
//! servers of `gpt-oss-120b` and `MiniMax-M2.5` do. One number each is fitted to half of the servers: the share of the peak at
//! which the kernel computes. The other half is reported.

use std::path::Path;

use anyhow::Result;
use kendall_serving::step_time::roofline::{Corner, Efficiencies, Kernels};
use kendall_validate::{Peers, StepTimeChoice, Table, Validation, validate};

use crate::numbers::{median, robust};

/// Part of a model's name, and the kernel of its experts.
type Kind = (&'static str, fn(&mut Kernels) -> &mut Corner);

const KINDS: [Kind; 2] =
    [("gpt-oss", |kernels| &mut kernels.moe4), ("MiniMax-M2.5", |kernels| &mut kernels.moe8_block)];

/// Servers whose figures contradict their columns: 5 ms a token with 512 requests in flight.
const CONTRADICTORY: &str = "_c512_";

/// TTFT beside TPOT, as in the fit of the engine.
const TTFT_WEIGHT: f64 = 0.4;

/// Servers with 4, 16 and 64 requests in flight are fitted, those with 8, 32 and 128 are not: some were measured more than
/// once under other names, and a split by name would show the fit what it is held to.
fn is_fitted(experiment: &str) -> bool {
    let in_flight = experiment.split('_').find_map(|part| part.strip_prefix('c')?.parse::<u32>().ok());
    in_flight.is_some_and(|n| n.trailing_zeros() % 2 == 0)
}

fn servers(measured: &Path, name: &str, fitted: bool) -> Result<Table> {
    let all = Table::of_servers(&measured.join("e2e_measured.csv"))?;
    Ok(all.of_experiments(|experiment, model| {
        model.contains(name) && !experiment.contains(CONTRADICTORY) && is_fitted(experiment) == fitted
    }))
}

/// Sets the computing shares of the experts of the generation that the servers have.
pub(crate) fn fit(measured: &Path, efficiencies: &mut Efficiencies) -> Result<()> {
    for (name, corner) in KINDS {
        fit_kind(&servers(measured, name, true)?, corner, efficiencies);
    }
    Ok(())
}

fn fit_kind(table: &Table, corner: fn(&mut Kernels) -> &mut Corner, efficiencies: &mut Efficiencies) {
    const ROUNDS: usize = 14;
    let with = |log_compute: f64, efficiencies: &Efficiencies| {
        let mut changed = efficiencies.clone();
        for kernels in changed.kernels.iter_mut().filter(|kernels| kernels.architecture == "Hopper") {
            corner(kernels).compute = libm::exp(log_compute);
        }
        changed
    };
    let cost = |log_compute: f64| {
        let errors = errors(&simulated(table, &with(log_compute, efficiencies)), TTFT_WEIGHT);
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
    *efficiencies = with(f64::midpoint(low, high), efficiencies);
}

fn simulated(table: &Table, efficiencies: &Efficiencies) -> Validation {
    validate(table, &Peers::default(), StepTimeChoice::roofline(), efficiencies)
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
    println!("servers of expert models, the half that was not fitted\n");
    println!("| model | figure | rows | median error | median absolute error |\n|---|---|---|---|---|");
    for (name, _) in KINDS {
        let errors = errors(&simulated(&servers(measured, name, false)?, efficiencies), 1.0);
        for metric in ["ttft_mean", "tpot_mean"] {
            let of: Vec<f64> =
                errors.iter().filter(|(of, _)| *of == metric).map(|(_, e)| libm::exp(*e) - 1.0).collect();
            println!(
                "| {name} | {metric} | {} | {:+.1} % | {:.1} % |",
                of.len(),
                100.0 * median(of.clone()),
                100.0 * median(of.iter().map(|error| error.abs()).collect())
            );
        }
    }
    println!();
    Ok(())
}
