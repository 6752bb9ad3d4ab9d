//! Recorded traces: the scenario names the file, and the file is read through once.

use std::path::{Path, PathBuf};

use kendall_serving::scenario::{OnEmpty, TraceColumns};
use kendall_traces::{TraceFormat, TraceOptions, TraceSource};
use toml_edit::InlineTable;

use crate::args::{ImportArgs, ImportFormat};

use super::draft::Draft;

/// Tells a trace's format from its content.
pub(super) fn detect(args: &ImportArgs) -> Result<ImportFormat, String> {
    let format = TraceSource::new(&args.file, None, columns(args)).format().map_err(|error| {
        let message = error.to_string();
        // The caller names the file, and has options where a scenario has keys.
        let message = message.strip_prefix(&format!("{}: ", args.file.display())).unwrap_or(&message);
        ["arrival", "prompt", "output"].iter().fold(message.to_owned(), |message, name| {
            message.replace(&format!("one in `columns.{name}`"), &format!("it with --{name}-column"))
        })
    })?;
    match format {
        TraceFormat::Kendall => Ok(ImportFormat::Kendall),
        TraceFormat::Azure => Ok(ImportFormat::Azure),
        TraceFormat::Mooncake => Ok(ImportFormat::Mooncake),
        TraceFormat::BurstGpt => Ok(ImportFormat::Burstgpt),
        TraceFormat::Parquet => Ok(ImportFormat::Parquet),
        TraceFormat::ShareGpt => Err(LENGTHS_ONLY.into()),
    }
}

pub(super) const LENGTHS_ONLY: &str = "it holds lengths without arrivals: write a scenario with `arrivals` and, in place of `prompt_tokens` and \
    `output_tokens`, `lengths = { path = \"...\" }`";

/// Whether the file is one of prompt and output lengths.
pub(super) fn is_lengths(path: &Path) -> bool {
    kendall_traces::open_lengths(path).is_ok()
}

/// The columns that the user names.
fn columns(args: &ImportArgs) -> TraceColumns {
    TraceColumns {
        arrival: args.arrival_column.clone(),
        prompt: args.prompt_column.clone(),
        output: args.output_column.clone(),
    }
}

/// Reads the trace through, so that what is wrong with it is said now, and what it holds is known.
///
/// # Errors
/// If it cannot be read to its end.
pub(super) fn read(args: &ImportArgs, format: ImportFormat, draft: &mut Draft) -> Result<(), String> {
    let trace_format = match format {
        ImportFormat::Azure => TraceFormat::Azure,
        ImportFormat::Burstgpt => TraceFormat::BurstGpt,
        ImportFormat::Mooncake => TraceFormat::Mooncake,
        ImportFormat::Parquet => TraceFormat::Parquet,
        _ => TraceFormat::Kendall,
    };
    let columns = columns(args);
    if columns != TraceColumns::default() && format != ImportFormat::Parquet {
        return Err("columns can be named for Parquet only: leave the options out".into());
    }
    let source = TraceSource::new(&args.file, Some(trace_format), columns);
    let mut trace = InlineTable::new();
    trace.insert("path", path_from_scenario(args).into());
    trace.insert("format", trace_format.name().into());
    if let Some([arrival, prompt, output]) = source.parquet_columns().map_err(|error| error.to_string())? {
        let mut names = InlineTable::new();
        for (key, name) in [("arrival", &arrival), ("prompt", &prompt), ("output", &output)] {
            names.insert(key, name.as_str().into());
        }
        trace.insert("columns", names.into());
        draft.understood("columns", format!("{arrival}, {prompt}, {output}"), "workload.trace.columns");
    }
    for (key, value) in [("start_s", args.start_s), ("end_s", args.end_s)] {
        if let Some(value) = value {
            trace.insert(key, value.into());
        }
    }
    let summary = Summary::of(&source, args)?;
    if summary.num_empty > 0 {
        trace.insert("on_empty", "skip".into());
        draft.lost("requests without tokens", summary.num_empty, "left out: no engine can serve them");
    }
    draft.workload("trace", trace, "the file itself");
    draft.understood("arrivals", summary.arrivals(), "workload.trace");
    draft.understood("prompt tokens", format!("mean {:.1}", summary.mean_prompt), "workload.trace");
    draft.understood("output tokens", format!("mean {:.1}", summary.mean_output), "workload.trace");
    match format {
        ImportFormat::Mooncake => {
            draft.understood("hash_ids", "", "blocks of 512 tokens that prompts share");
        }
        ImportFormat::Burstgpt => {
            draft.lost("Model, Log Type, Session ID", "", "all rows are requests to one server");
        }
        _ => {}
    }
    Ok(())
}

/// The trace's path as the scenario has to say it: relative to where it is written, if that is easy to tell.
fn path_from_scenario(args: &ImportArgs) -> String {
    let folder = args.out.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let path = if args.file.is_absolute() || folder == Path::new("") || folder == Path::new(".") {
        args.file.clone()
    } else if let Ok(inside) = args.file.strip_prefix(folder) {
        inside.to_owned()
    } else {
        std::path::absolute(&args.file).unwrap_or_else(|_| PathBuf::from(&args.file))
    };
    path.to_string_lossy().into_owned()
}

/// What a trace holds.
struct Summary {
    num_requests: u64,
    num_empty: u64,
    span_s: f64,
    mean_prompt: f64,
    mean_output: f64,
}

impl Summary {
    fn of(source: &TraceSource, args: &ImportArgs) -> Result<Self, String> {
        let options = |on_empty| TraceOptions {
            start_s: args.start_s,
            end_s: args.end_s,
            on_empty,
            ..TraceOptions::default()
        };
        let requests = source.requests(&options(OnEmpty::Skip)).map_err(|error| error.to_string())?;
        let (mut count, mut prompts, mut outputs, mut last) = (0_u64, 0_u64, 0_u64, None);
        for request in requests {
            let request = request.map_err(|error| error.to_string())?;
            count += 1;
            prompts += u64::from(request.num_prompt_tokens);
            outputs += u64::from(request.max_tokens);
            last = Some(request.arrival);
        }
        let num_empty = source.count_empty(args.start_s, args.end_s).map_err(|error| error.to_string())?;
        Ok(Self {
            num_requests: count,
            num_empty,
            span_s: last.map_or(0.0, |last| (last - kendall_des::SimTime::ZERO).as_secs_f64()),
            mean_prompt: prompts as f64 / count as f64,
            mean_output: outputs as f64 / count as f64,
        })
    }

    fn arrivals(&self) -> String {
        format!("{} requests in {:.1} s", self.num_requests, self.span_s)
    }
}
