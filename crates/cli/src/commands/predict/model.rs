//! From a scenario to what the analytical models are given, or the reason why they say nothing.

use kendall_des::Distribution;
use kendall_serving::scenario::{Resolved, Workload};
use kendall_serving::step_time::BatchShape;
use kendall_serving::workload::{Arrivals, Lengths};
use kendall_serving::{GoodputLimits, RouterPolicy, SchedulingPolicy, StepTimeModel};
use kendall_theory::batching::LengthLaw;
use kendall_theory::batching::paged::{EngineLimits, PagedSystem, StepShape, StepTime};

use crate::scenario_file::ScenarioFile;

use super::answer::Answers;
use super::loss::{Loss, Question, kv_tokens};

/// Points of each tenth of a length's tail.
const POINTS: u32 = 4_000;
/// Tenths: lengths that one request in so many powers of ten exceeds are told apart.
const TENTHS: i32 = 7;

/// What the models are given.
#[derive(Debug)]
pub(super) struct Inputs {
    /// Arrivals at one replica (1/s).
    pub rate_per_s: f64,
    prompt: LengthLaw,
    output: LengthLaw,
    limits: EngineLimits,
    front_end_s: f64,
    steps: Steps,
    /// Replicas behind the router.
    pub replicas: u32,
    /// Requests of a run, where the scenario counts them.
    pub requests: Option<u64>,
    /// What the models leave out of this scenario.
    pub left_out: Vec<String>,
    /// The loss system, where that is the engine.
    pub loss: Option<Loss>,
}

/// Why no model applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoModel(pub String);

impl Inputs {
    pub(super) fn of(file: &ScenarioFile, resolved: &Resolved) -> Result<Self, NoModel> {
        let workload = &file.scenario.workload;
        plain(workload)?;
        let engine = &resolved.simulation.engine;
        if engine.zoo.is_none() {
            engine_applies(resolved)?;
        }
        let Some(Arrivals::Poisson { rate_per_s }) = workload.arrivals else {
            return no(
                "workload.arrivals: the models know Poisson arrivals; use `process = \"poisson\"` with the same rate to compare",
            );
        };
        let longest = match &engine.zoo {
            None => engine.max_model_len as usize,
            // What is longer is lost, however long it is.
            Some(_) => (engine.max_model_len as usize).min(kv_tokens(engine) + 2),
        };
        let prompt = law("prompt_tokens", workload.prompt_tokens.as_ref(), longest - 1)?;
        let output = if workload.prefill_only == Some(true) {
            LengthLaw::constant(1).map_err(|error| NoModel(error.to_string()))?
        } else {
            law("output_tokens", workload.output_tokens.as_ref(), longest - 1)?
        };
        let replicas = resolved.simulation.replicas;
        let step_time = &resolved.simulation.step_time;
        let front_end = resolved.simulation.front_end.of_prompt(prompt.mean() as u32);
        let front_end_s = front_end
            .ok_or_else(|| NoModel("tokenising a prompt takes longer than the 213 days of a run".into()))?
            .as_secs_f64();
        let loss = engine
            .zoo
            .as_ref()
            .map(|zoo| {
                let lengths = [workload.prompt_tokens.as_ref(), workload.output_tokens.as_ref()];
                Loss::of(zoo, engine, step_time, (&prompt, &output), lengths, front_end_s)
            })
            .transpose()?;
        Ok(Self {
            loss,
            rate_per_s: rate_per_s / f64::from(replicas),
            left_out: left_out(resolved, &prompt, &output),
            prompt,
            output,
            limits: EngineLimits {
                max_num_seqs: engine.max_num_active_seqs.unwrap_or(engine.max_num_seqs) as usize,
                max_num_batched_tokens: engine.max_num_batched_tokens as usize,
                usable_blocks: engine.usable_blocks() as usize,
                block_size: engine.block_size as usize,
                prefix_caching: engine.enable_prefix_caching,
                async_scheduling: engine.async_scheduling,
            },
            front_end_s,
            steps: Steps(step_time.clone()),
            replicas,
            requests: workload
                .requests
                .or_else(|| workload.duration_s.map(|seconds| (seconds * rate_per_s) as u64)),
        })
    }

