//! guidellm: its scenario files, and the configuration that its result files repeat.
//!
//! Source: `src/guidellm/benchmark` and `src/guidellm/data` of <https://github.com/vllm-project/guidellm>, versions 0.2 to 0.8. Up to 0.6 a
//! scenario is flat (`profile`, `rate`, `data`, `max_seconds`); from 0.8 on it stands under `spec`, with `profile.kind`.

use serde_json::Value as Json;
use toml_edit::Array;

use crate::args::ImportArgs;
use crate::vllm::inline;

use super::document::Document;
use super::draft::{Draft, clipped_normal, constant, uniform, whole};

/// Parts of a scenario that a simulation need not know.
const NO_EFFECT: [(&str, &str); 15] = [
    ("backend", "how the tool talks to the server"),
    ("target", "the scenario names the server"),
    ("model", "the scenario names the server"),
    ("tokenizer", "the scenario counts tokens"),
    ("processor", "the scenario counts tokens"),
    ("data_column_mapper", "how the tool reads data"),
    ("data_preprocessors", "how the tool reads data"),
    ("data_finalizer", "how the tool reads data"),
    ("data_loader", "how the tool reads data"),
    ("data_samples", "how the tool reads data"),
    ("outputs", "what the tool reports"),
    ("metrics", "what the tool reports"),
    ("description", "words"),
    ("request_type", "how the tool talks to the server"),
    ("seed.kind", "how the seed is given"),
];

/// Whether the document is a scenario of guidellm, or a result that repeats one.
pub(super) fn is_scenario(document: &Document) -> bool {
    ["spec.profile", "profile", "rate_type", "config.spec.profile", "args.profile"]
        .iter()
        .any(|path| document.peek(path).is_some())
}

/// Reads the scenario.
///
/// # Errors
/// If it contradicts itself, or a simulation cannot know its lengths or rates.
pub(super) fn read(document: &Document, args: &ImportArgs, draft: &mut Draft) -> Result<(), String> {
    let nested = ["spec", "config.spec", "args"].into_iter().find_map(|path| document.below(path));
    let spec = nested.as_ref().unwrap_or(document);
    let seed = match spec.whole("seed.value")? {
        Some(seed) => Some(seed),
        None => spec.whole("random_seed")?,
    };
    if let Some(seed) = seed {
        draft.seed(seed, "seed");
        draft.approximated("seed", seed, "seed; the draws are kendall's own");
    }
    let profile = Profile::read(spec, args, draft)?;
    profile.write(spec, draft)?;
    data(spec, draft)?;
    if let Some(timeout) = spec.number("backend.timeout")? {
        draft.workload("clients", inline([("timeout_s", timeout.into())]), "backend.timeout");
        draft.understood("backend.timeout", timeout, "workload.clients.timeout_s");
    }
    leftovers(spec, draft);
    Ok(())
}

/// How requests are sent.
struct Profile {
    kind: String,
    /// The rate or the number of streams that was chosen.
    rate: Option<f64>,
    ramp_up_s: f64,
}

impl Profile {
    fn read(spec: &Document, args: &ImportArgs, draft: &mut Draft) -> Result<Self, String> {
        let kind = match (spec.peek("profile"), spec.peek("rate_type")) {
            (Some(Json::String(_)), _) => spec.text("profile")?,
            (Some(_), _) => match spec.text("profile.kind")? {
                Some(kind) => Some(kind),
                None => spec.text("profile.type_")?,
            },
            (None, _) => spec.text("rate_type")?,
        };
        let kind = kind.ok_or("`profile` is missing: name one, such as poisson")?.to_owned();
        let path =
            ["profile.rate", "profile.streams", "rate"].into_iter().find(|path| spec.peek(path).is_some());
        let rates = path.map_or(Ok(Vec::new()), |path| numbers(spec, path))?;
        let at = args.stage.unwrap_or(0);
        let rate = rates.get(at).copied();
        if rate.is_none() && (!rates.is_empty() || args.stage.is_some()) {
            return Err(format!("there is no rate number {at} among {}: count from 0", rates.len()));
        }
        if rates.len() > 1 {
            let note = format!("one run is one rate: this is number {at}; import the others with --stage N");
            draft.lost(path.unwrap_or("rate"), format!("{rates:?}"), &note);
        }
        let ramp_up_s = spec.number("profile.rampup_duration")?;
        let ramp_up_s = ramp_up_s.or(spec.number("rampup")?).unwrap_or(0.0);
        Ok(Self { kind, rate, ramp_up_s })
    }

