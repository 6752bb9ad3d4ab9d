//! inference-perf: `load` and `data` of its configuration.
//!
//! Source: `inference_perf/config`, `docs/config.md` and `loadgen/load_generator.py` of
//! <https://github.com/kubernetes-sigs/inference-perf>, versions 0.1 to 0.7.

use toml_edit::{Array, Value};

use crate::args::ImportArgs;
use crate::vllm::inline;

use super::document::Document;
use super::draft::{Draft, clipped_normal, constant, uniform, whole};

/// Parts of the configuration that a simulation need not know.
const NO_EFFECT: [(&str, &str); 9] = [
    ("api", "how the tool talks to the server"),
    ("report", "what the tool reports"),
    ("storage", "where the tool writes"),
    ("metrics", "what the tool collects"),
    ("tokenizer", "the scenario counts tokens"),
    ("server", "the scenario names the server"),
    ("load.num_workers", "the tool's own processes"),
    ("load.worker_max_tcp_connections", "the tool's own processes"),
    ("load.stage_teardown_grace_seconds", "after the last request"),
];

/// Whether the document is a configuration of inference-perf.
pub(super) fn is_config(document: &Document) -> bool {
    document.peek("load").is_some() && document.peek("data").is_some() && document.peek("profile").is_none()
}

/// Reads the configuration.
///
/// # Errors
/// If it contradicts itself, or a simulation cannot know its lengths or rates.
pub(super) fn read(document: &Document, args: &ImportArgs, draft: &mut Draft) -> Result<(), String> {
    if let Some(seed) = document.whole("load.base_seed")? {
        draft.seed(seed, "load.base_seed");
        draft.approximated("load.base_seed", seed, "seed; the draws are kendall's own");
    }
    let kind = document.text("load.type")?.unwrap_or("constant").to_owned();
    if document.peek("load.sweep").is_some() {
        return Err(
            "`load.sweep` finds its rates while it runs: write the stages that it found into `load.stages`"
                .into(),
        );
    }
    match kind.as_str() {
        "constant" | "poisson" => stages(document, &kind, draft)?,
        "concurrent" => concurrent(document, args, draft)?,
        "trace_replay" => return trace(document, draft),
        other => {
            return Err(format!(
                "`load.type` is `{other}`: expected constant, poisson, concurrent or trace_replay"
            ));
        }
    }
    data(document, draft)?;
    clients(document, draft)?;
    goodput(document, draft)?;
    leftovers(document, draft);
    Ok(())
}

