//! Why a folder cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A folder is not what kendall writes.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum FolderError {
    #[error("{}: cannot read this file: {source}; `kendall run SCENARIO --out DIR` writes it", path.display())]
    Missing { path: PathBuf, source: io::Error },
    #[error("{}: this is no summary of kendall: {source}; make the folder again with `kendall run --out`", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{}: {message}; make the folder again with `kendall run --out`", path.display())]
    Csv { path: PathBuf, message: String },
}

impl FolderError {
    pub(crate) fn csv(path: &Path, error: &csv::Error) -> Self {
        Self::Csv { path: path.to_owned(), message: error.to_string() }
    }
}
