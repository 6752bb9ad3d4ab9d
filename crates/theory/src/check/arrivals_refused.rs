//! Entries on systems that lose arrivals.

use super::params::reject;
use super::{Answer, EvaluationError, Question, expression};
use crate::queueing::{
    BirthDeath, KaufmanRoberts, LossClass, QueueingError, SharingClass, SharingLoss, erlang_b,
    erlang_b_servers, mmck,
};

type Result<T> = std::result::Result<T, EvaluationError>;

pub(super) fn evaluate(question: &Question<'_>) -> Answer {
    Some(match question.model {
        "erlang_b" => loss(question),
        "erlang_b_dimension" => dimension(question),
        "mmck" => finite_queue(question),
        "birth_death" => birth_death(question),
        "kaufman_roberts" => kaufman_roberts(question),
        "ps_knapsack_loss" => sharing(question),
        _ => return None,
    })
}

fn loss(question: &Question<'_>) -> Result<f64> {
    match question.metric {
        "blocking" => Ok(erlang_b(question.params.number("a")?, question.params.whole("c")?)?),
        _ => question.unknown_metric(),
    }
}

fn dimension(question: &Question<'_>) -> Result<f64> {
    match question.metric {
        "min_servers" => {
            let servers = erlang_b_servers(question.params.number("a")?, question.params.number("target")?)?;
            Ok(f64::from(servers))
        }
        _ => question.unknown_metric(),
    }
}

fn finite_queue(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let (servers, capacity) = (params.whole("c")?, params.whole("K")?);
    let queue = mmck(params.number("lambda")?, params.number("mu")?, servers, capacity)?;
    let servers = servers as usize;
    if let Some(p) = question.level("wait_accepted_p") {
        return Ok(queue.wait(servers)?.quantile(p)?);
    }
    Ok(match question.metric {
        "blocking" => queue.full_probability(),
        "p0" => queue.probability(0),
        "P_N_eq_n" => queue.probability(params.index("n")?),
        "throughput" => queue.throughput(),
        "L" => queue.mean_number(),
        "Lq" => queue.mean_above(servers),
        "mean_wait_accepted" => queue.mean_wait(servers),
        "mean_sojourn_accepted" => queue.mean_sojourn(),
        "P_wait_accepted_gt_t" => queue.wait(servers)?.tail(params.number("t")?)?,
        _ => return question.unknown_metric(),
    })
}

fn birth_death(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let deaths = params.numbers("mu_n")?;
    let one_rate = !params.has("lambda_n");
    let chain = if one_rate {
        BirthDeath::with_arrival_rate(params.number("lambda")?, deaths)?
    } else {
        BirthDeath::new(params.numbers("lambda_n")?, deaths)?
    };
    if let Some(p) = question.level("queue_wait_accepted_p") {
        return Ok(chain.wait(params.index("c")?)?.quantile(p)?);
    }
    if let Some(n) = question.numbered("p") {
        return Ok(chain.probability(n));
    }
    Ok(match question.metric {
        // With several arrival rates there is no one stream of which a share is lost.
        "blocking" if one_rate => chain.full_probability(),
        "P_N_eq_n" => chain.probability(params.index("n")?),
        "throughput" => chain.throughput(),
        "L" => chain.mean_number(),
        "Lq" => chain.mean_above(params.index("c")?),
        "mean_sojourn_accepted" => chain.mean_sojourn(),
        "mean_queue_wait_accepted" => chain.mean_wait(params.index("c")?),
        "P_queue_wait_accepted_gt_t" => chain.wait(params.index("c")?)?.tail(params.number("t")?)?,
        _ => return question.unknown_metric(),
    })
}

fn kaufman_roberts(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let classes: Vec<LossClass> = params
        .objects("classes")?
        .iter()
        .map(|class| Ok(LossClass { load: class.number("a")?, size: class.whole("b")? }))
        .collect::<Result<_>>()?;
    let system = KaufmanRoberts::new(params.whole("C")?, &classes)?;
    match question.metric {
        "P_occupancy_eq_j" => Ok(system.occupancy_probability(params.index("j")?)),
        "mean_occupancy" => Ok(system.mean_occupancy()),
        "blocking" => of_class(system.blocking(params.index("class")?)),
        _ => question.unknown_metric(),
    }
}

fn of_class(value: Option<f64>) -> Result<f64> {
    match value {
        Some(value) => Ok(value),
        None => reject("class", "is not one of the classes"),
    }
}

fn sharing(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let (rates, sizes, works) =
        (params.numbers("lam")?, params.wholes("size")?, params.numbers("mean_work")?);
    if rates.len() != sizes.len() || rates.len() != works.len() {
        return reject("lam", "must be as long as size and mean_work");
    }
    let classes: Vec<SharingClass> = rates
        .into_iter()
        .zip(sizes)
        .zip(works)
        .map(|((lambda, size), mean_work)| SharingClass { lambda, size, mean_work })
        .collect();
    let formula = params.text("phi")?;
    if let Err(problem) = expression::evaluate(formula, 'n', 1.0) {
        return reject("phi", &problem);
    }
    let phi = |n: u32| {
        expression::evaluate(formula, 'n', f64::from(n))
            .map_err(|_| QueueingError::NotApplicable("phi has no value"))
    };
    let system = SharingLoss::new(params.whole("K")?, &classes, phi)?;
    match question.metric {
        "p0" => Ok(system.empty_probability()),
        "P_N_eq_n" => Ok(system.number_probability(params.index("n")?)),
        "L" => Ok(system.mean_number()),
        "blocking" => of_class(system.blocking(params.index("class")?)),
        _ => question.unknown_metric(),
    }
}
