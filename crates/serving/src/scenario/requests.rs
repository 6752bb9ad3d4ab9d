//! From the keys of `[workload]` and of a class in it to one class of requests.

use kendall_des::Distribution;

use crate::workload::{Contents, FieldError, LengthSource, Lengths, RequestClass, RetryPlan, SessionPlan};

use super::plan::{at, client_plan, located, missing, times};
use super::{
    Class, Clients, LengthOrder, RecordedLengths, Retries, ScenarioError, Sessions, SharedPrefix, Workload,
};

/// The keys of a class; what it does not say, the workload says.
pub(super) struct Keys<'a> {
    workload: &'a Workload,
    class: Option<(usize, &'a Class)>,
}

/// A value with the place that it comes from, below `workload`.
type Placed<'a, T> = Option<(String, &'a T)>;

impl<'a> Keys<'a> {
    pub(super) fn new(workload: &'a Workload, class: Option<(usize, &'a Class)>) -> Self {
        Self { workload, class }
    }

    /// The class's value of a key, or else the workload's.
    fn get<T>(
        &self,
        key: &str,
        of_class: impl Fn(&'a Class) -> Option<&'a T>,
        of_workload: Option<&'a T>,
    ) -> Placed<'a, T> {
        let own =
            self.class.and_then(|(number, class)| Some((format!("class.{number}.{key}"), of_class(class)?)));
        own.or_else(|| Some((key.to_owned(), of_workload?)))
    }

    /// Where a key of this class would stand.
    fn place(&self, key: &str) -> String {
        self.class.map_or_else(|| key.to_owned(), |(number, _)| format!("class.{number}.{key}"))
    }
}

pub(super) fn request_class(keys: &Keys<'_>) -> Result<RequestClass, ScenarioError> {
    let Keys { workload, class } = *keys;
    let sessions = keys.get("sessions", |class| class.sessions.as_ref(), workload.sessions.as_ref());
    let clients: Placed<'_, Clients> =
        keys.get("clients", |class| class.clients.as_ref(), workload.clients.as_ref());
    Ok(RequestClass {
        weight: class.and_then(|(_, class)| class.weight).unwrap_or(1.0),
        priority: class.and_then(|(_, class)| class.priority).unwrap_or(0),
        contents: contents(keys)?,
        sessions: sessions.map(|(key, sessions)| session_plan(&key, sessions)).transpose()?,
        clients: clients.map(|(key, clients)| client_plan(&key, clients)).transpose()?,
        ..RequestClass::new(lengths(keys)?)
    })
}

fn lengths(keys: &Keys<'_>) -> Result<LengthSource, ScenarioError> {
    let workload = keys.workload;
    if let Some((key, recorded, has_distributions)) = recorded_lengths(keys) {
        if has_distributions {
            let message = "recorded lengths replace `prompt_tokens` and `output_tokens`: leave those out";
            return Err(at(&key, message));
        }
        return pairs(&key, recorded);
    }
    let prompt =
        keys.get("prompt_tokens", |class| class.prompt_tokens.as_ref(), workload.prompt_tokens.as_ref());
    let prompt = prompt.ok_or_else(|| missing(&keys.place("prompt_tokens")))?;
    let prompt = distribution(&prompt.0, prompt.1)?;
    let output = output(keys)?;
    let correlation = keys.get(
        "rank_correlation",
        |class| class.rank_correlation.as_ref(),
        workload.rank_correlation.as_ref(),
    );
    match correlation {
        None => Ok(LengthSource::Distributions { prompt, output }),
        Some((_, &rank_correlation)) if (-1.0..=1.0).contains(&rank_correlation) => {
            Ok(LengthSource::Correlated { prompt, output, rank_correlation })
        }
        Some((key, value)) => Err(at(&key, format!("{value:?}: it must lie between -1 and 1"))),
    }
}

