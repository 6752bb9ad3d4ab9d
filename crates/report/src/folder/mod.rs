//! Folders that kendall filled, read again.

mod error;
mod requests;

use std::path::{Path, PathBuf};

use serde_json::Value;

pub use error::FolderError;
pub use requests::Latencies;

/// What one run left behind: the folder of `kendall run --out`.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// Where it is, as the user calls it.
    pub path: PathBuf,
    /// `summary.json`.
    pub summary: Value,
    /// `scenario.toml`, as it was played.
    pub scenario: String,
    /// Latencies from `requests.csv`; none of several replications.
    pub latencies: Option<Latencies>,
    /// `timeline.csv`, column by column; none of several replications.
    pub timeline: Option<Columns>,
}

/// A small table of numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Columns {
    /// One column; empty if there is none of this name.
    pub fn get(&self, name: &str) -> Vec<f64> {
        let Some(place) = self.names.iter().position(|column| column == name) else { return Vec::new() };
        self.rows.iter().filter_map(|row| row.get(place).copied()).collect()
    }

    fn read(path: &Path) -> Result<Self, FolderError> {
        let mut reader = csv::Reader::from_path(path).map_err(|error| FolderError::csv(path, &error))?;
        let names = reader.headers().map_err(|error| FolderError::csv(path, &error))?;
        let names = names.iter().map(str::to_owned).collect();
        let rows = reader.deserialize().collect::<Result<_, _>>();
        Ok(Self { names, rows: rows.map_err(|error| FolderError::csv(path, &error))? })
    }
}

impl RunFolder {
    /// Reads a folder of `kendall run --out`, of one run or of replications.
    ///
    /// # Errors
    /// If a file is missing or is not what kendall writes; the message names it and what to do.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let text = |name: &str| {
            let path = path.join(name);
            std::fs::read_to_string(&path).map_err(|source| FolderError::Missing { path, source })
        };
        let summary = serde_json::from_str(&text("summary.json")?)
            .map_err(|source| FolderError::Json { path: path.join("summary.json"), source })?;
        let optional = |name: &str| Some(path.join(name)).filter(|path| path.exists());
        Ok(Self {
            path: path.to_owned(),
            summary,
            scenario: text("scenario.toml")?,
            latencies: optional("requests.csv").map(|path| Latencies::read(&path)).transpose()?,
            timeline: optional("timeline.csv").map(|path| Columns::read(&path)).transpose()?,
        })
    }

    /// A number of the summary, or the mean of an estimate.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        let value = self.summary.pointer(&format!("/{}", key.replace('.', "/")))?;
        value.as_f64().or_else(|| value.get("mean")?.as_f64())
    }

    /// A text of the summary.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.summary.pointer(&format!("/{}", key.replace('.', "/"))).and_then(Value::as_str)
    }
}
