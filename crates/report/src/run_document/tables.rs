//! The tables of a run's report.

use serde_json::Value;

use crate::document::{Block, DataTable, Section};
use crate::number::{percent, significant, whole};
use crate::origin;

use super::Source;

fn text_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn rows_of<'v>(source: &'v Source<'_>, key: &str) -> &'v [Value] {
    source.folder.summary.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn throughput(source: &Source<'_>) -> Option<Section> {
    let folder = source.folder;
    folder.number("num_requests")?;
    let mut table = DataTable::new(&["figure"], &["value"]);
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.rows.push(vec![name.to_owned(), value]);
        }
    };
    let count = |key: &str| folder.number(key).map(|n| whole(n as u64));
    let some = |key: &str| folder.number(key).filter(|&n| n > 0.0).map(|n| whole(n as u64));
    let rate = |key: &str, unit: &str| folder.number(key).map(|x| format!("{} {unit}", significant(Some(x))));
    let mean_and_most = |key: &str| {
        let most = whole(folder.number(&format!("{key}.max")).unwrap_or(0.0) as u64);
        folder.number(&format!("{key}.mean")).map(|mean| format!("{} (most {most})", significant(Some(mean))))
    };
    row("requests", count("num_requests"));
    row("completed", count("completed"));
    row("rejected at the door", some("rejected"));
    row(
        "blocking probability",
        folder.number("blocking_probability").filter(|&p| p > 0.0).map(|p| percent(Some(p))),
    );
    row("given up by clients", some("aborted"));
    row("unfinished", some("unfinished"));
    row("simulated time", rate("duration", "s"));
    row("requests answered", rate("request_throughput", "/s"));
    row("output tokens", rate("output_throughput", "tok/s"));
    row("prompt and output tokens", rate("total_token_throughput", "tok/s"));
    row("running on a replica", mean_and_most("num_running"));
    row("waiting on a replica", mean_and_most("num_waiting"));
    row("internal fragmentation", folder.number("internal_fragmentation").map(|x| percent(Some(x))));
    row("prefix cache hits", folder.number("prefix_cache_hit_rate").map(|x| percent(Some(x))));
    row("preemptions", some("num_preemptions"));
    row("requests preempted", some("num_preempted_requests"));
    row("computed tokens lost in preemptions", some("num_lost_tokens"));
    row("engine steps", count("num_steps"));
    Some(Section {
        id: "load",
        heading: "Load and throughput".into(),
        lead: String::new(),
        blocks: vec![Block::Table(table)],
    })
}

pub(super) fn classes(source: &Source<'_>) -> Option<Section> {
    let mut table =
        DataTable::new(&["class"], &["requests", "completed", "goodput (req/s)", "kept their limits"]);
    for class in rows_of(source, "classes") {
        let number = |key: &str| class.get(key).and_then(Value::as_f64);
        table.rows.push(vec![
            text_of(class.get("class")),
            whole(number("num_requests").unwrap_or(0.0) as u64),
            whole(number("completed").unwrap_or(0.0) as u64),
            significant(number("request_goodput")),
            percent(number("slo_attainment")),
        ]);
    }
    let fairness = source.folder.number("jain_fairness").map(|index| {
        Block::Text(format!(
            "Fairness of attainment over classes (Jain's index, 1 is even): {}",
            significant(Some(index))
        ))
    });
    (!table.rows.is_empty()).then(|| Section {
        id: "classes",
        heading: "Who gets good service".into(),
        lead: String::new(),
        blocks: std::iter::once(Block::Table(table)).chain(fairness).collect(),
    })
}

pub(super) fn cost(source: &Source<'_>) -> Option<Section> {
    let folder = source.folder;
    let cost = folder.summary.get("cost").filter(|cost| cost.is_object())?;
    let mut table = DataTable::new(&["what"], &["value"]);
    table.columns.push(("rests on".into(), false));
    let mut row =
        |what: &str, value: String, basis: String| table.rows.push(vec![what.to_owned(), value, basis]);
    if let Some(usd) = folder.number("cost.usd_per_million_output_tokens") {
        let price = significant(folder.number("cost.price_usd_per_gpu_hour"));
        row(
            "money for a million output tokens",
            format!("{} USD", significant(Some(usd))),
            format!(
                "{} GPU at {price} USD an hour; {}",
                text_of(cost.get("gpus")),
                text_of(cost.get("price_source"))
            ),
        );
    }
    if let Some(joules) = folder.number("cost.joules_per_output_token") {
        row(
            "energy for an output token, at most",
            format!("{} J", significant(Some(joules))),
            text_of(cost.get("power_model")),
        );
    }
    row("time with a request running", percent(folder.number("cost.busy")), "simulated".into());
    Some(Section {
        id: "cost",
        heading: "Cost and energy".into(),
        lead: "All GPUs are paid for from the first arrival to the last token, busy or not.".into(),
        blocks: vec![Block::Table(table)],
    })
}

pub(super) fn fidelity(source: &Source<'_>) -> Option<Section> {
    let folder = source.folder;
    let origin = match folder.text("step_time.origin") {
        Some("calibrated") => {
            let profile = folder
                .text("step_time.source.calibrated.profile.name")
                .or_else(|| folder.text("step_time.source.profile.name"));
            format!(
                "a profile fitted to a measured server{}",
                profile.map(|name| format!(" ({name})")).unwrap_or_default()
            )
        }
        Some("estimate") => {
            "datasheets and measured kernels: an ESTIMATE, nobody measured this GPU with this model".into()
        }
        _ => "the scenario itself".into(),
    };
    let lead = format!(
        "Scheduling follows {}. Step times come from {origin}.",
        folder.text("engine").unwrap_or("the engine")
    );
    origin::ledger(rows_of(source, "ledger"), lead)
}
