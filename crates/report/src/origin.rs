//! What every report ends with: how far to trust it, the scenario, how to reproduce it.

use serde_json::{Value, json};

use crate::document::{Block, DataTable, Section};
use crate::json::{list, text};

/// Where a result comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The scenario file as it was played.
    pub scenario_toml: String,
    /// The fidelity ledger: a list of `{setting, value, treatment, source, note}`.
    pub ledger: Value,
    /// The command that makes the result again from the scenario as `scenario.toml`.
    pub command: String,
}

impl Origin {
    /// Adds it to an object, for a report to end with.
    pub fn add_to(&self, json: &mut Value) {
        if let Some(fields) = json.as_object_mut() {
            fields.insert("command".into(), json!(self.command));
            fields.insert("ledger".into(), self.ledger.clone());
            fields.insert("scenario_toml".into(), json!(self.scenario_toml));
        }
    }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The sections of a command's JSON that carries its `ledger`, `scenario_toml` and `command`; of an older one, those that it
/// has.
pub(crate) fn sections(json: &Value) -> impl Iterator<Item = Section> {
    let lead = "How each setting of the scenario is treated, and where it comes from.";
    let ledger = ledger(list(json, "ledger"), lead.to_owned());
    let scenario = json.get("scenario_toml").and_then(Value::as_str).map(scenario);
    let command = json.get("command").and_then(Value::as_str).map(|command| {
        let version = text(json, "kendall_version");
        let lead = match json.get("scenario_toml") {
            Some(_) => format!(
                "Equal scenario, seed and version give the same bytes. This is kendall {version}; save the scenario above as \
                 scenario.toml."
            ),
            None => format!("Equal input and version give the same bytes. This is kendall {version}."),
        };
        reproduce(lead, format!("{command}\n"))
    });
    [ledger, scenario, command].into_iter().flatten()
}

/// The fidelity ledger under a sentence; `None` if it is empty.
pub(crate) fn ledger(entries: &[Value], lead: String) -> Option<Section> {
    let mut ledger = DataTable::new(&["setting", "value", "treatment", "from", "note"], &[]);
    let mut treated = std::collections::BTreeMap::<String, u64>::new();
    for entry in entries {
        let cells = ["setting", "value", "treatment", "source", "note"].map(|key| cell(entry.get(key)));
        *treated.entry(cells[2].clone()).or_default() += 1;
        ledger.rows.push(cells.to_vec());
    }
    if ledger.rows.is_empty() {
        return None;
    }
    let counts: Vec<_> = treated.iter().map(|(treatment, n)| format!("{n} {treatment}")).collect();
    ledger.folded = Some(format!("All settings: {}", counts.join(", ")));
    Some(Section {
        id: "fidelity",
        heading: "How far to trust it".into(),
        lead,
        blocks: vec![Block::Table(ledger)],
    })
}

/// The scenario file.
pub(crate) fn scenario(text: &str) -> Section {
    Section {
        id: "scenario",
        heading: "The scenario".into(),
        lead: "As it was played, with all changes of the command line.".into(),
        blocks: vec![Block::Code(text.trim_end().to_owned())],
    }
}

/// The commands that make it again.
pub(crate) fn reproduce(lead: String, commands: String) -> Section {
    Section { id: "reproduce", heading: "Reproduce it".into(), lead, blocks: vec![Block::Code(commands)] }
}
