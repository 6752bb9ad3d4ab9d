//! What each model answers, under the names of the simulation's figures.

use kendall_serving::GoodputLimits;
use kendall_theory::batching::TimeLaw;
use kendall_theory::batching::paged::{
    self, FluidPrediction, PagedNotApplicable, PagedPrediction, SinglePrediction,
};

use super::model::Inputs;

/// The figures of one model.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Name of the model.
    pub model: &'static str,
    /// (name of the figure, value), in the order of the report.
    pub figures: Vec<(&'static str, f64)>,
    /// What the model takes for granted.
    pub assumptions: Vec<String>,
}

/// A model that says nothing here, and why.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub model: &'static str,
    pub reason: String,
}

/// All models at one rate per replica.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    /// The most accurate first.
    pub answers: Vec<Answer>,
    pub refusals: Vec<Refusal>,
}

/// The stationary model of the paged engine.
pub(super) const PAGED: &str = "paged";
/// One request at a time.
pub(super) const SINGLE: &str = "m/g/1";
/// The fluid limit of a run.
pub(super) const FLUID: &str = "fluid";
/// A short run of a loss system, as its model is named.
pub(super) const TRANSIENT: &str = "transient chain";

/// Relative distance from the boundary within which a run of so many requests is a transient in any case.
const NEAR: f64 = 0.97;

pub(super) fn answers(inputs: &Inputs, rate_per_s: f64, goodput: Option<GoodputLimits>) -> Answers {
    if let Some(answers) = inputs.loss_answers(rate_per_s, goodput) {
        return answers;
    }
    let system = inputs.at(rate_per_s);
    let replicas = f64::from(inputs.replicas);
    let mut found = Answers::default();
    match paged::single(&system) {
        Ok(prediction) => found.answers.push(Answer {
            model: SINGLE,
            figures: of_single(&prediction, rate_per_s * replicas, inputs),
            assumptions: vec![
                "Poisson arrivals, independent lengths, stationary state; exact under these".into(),
            ],
        }),
        Err(reason) => found.refusals.push(Refusal { model: SINGLE, reason: reason.to_string() }),
    }
    let stationary = paged::predict(&system);
    match &stationary {
        Ok(prediction) => found.answers.push(Answer {
            model: PAGED,
            figures: of_paged(prediction, inputs, goodput),
            assumptions: paged::ASSUMPTIONS.iter().map(ToString::to_string).collect(),
        }),
        Err(reason) => found.refusals.push(Refusal { model: PAGED, reason: reason.to_string() }),
    }
    let load = paged::saturation(&system).map_or(0.0, |full| rate_per_s / full.capacity_per_s);
    let overloaded = matches!(stationary, Err(PagedNotApplicable::Overloaded { .. }));
    match inputs.requests {
        Some(requests) if overloaded || load > NEAR => {
            match paged::fluid(&system, requests / u64::from(inputs.replicas)) {
                Ok(prediction) => found.answers.push(Answer {
                    model: FLUID,
                    figures: of_fluid(&prediction, replicas),
                    assumptions: vec![
                        format!("the run of {requests} requests begins with an empty engine"),
                        "numbers of requests are at their mean: no fluctuations".into(),
                    ],
                }),
                Err(reason) => found.refusals.push(Refusal { model: FLUID, reason: reason.to_string() }),
            }
        }
        Some(_) => found.refusals.push(Refusal {
            model: FLUID,
            reason: format!("load {load:.2} is below {NEAR}: the stationary state is the better answer"),
        }),
        None => found
            .refusals
            .push(Refusal { model: FLUID, reason: "the scenario gives no length of a run".into() }),
    }
    found
}

fn of_paged(
    prediction: &PagedPrediction,
    inputs: &Inputs,
    goodput: Option<GoodputLimits>,
) -> Vec<(&'static str, f64)> {
    let replicas = f64::from(inputs.replicas);
    let throughput = prediction.throughput_per_s * replicas;
    let mut figures = vec![
        ("request_throughput", throughput),
        ("output_throughput", throughput * inputs.mean_output_tokens()),
    ];
    if let Some(limits) = goodput {
        let secs = |limit: Option<kendall_des::SimDuration>| limit.map(kendall_des::SimDuration::as_secs_f64);
        let share = prediction.attainment(secs(limits.ttft), secs(limits.tpot), secs(limits.e2e));
        figures.extend([("request_goodput", throughput * share), ("slo_attainment", share)]);
    }
    let ms = |law: &TimeLaw, p: f64| law.quantile_s(p) * 1e3;
    figures.extend([
        ("mean_ttft_ms", prediction.ttft.mean_s() * 1e3),
        ("p50_ttft_ms", ms(&prediction.ttft, 0.5)),
        ("p90_ttft_ms", ms(&prediction.ttft, 0.9)),
        ("p95_ttft_ms", ms(&prediction.ttft, 0.95)),
        ("p99_ttft_ms", ms(&prediction.ttft, 0.99)),
        ("mean_tpot_ms", prediction.mean_tpot_s * 1e3),
        ("p50_tpot_ms", ms(&prediction.tpot, 0.5)),
        ("p99_tpot_ms", ms(&prediction.tpot, 0.99)),
        ("mean_e2el_ms", prediction.e2e.mean_s() * 1e3),
        ("p50_e2el_ms", ms(&prediction.e2e, 0.5)),
        ("p99_e2el_ms", ms(&prediction.e2e, 0.99)),
        ("num_running", prediction.mean_running),
        ("num_waiting", prediction.mean_waiting),
        ("kv_cache_usage", prediction.kv_use),
    ]);
    figures
}

fn of_single(prediction: &SinglePrediction, throughput: f64, inputs: &Inputs) -> Vec<(&'static str, f64)> {
    let mut figures = vec![
        ("request_throughput", throughput),
        ("output_throughput", throughput * inputs.mean_output_tokens()),
        ("mean_ttft_ms", prediction.mean_ttft_s * 1e3),
        ("mean_tpot_ms", prediction.mean_tpot_s * 1e3),
        ("mean_e2el_ms", prediction.mean_e2e_s * 1e3),
        ("num_waiting", prediction.mean_waiting),
        ("num_running", prediction.utilization),
    ];
    for (name, p) in
        [("p50_ttft_ms", 0.5), ("p90_ttft_ms", 0.9), ("p95_ttft_ms", 0.95), ("p99_ttft_ms", 0.99)]
    {
        // A tail beyond the numerical method is no figure.
        figures.extend(prediction.ttft_quantile_s(p).ok().map(|s| (name, s * 1e3)));
    }
    figures
}

fn of_fluid(prediction: &FluidPrediction, replicas: f64) -> Vec<(&'static str, f64)> {
    vec![
        ("request_throughput", prediction.throughput_per_s * replicas),
        ("mean_ttft_ms", prediction.mean_ttft_s() * 1e3),
        ("p50_ttft_ms", prediction.ttft_quantile_s(0.5) * 1e3),
        ("p90_ttft_ms", prediction.ttft_quantile_s(0.9) * 1e3),
        ("p95_ttft_ms", prediction.ttft_quantile_s(0.95) * 1e3),
        ("p99_ttft_ms", prediction.ttft_quantile_s(0.99) * 1e3),
        ("mean_tpot_ms", prediction.mean_tpot_s * 1e3),
        ("mean_e2el_ms", prediction.mean_e2e_s * 1e3),
        ("duration", prediction.duration_s),
    ]
}
