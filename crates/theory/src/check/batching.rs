//! Entries on continuous batching: the study's models and the exact single request.

use super::params::reject;
use super::{Answer, EvaluationError, Question, expression};
use crate::batching::single::SingleRequest;
use crate::batching::study::{StudyCell, StudyMetrics, mmc_baseline, two_class_markov, two_stage};
use crate::batching::{BatchStep, LengthLaw, StepTimes};

type Result<T> = std::result::Result<T, EvaluationError>;

/// The lengths of the single-request entries are cut here.
const LARGEST_LENGTH: usize = 8192;

pub(super) fn evaluate(question: &Question<'_>) -> Answer {
    Some(match question.model {
        "seed_mmc_baseline" => study(question, mmc_baseline),
        "seed_two_stage" => study(question, two_stage),
        "seed_markov_2class" => study(question, two_class_markov),
        "iteration_latency" => step(question),
        "llm_b1_mg1" => single(question),
        _ => return None,
    })
}

fn study(question: &Question<'_>, model: fn(&StudyCell) -> StudyMetrics) -> Result<f64> {
    let params = &question.params;
    let lambda = params.number("lambda")?;
    if !(lambda.is_finite() && lambda > 0.0) {
        return reject("lambda", &format!("= {lambda}: must be a finite number above 0"));
    }
    let (batch, capacity) = (params.index("B")?, params.index("K")?);
    if batch == 0 || batch > 1 << 20 || capacity == 0 {
        return reject("B", "must be at least 1 and at most a million, K at least 1");
    }
    let metrics = model(&StudyCell::new(lambda, batch, capacity));
    Ok(match question.metric {
        "mean_ttft" => metrics.mean_ttft_s,
        "p50_ttft" => metrics.p50_ttft_s,
        "p95_ttft" => metrics.p95_ttft_s,
        "p99_ttft" => metrics.p99_ttft_s,
        "goodput" => metrics.goodput_per_s,
        "blocking_probability" => metrics.blocking_probability,
        _ => return question.unknown_metric(),
    })
}

fn step(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let batch = params.index("batch")?;
    if question.metric != "seconds" {
        return question.unknown_metric();
    }
    if batch == 0 || batch > 1 << 20 {
        return reject("batch", "must be at least 1 and at most a million");
    }
    let steps = StepTimes::study(batch);
    match params.text("phase")? {
        "prefill" => Ok(steps.prefill_s(f64::from(params.whole("tokens")?), batch)),
        "decode" => Ok(steps.decode_s(batch)),
        other => reject("phase", &format!("= {other}: must be prefill or decode")),
    }
}

fn single(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let lambda = params.number("lambda")?;
    if !(lambda.is_finite() && lambda > 0.0) {
        return reject("lambda", &format!("= {lambda}: must be a finite number above 0"));
    }
    if params.whole("B")? != 1 || params.text("K")? != "inf" {
        return reject("B", "must be 1 and K \"inf\": only then is this M/G/1");
    }
    let prefill = |tokens: f64| match expression::evaluate(params.text("prefill")?, 'P', tokens) {
        Ok(seconds) => Ok(seconds),
        Err(problem) => reject("prefill", &problem),
    };
    let base = prefill(0.0)?;
    let slope = prefill(1.0)? - base;
    let bend = (prefill(1000.0)? - base - 1000.0 * slope).abs();
    if !bend.is_finite() || bend > 1e-9 * base.abs().max(slope.abs()) {
        return reject("prefill", "must be linear in P");
    }
    let row = BatchStep { prefill_base_s: base, prefill_token_s: slope, decode_s: params.number("decode")? };
    let steps = match StepTimes::new(vec![row]) {
        Ok(steps) => steps,
        Err(error) => return reject("prefill", &error.to_string()),
    };
    let system =
        SingleRequest::new(lambda, &lengths(question, "prompt")?, &lengths(question, "gen")?, &steps);
    let unstable = system.utilization >= 1.0;
    match question.metric {
        "utilization" => Ok(system.utilization),
        "mean_service" => Ok(system.mean_service_s),
        _ if unstable => {
            Err(crate::queueing::QueueingError::Unstable { utilization: system.utilization }.into())
        }
        "mean_wait" => Ok(system.mean_wait_s),
        "var_wait" => Ok(system.var_wait_s2),
        "mean_ttft" => Ok(system.mean_ttft_s),
        _ => question.unknown_metric(),
    }
}

/// `max(1,floor(LogN(ln MEDIAN,SIGMA)))`.
fn lengths(question: &Question<'_>, name: &str) -> Result<LengthLaw> {
    let params = &question.params;
    let text = params.text(name)?;
    let law = text
        .strip_prefix("max(1,floor(LogN(ln ")
        .and_then(|rest| rest.strip_suffix(")))"))
        .and_then(|inside| inside.split_once(','))
        .and_then(|(median, sigma)| Some((median.trim().parse().ok()?, sigma.trim().parse().ok()?)));
    let Some((median, sigma)) = law else {
        return reject(name, &format!("= {text}: must be max(1,floor(LogN(ln MEDIAN,SIGMA)))"));
    };
    match LengthLaw::floored_lognormal(median, sigma, LARGEST_LENGTH) {
        Ok(law) => Ok(law),
        Err(error) => reject(name, &error.to_string()),
    }
}
