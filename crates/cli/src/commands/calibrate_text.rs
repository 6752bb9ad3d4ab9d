//! What `kendall calibrate` says to a reader: each number with its unit and its count.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use kendall_calibrate::fit::{Fit, Residuals};
use kendall_calibrate::{Match, Measured, ProfileFacts, Statistic, SummaryOrigin, remark, solo_steps};
use kendall_serving::catalog::ProfileRange;

/// `--inspect`: what the files say.
pub(crate) fn runs(runs: &[Measured]) -> String {
    let mut text = String::new();
    for run in runs {
        if !text.is_empty() {
            text.push('\n');
        }
        heading(&mut text, run);
        summary(&mut text, run);
        caveats(&mut text, run);
    }
    text
}

fn heading(text: &mut String, run: &Measured) {
    let _ = write!(text, "{}: {}", run.file, run.tool);
    for part in [&run.version, &run.label].into_iter().flatten() {
        let _ = write!(text, ", {part}");
    }
    text.push('\n');
    let setting = &run.setting;
    let mut parts = Vec::new();
    parts.extend(setting.model.as_ref().map(|model| format!("model {model}")));
    parts.extend(setting.request_rate_per_s.map(|rate| format!("{rate} requests per second meant")));
    parts.extend(setting.max_concurrency.map(|n| format!("at most {n} in flight")));
    parts.extend((!run.requests.is_empty()).then(|| format!("{} requests in the file", run.requests.len())));
    parts.extend(run.steps.as_ref().map(|log| format!("{} steps", log.steps.len())));
    if !parts.is_empty() {
        let _ = writeln!(text, "  {}", parts.join(", "));
    }
}

fn summary(text: &mut String, run: &Measured) {
    let summary = &run.summary;
    let origin = match summary.origin {
        SummaryOrigin::Stated => "as the tool states",
        SummaryOrigin::Computed => "computed from the requests",
    };
    let mut parts = Vec::new();
    let mut add = |value: Option<String>| parts.extend(value);
    add(summary.completed.map(|n| format!("{n} answered")));
    add(summary.failed.map(|n| format!("{n} failed")));
    add(summary.duration_s.map(|s| format!("in {s:.3} s")));
    add(summary.prompt_tokens.map(|n| format!("{n} prompt tokens")));
    add(summary.output_tokens.map(|n| format!("{n} output tokens")));
    add(summary.preemptions.map(|n| format!("{n} preemptions")));
    add(summary.request_throughput_per_s.map(|x| format!("{x:.3} requests/s")));
    add(summary.output_throughput_per_s.map(|x| format!("{x:.1} output tokens/s")));
    if run.requests.is_empty() && run.steps.is_some() {
        return;
    }
    let _ = writeln!(text, "  {} ({origin})", parts.join(", "));
    let mut table = table(&["", "mean ms", "p50 ms", "p90 ms", "p99 ms"]);
    let mut rows = 0;
    for (name, statistic) in [
        ("TTFT", &summary.ttft_s),
        ("TPOT", &summary.tpot_s),
        ("ITL", &summary.itl_s),
        ("E2E", &summary.e2e_s),
    ] {
        if let Some(statistic) = statistic {
            table.add_row(statistic_row(name, statistic));
            rows += 1;
        }
    }
    if rows > 0 {
        indented(text, &table);
    }
}

fn statistic_row(name: &str, statistic: &Statistic) -> Vec<String> {
    let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.3}", 1e3 * value));
    let quantiles = [50.0, 90.0, 99.0].map(|percent| ms(statistic.quantile(percent)));
    [name.to_owned(), ms(statistic.mean)].into_iter().chain(quantiles).collect()
}

fn caveats(text: &mut String, run: &Measured) {
    for caveat in &run.caveats {
        let _ = writeln!(text, "  ! {}", caveat.text);
    }
}

/// What was recognised, the coefficients, their errors and their limits.
pub(crate) fn report(runs: &[Measured], fit: &Fit, physics_known: bool, facts: &ProfileFacts) -> String {
    let mut text = String::from("Measured\n");
    for run in runs {
        let steps = run.steps.as_ref().map_or_else(|| solo_steps(run).steps.len(), |log| log.steps.len());
        let what = if run.steps.is_some() {
            format!("{steps} steps")
        } else {
            format!("{} requests, {steps} steps of requests that were alone", run.requests.len())
        };
        let _ = writeln!(text, "  {}: {}, {what}", run.file, run.tool);
        caveats(&mut text, run);
    }
    let _ = writeln!(text, "\nCoefficients of {} on {}", facts.model, facts.gpu);
    indented(&mut text, &coefficients(fit));
    let _ = writeln!(text, "  front end {:.3} ms ({})", facts.front_end_overhead_ms, facts.front_end_source);
    let of_steps = fit.matched.as_ref().map_or("", |_| ", of the fit to steps alone");
    let _ = writeln!(text, "\nErrors on steps that were held out ({}){of_steps}", fit.hold_out_by);
    indented(&mut text, &errors(&fit.hold_out));
    let all = &fit.residuals.all;
    let _ = writeln!(
        text,
        "  on the {} steps fitted: median {:.2} %, p95 {:.2} %; {:.1} % of them far off and counted less; {} left out",
        fit.steps,
        all.median_percent,
        all.p95_percent,
        100.0 * fit.down_weighted,
        fit.left_out
    );
    limits(&mut text, fit, physics_known);
    text
}