    fn write(&self, spec: &Document, draft: &mut Draft) -> Result<(), String> {
        let kind = self.kind.as_str();
        let rate = || {
            let rate = self.rate.filter(|rate| *rate > 0.0);
            rate.ok_or_else(|| format!("`rate`: the profile `{kind}` needs a number above 0"))
        };
        let clients = |count: f64| {
            if count.fract() > 0.0 || count > f64::from(u32::MAX) {
                return Err(format!("`rate` is {count}: expected a whole number of streams"));
            }
            Ok(inline([
                ("process", "closed_loop".into()),
                ("concurrency", whole(count as u64)),
                ("ramp_up_s", self.ramp_up_s.into()),
            ]))
        };
        let arrivals = match kind {
            "constant" | "async" => self.evenly(rate()?),
            "poisson" => inline([("process", "poisson".into()), ("rate_per_s", rate()?.into())]),
            "concurrent" => clients(rate()?)?,
            "synchronous" => match self.rate {
                None => clients(1.0)?,
                Some(rate) => {
                    return Err(format!(
                        "`rate` is {rate}: the profile `synchronous` sends one request after another and takes none: leave it \
                         out, or name the profile constant, poisson or concurrent"
                    ));
                }
            },
            "throughput" => inline([("process", "at_once".into())]),
            "sweep" => {
                return Err(
                    "the profile `sweep` finds its rates while it runs: give `poisson` or `constant` with the rates that it found"
                        .into(),
                );
            }
            other => {
                return Err(format!(
                    "the profile is `{other}`: expected synchronous, concurrent, throughput, constant, async or poisson"
                ));
            }
        };
        let shown = self.rate.map_or_else(|| kind.to_owned(), |rate| format!("{kind} {rate}"));
        draft.workload("arrivals", arrivals, "profile, rate");
        draft.understood("profile", shown, "workload.arrivals");
        if self.ramp_up_s > 0.0 {
            draft.understood("rampup", self.ramp_up_s, "workload.arrivals");
        }
        if let Some(most) = spec.whole("profile.max_concurrency")? {
            draft.workload("max_concurrency", whole(most), "profile.max_concurrency");
            draft.understood("profile.max_concurrency", most, "workload.max_concurrency");
        }
        extent(spec, self, draft)
    }

    /// Equal gaps, after a ramp if there is one.
    fn evenly(&self, rate: f64) -> toml_edit::Value {
        if self.ramp_up_s <= 0.0 {
            return inline([("process", "constant".into()), ("rate_per_s", rate.into())]);
        }
        let mut points = Array::new();
        for (time, rate) in [(0.0, 0.0), (self.ramp_up_s, rate)] {
            points.push(Array::from_iter([time, rate]));
        }
        let points = toml_edit::Value::Array(points);
        inline([("process", "piecewise".into()), ("points", points), ("cv", 0.0.into())])
    }
}

/// Numbers of a list, of a text with commas, or one number.
fn numbers(spec: &Document, path: &str) -> Result<Vec<f64>, String> {
    let bad = |value: &Json| format!("`{path}` is {value}: expected numbers");
    match spec.get(path) {
        None => Ok(Vec::new()),
        Some(Json::Array(list)) => {
            list.iter().map(|value| value.as_f64().ok_or_else(|| bad(value))).collect()
        }
        Some(value @ Json::String(text)) => {
            text.split(',').map(|part| part.trim().parse().map_err(|_| bad(value))).collect()
        }
        Some(value) => value.as_f64().map(|number| vec![number]).ok_or_else(|| bad(value)),
    }
}