/// The recorded lengths of a class, with their place, and whether distributions contradict them there. Distributions of a class
/// replace recorded lengths of the workload.
fn recorded_lengths<'a>(keys: &Keys<'a>) -> Option<(String, &'a RecordedLengths, bool)> {
    if let Some((number, class)) = keys.class {
        let has_distributions =
            class.prompt_tokens.is_some() || class.output_tokens.is_some() || class.prefill_only.is_some();
        match &class.lengths {
            Some(recorded) => return Some((format!("class.{number}.lengths"), recorded, has_distributions)),
            None if has_distributions => return None,
            None => {}
        }
    }
    let workload = keys.workload;
    let has_distributions = workload.prompt_tokens.is_some()
        || workload.output_tokens.is_some()
        || workload.prefill_only.is_some();
    Some(("lengths".to_owned(), workload.lengths.as_ref()?, has_distributions))
}

fn output(keys: &Keys<'_>) -> Result<Distribution, ScenarioError> {
    let workload = keys.workload;
    let prefill_only =
        keys.get("prefill_only", |class| class.prefill_only.as_ref(), workload.prefill_only.as_ref());
    let output =
        keys.get("output_tokens", |class| class.output_tokens.as_ref(), workload.output_tokens.as_ref());
    let own_output = keys.class.is_some_and(|(_, class)| class.output_tokens.is_some());
    let own_prefill = keys.class.is_some_and(|(_, class)| class.prefill_only.is_some());
    match (prefill_only, output) {
        // A class that says one of the two overrides the other of the workload.
        (Some((_, true)), Some((key, output))) if own_output && !own_prefill => distribution(&key, output),
        (Some((key, true)), Some(_)) if own_output == own_prefill => Err(at(
            &key,
            "requests that only read their prompt have no `output_tokens`: leave one of the two out",
        )),
        (Some((key, true)), _) => {
            let one = Distribution::constant(1.0);
            one.map_err(|error| at(&key, error.to_string()))
        }
        (_, Some((key, output))) => distribution(&key, output),
        (_, None) => Err(missing(&keys.place("output_tokens"))),
    }
}

fn distribution(key: &str, lengths: &Lengths) -> Result<Distribution, ScenarioError> {
    let here = |error: FieldError| located(&format!("workload.{key}"), &error.field, error.message.clone());
    lengths.distribution().map_err(here)
}

fn pairs(key: &str, recorded: &RecordedLengths) -> Result<LengthSource, ScenarioError> {
    let pairs = match (&recorded.pairs, &recorded.path) {
        (Some(pairs), None) => pairs.clone(),
        (None, Some(path)) => {
            let message = format!("{path}: the file has not been read: give `pairs` instead");
            return Err(at(&format!("{key}.path"), message));
        }
        _ => return Err(at(key, "give one of `path` and `pairs`")),
    };
    if let Some(zero) = pairs.iter().position(|&(prompt, output)| prompt == 0 || output == 0) {
        let message = "a request has at least 1 prompt token and 1 output token";
        return Err(at(&format!("{key}.pairs.{zero}"), message));
    }
    if pairs.is_empty() {
        return Err(at(&format!("{key}.pairs"), "there is no pair: give at least one"));
    }
    Ok(LengthSource::Pairs { pairs, random: recorded.order == LengthOrder::Random })
}

fn contents(keys: &Keys<'_>) -> Result<Contents, ScenarioError> {
    let workload = keys.workload;
    let distinct = keys.get(
        "distinct_prompts",
        |class| class.distinct_prompts.as_ref(),
        workload.distinct_prompts.as_ref(),
    );
    if let Some((key, count)) = distinct.as_ref().filter(|(_, count)| !(1..=MAX_PROMPTS).contains(*count)) {
        return Err(at(key, format!("{count}: it must lie between 1 and {MAX_PROMPTS}")));
    }
    let mut contents =
        Contents { distinct_prompts: distinct.map(|(_, &count)| count), ..Contents::default() };
    let prefix =
        keys.get("shared_prefix", |class| class.shared_prefix.as_ref(), workload.shared_prefix.as_ref());
    if let Some((key, prefix)) = prefix {
        share(&key, prefix, &mut contents)?;
    }
    Ok(contents)
}

