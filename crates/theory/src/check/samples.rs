//! Entries on output analysis: intervals, quantiles and warm-up of a given series.

use super::params::reject;
use super::{Answer, EvaluationError, Question};
use crate::output::{batch_means, mser5, quantile_type7, student_t_quantile};

type Result<T> = std::result::Result<T, EvaluationError>;

/// The recipe of the series, as entries write it.
const RECIPE: &str = "x_i=mu+bias*decay^i+y_i; y_i=phi*y_{i-1}+(u_i-0.5), y_{-1}=0; u_i=(s_i>>11)/2^53, \
                      s_i=6364136223846793005*s_{i-1}+1442695040888963407 mod 2^64, s_{-1}=seed";
const MAX_LENGTH: u32 = 10_000_000;

pub(super) fn evaluate(question: &Question<'_>) -> Answer {
    Some(match question.model {
        "student_t" => student_t(question),
        "quantile_type7" => quantile(question),
        "batch_means" => batches(question),
        "mser5" => warm_up(question),
        _ => return None,
    })
}

/// An autoregressive series with uniform noise and a decaying start, from its recipe.
fn series(question: &Question<'_>) -> Result<Vec<f64>> {
    let params = &question.params;
    if params.text("series")? != RECIPE {
        return reject("series", &format!("is not the recipe known here: {RECIPE}"));
    }
    let length = params.whole("n")?;
    if length > MAX_LENGTH {
        return reject("n", "must be at most 10 million");
    }
    let (phi, mu) = (params.number("phi")?, params.number("mu")?);
    let (bias, decay) = (params.number("bias")?, params.number("decay")?);
    let mut state = u64::from(params.whole("seed")?);
    let mut noise = 0.0;
    let mut start = bias;
    Ok((0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
            noise = phi * noise + (uniform - 0.5);
            let value = mu + start + noise;
            start *= decay;
            value
        })
        .collect())
}

fn or_reject<T>(name: &str, value: Option<T>) -> Result<T> {
    match value {
        Some(value) => Ok(value),
        None => reject(name, "is out of range for this series"),
    }
}

fn student_t(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    match question.metric {
        "quantile" => or_reject("p", student_t_quantile(params.number("p")?, params.number("df")?)),
        _ => question.unknown_metric(),
    }
}

fn quantile(question: &Question<'_>) -> Result<f64> {
    match question.metric {
        "value" => or_reject("q", quantile_type7(&series(question)?, question.params.number("q")?)),
        _ => question.unknown_metric(),
    }
}

fn batches(question: &Question<'_>) -> Result<f64> {
    let values = series(question)?;
    let batches = question.params.index("batches")?;
    let of = |confidence| or_reject("batches", batch_means(&values, batches, confidence));
    if question.metric == "mean" {
        return Ok(of(0.95)?.interval.mean);
    }
    match question.level("half_width_") {
        Some(confidence) => Ok(of(confidence)?.interval.half_width),
        None => question.unknown_metric(),
    }
}

fn warm_up(question: &Question<'_>) -> Result<f64> {
    let cut = or_reject("n", mser5(&series(question)?))?;
    match question.metric {
        "truncation_index" => Ok(cut.truncation as f64),
        "truncated_mean" => Ok(cut.truncated_mean),
        _ => question.unknown_metric(),
    }
}