    /// Mean output (tokens).
    pub(super) fn mean_output_tokens(&self) -> f64 {
        self.output.mean()
    }

    /// The first step of a mean prompt on an idle engine, front end included (s).
    pub(super) fn first_step_s(&self) -> f64 {
        let tokens = self.prompt.mean();
        let shape = StepShape {
            prefill_tokens: tokens,
            prefill_seqs: 1.0,
            prefill_context_tokens: tokens,
            prefill_attention: tokens * tokens,
            prefill_squares: tokens * tokens,
            ..StepShape::default()
        };
        self.front_end_s + self.steps.step_s(&shape)
    }

    /// The loss system with the laws of prompts and outputs; `None` for a paged engine.
    pub(super) fn loss_system(&self) -> Option<(&Loss, [&LengthLaw; 2])> {
        Some((self.loss.as_ref()?, [&self.prompt, &self.output]))
    }

    /// The models of the loss system at a rate per replica; `None` for a paged engine.
    pub(super) fn loss_answers(&self, rate_per_s: f64, goodput: Option<GoodputLimits>) -> Option<Answers> {
        let (loss, [prompt, output]) = self.loss_system()?;
        let (replicas, requests) = (f64::from(self.replicas), self.requests);
        Some(loss.answers(Question { rate_per_s, replicas, requests, goodput }, prompt, output))
    }

    /// The system at a rate per replica.
    pub(super) fn at(&self, rate_per_s: f64) -> PagedSystem<'_> {
        PagedSystem {
            arrival_rate_per_s: rate_per_s,
            prompt: &self.prompt,
            output: &self.output,
            limits: self.limits,
            front_end_s: self.front_end_s,
            step_time: &self.steps,
        }
    }
}

fn no<T>(reason: &str) -> Result<T, NoModel> {
    Err(NoModel(reason.into()))
}

/// The workload has independent requests of one kind, and nothing else.
fn plain(workload: &Workload) -> Result<(), NoModel> {
    let others = [
        ("trace", workload.trace.is_some()),
        ("fluctuation", workload.fluctuation.is_some()),
        ("lengths", workload.lengths.is_some()),
        ("rank_correlation", workload.rank_correlation.is_some_and(|rank| rank != 0.0)),
        ("rescale_arrivals", workload.rescale_arrivals == Some(true)),
        ("max_concurrency", workload.max_concurrency.is_some()),
        ("shared_prefix", workload.shared_prefix.is_some()),
        ("distinct_prompts", workload.distinct_prompts.is_some()),
        ("sessions", workload.sessions.is_some()),
        ("clients", workload.clients.is_some()),
        ("class", !workload.class.is_empty()),
    ];
    match others.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((key, _)) => Err(NoModel(format!(
            "workload.{key}: the models know Poisson arrivals of independent requests of one kind"
        ))),
    }
}

/// The engine is one that the models describe.
fn engine_applies(resolved: &Resolved) -> Result<(), NoModel> {
    let engine = &resolved.simulation.engine;
    if engine.scheduling_policy != SchedulingPolicy::Fcfs {
        return no("server.scheduling_policy: the models know first come, first served");
    }
    if !engine.enable_chunked_prefill {
        return no("server.enable_chunked_prefill: the models know chunked prefill");
    }
    if engine.long_prefill_token_threshold > 0 {
        return no(
            "server.long_prefill_token_threshold: the models know no limit on chunks but the token budget",
        );
    }
    Ok(())
}

