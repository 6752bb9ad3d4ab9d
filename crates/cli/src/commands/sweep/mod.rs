//! `kendall sweep`

mod baseline;
mod journal;
mod vary;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use kendall_report::{
    Colours, Difference, Origin, OutputDir, PointStatus, SweepPointRow, SweepReport, WrittenFile,
};
use kendall_study::{Replications, RunId, RunOutcome, SweepError, SweepPoint, Workers, sweep as play_sweep};
use kendall_theory::output::Verdict;
use serde_json::Value;

use crate::args::SweepArgs;
use crate::exit::{Failure, print};
use crate::origin::Words;
use crate::progress::{Counts, StudyProgress, interrupt_flag};
use crate::scenario_file::{ScenarioFile, Source};
use crate::study::{ScenarioWorkloads, check_random, failure, rows, setting, verdict};

use super::predict;
use super::report::write_report;

use journal::Journal;
use vary::Axis;

/// Replications of a point unless the user says otherwise: enough for an interval.
const REPLICATIONS: u32 = 5;

pub(crate) fn sweep(args: &SweepArgs) -> Result<ExitCode, Failure> {
    let workers = Workers::new(args.threads).map_err(|error| Failure::Failed(error.to_string()))?;
    let plan = Plan::of(args, &workers)?;
    let points = plan.points(&workers)?;
    let missing_of = |runs: &BTreeMap<RunId, RunOutcome>| -> Vec<RunId> {
        plan.all_runs().filter(|id| !runs.contains_key(id)).collect()
    };
    let interrupted = interrupt_flag();
    let (out, journal) = match &args.out {
        None => (None, None),
        Some(folder) => {
            let out = OutputDir::create(folder)?;
            let journal = Journal::open(folder, plan.identity(&points)?, args.fresh)?;
            // A kill leaves temporary files behind; the lock on the journal says that nobody is writing them.
            out.remove_leftovers();
            (Some(out), Some(journal))
        }
    };
    let mut runs = journal.as_ref().map(|journal| journal.runs.clone()).unwrap_or_default();
    let missing = missing_of(&runs);
    let total = plan.all_runs().count();
    let progress = StudyProgress::new(Counts::Runs, Some(total as u64), args.quiet, interrupted);
    progress.skip((total - missing.len()) as u64);
    let fresh = std::sync::Mutex::new(BTreeMap::new());
    let keep = |id: RunId, outcome: &RunOutcome| {
        if let Some(journal) = &journal {
            journal.keep(id, outcome)?;
        }
        fresh.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(id, outcome.clone());
        Ok::<(), Failure>(())
    };
    let played = play_sweep(&points, &missing, &keep, &workers, &progress);
    progress.clear();
    runs.append(&mut fresh.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    played.map_err(|error| match error {
        SweepError::Run(point, error) => match failure(&plan.files[point], error) {
            Failure::Interrupted => {
                interrupted_failure(args.out.is_some(), total - missing_of(&runs).len(), total)
            }
            failure => failure,
        },
        SweepError::Keep(failure) => failure,
    })?;
    let report = plan.report(&points, &runs, &workers)?;
    if let (Some(out), Some(journal)) = (&out, &journal) {
        write_files(out, &report, args.paired, &journal.in_order(&runs), &workers)?;
    }
    if let Some(folder) = args.out.as_deref().filter(|_| args.report) {
        write_report(folder)?;
    }
    print(&if args.json { format!("{:#}\n", report.to_json()) } else { report.to_table() })?;
    let stalled = report.points.iter().any(|point| point.status == PointStatus::Stalled);
    Ok(if stalled { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn interrupted_failure(kept: bool, done: usize, total: usize) -> Failure {
    if kept {
        Failure::InterruptedWith(format!(
            "interrupted: {done} of {total} runs are kept; the same command goes on from there"
        ))
    } else {
        Failure::Interrupted
    }
}

/// All files are on disk before the first appears. They are drawn and written in parallel: most of the time goes into
/// waiting for the disk.
fn write_files(
    out: &OutputDir,
    report: &SweepReport<'_>,
    paired: bool,
    journal: &str,
    workers: &Workers,
) -> Result<(), Failure> {
    let charts = report.charts(paired);
    let write = |number: usize| -> Result<WrittenFile, Failure> {
        Ok(match number.checked_sub(2).and_then(|chart| charts.get(chart)) {
            Some((name, chart)) => {
                let svg = chart.to_svg(Colours::Fixed).map_err(|error| Failure::Failed(error.to_string()))?;
                out.write(name, svg.as_bytes())?
            }
            None if number == 0 => out.write("sweep.csv", &report.to_csv())?,
            None if number == 1 => out.write("sweep.json", format!("{:#}\n", report.to_json()).as_bytes())?,
            None => out.write(journal::NAME, journal.as_bytes())?,
        })
    };
    let files = workers.map(3 + charts.len(), write)?;
    Ok(files.into_iter().try_for_each(WrittenFile::publish)?)
}

/// What is to be played.
struct Plan {
    axes: Vec<Axis>,
    /// The values of each point.
    values: Vec<Vec<String>>,
    /// The scenario of each point.
    files: Vec<ScenarioFile>,
    seed: u64,
    replications: u32,
    confidence: f64,
    /// What each point is compared with.
    baselines: Option<Vec<usize>>,
    origin: Origin,
    /// Whether the models are asked at every point, for a report.
    with_theory: bool,
}

impl Plan {
    fn of(args: &SweepArgs, workers: &Workers) -> Result<Self, Failure> {
        let invalid = |text: &str, message: String| Failure::Invalid(format!("--vary {text}: {message}"));
        let axes: Result<Vec<Axis>, Failure> = args
            .vary
            .iter()
            .map(|text| Axis::parse(text).map_err(|message| invalid(text, message)))
            .collect();
        let axes = axes?;
        let values = vary::points(&axes, args.paired)
            .map_err(|message| invalid(&args.vary.join(" --vary "), message))?;
        let source = Source::open(args.scenario.as_deref())?;
        let file = |values: &Vec<String>| {
            let varied = axes.iter().zip(values).map(|(axis, value)| format!("{}={value}", axis.key));
            let changes: Vec<String> = args.set.iter().cloned().chain(varied).collect();
            ScenarioFile::of(source.clone(), &changes)
        };
        let files = workers.map(values.len(), |point| file(&values[point]))?;
        let traced = files.iter().find(|file| file.scenario.workload.trace.is_some());
        let replications = match (traced, args.replications) {
            (None, wanted) => wanted.unwrap_or(REPLICATIONS),
            (Some(_), None | Some(1)) => 1,
            (Some(file), Some(_)) => {
                check_random(file, "--replications")?;
                1
            }
        };
        let seed = args.seed.or(files.first().and_then(|file| file.scenario.seed)).unwrap_or(0);
        let baselines = baseline::baselines(&args.baseline, &axes, &values)
            .map_err(|message| Failure::Invalid(format!("--baseline {message}")))?;
        // Without the varied values a scenario may be incomplete.
        let base = ScenarioFile::of(source.clone(), &args.set);
        let scenario = base.as_ref().map_or(source.text.as_str(), ScenarioFile::text);
        // A sweep has a point.
        let resolved = files
            .first()
            .map_or_else(|| ScenarioFile::of(source.clone(), &args.set)?.resolve(), ScenarioFile::resolve)?;
        let origin = Words::new("sweep", seed)
            .options("vary", &args.vary)
            .flag("paired", args.paired)
            .options("baseline", &args.baseline)
            .options("set", &args.set)
            .option("replications", &replications)
            .option("confidence", &args.confidence)
            .origin(scenario, &resolved);
        let confidence = args.confidence;
        Ok(Self {
            axes,
            values,
            files,
            seed,
            replications,
            confidence,
            baselines,
            origin,
            with_theory: args.report,
        })
    }

    /// Every point ready to play; all mistakes are found before the first run.
    fn points(&self, workers: &Workers) -> Result<Vec<SweepPoint<ScenarioWorkloads<'_>>>, Failure> {
        workers.map(self.files.len(), |point| {
            let file = &self.files[point];
            let resolved = file.resolve()?;
            let workloads = ScenarioWorkloads::new(file, self.seed)?;
            Ok(SweepPoint { setting: setting(file, &resolved), workloads })
        })
    }

    /// Replication by replication, so that each point soon has some.
    fn all_runs(&self) -> impl Iterator<Item = RunId> {
        let points = self.files.len();
        (0..self.replications)
            .flat_map(move |replication| (0..points).map(move |point| RunId { point, replication }))
    }

    /// What the runs depend on: version, seed, the scenario of each point, the files that they name.
    fn identity(&self, points: &[SweepPoint<ScenarioWorkloads<'_>>]) -> Result<String, Failure> {
        let mut traces: BTreeMap<PathBuf, String> = BTreeMap::new();
        for file in &self.files {
            if let Some(path) = file.trace_path().filter(|path| !traces.contains_key(path)) {
                let digest = journal::identity_of_file(&path)?;
                traces.insert(path, digest);
            }
        }
        let fixed = [env!("CARGO_PKG_VERSION").to_owned(), self.seed.to_string()];
        let texts = self.files.iter().map(|file| file.text().to_owned());
        let requests = points.iter().map(|point| point.workloads.fingerprint());
        let parts: Vec<String> =
            fixed.into_iter().chain(texts).chain(requests).chain(traces.into_values()).collect();
        Ok(journal::identity(parts.iter().map(String::as_bytes)))
    }

    fn report<'a>(
        &'a self,
        points: &[SweepPoint<ScenarioWorkloads<'_>>],
        runs: &BTreeMap<RunId, RunOutcome>,
        workers: &Workers,
    ) -> Result<SweepReport<'a>, Failure> {
        let outcomes: Vec<Outcome> = (0..points.len()).map(|number| self.outcome(number, runs)).collect();
        // A verdict reads thousands of requests: not one point after the other.
        let rows = workers.map(points.len(), |number| {
            let outcome = &outcomes[number];
            let status = self.status(&points[number], outcome)?;
            let overloaded = matches!(status, PointStatus::Overloaded(_));
            Ok::<_, Failure>(SweepPointRow {
                values: self.values[number].iter().map(|value| json_of(value)).collect(),
                figures: rows(&outcome.replications, overloaded, self.confidence),
                status,
                difference: None,
                theory: if self.with_theory { self.theory(number)? } else { Value::Null },
            })
        });
        let mut rows = rows?;
        for (number, &baseline) in self.baselines.iter().flatten().enumerate() {
            let steady = |row: &SweepPointRow| !matches!(row.status, PointStatus::Overloaded(_));
            let figures = baseline::differences(
                &outcomes[number].replications,
                &outcomes[baseline].replications,
                steady(&rows[number]) && steady(&rows[baseline]),
                self.confidence,
            );
            rows[number].difference = Some(Difference { baseline, figures });
        }
        Ok(SweepReport {
            kendall_version: env!("CARGO_PKG_VERSION"),
            name: self.files.first().map_or("", |file| &file.name),
            seed: self.seed,
            replications: self.replications,
            confidence: self.confidence,
            keys: self.axes.iter().map(|axis| axis.key.clone()).collect(),
            points: rows,
            warnings: Vec::new(),
            origin: self.origin.clone(),
        })
    }

    /// What the stationary models say of a point.
    fn theory(&self, number: usize) -> Result<Value, Failure> {
        let file = &self.files[number];
        Ok(predict::stationary(file, &file.resolve()?))
    }

    /// What became of a point's runs.
    fn outcome(&self, number: usize, runs: &BTreeMap<RunId, RunOutcome>) -> Outcome {
        let outcomes =
            (0..self.replications).filter_map(|replication| runs.get(&RunId { point: number, replication }));
        let mut figures = Vec::new();
        let mut abandoned = None;
        for outcome in outcomes {
            match outcome {
                RunOutcome::Figures(run) => figures.push(run.clone()),
                RunOutcome::Abandoned(reason) => abandoned = abandoned.or(Some(reason.clone())),
            }
        }
        if abandoned.is_some() {
            // The runs that did end say nothing about those that did not.
            figures.clear();
        }
        Outcome { replications: Replications { runs: figures, precise: None, antithetic: false }, abandoned }
    }

    fn status(
        &self,
        point: &SweepPoint<ScenarioWorkloads<'_>>,
        outcome: &Outcome,
    ) -> Result<PointStatus, Failure> {
        if let Some(reason) = &outcome.abandoned {
            return Ok(PointStatus::Overloaded(reason.clone()));
        }
        let replications = &outcome.replications;
        let stability = verdict(&point.workloads, &point.setting.simulation, replications, self.confidence)?;
        Ok(match stability.verdict {
            _ if replications.stalled() > 0 => PointStatus::Stalled,
            Verdict::Stable { .. } | Verdict::Bounded => PointStatus::Completed,
            Verdict::Transient { .. } => PointStatus::Transient(stability.reason()),
            Verdict::NearCapacity { .. } => PointStatus::NearCapacity(stability.reason()),
            Verdict::Overloaded { .. } => PointStatus::Overloaded(stability.reason()),
        })
    }
}

/// What became of the runs of a point.
struct Outcome {
    replications: Replications,
    /// Why a run was given up.
    abandoned: Option<String>,
}

/// A TOML value as JSON; what is no TOML is a string.
fn json_of(text: &str) -> Value {
    let table = toml::from_str::<toml::Table>(&format!("value = {text}"));
    let value = table.ok().and_then(|table| serde_json::to_value(table.get("value")?).ok());
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}
