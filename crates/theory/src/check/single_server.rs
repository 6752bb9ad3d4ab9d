//! Entries on single servers with exponential service, and two of them in a row.

use super::params::reject;
use super::{Answer, EvaluationError, Question};
use crate::queueing::{
    BulkService, Mm1, PriorityClass, ProcessorSharing, Tandem, nonpreemptive_mean_wait,
    preemptive_mean_sojourn, sjf_mean_wait, srpt_mean_sojourn,
};

type Result<T> = std::result::Result<T, EvaluationError>;

pub(super) fn evaluate(question: &Question<'_>) -> Answer {
    Some(match question.model {
        "mm1" => mm1(question),
        "mm_bulk" => bulk(question),
        "mg1_ps" | "mm1_ps" => processor_sharing(question),
        "mm1_sjf" => sjf(question),
        "mm1_srpt" => srpt(question),
        "mg1_priority_np" | "mg1_priority_pr" => priority(question),
        "tandem_mm1" => tandem(question),
        _ => return None,
    })
}

fn mm1(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let queue = Mm1::new(params.number("lambda")?, params.number("mu")?)?;
    if let Some(p) = question.level("wait_p") {
        return Ok(queue.wait_quantile(p)?);
    }
    if let Some(p) = question.level("sojourn_p") {
        return Ok(queue.sojourn_quantile(p)?);
    }
    Ok(match question.metric {
        "utilization" | "P_wait" => queue.utilization(),
        "L" => queue.mean_number(),
        "Lq" => queue.mean_queue(),
        "mean_sojourn" => queue.mean_sojourn(),
        "mean_wait" => queue.mean_wait(),
        "var_sojourn" => queue.var_sojourn(),
        "var_wait" => queue.var_wait(),
        "p0" => queue.number_probability(0),
        "P_N_eq_n" => queue.number_probability(params.whole("n")?),
        "P_wait_gt_t" => queue.wait_tail(params.number("t")?)?,
        "P_sojourn_gt_t" => queue.sojourn_tail(params.number("t")?)?,
        _ => return question.unknown_metric(),
    })
}

fn bulk(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let queue = BulkService::new(params.number("lambda")?, params.number("mu")?, params.whole("b")?)?;
    Ok(match question.metric {
        "Lq" => queue.mean_queue(),
        "mean_wait" => queue.mean_wait(),
        "p_idle" => queue.idle_probability(),
        "root_r" => queue.ratio(),
        _ => return question.unknown_metric(),
    })
}

fn processor_sharing(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let queue = ProcessorSharing::new(params.number("lambda")?, params.number("mean_service")?)?;
    Ok(match question.metric {
        "mean_sojourn" => queue.mean_sojourn(),
        "L" => queue.mean_number(),
        "mean_sojourn_given_size" => queue.mean_sojourn_of(params.number("x")?)?,
        "var_sojourn" if question.model == "mm1_ps" => queue.var_sojourn_exponential(),
        _ => return question.unknown_metric(),
    })
}

fn sjf(question: &Question<'_>) -> Result<f64> {
    let (lambda, mu) = (question.params.number("lambda")?, question.params.number("mu")?);
    let wait = sjf_mean_wait(lambda, mu)?;
    Ok(match question.metric {
        "mean_wait" => wait,
        "mean_sojourn" => wait + 1.0 / mu,
        "Lq" => lambda * wait,
        "L" => lambda * (wait + 1.0 / mu),
        _ => return question.unknown_metric(),
    })
}

fn srpt(question: &Question<'_>) -> Result<f64> {
    let (lambda, mu) = (question.params.number("lambda")?, question.params.number("mu")?);
    let sojourn = srpt_mean_sojourn(lambda, mu)?;
    Ok(match question.metric {
        "mean_sojourn" => sojourn,
        "L" => lambda * sojourn,
        _ => return question.unknown_metric(),
    })
}

fn priority(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let second_over_square = match params.text("service")? {
        "exponential" => 2.0,
        "deterministic" => 1.0,
        other => {
            return reject("service", &format!("= {other}: must be exponential or deterministic"));
        }
    };
    let mut classes = Vec::new();
    while params.has(&format!("lambda{}", classes.len() + 1)) {
        let number = classes.len() + 1;
        let mean = params.number(&format!("mean{number}"))?;
        let lambda = params.number(&format!("lambda{number}"))?;
        classes.push(PriorityClass { lambda, mean, second_moment: second_over_square * mean * mean });
    }
    let (asked, wait) = match (question.numbered("mean_wait_"), question.numbered("mean_sojourn_")) {
        (Some(class), _) => (class, true),
        (_, Some(class)) => (class, false),
        _ => return question.unknown_metric(),
    };
    let Some(class) = asked.checked_sub(1).filter(|class| *class < classes.len()) else {
        return question.unknown_metric();
    };
    let mean = classes[class].mean;
    Ok(match (question.model, wait) {
        ("mg1_priority_np", true) => nonpreemptive_mean_wait(&classes, class)?,
        ("mg1_priority_np", false) => nonpreemptive_mean_wait(&classes, class)? + mean,
        (_, true) => preemptive_mean_sojourn(&classes, class)? - mean,
        (_, false) => preemptive_mean_sojourn(&classes, class)?,
    })
}

fn tandem(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let queues = Tandem::new(params.number("lambda")?, params.number("mu1")?, params.number("mu2")?)?;
    if let Some(p) = question.level("sojourn_p") {
        return Ok(queues.sojourn_quantile(p)?);
    }
    Ok(match question.metric {
        "mean_sojourn" => queues.mean_sojourn(),
        "var_sojourn" => queues.var_sojourn(),
        "L" => queues.mean_number(),
        "P_sojourn_gt_t" => queues.sojourn_tail(params.number("t")?)?,
        _ => return question.unknown_metric(),
    })
}
