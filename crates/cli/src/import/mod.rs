//! Workload files of other tools as scenarios: `kendall import FILE --out scenario.toml`.
//!
//! | module | reads |
//! |---|---|
//! | `document` | YAML and JSON, noting what was looked at and what not |
//! | `draft` | nothing: it is the scenario under construction, with the table of what was understood |
//! | `inference_perf`, `guidellm` | configurations of these load generators |
//! | `servegen` | a client of `ServeGen`: rates by window, and its lengths |
//! | `recorded` | Azure, `BurstGPT`, Mooncake, Parquet and kendall traces |
//! | `bench` | a `vllm bench serve` command |
//!
//! The scenario's server is not the business of these files: it is taken from another scenario.

mod bench;
mod document;
mod draft;
mod guidellm;
mod inference_perf;
mod recorded;
mod servegen;

use std::fs;
use std::path::Path;

use toml_edit::DocumentMut;

use crate::args::{ImportArgs, ImportFormat};
use crate::exit::Failure;
use crate::scenario_file::{ScenarioFile, Source};
use crate::workload;

use document::Document;
use draft::Draft;

/// Largest configuration that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 64 << 20;

/// A scenario made of another tool's file.
pub(crate) struct Imported {
    /// The scenario's text; paths in it are relative to the folder that it goes to.
    pub text: String,
    /// What was understood and what not, as a table.
    pub table: String,
    /// Settings that would change the result and are not carried over.
    pub num_lost: usize,
}

/// Reads the file and makes sure that the scenario it becomes can be played.
///
/// # Errors
/// If the file cannot be read, is of no known format, contradicts itself, or makes no workload.
pub(crate) fn import(args: &ImportArgs) -> Result<Imported, Failure> {
    let invalid = |message: String| Failure::Invalid(format!("{}: {message}", args.file.display()));
    let format = match args.format {
        Some(format) => format,
        None => detect(args).map_err(invalid)?,
    };
    let server = Source::open(args.server.as_deref())?;
    let mut draft = Draft::new(&args.file, format);
    match format {
        ImportFormat::InferencePerf => {
            inference_perf::read(&document(&args.file).map_err(invalid)?, args, &mut draft)
        }
        ImportFormat::Guidellm => guidellm::read(&document(&args.file).map_err(invalid)?, args, &mut draft),
        ImportFormat::Servegen => servegen::read(args, &mut draft),
        ImportFormat::VllmBench => bench::read(args, &server.text, &mut draft),
        ImportFormat::Azure
        | ImportFormat::Burstgpt
        | ImportFormat::Mooncake
        | ImportFormat::Kendall
        | ImportFormat::Parquet => recorded::read(args, format, &mut draft),
    }
    .map_err(invalid)?;
    let server_text = server_table(&server).map_err(Failure::Invalid)?;
    let from =
        args.server.as_ref().map_or("the quick start; give --server SCENARIO for another".into(), |path| {
            path.display().to_string()
        });
    let num_lost = draft.num_lost();
    let (text, table) = draft.finish(&server_text, &from);
    check(args, &text)?;
    Ok(Imported { text, table, num_lost })
}

/// Resolves the scenario as `kendall run` would.
fn check(args: &ImportArgs, text: &str) -> Result<(), Failure> {
    let out = args.out.as_deref();
    let folder = out.and_then(Path::parent).map_or_else(Default::default, Path::to_owned);
    let source = Source {
        origin: out.map_or("the imported scenario".into(), |out| out.display().to_string()),
        text: text.to_owned(),
        folder,
        stem: "imported".into(),
    };
    let file = ScenarioFile::of(source, &[])?;
    file.resolve()?;
    let streams = kendall_des::Streams::new(0, 0);
    workload::prepare(&file)?.begin(&file, streams).map(drop)
}

/// The `[server]` of a scenario as text.
fn server_table(source: &Source) -> Result<String, String> {
    let mut document: DocumentMut =
        source.text.parse().map_err(|error| format!("{}: it is no TOML: {error}", source.origin))?;
    document.retain(|key, _| key == "server");
    if document.get("server").is_none() {
        return Err(format!("{}: it has no [server]: name a scenario that has one", source.origin));
    }
    Ok(document.to_string().trim().to_owned())
}

/// Tells the format from the file's beginning.
fn detect(args: &ImportArgs) -> Result<ImportFormat, String> {
    let path = args.file.as_path();
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let has_extension = |list: &[&str]| list.iter().any(|extension| name.ends_with(extension));
    if has_extension(&[".yaml", ".yml", ".json"]) {
        let document = document(path)?;
        if name.contains("-dataset") && servegen::is_dataset(&document) {
            return Ok(ImportFormat::Servegen);
        }
        if inference_perf::is_config(&document) {
            return Ok(ImportFormat::InferencePerf);
        }
        if guidellm::is_scenario(&document) {
            return Ok(ImportFormat::Guidellm);
        }
        if recorded::is_lengths(path) {
            return Err(recorded::LENGTHS_ONLY.into());
        }
        return Err("it is no configuration of inference-perf and no scenario of guidellm: say what it is with --format".into());
    }
    if let Ok(text) = head(path)
        && (text.contains("bench serve") || text.contains("benchmark_serving.py"))
    {
        return Ok(ImportFormat::VllmBench);
    }
    if servegen::is_trace(path) {
        return Ok(ImportFormat::Servegen);
    }
    recorded::detect(args)
}

/// The first kilobytes as text.
fn head(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(16 << 10).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

fn document(path: &Path) -> Result<Document, String> {
    let size = fs::metadata(path).map_err(|error| format!("cannot read this file: {error}"))?.len();
    if size > MAX_CONFIG_BYTES {
        return Err(format!("{size} bytes are too many for a configuration: name its format with --format"));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read this file: {error}"))?;
    Document::parse(&text)
}
