//! Plays a measured server with given efficiencies.

use anyhow::{Context, Result, anyhow};
use kendall_serving::step_time::roofline::Efficiencies;
use kendall_validate::{Metric, StepTimeChoice};

use crate::rows::{Experiment, Figures};

/// Simulates an experiment with at most `most` requests of each stage; the figures of every stage.
pub(crate) fn simulate(
    experiment: &Experiment,
    efficiencies: &Efficiencies,
    most: usize,
) -> Result<Vec<Figures>> {
    let replay =
        kendall_validate::simulate(&experiment.session, StepTimeChoice::roofline(), efficiencies, most)
            .map_err(|reason| anyhow!(reason))
            .with_context(|| experiment.name.clone())?;
    let figures = |number: usize| {
        let of_stage = replay.records.iter().filter(|record| record.stage == number);
        let figures = kendall_validate::Figures::simulated(of_stage);
        let mean = |metric| figures.get(metric).unwrap_or(f64::NAN);
        Figures {
            ttft_s: mean(Metric::TtftMean),
            tpot_s: mean(Metric::TpotMean),
            e2e_s: mean(Metric::E2eMean),
        }
    };
    Ok(experiment.stages.iter().map(|stage| figures(stage.number)).collect())
}
