//! `kendall theory`

use std::fmt::Write as _;
use std::process::ExitCode;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use kendall_theory::check::{Counts, Entry, Report, Verdict, check_file};
use serde_json::json;

use crate::args::TheoryCheckArgs;
use crate::exit::{Failure, print};

/// `kendall theory check`
pub(crate) fn theory_check(args: &TheoryCheckArgs) -> Result<ExitCode, Failure> {
    let place = args.file.display();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Failure::Invalid(format!("cannot read {place}: {error}")))?;
    let report = check_file(&text).map_err(|error| Failure::Invalid(format!("{place}: {error}")))?;
    let counts = report.counts();
    print(&if args.json { to_json(&report, counts) } else { to_table(&report, counts) })?;
    Ok(if counts.disagreed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn to_json(report: &Report, counts: Counts) -> String {
    let details = |wanted: fn(&Verdict) -> bool| -> Vec<_> {
        report
            .results
            .iter()
            .filter(|(_, verdict)| wanted(verdict))
            .map(|(entry, v)| detail(entry, v))
            .collect()
    };
    let models: serde_json::Map<_, _> = report
        .by_model()
        .into_iter()
        .map(|(model, counts)| (model.to_owned(), counts_json(counts)))
        .collect();
    let mut json = counts_json(counts);
    json["models"] = models.into();
    json["disagreements"] =
        details(|verdict| matches!(verdict, Verdict::Disagreed { .. } | Verdict::Refused { .. })).into();
    json["not_supported"] = details(|verdict| matches!(verdict, Verdict::Unsupported { .. })).into();
    format!("{json:#}\n")
}

fn counts_json(counts: Counts) -> serde_json::Value {
    json!({
        "entries": counts.entries(),
        "agreed": counts.agreed,
        "disagreed": counts.disagreed,
        "unsupported": counts.unsupported,
    })
}

fn detail(entry: &Entry, verdict: &Verdict) -> serde_json::Value {
    let mut detail = json!({ "id": entry.id, "model": entry.model, "metric": entry.metric });
    match verdict {
        Verdict::Agreed => {}
        Verdict::Disagreed { ours } => {
            detail["value"] = json!(entry.value);
            detail["ours"] = json!(ours);
            detail["tolerance"] = json!(entry.tolerance);
        }
        Verdict::Refused { error } | Verdict::Unsupported { error } => {
            detail["error"] = json!(error.to_string());
        }
    }
    detail
}

fn to_table(report: &Report, counts: Counts) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["model", "agreed", "disagreed", "unsupported"]);
    for (model, counts) in report.by_model().into_iter().chain([("all", counts)]) {
        let numbers = [counts.agreed, counts.disagreed, counts.unsupported];
        table.add_row(std::iter::once(model.to_owned()).chain(numbers.map(|number| number.to_string())));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{}\n", table.trim_fmt());
    for (entry, verdict) in &report.results {
        let id = &entry.id;
        let _ = match verdict {
            Verdict::Agreed => continue,
            Verdict::Disagreed { ours } => writeln!(
                text,
                "! {id}: {} is {ours}, not {} (tolerance {:e})",
                entry.metric, entry.value, entry.tolerance
            ),
            Verdict::Refused { error } => writeln!(text, "! {id}: {error}"),
            Verdict::Unsupported { error } => writeln!(text, "? {id}: {error}"),
        };
    }
    text
}