fn coefficients(fit: &Fit) -> Table {
    let mut table = table(&["coefficient", "us", "standard error us", "from"]);
    let us = |ps: f64| format!("{:.6}", ps / 1e6);
    for parameter in &fit.parameters {
        let error = parameter.std_error_ps.map_or_else(|| "-".to_owned(), us);
        let from = remark(parameter.source, None);
        table.add_row([
            parameter.key.trim_end_matches("_ps").to_owned(),
            us(parameter.value_ps as f64),
            error,
            from,
        ]);
    }
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    table
}

fn errors(residuals: &Residuals) -> Table {
    let mut table =
        table(&["steps", "number", "measured ms", "median signed %", "median %", "p95 %", "in sum %"]);
    for row in residuals.groups.iter().chain([&residuals.all]) {
        table.add_row([
            row.group.clone(),
            row.steps.to_string(),
            format!("{:.3}", row.mean_measured_ms),
            format!("{:+.2}", row.median_signed_percent),
            format!("{:.2}", row.median_percent),
            format!("{:.2}", row.p95_percent),
            format!("{:+.2}", row.mean_signed_percent),
        ]);
    }
    table
}

/// Factors on the roofline and the front end that were matched to `what`.
pub(crate) fn factors(matched: &Match, what: &str) -> String {
    let mut text = String::new();
    for parameter in &matched.parameters {
        let name = parameter.name.as_str();
        let of_front_end = [("_ms", "ms"), ("_us_per_token", "us a token")];
        let timed = of_front_end.iter().find_map(|(end, unit)| Some((name.strip_suffix(end)?, *unit)));
        let (key, unit) = timed.unwrap_or((name, "of the roofline"));
        let _ = writeln!(
            text,
            "  {key:<20} {:>8.4} {unit}, standard error {:.4}",
            parameter.value, parameter.std_error
        );
    }
    let rest = if matched.converged { "came to rest" } else { "did not come to rest" };
    let _ = writeln!(
        text,
        "  {} simulations; the search {rest}. Each factor begins at 1 and stays near it where \
         {what} do not tell it",
        matched.simulations
    );
    text
}

/// Where whole servers were measured.
pub(crate) fn range(range: &ProfileRange) -> String {
    format!(
        "Range: {} to {} decoding sequences, {} to {} tokens of context, up to {} prompt tokens a step\n",
        range.min_decode_seqs,
        range.max_decode_seqs,
        range.min_context_tokens,
        range.max_context_tokens,
        range.max_prefill_tokens
    )
}

fn limits(text: &mut String, fit: &Fit, physics_known: bool) {
    let range = &fit.range;
    let _ = writeln!(
        text,
        "\nRange: {} to {} decoding sequences, {} to {} tokens of context each (mean over a step), up to {} prompt tokens a \
         step",
        range.min_decode_seqs,
        range.max_decode_seqs,
        range.min_context_tokens,
        range.max_context_tokens,
        range.max_prefill_tokens
    );
    let found = &fit.identification;
    let keys = |terms: &[kendall_calibrate::fit::Term]| {
        terms.iter().map(|term| term.key().trim_end_matches("_ps")).collect::<Vec<_>>().join(", ")
    };
    if !found.absent.is_empty() {
        let _ = writeln!(text, "! no step has any of: {}", keys(&found.absent));
    }
    for group in &found.confounded {
        let _ = writeln!(
            text,
            "! the steps cannot tell apart: {} (condition index {:.0}; 30 is much)",
            keys(&group.terms),
            group.condition_index
        );
    }
    let identified = found.absent.is_empty() && found.confounded.is_empty();
    if !physics_known && !identified {
        text.push_str(
            "! name a GPU and a model of the catalogue (--gpu, --model) to take these from the datasheets\n",
        );
    }
}

/// The measurements in words.
pub(crate) fn fitted_on(runs: &[Measured]) -> String {
    let words = runs.iter().map(|run| {
        let name = std::path::Path::new(&run.file).file_name().unwrap_or_default().to_string_lossy();
        let steps = run.steps.as_ref().map_or(0, |log| log.steps.len());
        match steps {
            0 => format!("{name} ({}, {} requests)", run.tool, run.requests.len()),
            n => format!("{name} ({n} steps)"),
        }
    });
    format!("{}. kendall calibrate", words.collect::<Vec<_>>().join("; "))
}

pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(header);
    for index in 1..header.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

pub(crate) fn indented(text: &mut String, table: &Table) {
    for line in table.trim_fmt().lines() {
        let _ = writeln!(text, "  {}", line.trim_end());
    }
}
