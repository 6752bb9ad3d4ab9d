//! `kendall capacity`

mod draws;
mod text;

use std::process::ExitCode;

use clap::ValueEnum;
use kendall_serving::GoodputLimits;
use kendall_serving::scenario::Resolved;
use kendall_serving::workload::Arrivals;
use kendall_study::Workers;
use kendall_study::capacity::{
    Answer, CapacityError, Ending, Find, Load, Question, Slo, capacity as search, parse_slos,
};
use serde_json::json;

use crate::args::{CapacityArgs, Sought};
use crate::exit::{Failure, print};
use crate::origin::Words;
use crate::progress::{Counts, StudyProgress, interrupt_flag};
use crate::scenario_file::{ScenarioFile, Source};
use crate::study::{ScenarioWorkloads, check_random, failure, is_closed, rate_per_s};

use super::report::write_page;
use super::run::what;
use super::uncertainty::known;
use draws::CapacityDraws;

/// Requests of a run: at least so many ...
const FEWEST_REQUESTS: u64 = 5_000;
/// ... and at least so many for each seat of the server, so that starting and ending do not count for much ...
const REQUESTS_A_SEAT: u64 = 10;
/// ... but not more than this.
const MOST_REQUESTS: u64 = 50_000;

pub(crate) fn capacity(args: &CapacityArgs) -> Result<ExitCode, Failure> {
    let mut file = ScenarioFile::of(Source::open(args.scenario.as_deref())?, &args.set)?;
    let resolved = file.resolve()?;
    let slos = objectives(args, resolved.goodput)?;
    if file.scenario.workload.trace.is_some() {
        check_random(&file, "kendall capacity")?;
    }
    if args.parameter_uncertainty.is_some() {
        // A refusal comes before the search.
        known(&resolved)?;
    }
    let find = match args.find {
        Sought::Rate => Find::Rate,
        Sought::Concurrency => Find::Concurrency,
        Sought::Replicas => Find::Replicas,
    };
    let requests = args.requests.unwrap_or_else(|| requests_of(&resolved));
    let workload = &mut file.scenario.workload;
    (workload.requests, workload.duration_s) = (Some(requests), None);
    workload.rescale_arrivals = None;
    if find == Find::Concurrency {
        make_open(&mut file)?;
    } else if is_closed(&file) {
        return Err(Failure::Invalid(
            "workload: clients that wait for answers have no rate of their own: use --find concurrency, or arrivals with a rate"
                .into(),
        ));
    }
    let seed = args.seed.or(file.scenario.seed).unwrap_or(0);
    let workers = Workers::new(args.threads).map_err(|error| Failure::Failed(error.to_string()))?;
    let progress = StudyProgress::new(Counts::Runs, None, args.quiet, interrupt_flag());
    let question = Question {
        simulation: &resolved.simulation,
        slos: &slos,
        find,
        rate_per_s: rate_per_s(&file),
        confidence: args.confidence,
        requests,
        resolution: args.resolution,
        load: Load::UNCHANGED,
        sensitivity_runs: if args.no_sensitivity { 0 } else { args.sensitivity_runs },
    };
    let workloads = ScenarioWorkloads::new(&file, seed)?;
    let answer = search(&question, &workloads, &workers, &progress);
    progress.clear();
    let answer = answer.map_err(|error| search_failure(&file, error))?;
    let uncertainty = args
        .parameter_uncertainty
        .map(|draws| {
            CapacityDraws {
                file: &file,
                resolved: &resolved,
                question: &question,
                answer: &answer,
                workloads: &workloads,
                workers: &workers,
                draws,
                seed,
                quiet: args.quiet,
            }
            .play()
        })
        .transpose()?;
    let report = Report { file: &file, resolved: &resolved, question: &question, answer: &answer, seed };
    let mut json = report.to_json();
    if let (Some(fields), Some(found)) = (json.as_object_mut(), &uncertainty) {
        fields.insert("parameter_uncertainty".into(), found.to_json());
    }
    let words = Words::new("capacity", seed)
        .options("slo", &args.slo)
        .option("find", &find_word(args.find))
        .option("requests", &requests)
        .option("confidence", &args.confidence)
        .option("resolution", &args.resolution)
        .flag("no-sensitivity", args.no_sensitivity);
    words.origin(file.text(), &resolved).add_to(&mut json);
    if let Some(path) = &args.report {
        write_page(path, &json)?;
    }
    print(&if args.json {
        format!("{json:#}\n")
    } else {
        report.to_text() + &uncertainty.map(|found| found.to_text(&answer)).unwrap_or_default()
    })?;
    Ok(if answer.ending == Ending::Impossible { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Why a search gave no answer, for a user.
fn search_failure(file: &ScenarioFile, error: CapacityError<Failure>) -> Failure {
    match error {
        CapacityError::Run(error) => failure(file, error),
        CapacityError::NoRate => Failure::Invalid(
            "workload.arrivals: all requests come at once, so that there is no rate: give a process with a rate, or use \
             --find concurrency"
                .into(),
        ),
        CapacityError::TooFewRequests(_) => Failure::Invalid(format!("{error}: raise --requests")),
    }
}

/// How the command line calls what is sought.
fn find_word(sought: Sought) -> String {
    sought.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Takes the scenario's own limits on concurrency away, for the search to set its own.
fn make_open(file: &mut ScenarioFile) -> Result<(), Failure> {
    let workload = &mut file.scenario.workload;
    workload.max_concurrency = None;
    match workload.arrivals {
        Some(Arrivals::ClosedLoop { think_time_s: Some(think_time_s), .. }) if think_time_s > 0.0 => {
            Err(Failure::Invalid(
                "workload.arrivals.think_time_s: the search is over clients that do not think: leave it out, or use `kendall \
                 sweep --vary workload.arrivals.concurrency=...`"
                    .into(),
            ))
        }
        Some(Arrivals::ClosedLoop { .. }) => {
            workload.arrivals = Some(Arrivals::AtOnce {});
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The objectives of the command line, or else the scenario's goodput.
fn objectives(args: &CapacityArgs, goodput: Option<GoodputLimits>) -> Result<Vec<Slo>, Failure> {
    let texts = if args.slo.is_empty() && goodput.is_some() {
        vec![format!("goodput>={}", kendall_study::capacity::DEFAULT_GOODPUT)]
    } else {
        args.slo.clone()
    };
    parse_slos(&texts, goodput).map_err(|error| Failure::Invalid(format!("--slo {error}")))
}

fn requests_of(resolved: &Resolved) -> u64 {
    let seats = u64::from(resolved.simulation.engine.max_num_seqs) * u64::from(resolved.simulation.replicas);
    (REQUESTS_A_SEAT * seats).clamp(FEWEST_REQUESTS, MOST_REQUESTS)
}

/// A question with its answer.
struct Report<'a> {
    file: &'a ScenarioFile,
    resolved: &'a Resolved,
    question: &'a Question<'a>,
    answer: &'a Answer,
    seed: u64,
}

impl Report<'_> {
    fn what(&self) -> String {
        what(&self.file.scenario.server)
    }

    fn to_json(&self) -> serde_json::Value {
        let slos: Vec<String> = self.question.slos.iter().map(ToString::to_string).collect();
        json!({
            "kendall_version": env!("CARGO_PKG_VERSION"),
            "scenario": self.file.name,
            "seed": self.seed,
            "engine": self.resolved.engine,
            "estimate": self.resolved.step_time.is_estimate(),
            "slos": slos,
            "confidence": self.question.confidence,
            "requests_a_run": self.question.requests,
            "find": self.answer.find,
            "ending": self.answer.ending,
            "feasible": self.answer.good,
            "infeasible": self.answer.bad,
            "load_bound_per_s": self.answer.bound,
            "binding": self.binding(),
            "zero_load": self.answer.zero_load,
            "trials": self.answer.trials,
            "sensitivity": self.answer.sensitivity,
        })
    }
}
