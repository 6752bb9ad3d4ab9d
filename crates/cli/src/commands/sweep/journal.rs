//! The runs that a sweep has finished, kept against a kill at any moment: one line each, with a checksum.
//!
//! A line is whole or it is not believed. A killed sweep leaves at most its last line torn; the next one begins a new
//! line after it. When all runs are done the journal is written anew in order, so that it no longer shows how often the
//! sweep was interrupted.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use kendall_study::{RunId, RunOutcome};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::exit::Failure;

/// Name of the journal in the sweep's folder.
pub(super) const NAME: &str = "runs.jsonl";

/// Hexadecimal digits of a line's checksum: 64 bits.
const CHECKSUM_DIGITS: usize = 16;

/// What a line says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first line: which sweep this is.
    Sweep { kendall_version: String, identity: String },
    /// A finished run.
    Run { id: RunId, outcome: RunOutcome },
}

/// The journal of one sweep, locked against others.
pub(super) struct Journal {
    path: PathBuf,
    identity: String,
    file: Mutex<File>,
    /// What it held when it was opened.
    pub runs: BTreeMap<RunId, RunOutcome>,
}

/// The SHA-256 of these parts, in hexadecimal digits. Their lengths count, so that no two lists of parts are alike.
pub(super) fn identity<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hexadecimal(&hash.finalize())
}

