//! A run played again: of a scenario, or of the folder that `kendall run --out` filled. Equal scenario, seed and version
//! give the same run (invariant 1), so that details need not be kept: they are asked for again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kendall_des::Streams;
use kendall_serving::scenario::Resolved;
use kendall_serving::{Observer, RequestRecord, RunEnd, Simulation};
use serde_json::Value;

use crate::exit::Failure;
use crate::scenario_file::{ScenarioFile, Source};
use crate::workload::{self, Prepared};

use super::run::failure;

/// A run that can be played any number of times.
pub(crate) struct Replay {
    pub file: ScenarioFile,
    pub resolved: Resolved,
    pub seed: u64,
    prepared: Prepared,
    /// The results of an earlier play, to be held against this one.
    folder: Option<PathBuf>,
}

impl Replay {
    /// Of a scenario file, of a folder with results, or of the embedded quick start.
    pub(crate) fn open(path: Option<&Path>, changes: &[String], seed: Option<u64>) -> Result<Self, Failure> {
        let folder = path.filter(|path| path.is_dir());
        if let Some(folder) = folder {
            return Self::of_folder(folder, changes, seed);
        }
        let file = ScenarioFile::of(Source::open(path)?, changes)?;
        let seed = seed.or(file.scenario.seed).unwrap_or(0);
        Self::of_file(file, seed, None)
    }

    fn of_file(file: ScenarioFile, seed: u64, folder: Option<PathBuf>) -> Result<Self, Failure> {
        let resolved = file.resolve()?;
        let prepared = workload::prepare(&file)?;
        Ok(Self { file, resolved, seed, prepared, folder })
    }

    fn of_folder(folder: &Path, changes: &[String], seed: Option<u64>) -> Result<Self, Failure> {
        if !changes.is_empty() || seed.is_some() {
            let message = format!(
                "{}: a folder of results is played as it was: leave out --set and --seed, or name its scenario.toml",
                folder.display()
            );
            return Err(Failure::Invalid(message));
        }
        let summary = read_summary(folder)?;
        if summary.get("replications").is_some() {
            let message = format!(
                "{}: these are means over replications; make a folder of one run with `kendall run --out`",
                folder.display()
            );
            return Err(Failure::Invalid(message));
        }
        let seed = summary.get("seed").and_then(Value::as_u64).ok_or_else(|| no_run(folder, "no `seed`"))?;
        let path = folder.join("scenario.toml");
        let mut source = Source::open(Some(&path))?;
        if let Some(name) = summary.get("scenario").and_then(Value::as_str) {
            name.clone_into(&mut source.stem);
        }
        Self::of_file(ScenarioFile::of(source, &[])?, seed, Some(folder.to_owned()))
    }

    /// Plays the run under this observer.
    pub(crate) fn play<O: Observer>(&self, observer: O) -> Result<(RunEnd, O), Failure> {
        let streams = || Streams::new(self.seed, 0);
        let ready = self.prepared.begin(&self.file, streams())?;
        Simulation::new(&self.resolved.simulation, ready.requests, observer)
            .map_err(|error| Failure::Invalid(error.to_string()))?
            .with_streams(streams())
            .run()
            .map_err(|error| failure(&self.file, &error))
    }

    /// Holds records against the folder's `requests.csv`.
    ///
    /// # Errors
    /// If they differ: another version of kendall, or a file changed since.
    pub(crate) fn check(&self, records: &[RequestRecord]) -> Result<(), Failure> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.join("requests.csv");
        let known = finishes(&path)?;
        let differs = records.iter().find(|record| {
            let finish = record.finish - kendall_des::SimTime::ZERO;
            let finish = format!("{}.{:012}", finish.as_ps() / PS_PER_S, finish.as_ps() % PS_PER_S);
            known.get(&record.index).is_some_and(|known| *known != finish)
        });
        match differs {
            None => Ok(()),
            Some(record) => Err(Failure::Invalid(format!(
                "{}: request {} left at {} s, and at another time when the run was played again: the folder is of another \
                 version of kendall, or its scenario was changed; make it again with `kendall run --out`",
                path.display(),
                record.index,
                known[&record.index]
            ))),
        }
    }
}

const PS_PER_S: u64 = 1_000_000_000_000;

/// The text of `finish_s` by request.
fn finishes(path: &Path) -> Result<BTreeMap<u64, String>, Failure> {
    let wrong = |reason: &str| Failure::Invalid(format!("{}: {reason}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(&format!("cannot read this file: {error}; `kendall run --out` writes it")))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name| header.iter().position(|&column| column == name);
    let (Some(request), Some(finish)) = (column("request"), column("finish_s")) else {
        return Err(wrong("no columns `request` and `finish_s`; `kendall run --out` writes them"));
    };
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        Some((fields.get(request)?.parse().ok()?, (*fields.get(finish)?).to_owned()))
    };
    lines
        .map(|line| row(line).ok_or_else(|| wrong(&format!("this is no row of a request: {line}"))))
        .collect()
}

fn no_run(folder: &Path, reason: &str) -> Failure {
    Failure::Invalid(format!(
        "{}: this is no folder of `kendall run --out`: {reason}",
        folder.join("summary.json").display()
    ))
}

/// The `summary.json` of a folder.
pub(crate) fn read_summary(folder: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(folder.join("summary.json"))
        .map_err(|error| no_run(folder, &error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| no_run(folder, &error.to_string()))
}