/// What is there and not in the models.
fn left_out(resolved: &Resolved, prompt: &LengthLaw, output: &LengthLaw) -> Vec<String> {
    let simulation = &resolved.simulation;
    let mut notes = Vec::new();
    if simulation.replicas > 1 && simulation.router.policy != RouterPolicy::Random {
        notes.push(format!(
            "each of {} replicas is taken to have Poisson arrivals; this router makes them more regular",
            simulation.replicas
        ));
    }
    if simulation.engine.watermark > 0.0 {
        notes.push("the watermark of the KV cache is left out".into());
    }
    let longest = simulation.engine.max_model_len as usize;
    if prompt.largest() + output.largest() > longest + 1 {
        let long: f64 = prompt
            .masses()
            .iter()
            .enumerate()
            .map(|(p, mass)| {
                let room = longest.saturating_sub(p);
                mass * output.masses().iter().skip(room + 1).sum::<f64>()
            })
            .sum();
        if long > 1e-4 {
            notes.push(format!(
                "{:.2} % of outputs end at max_model_len; in the models they do not",
                long * 100.0
            ));
        }
    }
    notes
}

/// The law of a length, as the simulation draws it: the floor of the draw, at least one token.
fn law(key: &str, lengths: Option<&Lengths>, longest: usize) -> Result<LengthLaw, NoModel> {
    let lengths = lengths.ok_or_else(|| NoModel(format!("workload.{key}: no distribution is given")))?;
    let distribution =
        lengths.distribution().map_err(|error| NoModel(format!("workload.{key}: {error:?}")))?;
    let weights = table(&distribution, longest);
    LengthLaw::from_weights(&weights).map_err(|error| NoModel(format!("workload.{key}: {error}")))
}

/// Weights of 1, 2, ... tokens, from quantiles at the middles of equal parts of each tenth of the tail.
fn table(distribution: &Distribution, longest: usize) -> Vec<f64> {
    let mut weights: Vec<f64> = Vec::new();
    for tenth in 0..=TENTHS {
        let above = libm::pow(10.0, -f64::from(tenth));
        let share = if tenth == TENTHS { above } else { 0.9 * above };
        for i in 0..POINTS {
            let u = 1.0 - above + share * (f64::from(i) + 0.5) / f64::from(POINTS);
            let tokens = (libm::floor(distribution.quantile(u)).max(1.0) as usize).min(longest.max(1));
            if weights.len() < tokens {
                weights.resize(tokens, 0.0);
            }
            weights[tokens - 1] += share / f64::from(POINTS);
        }
    }
    weights
}

/// The simulation's step times, between whole numbers of sequences in proportion.
#[derive(Debug)]
struct Steps(StepTimeModel);

impl StepTime for Steps {
    fn step_s(&self, shape: &StepShape) -> f64 {
        let below = libm::floor(shape.decode_seqs);
        let upper = shape.decode_seqs - below;
        let whole = |seqs: f64| {
            let count = |x: f64| libm::round(x.max(0.0)) as u64;
            let tokens = count(shape.prefill_tokens);
            let prompts = if tokens > 0 { count(shape.prefill_seqs).max(1) } else { 0 };
            let context = if shape.decode_seqs > 0.0 {
                shape.decode_context_tokens * seqs / shape.decode_seqs
            } else {
                0.0
            };
            let batch = BatchShape {
                prefill_tokens: tokens,
                prefill_context_tokens: count(shape.prefill_context_tokens),
                // A chunk's pairs are at least its square.
                prefill_attention: count(shape.prefill_attention).max(count(shape.prefill_squares)),
                prefill_seqs: prompts,
                prefill_squares: count(shape.prefill_squares),
                decode_seqs: count(seqs),
                decode_context_tokens: count(context),
                new_seqs: prompts,
                ..BatchShape::default()
            };
            self.0.step_time(&batch).as_secs_f64()
        };
        if upper > 0.0 { whole(below) * (1.0 - upper) + whole(below + 1.0) * upper } else { whole(below) }
    }
}
