//! The laws of latencies by the models that know them, for charts.

use kendall_theory::batching::TimeLaw;
use kendall_theory::batching::paged;
use serde_json::{Value, json};

use super::answer::PAGED;
use super::model::Inputs;

/// Shares of requests at which a law is drawn.
const POINTS: u32 = 24;
/// The tail is what limits are about.
const TAIL: [f64; 3] = [0.98, 0.99, 0.995];

/// By latency, points (ms, share of requests at least so fast); `None` of a model without a law.
pub(super) fn curves(inputs: Option<&Inputs>, model: &str) -> Option<Value> {
    let inputs = inputs.filter(|inputs| model == PAGED && inputs.loss.is_none())?;
    let prediction = paged::predict(&inputs.at(inputs.rate_per_s)).ok()?;
    let laws = [("ttft", &prediction.ttft), ("tpot", &prediction.tpot), ("e2el", &prediction.e2e)];
    Some(laws.into_iter().map(|(latency, law)| (latency.to_owned(), points(law))).collect())
}

fn points(law: &TimeLaw) -> Value {
    let body = (1..POINTS).map(|i| f64::from(i) / f64::from(POINTS));
    body.chain(TAIL).map(|share| json!([law.quantile_s(share) * 1e3, share])).collect()
}