/// The SHA-256 of a file's contents.
///
/// # Errors
/// If it cannot be read.
pub(super) fn identity_of_file(path: &Path) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    let copied = File::open(path).and_then(|mut file| {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                n => hash.update(&buffer[..n]),
            }
        }
    });
    copied
        .map_err(|error| Failure::Invalid(format!("{}: cannot read this file: {error}", path.display())))?;
    Ok(hexadecimal(&hash.finalize()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn text_of(line: &Line) -> String {
    // Strings, numbers and lists of them always serialise.
    let json = serde_json::to_string(line).unwrap_or_default();
    let checksum = hexadecimal(&Sha256::digest(json.as_bytes()));
    format!("{} {json}\n", &checksum[..CHECKSUM_DIGITS])
}

/// The line, if it is whole.
fn read_line(text: &str) -> Option<Line> {
    let (checksum, json) = text.split_once(' ')?;
    let expected = hexadecimal(&Sha256::digest(json.as_bytes()));
    (checksum == &expected[..CHECKSUM_DIGITS]).then(|| serde_json::from_str(json).ok())?
}

impl Journal {
    /// Opens the journal in this folder, or begins one. `fresh` forgets what it held.
    ///
    /// # Errors
    /// If it belongs to another sweep, another process writes to it, or the folder cannot be written.
    pub(super) fn open(folder: &Path, identity: String, fresh: bool) -> Result<Self, Failure> {
        let path = folder.join(NAME);
        let failed = |doing: &str, error: &dyn std::fmt::Display| {
            Failure::Failed(format!("{}: cannot {doing} this file: {error}", path.display()))
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .append(true)
            .open(&path)
            .map_err(|error| failed("open", &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Failed(format!(
                    "{}: another sweep is writing here: wait for it, or choose another --out",
                    folder.display()
                )));
            }
            // A file system without locks: nobody can be kept out.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failed("lock", &error)),
        }
        if fresh {
            file.set_len(0).map_err(|error| failed("empty", &error))?;
        }
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
        read.map_err(|error| failed("read", &error))?;
        let text = String::from_utf8_lossy(&bytes);
        let runs = runs_of(&text, &identity, folder)?;
        let header =
            Line::Sweep { kendall_version: env!("CARGO_PKG_VERSION").into(), identity: identity.clone() };
        let mut start = String::new();
        if !text.is_empty() && !text.ends_with('\n') {
            start.push('\n');
        }
        if text.lines().find_map(read_line).is_none() {
            start.push_str(&text_of(&header));
        }
        file.write_all(start.as_bytes()).map_err(|error| failed("write to", &error))?;
        Ok(Self { path, identity, file: Mutex::new(file), runs })
    }

    /// Keeps a finished run.
    ///
    /// # Errors
    /// If the disk is full.
    pub(super) fn keep(&self, id: RunId, outcome: &RunOutcome) -> Result<(), Failure> {
        let line = text_of(&Line::Run { id, outcome: outcome.clone() });
        // A thread that panicked while it wrote leaves a torn line, which is not believed.
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(line.as_bytes()).map_err(|error| {
            let path = self.path.display();
            Failure::Failed(format!(
                "{path}: cannot keep a finished run: {error}; free some space and run the same command again"
            ))
        })
    }

    /// The journal as it looks if the sweep was never interrupted.
    pub(super) fn in_order(&self, runs: &BTreeMap<RunId, RunOutcome>) -> String {
        let header = Line::Sweep {
            kendall_version: env!("CARGO_PKG_VERSION").into(),
            identity: self.identity.clone(),
        };
        let lines = runs.iter().map(|(&id, outcome)| text_of(&Line::Run { id, outcome: outcome.clone() }));
        std::iter::once(text_of(&header)).chain(lines).collect()
    }
}

/// The finished runs in a journal's text.
fn runs_of(text: &str, identity: &str, folder: &Path) -> Result<BTreeMap<RunId, RunOutcome>, Failure> {
    let mut lines = text.lines().filter_map(read_line);
    match lines.next() {
        // New, or killed while its first line was written.
        None => return Ok(BTreeMap::new()),
        Some(Line::Sweep { identity: found, .. }) if found == identity => {}
        Some(Line::Sweep { kendall_version, .. }) => {
            return Err(Failure::Invalid(format!(
                "{}: it holds another sweep (of kendall {kendall_version}; the scenario, a file that it names, --set, \
                 --vary, --seed or the version differ): choose another --out, or discard it with --fresh",
                folder.display()
            )));
        }
        Some(Line::Run { .. }) => {
            return Err(Failure::Invalid(format!(
                "{}: its first line is damaged: choose another --out, or discard it with --fresh",
                folder.join(NAME).display()
            )));
        }
    }
    let runs = lines.filter_map(|line| match line {
        Line::Run { id, outcome } => Some((id, outcome)),
        Line::Sweep { .. } => None,
    });
    Ok(runs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kendall_study::RunFigures;

    fn outcome(value: f64) -> RunOutcome {
        RunOutcome::Figures(RunFigures {
            num_requests: 7,
            stalled: false,
            drift: None,
            values: vec![Some(value), None],
        })
    }

    fn open(folder: &Path) -> Journal {
        Journal::open(folder, "a".into(), false).unwrap_or_else(|_| panic!("it opens"))
    }

    #[test]
    fn values_come_back_to_the_bit_and_torn_lines_do_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let values = [0.1 + 0.2, 1.0 / 3.0, 5e-324, f64::MAX, 123_456_789.123_456_78];
        let journal = open(folder.path());
        for (point, &value) in values.iter().enumerate() {
            assert!(journal.keep(RunId { point, replication: 3 }, &outcome(value)).is_ok());
        }
        drop(journal);
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        let all: Vec<_> = open(folder.path()).runs.into_values().collect();
        assert_eq!(all, values.map(outcome));
        // Wherever a kill tears the file, only the last line is lost, and the next run finds its place.
        for cut in (0..whole.len()).step_by(7) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let kept = open(folder.path()).runs.len();
            let journal = open(folder.path());
            assert_eq!(journal.runs.len(), kept);
            assert!(journal.runs.values().zip(values).all(|(found, value)| *found == outcome(value)));
            let lines = whole[..cut].split(|&byte| byte == b'\n').count() - 1;
            assert!(kept == lines.saturating_sub(1) || kept == lines, "{kept} of {lines} at {cut}");
            let id = RunId { point: 99, replication: 0 };
            assert!(journal.keep(id, &outcome(1.0)).is_ok());
            drop(journal);
            assert_eq!(open(folder.path()).runs.len(), kept + 1);
        }
    }

    #[test]
    fn another_sweep_and_a_second_writer_are_kept_out() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path());
        assert!(matches!(Journal::open(folder.path(), "a".into(), false), Err(Failure::Failed(_))));
        drop(journal);
        assert!(matches!(Journal::open(folder.path(), "b".into(), false), Err(Failure::Invalid(_))));
        assert!(Journal::open(folder.path(), "b".into(), true).is_ok());
    }
}
