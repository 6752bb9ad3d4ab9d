//! Tables of measured servers against simulations.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use kendall_serving::step_time::roofline::Efficiencies;

use crate::engine::{Data, leave_out};
use crate::numbers::median;
use crate::rows::{Experiment, Figures, Stage};
use crate::servers::simulate;
use crate::tables::read;

const FIGURES: [&str; 3] = ["TTFT", "TPOT", "E2E"];

/// Errors of mean TTFT, TPOT and E2E as shares; NaN where nothing was measured.
type Errors = [f64; 3];

fn errors(stage: &Stage, simulated: &Figures) -> Errors {
    let measured = stage.measured;
    [
        simulated.ttft_s / measured.ttft_s - 1.0,
        simulated.tpot_s / measured.tpot_s - 1.0,
        simulated.e2e_s / measured.e2e_s - 1.0,
    ]
}

/// Each server that was fitted, simulated with the fit that left out its model.
pub(crate) fn never_measured(measured: &Path, data: &Data<'_>, efficiencies: &Efficiencies) -> Result<()> {
    println!("servers on an H100, each simulated with a fit without its model\n");
    let linearised = data.linearised(efficiencies)?;
    rows(measured, &data.experiments, |experiment| {
        Ok(leave_out(&linearised, efficiencies, &experiment.model.name))
    })
}

/// Servers that were not fitted, simulated with the final fit.
pub(crate) fn held_out(
    measured: &Path,
    experiments: &[&Experiment],
    efficiencies: &Efficiencies,
) -> Result<()> {
    rows(measured, experiments, |_| Ok(efficiencies.clone()))
}

fn rows(
    measured: &Path,
    experiments: &[&Experiment],
    efficiencies: impl Fn(&Experiment) -> Result<Efficiencies>,
) -> Result<()> {
    let peers = peers(measured)?;
    println!(
        "| server | stage | req/s | TTFT ms (measured) | error | TPOT ms (measured) | error | E2E error | BLIS E2E, TTFT |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut of_model: BTreeMap<String, Vec<Errors>> = BTreeMap::new();
    for experiment in experiments {
        let figures = match simulate(experiment, &efficiencies(experiment)?, usize::MAX) {
            Ok(figures) => figures,
            Err(reason) => {
                println!("| {} | not simulated: {} | | | | | | | |", experiment.name, reason.root_cause());
                continue;
            }
        };
        for (stage, simulated) in experiment.stages.iter().zip(&figures) {
            let errors = errors(stage, simulated);
            let name = format!("{}, {}", experiment.model.name, experiment.gpu);
            of_model.entry(name).or_default().push(errors);
            let peer = peers.get(&(experiment.name.clone(), stage.name.clone()));
            println!(
                "| {} | {} | {} | {:.1} ({:.1}) | {} | {:.2} ({:.2}) | {} | {} | {} |",
                experiment.name,
                stage.name,
                stage.rate,
                simulated.ttft_s * 1e3,
                stage.measured.ttft_s * 1e3,
                percent(errors[0]),
                simulated.tpot_s * 1e3,
                stage.measured.tpot_s * 1e3,
                percent(errors[1]),
                percent(errors[2]),
                peer.map_or(String::new(), |(e2e, ttft)| format!("{e2e:.1} %, {ttft:.1} %"))
            );
        }
    }
    summary(&of_model);
    Ok(())
}

fn percent(error: f64) -> String {
    if error.is_finite() { format!("{:+.1} %", 100.0 * error) } else { String::new() }
}

fn summary(of_model: &BTreeMap<String, Vec<Errors>>) {
    println!("\n| model, GPU | rows | median absolute error of mean {} |", FIGURES.join(" | "));
    println!("|---|---|---|---|---|");
    let all: Vec<Errors> = of_model.values().flatten().copied().collect();
    for (name, errors) in of_model.iter().map(|(name, errors)| (name.as_str(), errors)).chain([("all", &all)])
    {
        let medians = [0, 1, 2].map(|figure| {
            let known: Vec<f64> =
                errors.iter().map(|e| e[figure].abs()).filter(|error| error.is_finite()).collect();
            if known.is_empty() { String::new() } else { format!("{:.1} %", 100.0 * median(known)) }
        });
        println!("| {name} | {} | {} |", errors.len(), medians.join(" | "));
    }
    println!();
}

/// Absolute errors (%) of `blis-trained-physics` in mean E2E and TTFT, by experiment and stage.
fn peers(measured: &Path) -> Result<BTreeMap<(String, String), (f64, f64)>> {
    let table = read(&measured.join("peer_predictions.csv"))?;
    let mut found = BTreeMap::new();
    for row in 0..table.len() {
        if table.text(row, "simulator") != "blis-trained-physics" {
            continue;
        }
        let key = (table.text(row, "experiment").to_owned(), table.text(row, "stage").to_owned());
        let error = table.number(row, "ape_pct");
        let entry: &mut (f64, f64) = found.entry(key).or_insert((f64::NAN, f64::NAN));
        match table.text(row, "metric") {
            "e2e_mean" => entry.0 = error,
            "ttft_mean" => entry.1 = error,
            _ => {}
        }
    }
    Ok(found)
}
