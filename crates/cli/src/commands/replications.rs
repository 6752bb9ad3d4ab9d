//! `kendall run` with `--replications` or `--precision`.

use std::process::ExitCode;

use kendall_report::{OutputDir, ReplicationsReport, WrittenFile, csv_table};
use kendall_serving::scenario::Resolved;
use kendall_study::{Extent, FIGURES, Figure, Replications, Stability, WATCHED, Workers, replicate};
use kendall_theory::output::Verdict;

use crate::args::RunArgs;
use crate::exit::{Failure, print};
use crate::progress::{Counts, StudyProgress, interrupt_flag};
use crate::scenario_file::ScenarioFile;
use crate::study::{ScenarioWorkloads, check_random, failure, rows, setting, verdict};

use super::report::write_report;
use super::run::{ledger, what};
use super::uncertainty::{RunDraws, run_uncertainty};

/// Most replications for a precision, unless the user names another number.
const MOST_FOR_PRECISION: u32 = 1_000;

pub(super) fn replications(
    args: &RunArgs,
    file: &ScenarioFile,
    resolved: &Resolved,
    seed: u64,
    mut warnings: Vec<String>,
) -> Result<ExitCode, Failure> {
    let wanted = &args.replications;
    check_random(file, if wanted.precision.is_some() { "--precision" } else { "--replications" })?;
    let extent = match (wanted.precision, wanted.replications) {
        (Some(relative), most) => Extent::Precision { relative, most: most.unwrap_or(MOST_FOR_PRECISION) },
        (None, n) => Extent::Fixed(n.unwrap_or(1)),
    };
    let workloads = ScenarioWorkloads::new(file, seed)?;
    let workloads = if wanted.antithetic { workloads.antithetic() } else { workloads };
    if let (true, Some(n)) = (wanted.antithetic, wanted.replications.filter(|n| n % 2 == 1)) {
        return Err(Failure::Invalid(format!(
            "--antithetic: {n} replications make no pairs: give an even number with --replications"
        )));
    }
    let requests_a_run = workloads.total()?;
    let total = match extent {
        Extent::Fixed(n) => requests_a_run.map(|requests| requests.saturating_mul(n.into())),
        Extent::Precision { .. } => None,
    };
    let workers = Workers::new(wanted.threads).map_err(|error| Failure::Failed(error.to_string()))?;
    let progress = StudyProgress::new(Counts::Requests, total, args.quiet, interrupt_flag());
    let setting = setting(file, resolved);
    let done = replicate(&setting, &workloads, extent, wanted.confidence, &workers, &progress);
    progress.clear();
    let done = done.map_err(|error| failure(file, error))?;
    let verdict = verdict(&workloads, &setting.simulation, &done, wanted.confidence)?;
    let overloaded = verdict.is_overloaded();
    warnings.extend(cautions(&done, resolved));
    warnings.extend(caution_of(&verdict));
    let report = ReplicationsReport {
        kendall_version: env!("CARGO_PKG_VERSION"),
        name: &file.name,
        what: what(&file.scenario.server),
        seed,
        resolved,
        replications: done.runs.len() as u32,
        antithetic: done.antithetic.then(|| width_ratios(&done)),
        confidence: wanted.confidence,
        precision: wanted.precision.zip(done.precise),
        stalled: done.stalled(),
        verdict: verdict.verdict.word(),
        reason: verdict.reason(),
        figures: rows(&done, overloaded, wanted.confidence),
        warnings,
    };
    let uncertainty = wanted
        .parameter_uncertainty
        .map(|draws| {
            run_uncertainty(&RunDraws {
                file,
                resolved,
                workloads: &workloads,
                done: &done,
                workers: &workers,
                draws,
                seed,
                confidence: wanted.confidence,
            })
        })
        .transpose()?;
    let mut json = report.to_json();
    if let (Some(fields), Some(found)) = (json.as_object_mut(), &uncertainty) {
        fields.insert("parameter_uncertainty".into(), found.to_json());
    }
    let json = format!("{json:#}\n");
    if let Some(out) = &args.out {
        let out = OutputDir::create(out)?;
        let files = [
            out.write("scenario.toml", file.text().as_bytes())?,
            out.write("replications.csv", &rows_of_runs(&done))?,
            out.write("summary.json", json.as_bytes())?,
        ];
        files.into_iter().try_for_each(WrittenFile::publish)?;
    }
    if let Some(folder) = args.out.as_deref().filter(|_| args.report) {
        write_report(folder)?;
    }
    let ledger = if args.ledger { ledger(&resolved.ledger) } else { String::new() };
    let uncertainty = uncertainty.map(|found| found.to_text()).unwrap_or_default();
    print(&if args.json { json } else { report.to_table() + &uncertainty + &ledger })?;
    let imprecise = done.precise == Some(false);
    Ok(if report.stalled > 0 || imprecise { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// How much narrower antithetic pairs make the intervals of a few figures.
fn width_ratios(done: &Replications) -> Vec<(&'static str, f64)> {
    let ratio = |figure: &Figure| Some((figure.name, done.antithetic_width_ratio(figure.name)?));
    FIGURES.iter().filter(|figure| WATCHED.contains(&figure.name)).filter_map(ratio).collect()
}

/// Below so many requests a run's p99 rests on fewer than twenty of them.
const FEW_FOR_P99: u64 = 2_000;

/// What a reader must know before using the figures.
fn cautions(done: &Replications, resolved: &Resolved) -> Vec<String> {
    let mut cautions = Vec::new();
    if resolved.step_time.is_estimate() {
        cautions.push(
            "ESTIMATE: the step times come from datasheets; no server with this GPU and model was measured"
                .into(),
        );
    }
    if done.stalled() > 0 {
        cautions.push(format!(
            "STALLED: in {} of {} runs a replica scheduled without delivering a token",
            done.stalled(),
            done.runs.len()
        ));
    }
    let fewest = done.fewest_requests();
    if fewest < FEW_FOR_P99 {
        cautions.push(format!(
            "each p99 is the mean of the runs' own p99, which rests on {} of {fewest} requests: use more requests",
            fewest.div_ceil(100)
        ));
    }
    if done.precise == Some(false) {
        cautions.push(format!(
            "the precision was not reached in {} runs: allow more with --replications, or give each run more requests",
            done.runs.len()
        ));
    }
    cautions
}

/// What a reader must know of the verdict.
fn caution_of(stability: &Stability) -> Option<String> {
    match stability.verdict {
        Verdict::Stable { .. } | Verdict::Bounded => None,
        Verdict::Transient { .. } => Some(
            "TRANSIENT: the workload ends or changes on the way; means are over independent runs of it from an empty start, not \
             of a steady state"
                .into(),
        ),
        Verdict::NearCapacity { .. } => Some(
            "NEAR CAPACITY: the runs do not show whether the queue settles: figures of longer runs may be larger".into(),
        ),
        Verdict::Overloaded { .. } => Some(
            "OVERLOADED: there is no steady state, so TTFT, E2E, queue and goodput, which grow with the length of a run, are left out"
                .into(),
        ),
    }
}

/// One row a run.
fn rows_of_runs(done: &Replications) -> Vec<u8> {
    let columns = ["replication"].into_iter().chain(FIGURES.iter().map(|figure| figure.name));
    let rows = done.runs.iter().enumerate().map(|(number, run)| {
        let values = run.values.iter().map(|value| value.map(|value| value.to_string()).unwrap_or_default());
        std::iter::once(number.to_string()).chain(values).collect()
    });
    csv_table(columns, rows)
}
