//! `kendall predict`: the analytical models beside the simulation.

mod answer;
mod compare;
mod curves;
mod ladder;
mod loss;
mod model;
mod rungs;
mod sweep;
mod text;

use std::process::ExitCode;

use kendall_report::{OutputDir, WrittenFile};
use kendall_serving::scenario::Resolved;
use kendall_serving::workload::Arrivals;
use kendall_study::{Extent, Replications, Workers, replicate};

use crate::args::PredictArgs;
use crate::exit::{Failure, print};
use crate::origin::Words;
use crate::progress::{Counts, StudyProgress, interrupt_flag};
use crate::scenario_file::{ScenarioFile, Source};
use crate::study::{ScenarioWorkloads, check_random, failure, setting};

use super::report::write_report;
use super::run::what;
use answer::{Answers, Refusal, answers};
use compare::Comparison;
use model::Inputs;

pub(super) use loss::LossScenario;

/// Confidence where no interval is asked for.
const DEFAULT_CONFIDENCE: f64 = 0.95;

pub(crate) fn predict(args: &PredictArgs) -> Result<ExitCode, Failure> {
    let file = ScenarioFile::of(Source::open(args.scenario.as_deref())?, &args.set)?;
    check_random(&file, "kendall predict")?;
    let desk = Desk::new(args)?;
    if args.ladder {
        return ladder::ladder(args, &desk, &file);
    }
    if let Some(loads) = &args.sweep {
        return sweep::sweep(args, &desk, &file, &loads.0);
    }
    let seed = desk.seed(&file);
    let resolved = file.resolve()?;
    let (inputs, answers) = asked(&file, &resolved);
    let simulated = desk.simulate(&file)?;
    let report = text::Report {
        name: &file.name,
        what: what(&file.scenario.server),
        seed,
        resolved: &resolved,
        inputs: inputs.as_ref(),
        answers: &answers,
        comparison: Comparison::of(&answers, simulated.as_ref(), args.confidence),
        simulated: simulated.as_ref(),
    };
    let mut json = report.to_json(args.confidence);
    desk.words(&file).origin(file.text(), &resolved).add_to(&mut json);
    let json = format!("{json:#}\n");
    if let Some(folder) = &args.out {
        let out = OutputDir::create(folder)?;
        let files = [
            out.write("scenario.toml", file.text().as_bytes())?,
            out.write("predict.json", json.as_bytes())?,
            out.write("predict.csv", &report.to_csv())?,
        ];
        files.into_iter().try_for_each(WrittenFile::publish)?;
        if args.report {
            write_report(folder)?;
        }
    }
    print(&if args.json { json } else { report.to_text() })?;
    Ok(if answers.answers.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// What the models say of a scenario, without a simulation, as `--no-simulation --json` prints it.
pub(crate) fn theory(file: &ScenarioFile, resolved: &Resolved) -> serde_json::Value {
    let (inputs, answers) = asked(file, resolved);
    let report = text::Report {
        name: &file.name,
        what: what(&file.scenario.server),
        seed: file.scenario.seed.unwrap_or(0),
        resolved,
        inputs: inputs.as_ref(),
        answers: &answers,
        comparison: Comparison::of(&answers, None, DEFAULT_CONFIDENCE),
        simulated: None,
    };
    report.to_json(DEFAULT_CONFIDENCE)
}

/// What the models of a steady state say of a scenario: `{model: {figure: value}}`.
pub(crate) fn stationary(file: &ScenarioFile, resolved: &Resolved) -> serde_json::Value {
    let (_, answers) = asked(file, resolved);
    // The study's models are a base line to beat, not an answer.
    let of_steady_state = answers.answers.iter().filter(|answer| {
        ![answer::FLUID, answer::TRANSIENT].contains(&answer.model) && !answer.model.starts_with("study")
    });
    let figures = |answer: &answer::Answer| -> serde_json::Value {
        answer.figures.iter().map(|(name, value)| ((*name).to_owned(), serde_json::json!(value))).collect()
    };
    of_steady_state.map(|answer| (answer.model.to_owned(), figures(answer))).collect()
}

/// Every model's answer or refusal; no inputs where no model applies.
fn asked(file: &ScenarioFile, resolved: &Resolved) -> (Option<Inputs>, Answers) {
    match Inputs::of(file, resolved) {
        Ok(inputs) => {
            let found = answers(&inputs, inputs.rate_per_s, resolved.goodput);
            (Some(inputs), found)
        }
        Err(none) => {
            let refusal = Refusal { model: answer::PAGED, reason: none.0 };
            (None, Answers { refusals: vec![refusal], ..Answers::default() })
        }
    }
}

/// What plays simulations.
pub(super) struct Desk<'a> {
    args: &'a PredictArgs,
    workers: Workers,
    progress: StudyProgress,
}

impl<'a> Desk<'a> {
    fn new(args: &'a PredictArgs) -> Result<Self, Failure> {
        let workers = Workers::new(args.threads).map_err(|error| Failure::Failed(error.to_string()))?;
        let progress = StudyProgress::new(Counts::Runs, None, args.quiet, interrupt_flag());
        Ok(Self { args, workers, progress })
    }

    fn seed(&self, file: &ScenarioFile) -> u64 {
        self.args.seed.or(file.scenario.seed).unwrap_or(0)
    }

    /// The command that gives the same once more.
    fn words(&self, file: &ScenarioFile) -> Words {
        Words::new("predict", self.seed(file))
            .option("replications", &self.args.replications)
            .option("confidence", &self.args.confidence)
            .flag("no-simulation", self.args.no_simulation)
    }

    /// The replications of a scenario; `None` if no simulation is wanted.
    fn simulate(&self, file: &ScenarioFile) -> Result<Option<Replications>, Failure> {
        if self.args.no_simulation {
            return Ok(None);
        }
        let resolved = file.resolve()?;
        let workloads = ScenarioWorkloads::new(file, self.seed(file))?;
        let done = replicate(
            &setting(file, &resolved),
            &workloads,
            Extent::Fixed(self.args.replications),
            self.args.confidence,
            &self.workers,
            &self.progress,
        );
        self.progress.clear();
        done.map(Some).map_err(|error| failure(file, error))
    }
}

/// The scenario with Poisson arrivals of another rate.
pub(super) fn at_rate(file: &ScenarioFile, rate_per_s: f64) -> ScenarioFile {
    let mut file = file.clone();
    file.scenario.workload.arrivals = Some(Arrivals::Poisson { rate_per_s });
    file
}