fn stages(document: &Document, kind: &str, draft: &mut Draft) -> Result<(), String> {
    let count = document.len("load.stages");
    let mut list = Vec::new();
    for at in 0..count {
        let key = |key: &str| format!("load.stages.{at}.{key}");
        if document.peek(&key("concurrency_level")).is_some() {
            return Err(format!(
                "`{}` is given, but `load.type` is `{kind}`, which has rates: use `concurrent`, or leave it out",
                key("concurrency_level")
            ));
        }
        let of = |name: &str| {
            let number = document.number(&key(name))?.filter(|number| *number > 0.0);
            number.ok_or_else(|| format!("`{}`: expected a number above 0", key(name)))
        };
        list.push((of("rate")?, of("duration")?));
    }
    let shown: Vec<_> = list.iter().map(|(rate, duration)| format!("{rate}/s for {duration} s")).collect();
    match list.as_slice() {
        [] => return Err("`load.stages` is empty: give at least one stage with `rate` and `duration`".into()),
        [(rate, duration)] => {
            let arrivals = inline([("process", kind.into()), ("rate_per_s", (*rate).into())]);
            draft.workload("arrivals", arrivals, "load.type, load.stages.0.rate");
            draft.workload("duration_s", *duration, "load.stages.0.duration");
            if let Some(interval) = document.number("load.interval")? {
                draft.no_effect("load.interval", interval, "there is one stage");
            }
        }
        several => {
            let interval = document.number("load.interval")?.unwrap_or(1.0).max(0.0);
            let mut stages = Array::new();
            for (at, &(rate, duration)) in several.iter().enumerate() {
                if at > 0 && interval > 0.0 {
                    stages.push(inline([("rate_per_s", 0.0.into()), ("duration_s", interval.into())]));
                }
                stages.push(inline([("rate_per_s", rate.into()), ("duration_s", duration.into())]));
            }
            let cv = if kind == "constant" { 0.0 } else { 1.0 };
            let arrivals =
                inline([("process", "stages".into()), ("stages", Value::Array(stages)), ("cv", cv.into())]);
            draft.workload("arrivals", arrivals, "load.type, load.stages, load.interval");
            draft.approximated(
                "load.interval",
                interval,
                "a pause between stages; the tool waits for outstanding requests besides",
            );
        }
    }
    draft.understood("load.type", kind, "workload.arrivals");
    draft.understood("load.stages", shown.join(", "), "workload.arrivals");
    if let (Some(workers), Some(each)) =
        (document.whole("load.num_workers")?, document.whole("load.worker_max_concurrency")?)
    {
        let most = workers.saturating_mul(each).max(1);
        draft.workload("max_concurrency", whole(most), "load.num_workers * load.worker_max_concurrency");
        draft.understood("load.worker_max_concurrency", each, "workload.max_concurrency, times num_workers");
    }
    Ok(())
}

fn concurrent(document: &Document, args: &ImportArgs, draft: &mut Draft) -> Result<(), String> {
    let count = document.len("load.stages");
    let at = args.stage.unwrap_or(0);
    if at >= count {
        return Err(format!("there is no stage {at} in `load.stages`, which has {count}: count from 0"));
    }
    let key = |key: &str| format!("load.stages.{at}.{key}");
    if document.peek(&key("rate")).is_some() {
        return Err(format!(
            "`{}` is given, but `load.type` is `concurrent`, which has none: leave it out",
            key("rate")
        ));
    }
    let of = |name: &str| {
        let number = document.whole(&key(name))?.filter(|number| *number > 0);
        number.ok_or_else(|| format!("`{}`: expected a whole number above 0", key(name)))
    };
    let (requests, concurrency) = (of("num_requests")?, of("concurrency_level")?);
    draft.workload("requests", whole(requests), &key("num_requests"));
    let arrivals = inline([("process", "closed_loop".into()), ("concurrency", whole(concurrency))]);
    draft.workload("arrivals", arrivals, &format!("load.type, {}", key("concurrency_level")));
    draft.understood("load.type", "concurrent", "workload.arrivals: a closed loop");
    draft.understood(&key("num_requests"), requests, "workload.requests");
    draft.understood(&key("concurrency_level"), concurrency, "workload.arrivals.concurrency");
    if count > 1 {
        draft.lost(
            "load.stages",
            format!("{count} stages"),
            "one run is one level: import the others with --stage N",
        );
        let _ = document.get("load.stages");
    }
    Ok(())
}

/// A replay of a recorded trace, with its arrivals and lengths.
fn trace(document: &Document, draft: &mut Draft) -> Result<(), String> {
    if document.len("load.stages") > 0 {
        return Err("`load.stages` is given, but `load.type` is `trace_replay`, which has none: leave one of the two out".into());
    }
    let path = match document.text("load.trace.file")? {
        Some(path) => path,
        None => document.text("data.trace.file")?.ok_or("`load.trace.file` is missing: name the trace")?,
    };
    draft.workload("trace", inline([("path", path.into())]), "load.trace.file");
    draft.understood("load.trace.file", path, "workload.trace");
    leftovers(document, draft);
    Ok(())
}

