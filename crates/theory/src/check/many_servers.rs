//! Entries on many servers, batches, networks and general chains.

use super::params::reject;
use super::{Answer, EvaluationError, Question};
use crate::queueing::{
    CappedBatching, Ctmc, DynamicBatching, JacksonNetwork, MPhC, Mmc, PhaseType, erlang_c,
};

type Result<T> = std::result::Result<T, EvaluationError>;

pub(super) fn evaluate(question: &Question<'_>) -> Answer {
    Some(match question.model {
        "mmc" => mmc(question),
        "erlang_c" => delay(question),
        "mph_c" => mphc(question),
        "inoue_batch" => dynamic_batching(question),
        "inoue_batch_capped" => capped_batching(question),
        "jackson" => jackson(question),
        "ctmc" => chain(question),
        _ => return None,
    })
}

fn mmc(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let queue = Mmc::new(params.number("lambda")?, params.number("mu")?, params.whole("c")?)?;
    if let Some(p) = question.level("wait_p") {
        return Ok(queue.wait_quantile(p)?);
    }
    if let Some(p) = question.level("sojourn_p") {
        return Ok(queue.sojourn_quantile(p)?);
    }
    Ok(match question.metric {
        "P_wait" => queue.wait_probability(),
        "mean_wait" => queue.mean_wait(),
        "mean_sojourn" => queue.mean_sojourn(),
        "var_wait" => queue.var_wait(),
        "var_sojourn" => queue.var_sojourn(),
        "Lq" => queue.mean_queue(),
        "L" => queue.mean_number(),
        "P_wait_gt_t" => queue.wait_tail(params.number("t")?)?,
        "P_sojourn_gt_t" => queue.sojourn_tail(params.number("t")?)?,
        _ => return question.unknown_metric(),
    })
}

fn delay(question: &Question<'_>) -> Result<f64> {
    match question.metric {
        "P_wait" => Ok(erlang_c(question.params.number("a")?, question.params.whole("c")?)?),
        _ => question.unknown_metric(),
    }
}

fn mphc(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let service = PhaseType::new(&params.numbers("alpha")?, &params.matrix("T")?)?;
    let queue = MPhC::new(params.number("lambda")?, &service, params.whole("c")?)?;
    Ok(match question.metric {
        "P_all_busy" | "P_wait" => queue.all_busy_probability(),
        "Lq" => queue.mean_queue(),
        "L" => queue.mean_number(),
        "mean_wait" => queue.mean_wait(),
        "mean_sojourn" => queue.mean_sojourn(),
        _ => return question.unknown_metric(),
    })
}

fn dynamic_batching(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let queue =
        DynamicBatching::new(params.number("lambda")?, params.number("alpha")?, params.number("tau0")?)?;
    Ok(match question.metric {
        "mean_latency" => queue.mean_latency(),
        "mean_batch" => queue.mean_batch(),
        "bound_phi0" => queue.bound_low_load(),
        "bound_phi1" => queue.bound_high_load(),
        "bound" => queue.bound(),
        _ => return question.unknown_metric(),
    })
}

fn capped_batching(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let (lambda, alpha) = (params.number("lambda")?, params.number("alpha")?);
    let queue = CappedBatching::new(lambda, alpha, params.number("tau0")?, params.whole("bmax")?)?;
    match question.metric {
        "mean_latency" => Ok(queue.mean_latency()?),
        _ => question.unknown_metric(),
    }
}

fn jackson(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let network = JacksonNetwork::new(
        &params.numbers("external")?,
        &params.matrix("routing")?,
        &params.numbers("mu")?,
        &params.wholes("servers")?,
    )?;
    let at_node = |value: Option<f64>| match value {
        Some(value) => Ok(value),
        None => reject("node", "is not one of the nodes"),
    };
    match question.metric {
        "L" if params.has("node") => at_node(network.mean_number_at(params.index("node")?)),
        "L" => Ok(network.mean_number()),
        "throughput" if params.has("node") => at_node(network.throughput(params.index("node")?)),
        "mean_sojourn" => Ok(network.mean_sojourn()),
        _ => question.unknown_metric(),
    }
}

fn chain(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let chain = Ctmc::new(&params.matrix("Q")?)?;
    let at_state = |distribution: Vec<f64>| match distribution.get(params.index("state")?) {
        Some(value) => Ok(*value),
        None => reject("state", "is not one of the states"),
    };
    match question.metric {
        "pi" => at_state(chain.stationary()?),
        "p_t" => at_state(chain.transient(params.index("start")?, params.number("t")?)?),
        "mean_hitting_time" => Ok(chain.mean_hitting_time(params.index("start")?, params.index("target")?)?),
        _ => question.unknown_metric(),
    }
}
