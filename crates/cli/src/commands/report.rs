//! `kendall report`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kendall_report::{Colours, Document, FolderError, OutputDir, RunFolder, WrittenFile};

use crate::args::{ReportArgs, ReportFormat};
use crate::exit::{Failure, print};
use crate::scenario_file::{ScenarioFile, Source};

use super::output::write;
use super::predict;

pub(crate) fn report(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let document = read(&args.dir)?;
    let out = args.out.as_deref();
    let text = match args.format {
        ReportFormat::Svg => {
            let folder = out.map_or_else(|| beside(&args.dir, "figures"), Path::to_owned);
            return figures(&document, &folder);
        }
        ReportFormat::Html => {
            let page = html(&document)?;
            let path = out.map_or_else(|| beside(&args.dir, "report.html"), Path::to_owned);
            write(&path, &page)?;
            return say(args, &format!("{}\n", path.display()));
        }
        ReportFormat::Markdown => document.to_markdown(),
        ReportFormat::Json => format!("{:#}\n", document.to_json()),
        ReportFormat::Csv => document.to_csv(),
    };
    match out {
        Some(path) => {
            write(path, &text)?;
            say(args, &format!("{}\n", path.display()))
        }
        None => print(&text).map(|()| ExitCode::SUCCESS),
    }
}

/// A name in a folder of results, or beside a file of them.
fn beside(results: &Path, name: &str) -> PathBuf {
    if results.is_file() { results.with_file_name(name) } else { results.join(name) }
}

/// Writes `report.html` into a folder of results.
pub(crate) fn write_report(folder: &Path) -> Result<(), Failure> {
    write(&folder.join("report.html"), &html(&read(folder)?)?)
}

/// Files that a report is made of, in folders without a run.
const RESULTS: [&str; 3] = ["sweep.json", "predict.json", "predict_sweep.json"];

/// The report of a folder of results, or of a file of what a command printed.
fn read(path: &Path) -> Result<Document, Failure> {
    if path.is_file() {
        return of_json(path);
    }
    let results = RESULTS.map(|name| path.join(name)).into_iter().find(|file| file.exists());
    match results {
        Some(file) if !path.join("summary.json").exists() => of_json(&file),
        _ => of_run(path),
    }
}

/// Writes the report of what a command found as one page.
pub(crate) fn write_page(path: &Path, json: &serde_json::Value) -> Result<(), Failure> {
    write(path, &html(&of_value(path, json)?)?)
}

fn of_json(path: &Path) -> Result<Document, Failure> {
    let wrong = |reason: &str| Failure::Invalid(format!("{}: {reason}", path.display()));
    let text =
        std::fs::read_to_string(path).map_err(|error| wrong(&format!("cannot read this file: {error}")))?;
    let json = serde_json::from_str(&text).map_err(|error| wrong(&format!("this is no JSON: {error}")))?;
    of_value(path, &json)
}

fn of_value(path: &Path, json: &serde_json::Value) -> Result<Document, Failure> {
    Document::of_predict_sweep(json)
        .or_else(|| Document::of_sweep(json))
        .or_else(|| Document::of_capacity(json))
        .or_else(|| Document::of_predict(json))
        .or_else(|| Document::of_validation(json))
        .ok_or_else(|| {
            Failure::Invalid(format!(
                "{}: this is not what `kendall sweep`, `capacity`, `predict` or `validate` prints with --json; name the folder of a \
                 run, or such a file",
                path.display()
            ))
        })
}

fn of_run(path: &Path) -> Result<Document, Failure> {
    let folder = RunFolder::open(path).map_err(|error: FolderError| Failure::Invalid(error.to_string()))?;
    let theory = theory(&path.join("scenario.toml"));
    Ok(Document::of_run(&folder, theory.as_ref()))
}

/// What the analytical models say of a run's scenario; nothing where it cannot be read any more, as one of another version.
fn theory(scenario: &Path) -> Option<serde_json::Value> {
    let file = ScenarioFile::of(Source::open(Some(scenario)).ok()?, &[]).ok()?;
    let resolved = file.resolve().ok()?;
    Some(predict::theory(&file, &resolved))
}

fn html(document: &Document) -> Result<String, Failure> {
    document.to_html().map_err(|error| Failure::Failed(error.to_string()))
}

fn say(args: &ReportArgs, text: &str) -> Result<ExitCode, Failure> {
    if !args.quiet {
        print(text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn figures(document: &Document, folder: &Path) -> Result<ExitCode, Failure> {
    let out = OutputDir::create(folder)?;
    let mut files = Vec::new();
    for figure in document.figures() {
        let svg = figure.chart.to_svg(Colours::Fixed).map_err(|error| Failure::Failed(error.to_string()))?;
        files.push(out.write(&format!("{}.svg", figure.id), svg.as_bytes())?);
    }
    files.into_iter().try_for_each(WrittenFile::publish)?;
    Ok(ExitCode::SUCCESS)
}
