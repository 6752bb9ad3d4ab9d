//! The scenario under construction, and the table of what became of each setting of the file.

use std::fmt::Display;
use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets};
use toml_edit::Value;

use crate::args::ImportFormat;
use crate::vllm::{TomlText, inline};

/// What became of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Carried over as it is.
    Understood,
    /// Carried over nearly.
    Approximated,
    /// Would not change what a simulation predicts.
    NoEffect,
    /// Would change it, and is not carried over.
    Lost,
    /// Not in the file.
    Assumed,
}

impl Fate {
    const fn words(self) -> &'static str {
        match self {
            Self::Understood => "understood",
            Self::Approximated => "approximated",
            Self::NoEffect => "no effect",
            Self::Lost => "NOT UNDERSTOOD",
            Self::Assumed => "assumed",
        }
    }
}

/// A setting of the file.
#[derive(Debug)]
struct Row {
    setting: String,
    value: String,
    fate: Fate,
    note: String,
}

/// A scenario under construction.
#[derive(Debug)]
pub(super) struct Draft {
    head: String,
    seed: Option<(i64, String)>,
    workload: Vec<(String, Value, String)>,
    slo: Vec<(String, Value)>,
    /// A whole scenario's text, where another module writes it.
    whole: Option<String>,
    rows: Vec<Row>,
}

/// Longest value that the table shows, in characters.
const MAX_SHOWN: usize = 40;

impl Draft {
    pub(super) fn new(file: &Path, format: ImportFormat) -> Self {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            head: format!(
                "Made by `kendall import` from {name} ({}). Each key says where it comes from.",
                format.words()
            ),
            seed: None,
            workload: Vec::new(),
            slo: Vec::new(),
            whole: None,
            rows: Vec::new(),
        }
    }

    /// A key of `[workload]`.
    pub(super) fn workload(&mut self, key: &str, value: impl Into<Value>, from: &str) {
        self.workload.push((key.to_owned(), value.into(), from.to_owned()));
    }

    /// A limit of a good request (ms).
    pub(super) fn limit(&mut self, key: &str, ms: f64) {
        self.slo.push((key.to_owned(), ms.into()));
    }

    pub(super) fn seed(&mut self, seed: u64, from: &str) {
        self.seed = Some((i64::try_from(seed).unwrap_or(i64::MAX), from.to_owned()));
    }

    /// The text of a scenario that is finished but for nothing.
    pub(super) fn whole(&mut self, text: String) {
        self.whole = Some(text);
    }

    pub(super) fn understood(&mut self, setting: &str, value: impl Display, became: &str) {
        self.row(setting, &value, Fate::Understood, became);
    }

    pub(super) fn approximated(&mut self, setting: &str, value: impl Display, how: &str) {
        self.row(setting, &value, Fate::Approximated, how);
    }

    pub(super) fn no_effect(&mut self, setting: &str, value: impl Display, why: &str) {
        self.row(setting, &value, Fate::NoEffect, why);
    }

    pub(super) fn lost(&mut self, setting: &str, value: impl Display, effect: &str) {
        self.row(setting, &value, Fate::Lost, effect);
    }

    fn row(&mut self, setting: &str, value: &dyn Display, fate: Fate, note: &str) {
        let mut value: String =
            value.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if value.chars().count() > MAX_SHOWN {
            value = value.chars().take(MAX_SHOWN - 3).chain("...".chars()).collect();
        }
        self.rows.push(Row { setting: setting.to_owned(), value, fate, note: note.to_owned() });
    }

    /// Whether the table has a line for this setting.
    pub(super) fn has(&self, setting: &str) -> bool {
        self.rows.iter().any(|row| row.setting == setting)
    }

    /// Settings that would change the result and are not carried over.
    pub(super) fn num_lost(&self) -> usize {
        self.rows.iter().filter(|row| row.fate == Fate::Lost).count()
    }

    /// The scenario's text and the table.
    pub(super) fn finish(self, server: &str, server_from: &str) -> (String, String) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["setting", "value", "", "became, or why not"]);
        for row in &self.rows {
            table.add_row([row.setting.as_str(), &row.value, row.fate.words(), &row.note]);
        }
        table.add_row([
            "(server)",
            "",
            Fate::Assumed.words(),
            &format!("not in the file: from {server_from}"),
        ]);
        let mut text = TomlText::default();
        text.comment(&self.head);
        if let Some(whole) = self.whole {
            text.raw(&whole);
            return (text.into_string(), table.trim_fmt());
        }
        if let Some((seed, from)) = self.seed {
            text.key("seed", seed, &from);
        }
        text.table("workload");
        for (key, value, from) in self.workload {
            text.key(&key, value, &from);
        }
        if !self.slo.is_empty() {
            text.table("slo");
            let limits = self.slo.into_iter().collect::<toml_edit::InlineTable>();
            text.key("goodput", limits, "limits of the file");
        }
        text.raw("# The server is not in the file.");
        text.raw(server);
        (text.into_string(), table.trim_fmt())
    }
}

/// TOML has signed numbers only.
pub(super) fn whole(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

/// Normal lengths that are rounded to the nearest token and clipped, as load generators draw them.
///
/// kendall takes the floor of a draw: half a token more makes it the nearest.
pub(super) fn clipped_normal(mean: f64, std_dev: f64, min: u64, max: u64) -> Value {
    inline([
        ("dist", "normal".into()),
        ("mean", (mean + 0.5).into()),
        ("std_dev", std_dev.into()),
        ("min", whole(min)),
        ("max", whole(max)),
        ("outside", "clip".into()),
    ])
}

/// Lengths that are always the same.
pub(super) fn constant(tokens: u64) -> Value {
    inline([("dist", "constant".into()), ("tokens", whole(tokens))])
}

/// Every length from `low` to `high` alike.
pub(super) fn uniform(low: u64, high: u64) -> Value {
    inline([("dist", "uniform".into()), ("low", whole(low)), ("high", whole(high))])
}