fn data(document: &Document, draft: &mut Draft) -> Result<(), String> {
    let kind = document.text("data.type")?.unwrap_or("mock").to_owned();
    match kind.as_str() {
        "random" | "synthetic" => {
            for (setting, key) in
                [("data.input_distribution", "prompt_tokens"), ("data.output_distribution", "output_tokens")]
            {
                let lengths = distribution(document, setting, draft)?;
                let lengths =
                    lengths.ok_or_else(|| format!("`{setting}` is missing: `data.type` is `{kind}`"))?;
                draft.workload(key, lengths, setting);
            }
        }
        "shared_prefix" => shared_prefix(document, draft)?,
        other => {
            return Err(format!(
                "`data.type` is `{other}`: its lengths are not in the configuration, and kendall has no tokenizer to count them; \
                 use random, synthetic or shared_prefix, or write a scenario with `lengths` or `trace`"
            ));
        }
    }
    draft.understood("data.type", kind, "workload");
    Ok(())
}

/// A distribution of lengths: `{min, max, mean, std_dev, type}`.
fn distribution(document: &Document, setting: &str, draft: &mut Draft) -> Result<Option<Value>, String> {
    let Some(table) = document.below(setting) else { return Ok(None) };
    let _ = document.get(setting);
    let (min, max) = (table.whole("min")?.unwrap_or(10), table.whole("max")?.unwrap_or(1024));
    let mean = table.number("mean")?.unwrap_or(512.0);
    let std_dev = match table.number("std_dev")? {
        Some(std_dev) => std_dev,
        None => match (table.number("std")?, table.number("variance")?) {
            (Some(std), _) => std,
            (None, Some(variance)) => libm::sqrt(variance.max(0.0)),
            (None, None) => 200.0,
        },
    };
    if min > max {
        return Err(format!("`{setting}`: `min` {min} is above `max` {max}"));
    }
    let min = min.max(1);
    let kind = table.text("type")?.unwrap_or("normal").to_owned();
    let skew = table.number("skew")?.unwrap_or(0.0);
    if skew.abs() > 0.0 {
        draft.lost(&format!("{setting}.skew"), skew, "lengths are skewed; they become symmetric");
    }
    let shown = format!("{kind}: {mean} +- {std_dev}, {min} to {max}");
    let value = match kind.as_str() {
        "fixed" | "constant" => constant((mean.max(1.0)) as u64),
        "uniform" => uniform(min, max),
        _ if std_dev <= 0.0 || min == max => constant((mean.max(1.0) as u64).clamp(min, max)),
        "normal" | "skew_normal" => clipped_normal(mean, std_dev, min, max),
        "lognormal" => {
            // Mean and standard deviation of the lengths themselves.
            let ratio = std_dev / mean;
            let sigma = libm::sqrt(libm::log1p(ratio * ratio));
            inline([
                ("dist", "lognormal".into()),
                ("median", (mean / libm::exp(sigma * sigma / 2.0)).into()),
                ("sigma", sigma.into()),
                ("min", whole(min)),
                ("max", whole(max)),
                ("outside", "clip".into()),
            ])
        }
        other => {
            return Err(format!(
                "`{setting}.type` is `{other}`: expected normal, uniform, lognormal or fixed"
            ));
        }
    };
    draft.understood(setting, shown, "rounded to the nearest token and clipped, as the tool does");
    if let Some(count) = table.whole("total_count")? {
        draft.approximated(
            &format!("{setting}.total_count"),
            count,
            "lengths are drawn for every request; the tool draws so many and goes through them again",
        );
    }
    Ok(Some(value))
}