fn share(key: &str, prefix: &SharedPrefix, contents: &mut Contents) -> Result<(), ScenarioError> {
    contents.prefix_tokens = prefix.tokens;
    contents.prefix_groups = prefix.groups.unwrap_or(1);
    contents.zipf = prefix.zipf.unwrap_or(0.0);
    if prefix.tokens == 0 || prefix.tokens > MAX_PREFIX_TOKENS {
        let message = format!("{}: it must lie between 1 and {MAX_PREFIX_TOKENS}", prefix.tokens);
        return Err(at(&format!("{key}.tokens"), message));
    }
    if contents.prefix_groups == 0 || contents.prefix_groups > MAX_PREFIX_GROUPS {
        let message = format!("{}: it must lie between 1 and {MAX_PREFIX_GROUPS}", contents.prefix_groups);
        return Err(at(&format!("{key}.groups"), message));
    }
    if !(0.0..=100.0).contains(&contents.zipf) {
        let message = format!("{:?}: it must lie between 0 and 100", contents.zipf);
        return Err(at(&format!("{key}.zipf"), message));
    }
    Ok(())
}

/// Longest shared beginning, in tokens: longer than any model takes.
const MAX_PREFIX_TOKENS: u32 = 1 << 24;
/// Most groups of shared beginnings: each has an entry in a table.
const MAX_PREFIX_GROUPS: u32 = 1 << 20;
/// Most different prompts: they are told apart by a number of so many values.
const MAX_PROMPTS: u64 = 1 << 44;

fn session_plan(key: &str, sessions: &Sessions) -> Result<SessionPlan, ScenarioError> {
    let (mean, cv) = (sessions.think_time_s, sessions.think_time_cv.unwrap_or(1.0));
    let think_time = if mean.abs() > 0.0 || mean.is_nan() {
        times(key, ("think_time_s", mean), ("think_time_cv", cv))?
    } else {
        Distribution::constant(0.0).map_err(|error| at(key, error.to_string()))?
    };
    Ok(SessionPlan { turns: distribution(&format!("{key}.turns"), &sessions.turns)?, think_time })
}

/// Retries of the clients at `key`.
pub(super) fn retry_plan(key: &str, retries: &Retries) -> Result<RetryPlan, ScenarioError> {
    let wrong = |name: &str, value: f64, expected: &str| {
        at(&format!("{key}.retries.{name}"), format!("{value:?}: it must be {expected}"))
    };
    let plan = RetryPlan {
        max_retries: retries.max,
        backoff_s: retries.backoff_s,
        factor: retries.factor.unwrap_or(2.0),
        max_backoff_s: retries.max_backoff_s.unwrap_or(f64::MAX),
        jitter: retries.jitter.unwrap_or(0.0),
    };
    if retries.max == 0 {
        return Err(at(
            &format!("{key}.retries.max"),
            "0: it must be at least 1; leave `retries` out for none",
        ));
    }
    if !(plan.backoff_s.is_finite() && plan.backoff_s >= 0.0) {
        return Err(wrong("backoff_s", plan.backoff_s, "a finite number, at least 0"));
    }
    if !(plan.factor.is_finite() && plan.factor >= 1.0) {
        return Err(wrong("factor", plan.factor, "a finite number, at least 1"));
    }
    if plan.max_backoff_s.is_nan() || plan.max_backoff_s < plan.backoff_s {
        return Err(wrong("max_backoff_s", plan.max_backoff_s, "at least `backoff_s`"));
    }
    if !(0.0..=1.0).contains(&plan.jitter) {
        return Err(wrong("jitter", plan.jitter, "between 0 and 1"));
    }
    Ok(plan)
}
