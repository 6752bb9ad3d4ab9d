//! Entries on queues with any service law.

use super::params::{Params, reject};
use super::{Answer, EvaluationError, Question};
use crate::queueing::{Empirical, Mg1, Mg1k, MgInf, PhaseType, Service, md1_number_probability};

type Result<T> = std::result::Result<T, EvaluationError>;

pub(super) fn evaluate(question: &Question<'_>) -> Answer {
    Some(match question.model {
        "mg1_fcfs" => mg1(question),
        "mg1k" => mg1k(question),
        "mginf" => mginf(question),
        "md1" => md1(question),
        _ => return None,
    })
}

fn service(params: Params<'_>) -> Result<Service> {
    Ok(match params.text("type")? {
        "deterministic" => Service::deterministic(params.number("value")?)?,
        "exponential" if params.has("rate") => Service::exponential(1.0 / params.number("rate")?)?,
        "exponential" => Service::exponential(params.number("mean")?)?,
        "erlang" => Service::erlang(params.whole("k")?, params.number("mean")?)?,
        "hyperexp" => Service::hyperexponential(&params.numbers("p")?, &params.numbers("rates")?)?,
        "ph" => Service::PhaseType(PhaseType::new(&params.numbers("alpha")?, &params.matrix("T")?)?),
        "lognormal" => Service::lognormal(params.number("mu_log")?, params.number("sigma")?)?,
        "empirical" => {
            let values = params.numbers("values")?;
            let weights =
                if params.has("weights") { params.numbers("weights")? } else { vec![1.0; values.len()] };
            Service::Empirical(Empirical::new(&values, &weights)?)
        }
        other => return reject("service.type", &format!("= {other}: not a service law here")),
    })
}

fn mg1(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let queue = Mg1::new(params.number("lambda")?, service(params.object("service")?)?)?;
    if let Some(p) = question.level("wait_p") {
        return Ok(queue.wait()?.quantile(p)?);
    }
    Ok(match question.metric {
        "utilization" | "P_wait" => queue.utilization(),
        "mean_wait" => queue.mean_wait(),
        "var_wait" => queue.var_wait(),
        "mean_sojourn" => queue.mean_sojourn(),
        "var_sojourn" => queue.var_sojourn(),
        "Lq" => queue.mean_queue(),
        "L" => queue.mean_number(),
        "P_wait_gt_t" => queue.wait()?.tail(params.number("t")?)?,
        _ => return question.unknown_metric(),
    })
}

fn mg1k(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let queue =
        Mg1k::new(params.number("lambda")?, &service(params.object("service")?)?, params.whole("K")?)?;
    Ok(match question.metric {
        "blocking" => queue.blocking(),
        "p0" => queue.probability(0),
        "P_N_eq_n" => queue.probability(params.index("n")?),
        "throughput" => queue.throughput(),
        "L" => queue.mean_number(),
        "Lq" => queue.mean_queue(),
        "mean_wait_accepted" => queue.mean_wait(),
        "mean_sojourn_accepted" => queue.mean_sojourn(),
        _ => return question.unknown_metric(),
    })
}

fn mginf(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let system = MgInf::new(params.number("lambda")?, params.number("mean_service")?)?;
    Ok(match question.metric {
        "L" => system.mean_number(),
        "P_N_eq_n" => system.probability(params.whole("n")?),
        "P_N_gt_n" => system.tail(params.whole("n")?),
        _ => return question.unknown_metric(),
    })
}

fn md1(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let (lambda, d) = (params.number("lambda")?, params.number("D")?);
    match question.metric {
        "P_N_eq_n" => Ok(md1_number_probability(lambda, d, params.whole("n")?)?),
        "p0" => Ok(md1_number_probability(lambda, d, 0)?),
        _ => question.unknown_metric(),
    }
}
