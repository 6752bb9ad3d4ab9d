//! What `kendall validate` prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use kendall_validate::{Compared, RowResult, SUMMARISED, Validation, ape_percent};

/// All tables.
pub(crate) fn report(validation: &Validation, with_rows: bool) -> String {
    let mut text = String::new();
    let simulated = validation.rows.iter().filter(|row| row.reason.is_none()).count();
    let counted = validation.rows.iter().filter(|row| row.counted).count();
    let _ = writeln!(
        text,
        "{} rows: {simulated} simulated, {counted} counted in the summary (rows over all stages repeat them)\n",
        validation.rows.len()
    );
    if with_rows {
        let _ = writeln!(text, "Rows: predicted (measured), error\n{}\n", rows(validation));
    }
    let _ = writeln!(text, "Absolute errors in %: median, mean (rows)\n{}", summary(validation));
    if let Some(peers) = peers(validation) {
        let _ = writeln!(
            text,
            "\nBeside other simulators: median absolute error in % on the rows that both predicted\n{peers}"
        );
    }
    if let Some(assumed) = notes(validation) {
        let _ = writeln!(text, "\nAssumed\n{assumed}");
    }
    if let Some(skipped) = skipped(validation) {
        let _ = writeln!(text, "\nNot simulated\n{skipped}");
    }
    text
}

fn plain<const N: usize>(header: [&str; N], left: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A figure of a row in a cell: predicted (measured), error.
fn cell(row: &RowResult, metric: &str, scale: f64, digits: usize) -> String {
    let Some(Compared { measured, predicted, error_pct, .. }) = row.metrics.get(metric) else {
        return "-".into();
    };
    let measured = measured.map_or("-".into(), |measured| format!("{:.digits$}", measured * scale));
    let error = error_pct.map(|error| format!(" {error:+.1} %")).unwrap_or_default();
    format!("{:.digits$} ({measured}){error}", predicted * scale)
}

fn rows(validation: &Validation) -> String {
    let mut table = plain(
        [
            "experiment",
            "stage",
            "step time",
            "TTFT ms",
            "p50",
            "p90",
            "p99",
            "TPOT ms",
            "p50",
            "p90",
            "p99",
            "E2E s",
            "p50",
            "p90",
            "p99",
            "req/s",
            "completed",
            "preemptions",
        ],
        3,
    );
    for row in validation.rows.iter().filter(|row| row.reason.is_none()) {
        let ms = |metric, digits| cell(row, metric, 1e3, digits);
        let mut cells = vec![
            row.experiment.clone(),
            row.stage.clone(),
            row.step_time.as_deref().unwrap_or("-").split(' ').next().unwrap_or("-").to_owned(),
        ];
        cells.extend(["ttft_mean", "ttft_p50", "ttft_p90", "ttft_p99"].map(|metric| ms(metric, 1)));
        cells.extend(["tpot_mean", "tpot_p50", "tpot_p90", "tpot_p99"].map(|metric| ms(metric, 2)));
        cells.extend(["e2e_mean", "e2e_p50", "e2e_p90", "e2e_p99"].map(|metric| cell(row, metric, 1.0, 2)));
        cells.extend(
            [("throughput_rps", 3), ("completed", 0), ("preemptions", 0)].map(|(m, d)| cell(row, m, 1.0, d)),
        );
        table.add_row(cells);
    }
    table.trim_fmt()
}

fn summary(validation: &Validation) -> String {
    let mut table =
        plain(["group", "TTFT mean", "TTFT p99", "TPOT mean", "E2E mean", "E2E p99", "throughput"], 1);
    let mut groups: Vec<&str> = Vec::new();
    for line in &validation.summary {
        if groups.last() != Some(&line.group.as_str()) {
            groups.push(&line.group);
        }
    }
    for group in groups {
        let of_metric = |metric: &str| {
            let line = validation.summary.iter().find(|line| line.group == group && line.metric == metric);
            line.map_or("-".into(), |line| {
                format!("{:.1}, {:.1} ({})", line.median_ape, line.mean_ape, line.n)
            })
        };
        let cells = SUMMARISED.map(|metric| of_metric(metric.name()));
        table.add_row(std::iter::once(group.to_owned()).chain(cells));
    }
    table.trim_fmt()
}

/// Errors of one simulator and ours on the same figures.
type Pairs = Vec<(f64, f64)>;

fn peers(validation: &Validation) -> Option<String> {
    let mut found: BTreeMap<(&str, &str), Pairs> = BTreeMap::new();
    for row in validation.rows.iter().filter(|row| row.reason.is_none()) {
        for metric in SUMMARISED {
            let Some(compared) = row.metrics.get(metric.name()) else { continue };
            let Some(measured) = compared.measured.filter(|&measured| measured > 0.0) else { continue };
            for (simulator, predicted) in &compared.peers {
                let pair = (ape_percent(*predicted, measured), ape_percent(compared.predicted, measured));
                found.entry((simulator, metric.name())).or_default().push(pair);
            }
        }
    }
    if found.is_empty() {
        return None;
    }
    let mut table = plain(["simulator", "figure", "rows", "its error", "kendall's", "kendall nearer on"], 2);
    for ((simulator, metric), pairs) in found {
        let median = |pick: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = pairs.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
            format!("{:.1}", f64::midpoint(low, high))
        };
        let nearer = pairs.iter().filter(|(its, ours)| ours < its).count();
        table.add_row([
            simulator.to_owned(),
            metric.to_owned(),
            pairs.len().to_string(),
            median(|pair| pair.0),
            median(|pair| pair.1),
            format!("{nearer} of {}", pairs.len()),
        ]);
    }
    Some(table.trim_fmt())
}

/// Rows by a text that they share, with how many they are and the first of them.
fn by_text<'a>(pairs: impl Iterator<Item = (&'a str, &'a RowResult)>) -> Option<String> {
    let mut texts: Vec<(&str, Vec<&RowResult>)> = Vec::new();
    for (text, row) in pairs {
        match texts.iter_mut().find(|(known, _)| *known == text) {
            Some((_, rows)) => rows.push(row),
            None => texts.push((text, vec![row])),
        }
    }
    if texts.is_empty() {
        return None;
    }
    let mut table = plain(["rows", "what", "first"], 3);
    for (text, rows) in texts {
        let first = rows.first().map(|row| format!("{} {}", row.experiment, row.stage)).unwrap_or_default();
        table.add_row([rows.len().to_string(), text.to_owned(), first]);
    }
    Some(table.trim_fmt())
}

fn notes(validation: &Validation) -> Option<String> {
    by_text(validation.rows.iter().flat_map(|row| row.notes.iter().map(move |note| (note.as_str(), row))))
}

fn skipped(validation: &Validation) -> Option<String> {
    by_text(validation.rows.iter().filter_map(|row| Some((row.reason.as_deref()?, row))))
}
