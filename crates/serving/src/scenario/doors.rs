//! From the keys of `[server]` to the order of the waiting queue and the rules at the door of an engine of the zoo.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::zoo::{
    Admission, KvReservation, Order, PolicyTable, QueueSettings, TokenBucket, TtftLimits, ZooConfig,
};

use super::ledger::{Ledger, Treatment};
use super::resolve::{Beside, at, goodput_limits};
use super::{Scenario, ScenarioError, Slo};

/// `[server.admission]`: who may join the queue of an engine other than vLLM V1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionSettings {
    /// Prompt tokens pass at a rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_bucket: Option<TokenBucket>,
    /// All that wait and run have room in the KV cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_reservation: Option<KvReservation>,
    /// Refuses requests whose first token is expected beyond the `ttft_ms` of their class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo_aware: Option<bool>,
    /// File with an admission table, relative to the scenario file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_table: Option<String>,
}

/// Fills in the order and the rules at the door.
///
/// # Errors
/// On a value out of range, a key that the order does not use, a missing limit, and a table that cannot be read.
pub(super) fn resolve_doors(
    scenario: &Scenario,
    beside: Beside<'_>,
    zoo: &mut ZooConfig,
    ledger: &mut Ledger,
) -> Result<(), ScenarioError> {
    let server = &scenario.server;
    zoo.ttft_limits = ttft_limits(scenario)?;
    zoo.order = server.queue_order.unwrap_or_default();
    if let Some(settings) = &server.queue {
        check_queue(settings, zoo.order)?;
        zoo.queue = settings.clone();
    }
    if zoo.order == Order::EarliestDeadline && zoo.ttft_limits.is_empty() {
        let message =
            "earliest_deadline: no request has a deadline: give `ttft_ms` in `slo.goodput`, or of a class";
        return Err(at("queue_order", &message));
    }
    let settings = server.admission.clone().unwrap_or_default();
    if let Some(bucket) = settings.token_bucket {
        positive("admission.token_bucket.tokens_per_s", bucket.tokens_per_s)?;
        positive("admission.token_bucket.burst_tokens", bucket.burst_tokens)?;
    }
    if let Some(rule) = settings.kv_reservation {
        positive("admission.kv_reservation.share", rule.share)?;
    }
    let slo_aware = settings.slo_aware.unwrap_or(false);
    if slo_aware && zoo.ttft_limits.is_empty() {
        let message = "no request has a limit: give `ttft_ms` in `slo.goodput`, or of a class";
        return Err(at("admission.slo_aware", &message));
    }
    let table = match (&settings.policy_table, beside.admission_table) {
        (Some(path), Some(text)) => {
            let table = PolicyTable::from_csv(text);
            let table = table.map_err(|error| at("admission.policy_table", &format!("{path}: {error}")))?;
            Some(Arc::new(table))
        }
        _ => None,
    };
    zoo.admission = Admission {
        queue_limit: server.queue_limit,
        token_bucket: settings.token_bucket,
        kv_reservation: settings.kv_reservation,
        slo_aware,
        table,
    };
    note(zoo, ledger);
    Ok(())
}

/// The limits on the time to first token, as goodput counts them: a class's own objectives, or those of all.
fn ttft_limits(scenario: &Scenario) -> Result<TtftLimits, ScenarioError> {
    let ttft = |key: &str, slo: Option<&Slo>| {
        let goodput = slo.and_then(|slo| slo.goodput.as_ref());
        goodput.map(|goodput| goodput_limits(key, goodput)).transpose()
    };
    let default = ttft("slo.goodput", scenario.slo.as_ref())?.and_then(|limits| limits.ttft);
    let of_class = |(number, class): (usize, &super::Class)| -> Result<_, ScenarioError> {
        let own = ttft(&format!("workload.class.{number}.slo.goodput"), class.slo.as_ref())?;
        Ok(own.map_or(default, |limits| limits.ttft))
    };
    let by_class = scenario.workload.class.iter().enumerate().map(of_class).collect::<Result<_, _>>()?;
    Ok(TtftLimits { default, by_class })
}

/// Keys of `[server.queue]` belong to one order each.
fn check_queue(settings: &QueueSettings, order: Order) -> Result<(), ScenarioError> {
    let QueueSettings { prediction_sigma, prompt_weight, output_weight } = *settings;
    let defaults = QueueSettings::default();
    let unused = |key: &str, order: &str| {
        Err(at(key, &format!("only `queue_order = \"{order}\"` uses it: leave it out, or set that")))
    };
    if order != Order::PredictedSjf
        && settings.prediction_sigma.to_bits() != defaults.prediction_sigma.to_bits()
    {
        return unused("queue.prediction_sigma", "predicted_sjf");
    }
    let weights = (prompt_weight, output_weight);
    if order != Order::FairShare && weights != (defaults.prompt_weight, defaults.output_weight) {
        return unused("queue.output_weight", "fair_share");
    }
    if !(0.0..=10.0).contains(&prediction_sigma) {
        return Err(at(
            "queue.prediction_sigma",
            &format!("{prediction_sigma}: it must lie between 0 and 10"),
        ));
    }
    for (key, weight) in [("queue.prompt_weight", prompt_weight), ("queue.output_weight", output_weight)] {
        if weight > 1_000_000 {
            return Err(at(key, &format!("{weight}: it must be at most 1000000")));
        }
    }
    if weights == (0, 0) {
        return Err(at("queue.output_weight", &"both weights are 0: nothing would count"));
    }
    Ok(())
}

fn positive(key: &str, value: f64) -> Result<(), ScenarioError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(at(key, &format!("{value:?}: it must be a finite number above 0")))
}

/// What the ledger says of them.
fn note(zoo: &ZooConfig, ledger: &mut Ledger) {
    let mut add = |setting, value: String, treatment, note| {
        ledger.add(setting, value, "scenario".into(), treatment, note);
    };
    match zoo.order {
        Order::PredictedSjf => add(
            "queue.prediction_sigma",
            zoo.queue.prediction_sigma.to_string(),
            Treatment::Approximated,
            "the true length with a lognormal error, not a predictor of its own",
        ),
        Order::FairShare => add(
            "queue weights",
            format!(
                "{} a prompt token, {} an output token",
                zoo.queue.prompt_weight, zoo.queue.output_weight
            ),
            Treatment::Modelled,
            "counters follow decode steps when a request comes, begins to decode or leaves",
        ),
        _ => {}
    }
    let Admission { token_bucket, kv_reservation, slo_aware, table, .. } = &zoo.admission;
    if let Some(TokenBucket { tokens_per_s, burst_tokens }) = token_bucket {
        let value = format!("{tokens_per_s} tokens/s, {burst_tokens} tokens");
        add("admission.token_bucket", value, Treatment::Modelled, "");
    }
    if let Some(KvReservation { output_tokens, share }) = kv_reservation {
        let value = format!("prompt and {output_tokens} tokens, {share} of the KV cache");
        add("admission.kv_reservation", value, Treatment::Modelled, "");
    }
    if *slo_aware {
        let note = "expected by the pace of the last admissions";
        add("admission.slo_aware", "true".into(), Treatment::Modelled, note);
    }
    if let Some(table) = table {
        let value = format!("{} classes, {} states", table.num_classes(), table.num_states());
        add("admission.policy_table", value, Treatment::Modelled, "it is told true output lengths");
    }
}
