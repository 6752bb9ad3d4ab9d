//! The loss system `reserve`: the models of docs/theory-batching.md.

use kendall_des::SimDuration;
use kendall_serving::step_time::BatchShape;
use kendall_serving::workload::Lengths;
use kendall_serving::zoo::engines::Engine;
use kendall_serving::zoo::{Admission, Order};
use kendall_serving::{EngineConfig, GoodputLimits, StepTimeModel, ZooConfig};
use kendall_theory::batching::study::{
    Lognormal, StudyCell, StudyMetrics, mmc_baseline, two_class_markov, two_stage,
};
use kendall_theory::batching::{
    BatchStep, LengthLaw, Model, NotApplicable, Prediction, StepTimes, System, SystemError, closed_form,
    phase_type, reserved_kv, short_run,
};

use crate::exit::Failure;
use crate::scenario_file::ScenarioFile;

use super::answer::{Answer, Answers, Refusal, TRANSIENT};
use super::model::{Inputs, NoModel};

/// A model of the study.
type StudyModel = fn(&StudyCell) -> StudyMetrics;

/// Largest batch for which a row of durations is made.
const MOST_BATCH: u32 = 1_024;
/// A run is short if its mean time to first token differs from the stationary one by more than this share.
const SHORT: f64 = 0.01;

/// The loss system of a scenario, but for its rate.
#[derive(Debug)]
pub(super) struct Loss {
    batch: usize,
    kv_tokens: usize,
    steps: StepTimes,
    front_end_s: f64,
    /// Plain lognormal prompts and outputs, which the study's models take.
    lognormal: Option<[Lognormal; 2]>,
}

/// What is asked about a loss system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    /// Arrivals at one replica (1/s).
    pub rate_per_s: f64,
    /// Replicas behind the router.
    pub replicas: f64,
    /// Requests of a run, where the scenario counts them.
    pub requests: Option<u64>,
    pub goodput: Option<GoodputLimits>,
}

/// A scenario as a loss system.
#[derive(Debug)]
pub(in crate::commands) struct LossScenario {
    pub system: System,
    pub front_end_s: f64,
    /// From `slo.goodput` (s).
    pub ttft_limit_s: Option<f64>,
}

impl LossScenario {
    pub(in crate::commands) fn of(file: &ScenarioFile) -> Result<Self, Failure> {
        let wrong = |reason: String| Failure::Invalid(format!("{}: {reason}", file.name));
        let resolved = file.resolve()?;
        let inputs = Inputs::of(file, &resolved).map_err(|none| wrong(none.0))?;
        let Some((loss, [prompt, output])) = inputs.loss_system() else {
            return Err(wrong(
                "server.engine: the admission process is that of `engine = \"reserve\"`".into(),
            ));
        };
        let system = loss.system(inputs.rate_per_s, prompt, output);
        Ok(Self {
            system: system.map_err(|error| wrong(error.to_string()))?,
            front_end_s: loss.front_end_s,
            ttft_limit_s: resolved.goodput.and_then(|limits| limits.ttft).map(SimDuration::as_secs_f64),
        })
    }
}

impl Loss {
    pub(super) fn of(
        zoo: &ZooConfig,
        engine: &EngineConfig,
        step_time: &StepTimeModel,
        (prompt, output): (&LengthLaw, &LengthLaw),
        lengths: [Option<&Lengths>; 2],
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
        let lognormal = match lengths.map(lognormal) {
            [Some(prompt), Some(output)] => Some([prompt, output]),
            _ => None,
        };
        Ok(Self { batch: batch as usize, kv_tokens: kv_tokens(engine), steps, front_end_s, lognormal })
    }

    fn system(&self, rate_per_s: f64, prompt: &LengthLaw, output: &LengthLaw) -> Result<System, SystemError> {
        System::new(
            rate_per_s,
            self.batch,
            self.kv_tokens,
            prompt.clone(),
            output.clone(),
            self.steps.clone(),
        )
    }