/// How many requests, or for how long.
fn extent(spec: &Document, profile: &Profile, draft: &mut Draft) -> Result<(), String> {
    let mut requests = spec.whole("max_requests")?;
    let mut seconds = spec.number("max_seconds")?;
    for at in 0..spec.len("constraints") {
        let key = |key: &str| format!("constraints.{at}.{key}");
        let Some(kind) = spec.text(&key("kind"))? else { continue };
        match kind {
            "max_requests" | "max_number" => requests = requests.or(spec.whole(&key("count"))?),
            "max_seconds" | "max_duration" => {
                let limit = spec.number(&key("seconds"))?;
                seconds = seconds.or(limit).or(spec.number(&key("duration"))?);
            }
            other => {
                let _ = spec.get(&format!("constraints.{at}"));
                draft.lost(&key("kind"), other, "the run may end earlier");
            }
        }
        let _ = spec.get(&key("stopping_scope"));
    }
    // Whichever comes first ends the tool's run.
    let by_requests = match (requests, seconds, profile.rate) {
        (Some(requests), Some(seconds), Some(rate)) if !matches!(profile.kind.as_str(), "concurrent") => {
            requests as f64 <= rate * seconds
        }
        (requests, ..) => requests.is_some(),
    };
    match (requests, seconds) {
        (None, None) => {
            return Err(
                "there is neither `max_requests` nor `max_seconds`: the run would have no end; give one"
                    .into(),
            );
        }
        (Some(requests), _) if by_requests => {
            draft.workload("requests", whole(requests), "max_requests");
            draft.understood("max_requests", requests, "workload.requests");
            if let Some(seconds) = seconds {
                draft.approximated(
                    "max_seconds",
                    seconds,
                    "left out: the requests are expected to end first",
                );
            }
        }
        (requests, Some(seconds)) => {
            draft.workload("duration_s", seconds, "max_seconds");
            draft.understood("max_seconds", seconds, "workload.duration_s");
            if let Some(requests) = requests {
                draft.approximated("max_requests", requests, "left out: the time is expected to end first");
            }
        }
        (Some(_), None) => return Err("`max_requests` cannot be carried over".into()),
    }
    Ok(())
}

fn data(spec: &Document, draft: &mut Draft) -> Result<(), String> {
    let text;
    let table = match spec.peek("data") {
        Some(Json::Array(list)) => {
            if list.len() > 1 {
                draft.lost("data", format!("{} sources", list.len()), "only the first is carried over");
            }
            match list.first() {
                Some(Json::String(source)) => {
                    text = parsed(source)?;
                    Some(text)
                }
                _ => spec.below("data.0"),
            }
        }
        Some(Json::String(source)) => {
            text = parsed(source)?;
            Some(text)
        }
        Some(_) => spec.below("data"),
        None => None,
    };
    let _ = spec.get("data");
    let table =
        table.ok_or("`data` is missing: give synthetic lengths, `prompt_tokens` and `output_tokens`")?;
    if table.text("kind")?.is_some_and(|kind| kind != "synthetic_text")
        || table.peek("prompt_tokens").is_none()
    {
        return Err("`data` is no synthetic text: its lengths are not in the scenario, and kendall has no tokenizer to count them; \
                    give `prompt_tokens` and `output_tokens`, or write a scenario with `lengths` or `trace`"
            .into());
    }
    for part in ["prompt", "output"] {
        let key = format!("{part}_tokens");
        let lengths = lengths(&table, &key)?;
        let shown = format!(
            "{} +- {}",
            table.number(&key)?.unwrap_or(0.0),
            table.number(&format!("{key}_stdev"))?.unwrap_or(0.0)
        );
        draft.understood(&format!("data.{key}"), shown, &format!("workload.{key}"));
        draft.workload(&key, lengths, &format!("data.{key}"));
    }
    turns(&table, draft)?;
    prefixes(&table, draft)?;
    for (path, value) in table.unread() {
        if !matches!(value.as_str(), "1" | "[]" | "{}" | "false") {
            draft.lost(&format!("data.{path}"), value, "kendall does not know this setting");
        }
    }
    Ok(())
}

