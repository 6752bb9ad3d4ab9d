//! The loss system `reserve`: the models of docs/theory-batching.md.

use kendall_serving::step_time::BatchShape;
use kendall_serving::zoo::engines::Engine;
use kendall_serving::zoo::{Admission, Order};
use kendall_serving::{EngineConfig, StepTimeModel, ZooConfig};
use kendall_theory::batching::{
    BatchStep, LengthLaw, NotApplicable, Prediction, StepTimes, System, closed_form, phase_type, reserved_kv,
};

use super::answer::{Answer, Answers, Refusal};
use super::model::NoModel;

/// A model of the loss system.
type Model = fn(&System) -> Result<Prediction, NotApplicable>;

/// Largest batch for which a row of durations is made.
const MOST_BATCH: u32 = 1_024;

/// The loss system of a scenario, but for its rate.
#[derive(Debug)]
pub(super) struct Loss {
    batch: usize,
    kv_tokens: usize,
    steps: StepTimes,
    front_end_s: f64,
}

impl Loss {
    pub(super) fn of(
        zoo: &ZooConfig,
        engine: &EngineConfig,
        step_time: &StepTimeModel,
        (prompt, output): (&LengthLaw, &LengthLaw),
        front_end_s: f64,
    ) -> Result<Self, NoModel> {
        let Engine::Reserve(settings) = &zoo.engine else {
            return Err(NoModel(format!(
                "server.engine: there is no model of {}, only of vllm-v1 and reserve",
                zoo.engine.source()
            )));
        };
        if zoo.order != Order::Fcfs || zoo.admission != Admission::default() {
            return Err(NoModel("server: the models know first come, first served, and open doors".into()));
        }
        let batch = settings.max_batch_size;
        if batch > MOST_BATCH {
            return Err(NoModel(format!(
                "reserve.max_batch_size: {batch}, the models go up to {MOST_BATCH}"
            )));
        }
        let context = prompt.mean() + output.mean() / 2.0;
        let rows = (1..=u64::from(batch)).map(|b| row(step_time, b, prompt.mean(), context)).collect();
        let steps = StepTimes::new(rows).map_err(|error| NoModel(error.to_string()))?;
        Ok(Self { batch: batch as usize, kv_tokens: kv_tokens(engine), steps, front_end_s })
    }

    /// Every model at a rate per replica.
    pub(super) fn answers(
        &self,
        rate_per_s: f64,
        replicas: f64,
        prompt: &LengthLaw,
        output: &LengthLaw,
    ) -> Answers {
        let mut found = Answers::default();
        let steps = self.steps.clone();
        let system = match System::new(
            rate_per_s,
            self.batch,
            self.kv_tokens,
            prompt.clone(),
            output.clone(),
            steps,
        ) {
            Ok(system) => system,
            Err(error) => {
                found.refusals.push(Refusal { model: "loss system", reason: error.to_string() });
                return found;
            }
        };
        let models: [Model; 3] = [reserved_kv, phase_type, closed_form];
        for model in models {
            match model(&system) {
                Ok(prediction) => found.answers.push(Answer {
                    model: prediction.model.name(),
                    figures: self.figures(&prediction, replicas),
                    assumptions: prediction.model.assumptions().iter().map(ToString::to_string).collect(),
                }),
                Err(refusal) => found
                    .refusals
                    .push(Refusal { model: refusal.model.name(), reason: refusal.reason.clone() }),
            }
        }
        found
    }

    fn figures(&self, prediction: &Prediction, replicas: f64) -> Vec<(&'static str, f64)> {
        let ms = |s: f64| (s + self.front_end_s) * 1e3;
        vec![
            ("request_throughput", prediction.throughput_per_s * replicas),
            ("mean_ttft_ms", ms(prediction.mean_ttft_s)),
            ("p50_ttft_ms", ms(prediction.ttft_quantile_s(0.5))),
            ("p90_ttft_ms", ms(prediction.ttft_quantile_s(0.9))),
            ("p95_ttft_ms", ms(prediction.ttft_quantile_s(0.95))),
            ("p99_ttft_ms", ms(prediction.ttft_quantile_s(0.99))),
            ("blocking_probability", prediction.blocking_probability),
        ]
    }
}

/// KV of the engine (tokens).
pub(super) fn kv_tokens(engine: &EngineConfig) -> usize {
    engine.usable_blocks() as usize * engine.block_size as usize
}

/// Durations with `batch` requests in service: a prefill is affine in its tokens, a decode step has mean contexts.
fn row(step_time: &StepTimeModel, batch: u64, prompt: f64, context: f64) -> BatchStep {
    let count = |x: f64| libm::round(x).max(1.0) as u64;
    let prefill_s = |tokens: u64| {
        let shape = BatchShape {
            prefill_tokens: tokens,
            prefill_context_tokens: tokens,
            prefill_attention: tokens * tokens,
            prefill_seqs: 1,
            prefill_squares: tokens * tokens,
            new_seqs: 1,
            idle_seqs: batch - 1,
            ..BatchShape::default()
        };
        step_time.step_time(&shape).as_secs_f64()
    };
    let (short, long) = (count(prompt), 2 * count(prompt));
    let prefill_token_s = (prefill_s(long) - prefill_s(short)).max(0.0) / (long - short) as f64;
    let decode = BatchShape {
        decode_seqs: batch,
        decode_context_tokens: count(context * batch as f64),
        ..BatchShape::default()
    };
    BatchStep {
        prefill_base_s: (prefill_s(short) - prefill_token_s * short as f64).max(0.0),
        prefill_token_s,
        decode_s: step_time.step_time(&decode).as_secs_f64(),
    }
}
