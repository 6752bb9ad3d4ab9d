//! Measured servers: rows of `e2e_measured.csv` as sessions of `kendall-validate`, with the figures that the fits look at.

use std::path::Path;

use anyhow::Result;
use kendall_serving::catalog::Model;
use kendall_validate::{Session, Skipped, minor_version, sessions};

use crate::tables::{Table, read};

/// What was measured in one stage.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "the unit stands last")]
pub(crate) struct Figures {
    pub ttft_s: f64,
    pub tpot_s: f64,
    pub e2e_s: f64,
}

/// One stage of an experiment.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub name: String,
    pub measured: Figures,
    /// Offered to the server (req/s); of a closed loop 0.
    pub rate: f64,
    /// Its number in the session.
    pub number: usize,
}

/// One experiment: stages that one server ran one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Experiment {
    pub name: String,
    pub gpu: String,
    pub model: Model,
    pub async_scheduling: bool,
    /// Minor version of vLLM; `None` where the row does not say.
    pub minor: Option<u32>,
    /// Whether clients wait for answers.
    pub is_closed: bool,
    pub stages: Vec<Stage>,
    pub session: Session,
}

/// Every experiment that can be simulated, in the table's order; the others with the reason.
pub(crate) fn experiments(measured: &Path) -> Result<(Vec<Experiment>, Vec<String>)> {
    let path = measured.join("e2e_measured.csv");
    let (table, figures) = (kendall_validate::Table::of_servers(&path)?, read(&path)?);
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    for session in sessions(&table) {
        match session {
            Ok(session) if !session.stages.is_empty() => found.push(experiment(session, &figures)),
            Ok(_) => {}
            Err(Skipped { rows, reason }) => {
                let name = rows.first().map_or("", |&row| figures.text(row, "experiment"));
                skipped.push(format!("{name}: {reason}"));
            }
        }
    }
    Ok((found, skipped))
}

fn experiment(session: Session, figures: &Table) -> Experiment {
    let first = session.stages[0].row;
    let stage = |stage: &kendall_validate::Stage| {
        let number = |column| figures.number(stage.row, column);
        Stage {
            name: figures.text(stage.row, "stage").to_owned(),
            measured: Figures {
                ttft_s: number("ttft_mean"),
                tpot_s: number("tpot_mean"),
                e2e_s: number("e2e_mean"),
            },
            rate: Some(number("rate_rps")).filter(|rate| rate.is_finite()).unwrap_or(0.0),
            number: stage.number,
        }
    };
    Experiment {
        name: figures.text(first, "experiment").to_owned(),
        gpu: session.server.gpu.name.clone(),
        model: session.server.model.clone(),
        async_scheduling: session.server.async_scheduling,
        minor: minor_version(figures.text(first, "engine_version")),
        is_closed: session.load.limit.is_some(),
        stages: session.stages.iter().map(stage).collect(),
        session,
    }
}
