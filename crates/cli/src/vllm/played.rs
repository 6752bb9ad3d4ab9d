//! What a benchmark needs of the simulated run besides metrics: when requests would have been sent, and a file.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use kendall_des::SimTime;
use kendall_report::{BenchReport, OutputDir, WrittenFile};

use crate::exit::Failure;
use crate::scenario_file::ScenarioFile;
use crate::workload;

use super::bench::{Bench, Save};

/// When requests would be sent without a limit on concurrency, by number; empty if there is no limit.
pub(crate) fn planned_sends(bench: &Bench, file: &ScenarioFile, seed: u64) -> Result<Vec<SimTime>, Failure> {
    if bench.settings.max_concurrency.is_none() || !bench.settings.client_queue {
        return Ok(Vec::new());
    }
    let mut unlimited = file.clone();
    unlimited.scenario.workload.max_concurrency = None;
    let mut requests = workload::open(&unlimited, seed)?.requests;
    let sends = std::iter::from_fn(|| requests.next_request());
    let sends: Result<_, _> = sends.map(|spec| spec.map(|spec| spec.arrival)).collect();
    sends.map_err(|error| workload::failure(file, &error))
}

/// Writes the file of `--save-result`, still under its temporary name.
pub(crate) fn write_result(
    bench: &Bench,
    save: &Save,
    report: &BenchReport<'_>,
    warnings: &[String],
) -> Result<WrittenFile, Failure> {
    let file = save.file.clone().unwrap_or_else(|| bench.settings.result_filename());
    let path = Path::new(&save.dir).join(&file);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Failure::Invalid(format!("--bench: `--result-filename {file}`: it names no file")));
    };
    let earlier = match fs::read_to_string(&path) {
        _ if !save.append => String::new(),
        Ok(text) if text.is_empty() => text,
        Ok(text) => text + "\n",
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(Failure::Failed(format!("{}: cannot add to this file: {error}", path.display())));
        }
    };
    let json = report.to_json(env!("CARGO_PKG_VERSION"), warnings);
    // The remedy of these errors is worded for kendall's own option.
    let failed = |error: kendall_report::OutputError| {
        Failure::Failed(error.to_string().replace("--out", "--result-dir of the bench"))
    };
    let out = OutputDir::create(folder).map_err(failed)?;
    out.write(&name.to_string_lossy(), format!("{earlier}{json}").as_bytes()).map_err(failed)
}
