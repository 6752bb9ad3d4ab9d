//! Entries on optimal admission.

use super::params::reject;
use super::{Answer, EvaluationError, Question};
use crate::mdp::{KnapsackClass, NaorQueue, StochasticKnapsack, TrunkReservation};

type Result<T> = std::result::Result<T, EvaluationError>;

pub(super) fn evaluate(question: &Question<'_>) -> Answer {
    Some(match question.model {
        "mdp_naor" => naor(question),
        "mdp_trunk_reservation" => trunk_reservation(question),
        "mdp_stochastic_knapsack" => knapsack(question),
        _ => return None,
    })
}

fn naor(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let queue = NaorQueue {
        lambda: params.number("lambda")?,
        mu: params.number("mu")?,
        reward: params.number("reward")?,
        holding_cost: params.number("holding_cost")?,
    };
    Ok(match question.metric {
        "n_individual" => queue.individual_threshold()?,
        "n_social" => queue.social_optimum()?.threshold as f64,
        "gain" => queue.social_optimum()?.gain,
        _ => return question.unknown_metric(),
    })
}

fn trunk_reservation(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let system = TrunkReservation {
        servers: params.whole("c")?,
        lambda: [params.number("lambda1")?, params.number("lambda2")?],
        mu: params.number("mu")?,
        reward: [params.number("r1")?, params.number("r2")?],
    };
    Ok(match question.metric {
        "reserved_servers" => f64::from(system.optimum()?.reserved_servers),
        "gain" => system.optimum()?.gain,
        _ => return question.unknown_metric(),
    })
}

fn knapsack(question: &Question<'_>) -> Result<f64> {
    let params = &question.params;
    let sizes = params.wholes("size")?;
    let (rates, services) = (params.numbers("lam")?, params.numbers("mu")?);
    let rewards = params.numbers("reward")?;
    if [rates.len(), services.len(), rewards.len()] != [sizes.len(); 3] {
        return reject("size", "must be as long as lam, mu and reward");
    }
    let classes: Vec<KnapsackClass> = (0..sizes.len())
        .map(|k| KnapsackClass { size: sizes[k], lambda: rates[k], mu: services[k], reward: rewards[k] })
        .collect();
    let knapsack = StochasticKnapsack::new(params.whole("C")?, &classes)?;
    Ok(match question.metric {
        "n_states" => knapsack.states().len() as f64,
        "gain" => knapsack.optimum()?.gain,
        "n_accept_states" => {
            let class = params.index("class")?;
            if class >= classes.len() {
                return reject("class", "is not one of the classes");
            }
            knapsack.optimum()?.accepts.iter().filter(|accepts| accepts[class]).count() as f64
        }
        _ => return question.unknown_metric(),
    })
}
