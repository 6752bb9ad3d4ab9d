//! What `kendall calibrate --rows` says of measured servers and their simulation.

use std::fmt::Write as _;

use kendall_calibrate::Measured;
use kendall_validate::{Condition, RowResult};

use super::calibrate_rows_fit::{Rows, RowsFit, Spread};
use super::calibrate_text as text;

/// The measurements in words.
pub(super) fn fitted_on(rows: &Rows, runs: &[Measured], conditions: &[Condition]) -> String {
    let name = rows.table.path().file_name().unwrap_or_default().to_string_lossy();
    let chosen: Vec<String> = conditions.iter().map(ToString::to_string).collect();
    let chosen = if chosen.is_empty() { String::new() } else { format!(" with {}", chosen.join(", ")) };
    let of_rows = format!("{name} ({} rows{chosen})", rows.fitted.len());
    match runs {
        [] => format!("{of_rows}. kendall calibrate"),
        runs => format!("{of_rows}; {}", text::fitted_on(runs)),
    }
}

/// A figure as readers know it.
fn words(figure: &str) -> &str {
    match figure {
        "ttft_mean" => "mean TTFT",
        "ttft_p99" => "p99 TTFT",
        "tpot_mean" => "mean TPOT",
        "e2e_mean" => "mean E2E",
        "e2e_p99" => "p99 E2E",
        "throughput_rps" => "throughput",
        other => other,
    }
}

/// How well the fit meets the rows, in one sentence.
pub(super) fn residuals(found: &RowsFit) -> String {
    let part = |pick: fn(&super::calibrate_rows_fit::FigureErrors) -> Option<Spread>| {
        let of_figure = |of: &super::calibrate_rows_fit::FigureErrors| {
            let spread = pick(of)?;
            Some(format!(
                "{} {:.1} % ({:.1} %)",
                words(of.figure),
                spread.median_percent,
                spread.worst_percent
            ))
        };
        let parts: Vec<String> = found.errors.iter().filter_map(of_figure).collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    };
    let held = found.hold_out.iter().filter(|row| row.reason.is_none()).count();
    format!(
        "{} rows fitted, root mean square of relative errors {:.1} %; median (worst) absolute errors: {}; {held} rows held \
         out: {}",
        found.fitted.len(),
        100.0 * found.matched.rms,
        part(|of| of.fitted),
        part(|of| of.hold_out)
    )
}

/// Errors by figure, and what the rows do not tell.
pub(super) fn errors(found: &RowsFit) -> String {
    let mut out = String::from("\nAbsolute errors on the rows in %: median, worst (rows)\n");
    let mut table = text::table(&["figure", "fitted", "held out"]);
    let cell = |spread: Option<Spread>| match spread {
        Some(of) => format!("{:.1}, {:.1} ({})", of.median_percent, of.worst_percent, of.rows),
        None => "-".to_owned(),
    };
    for of in &found.errors {
        table.add_row([words(of.figure).to_owned(), cell(of.fitted), cell(of.hold_out)]);
    }
    text::indented(&mut out, &table);
    let _ = writeln!(
        out,
        "  root mean square of relative errors of the figures that were fitted {:.1} %; standard errors from the curvature at \
         the minimum, as if figures were independent",
        100.0 * found.matched.rms
    );
    if !found.untold.parameters.is_empty() {
        let _ = writeln!(
            out,
            "! the rows hardly tell: {}: near the first guess",
            found.untold.parameters.join(", ")
        );
    }
    for pair in &found.untold.alike {
        let [first, second] = &pair.parameters;
        let _ = writeln!(
            out,
            "! the rows cannot tell apart: {first}, {second} (correlation {:+.2})",
            pair.correlation
        );
    }
    for row in &found.hold_out {
        if let Some(reason) = &row.reason {
            let _ = writeln!(out, "! held out, not simulated: {}: {reason}", named(row));
        }
    }
    out
}

fn named(row: &RowResult) -> String {
    format!("{} {}", row.experiment, row.stage).trim_end().to_owned()
}

/// What rows add to a fit to steps.
pub(super) fn section(rows: &Rows, found: &RowsFit) -> String {
    let names: Vec<&str> = found.matched.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let rest = if found.matched.converged { "came to rest" } else { "did not come to rest" };
    format!(
        "\nRows of {}\n  fitted to {} of them: {}; {} simulations; the search {rest}\n{}",
        rows.table.path().display(),
        found.fitted.len(),
        names.join(", "),
        found.matched.simulations,
        errors(found)
    )
}