fn shared_prefix(document: &Document, draft: &mut Draft) -> Result<(), String> {
    let either = |names: [&str; 2], default: u64| -> Result<u64, String> {
        for name in names {
            if let Some(count) = document.whole(&format!("data.shared_prefix.{name}"))? {
                return Ok(count);
            }
        }
        Ok(default)
    };
    let groups = either(["num_groups", "num_unique_system_prompts"], 10)?;
    let prompts = either(["num_prompts_per_group", "num_users_per_system_prompt"], 10)?;
    let tokens = document.whole("data.shared_prefix.system_prompt_len")?.unwrap_or(100);
    let shared = inline([("tokens", whole(tokens)), ("groups", whole(groups))]);
    draft.workload("shared_prefix", shared, "data.shared_prefix.system_prompt_len, .num_groups");
    draft.workload(
        "distinct_prompts",
        whole(groups.saturating_mul(prompts)),
        "data.shared_prefix.num_groups * .num_prompts_per_group",
    );
    draft.understood(
        "data.shared_prefix",
        format!("{groups} groups of {prompts} prompts, {tokens} shared tokens"),
        "workload.shared_prefix, .distinct_prompts",
    );
    for (length, distribution_key, key, default) in [
        ("question_len", "question_distribution", "prompt_tokens", 50),
        ("output_len", "output_distribution", "output_tokens", 50),
    ] {
        let path = format!("data.shared_prefix.{length}");
        let by_table = [format!("data.shared_prefix.{distribution_key}"), path.clone()];
        let mut lengths = None;
        for table in by_table {
            if lengths.is_none() && document.peek(&table).is_some_and(serde_json::Value::is_object) {
                lengths = distribution(document, &table, draft)?;
            }
        }
        let lengths = match lengths {
            Some(lengths) => lengths,
            None => constant(document.whole(&path)?.unwrap_or(default).max(1)),
        };
        draft.workload(key, lengths, &path);
    }
    if document.is_on("data.shared_prefix.enable_multi_turn_chat") {
        draft.lost("data.shared_prefix.enable_multi_turn_chat", true, "prompts grow from turn to turn");
    }
    Ok(())
}

fn clients(document: &Document, draft: &mut Draft) -> Result<(), String> {
    let Some(timeout) = document.number("load.request_timeout")? else {
        if document.whole("load.request_retries")?.is_some_and(|retries| retries > 0) {
            draft.no_effect("load.request_retries", "", "no request fails without a time-out");
        }
        let _ = document.get("load.request_retry_backoff_sec");
        return Ok(());
    };
    let mut clients = toml_edit::InlineTable::new();
    clients.insert("timeout_s", timeout.into());
    draft.understood("load.request_timeout", timeout, "workload.clients.timeout_s");
    let retries = document.whole("load.request_retries")?.unwrap_or(0);
    if retries > 0 {
        let backoff = document.number("load.request_retry_backoff_sec")?.unwrap_or(0.5);
        let plan = inline([("max", whole(retries)), ("backoff_s", backoff.into())]);
        clients.insert("retries", plan);
        draft.understood("load.request_retries", retries, "workload.clients.retries");
    }
    draft.workload("clients", clients, "load.request_timeout, .request_retries");
    Ok(())
}

fn goodput(document: &Document, draft: &mut Draft) -> Result<(), String> {
    for (name, key) in
        [("ttft", "ttft_ms"), ("tpot", "tpot_ms"), ("e2e", "e2el_ms"), ("request_latency", "e2el_ms")]
    {
        let path = format!("report.goodput.constraints.{name}");
        if let Some(seconds) = document.number(&path)? {
            draft.limit(key, seconds * 1e3);
            draft.understood(&path, format!("{seconds} s"), &format!("slo.goodput.{key}"));
        }
    }
    Ok(())
}

fn leftovers(document: &Document, draft: &mut Draft) {
    for (path, value) in document.unread() {
        let under = |prefix: &str| {
            path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
        };
        match NO_EFFECT.iter().find(|(prefix, _)| under(prefix)) {
            Some((prefix, why)) => {
                if !draft.has(prefix) {
                    draft.no_effect(prefix, "", why);
                }
            }
            None if value == "false" || value == "[]" || value == "{}" => {}
            None => draft.lost(&path, value, "kendall does not know this setting"),
        }
    }
}