    /// Every model, the most accurate first.
    pub(super) fn answers(&self, asked: Question, prompt: &LengthLaw, output: &LengthLaw) -> Answers {
        let mut found = Answers::default();
        let system = match self.system(asked.rate_per_s, prompt, output) {
            Ok(system) => system,
            Err(error) => {
                found.refusals.push(Refusal { model: "loss system", reason: error.to_string() });
                return found;
            }
        };
        let add = |found: &mut Answers, answer: Result<Prediction, NotApplicable>| match answer {
            Ok(prediction) => found.answers.push(self.answer(&prediction, asked)),
            Err(none) => {
                found.refusals.push(Refusal { model: none.model.name(), reason: none.reason.clone() });
            }
        };
        add(&mut found, reserved_kv(&system));
        let refused = |found: &mut Answers, reason: String| {
            found.refusals.push(Refusal { model: TRANSIENT, reason });
        };
        let run_s = asked.requests.map(|n| n as f64 / asked.replicas / asked.rate_per_s);
        match run_s.map(|run_s| (run_s, short_run(&system, run_s))) {
            Some((run_s, Ok(short))) => {
                let differs = short.run.mean_ttft_s / short.stationary.mean_ttft_s - 1.0;
                add(&mut found, Ok(short.stationary));
                if differs.abs() > SHORT {
                    // A stationary number is the wrong one.
                    found.answers.insert(0, self.answer(&short.run, asked));
                } else {
                    let percent = differs * 100.0;
                    refused(
                        &mut found,
                        format!(
                            "a run of {run_s:.0} s is long: its mean time to first token differs by {percent:+.2} %"
                        ),
                    );
                }
            }
            Some((_, Err(none))) if none.model != Model::Transient => add(&mut found, Err(none)),
            Some((_, Err(none))) => {
                add(&mut found, phase_type(&system));
                refused(&mut found, none.reason);
            }
            None => {
                add(&mut found, phase_type(&system));
                refused(&mut found, "the scenario gives no length of a run".into());
            }
        }
        add(&mut found, closed_form(&system));
        self.study_answers(asked, &mut found);
        found
    }

    /// The study's models, the base line.
    fn study_answers(&self, asked: Question, found: &mut Answers) {
        let models: [(&str, StudyModel); 3] = [
            ("study two-class", two_class_markov),
            ("study two-stage", two_stage),
            ("study M/M/C", mmc_baseline),
        ];
        let steps = StepTimes::study(self.batch);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9;
        let same = (1..=self.batch).all(|b| {
            let (ours, theirs) = (self.steps.at(b), steps.at(b));
            close(ours.prefill_base_s, theirs.prefill_base_s)
                && close(ours.prefill_token_s, theirs.prefill_token_s)
                && close(ours.decode_s, theirs.decode_s)
        });
        let Some([prompt, output]) = self.lognormal.filter(|_| same) else {
            let reason = "the study's models know lognormal lengths without bounds and its own latency curve";
            found.refusals.push(Refusal { model: "study", reason: reason.into() });
            return;
        };
        let cell = StudyCell {
            arrival_rate_per_s: asked.rate_per_s,
            max_batch: self.batch,
            kv_tokens: self.kv_tokens,
            prompt,
            output,
        };
        for (model, solve) in models {
            let metrics = solve(&cell);
            let ms = |s: f64| (s + self.front_end_s) * 1e3;
            found.answers.push(Answer {
                model,
                figures: vec![
                    ("request_throughput", metrics.goodput_per_s * asked.replicas),
                    ("mean_ttft_ms", ms(metrics.mean_ttft_s)),
                    ("p50_ttft_ms", ms(metrics.p50_ttft_s)),
                    ("p95_ttft_ms", ms(metrics.p95_ttft_s)),
                    ("p99_ttft_ms", ms(metrics.p99_ttft_s)),
                    ("blocking_probability", metrics.blocking_probability),
                ],
                assumptions: vec!["mean lengths in place of laws; the base line to beat".into()],
            });
        }
    }

    fn answer(&self, prediction: &Prediction, asked: Question) -> Answer {
        Answer {
            model: prediction.model.name(),
            figures: self.figures(prediction, asked),
            assumptions: prediction.model.assumptions().iter().map(ToString::to_string).collect(),
        }
    }

    fn figures(&self, prediction: &Prediction, asked: Question) -> Vec<(&'static str, f64)> {
        let ms = |s: f64| (s + self.front_end_s) * 1e3;
        let throughput = prediction.throughput_per_s * asked.replicas;
        let mut figures = vec![("request_throughput", throughput)];
        // The models have no law of time per token or end to end: other limits are not for them.
        if let Some(GoodputLimits { ttft: Some(limit), tpot: None, e2e: None }) = asked.goodput {
            let in_time = prediction.ttft.cdf(limit.as_secs_f64() - self.front_end_s);
            figures.extend([
                ("request_goodput", throughput * in_time),
                ("slo_attainment", (1.0 - prediction.blocking_probability) * in_time),
            ]);
        }
        figures.extend([
            ("mean_ttft_ms", ms(prediction.mean_ttft_s)),
            ("p50_ttft_ms", ms(prediction.ttft_quantile_s(0.5))),
            ("p90_ttft_ms", ms(prediction.ttft_quantile_s(0.9))),
            ("p95_ttft_ms", ms(prediction.ttft_quantile_s(0.95))),
            ("p99_ttft_ms", ms(prediction.ttft_quantile_s(0.99))),
        ]);
        if prediction.model != Model::Transient {
            // Little's law.
            figures.push(("mean_e2el_ms", ms(prediction.mean_in_system / prediction.throughput_per_s)));
        }
        figures.push(("blocking_probability", prediction.blocking_probability));
        figures
    }
}

fn lognormal(lengths: Option<&Lengths>) -> Option<Lognormal> {
    match lengths? {
        Lengths::Lognormal { median, sigma, min: None, max: None, .. } => {
            Some(Lognormal { median: *median, sigma: *sigma })
        }
        _ => None,
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