/// `prompt_tokens=128,output_tokens=64` or JSON.
fn parsed(source: &str) -> Result<Document, String> {
    if source.trim_start().starts_with('{') {
        return Document::parse(source);
    }
    let lines = source
        .split(',')
        .map(|pair| pair.split_once('=').map(|(key, value)| format!("{}: {}", key.trim(), value.trim())));
    let lines: Option<Vec<_>> = lines.collect();
    let lines = lines.ok_or_else(|| {
        format!("`data` is `{source}`: its lengths are not in the scenario, and kendall has no tokenizer to count them")
    })?;
    Document::parse(&lines.join("\n"))
}

/// As `IntegerRangeSampler` draws: uniform between the bounds without a standard deviation, else normal, rounded and clipped; bounds are five
/// standard deviations away if absent.
fn lengths(table: &Document, key: &str) -> Result<toml_edit::Value, String> {
    let mean = table.number(key)?.filter(|mean| *mean >= 1.0);
    let mean = mean.ok_or_else(|| format!("`data.{key}`: expected a number, at least 1"))?;
    let std_dev = table.number(&format!("{key}_stdev"))?.unwrap_or(0.0);
    let min = table.whole(&format!("{key}_min"))?.unwrap_or((mean - 5.0 * std_dev).max(1.0) as u64).max(1);
    let max = table.whole(&format!("{key}_max"))?.unwrap_or((mean + 5.0 * std_dev) as u64);
    if min > max {
        return Err(format!("`data.{key}_min` {min} is above `data.{key}_max` {max}"));
    }
    Ok(if min == max {
        constant(min)
    } else if std_dev > 0.0 {
        clipped_normal(mean, std_dev, min, max)
    } else {
        uniform(min, max)
    })
}

fn turns(table: &Document, draft: &mut Draft) -> Result<(), String> {
    let Some(turns) = table.whole("turns")?.filter(|turns| *turns > 1) else { return Ok(()) };
    let delay = table.number("delay")?.unwrap_or(0.0);
    let sessions =
        inline([("turns", constant(turns)), ("think_time_s", delay.into()), ("think_time_cv", 0.0.into())]);
    draft.workload("sessions", sessions, "data.turns, data.delay");
    draft.approximated(
        "data.turns",
        turns,
        "workload.sessions: all turns have the lengths of `prompt_tokens`",
    );
    Ok(())
}

fn prefixes(table: &Document, draft: &mut Draft) -> Result<(), String> {
    match table.len("prefix_buckets") {
        0 => {}
        1 => {
            let of = |key: &str| table.whole(&format!("prefix_buckets.0.{key}"));
            let tokens = of("prefix_tokens")?.unwrap_or(0);
            let groups = of("prefix_count")?.unwrap_or(1);
            let _ = table.get("prefix_buckets");
            if tokens > 0 {
                let shared = inline([("tokens", whole(tokens)), ("groups", whole(groups))]);
                draft.workload("shared_prefix", shared, "data.prefix_buckets");
                draft.understood(
                    "data.prefix_buckets",
                    format!("{groups} of {tokens}"),
                    "workload.shared_prefix",
                );
            }
        }
        several => {
            let _ = table.get("prefix_buckets");
            draft.lost(
                "data.prefix_buckets",
                format!("{several} buckets"),
                "prompts share beginnings of several lengths",
            );
        }
    }
    Ok(())
}

fn leftovers(spec: &Document, draft: &mut Draft) {
    for (path, value) in spec.unread() {
        let under = |prefix: &str| {
            path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
        };
        let known = NO_EFFECT.iter().find(|(prefix, _)| under(prefix));
        match known {
            Some((prefix, why)) if !draft.has(prefix) => draft.no_effect(prefix, "", why),
            Some(_) => {}
            None if under("profile.warmup") || under("profile.cooldown") => {
                if !draft.has("profile.warmup") {
                    draft.no_effect("profile.warmup", "", "what the tool reports");
                }
            }
            None if matches!(value.as_str(), "[]" | "{}" | "false") => {}
            None => draft.lost(&path, value, "kendall does not know this setting"),
        }
    }
}
