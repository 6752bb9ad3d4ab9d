//! The report of one run, from its folder.

mod curves;
mod tables;
mod timeline;
mod verdict;

use kendall_serving::scenario::{GoodputSlo, Scenario};

use crate::document::{Document, Section};
use crate::folder::RunFolder;
use crate::origin;
use crate::theory_document::{Simulated, Theory};

/// What the report is made of.
struct Source<'a> {
    folder: &'a RunFolder,
    /// The limits that the scenario sets for all requests.
    limits: GoodputSlo,
    /// The scenario's settings, where they can be read.
    scenario: Option<Scenario>,
    /// What the analytical models say of it.
    theory: Option<Theory<'a>>,
}

impl Document {
    /// The report of the run in this folder; with `theory`, what `kendall predict --no-simulation --json` prints of its
    /// scenario, over the figures of the run.
    pub fn of_run(folder: &RunFolder, theory: Option<&serde_json::Value>) -> Self {
        let scenario = Scenario::from_toml(&folder.scenario).ok();
        let limits = scenario.as_ref().and_then(|scenario| scenario.slo.as_ref()?.goodput.clone());
        let source = Source {
            folder,
            limits: limits.unwrap_or_default(),
            scenario,
            theory: theory.and_then(Theory::of),
        };
        let title = folder.text("scenario").unwrap_or("a run").to_owned();
        let sections = [
            curves::section(&source),
            timeline::section(&source),
            tables::throughput(&source),
            tables::classes(&source),
            source.theory.as_ref().map(|theory| theory.section(|figure| simulated(&source, figure))),
            tables::cost(&source),
            tables::fidelity(&source),
            Some(origin::scenario(&source.folder.scenario)),
            Some(reproduce(&source)),
        ];
        Self {
            title,
            subtitle: verdict::subtitle(&source),
            verdict: verdict::verdict(&source),
            tiles: verdict::tiles(&source),
            sections: sections.into_iter().flatten().collect(),
        }
    }
}

/// A figure of the run with its interval.
fn simulated(source: &Source<'_>, figure: &str) -> Option<Simulated> {
    let mean = source.folder.number(figure)?;
    Some(Simulated {
        mean,
        ends: verdict::interval(source.folder, figure).map(|interval| (interval.low, interval.high)),
    })
}

fn reproduce(source: &Source<'_>) -> Section {
    let folder = source.folder;
    let seed = folder.summary.get("seed").and_then(serde_json::Value::as_u64).unwrap_or(0);
    let version = folder.text("kendall_version").unwrap_or("of this report");
    let lead = format!(
        "Equal scenario, seed and version give the same bytes. This is kendall {version}; save the scenario above as \
         scenario.toml."
    );
    let commands = match folder.number("replications") {
        Some(n) => format!(
            "kendall run scenario.toml --seed {seed} --replications {n} --out results\nkendall report results\n"
        ),
        None => format!(
            "kendall run scenario.toml --seed {seed} --out results\nkendall report results\n\
             kendall explain results --worst 10      # where the time of the slowest requests went\n"
        ),
    };
    origin::reproduce(lead, commands)
}
