//! Which assumption moves the answer most: each is changed by itself, and the capacity is sought again.
//!
//! For this table each replication has a capacity of its own: the rate (or concurrency) at which that run just keeps all
//! objectives, by bisection. A changed assumption meets the same customers, so that the differences between capacities are
//! far sharper than the capacities; their mean has a Student-t interval over replications.

use kendall_des::SimDuration;
use kendall_serving::SimulationConfig;
use serde::Serialize;

use super::load::{Load, Tail};
use super::search::at;
use super::trial::{Bench, Point};
use super::{Answer, Find, Question};
use crate::offered_load::OfferedLoad;
use crate::play::{RunError, Watch, Workloads};
use crate::replications::Estimate;

/// Halvings of the range in which a run's capacity is sought: 1/128 of it is left.
const HALVINGS: u32 = 7;

/// That range, as shares of the answer.
const FROM: f64 = 0.4;
const TO: f64 = 1.6;

/// A changed assumption and what it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sensitivity {
    /// What is assumed.
    pub assumption: &'static str,
    /// The change.
    pub change: String,
    /// Relative change of the capacity; `None` if the server cannot start like that.
    pub effect: Option<Estimate>,
}

/// One changed question.
struct Variant {
    assumption: &'static str,
    change: String,
    config: SimulationConfig,
    load: Load,
}

pub(super) fn table<W: Workloads, T: Watch>(
    question: &Question<'_>,
    bench: &Bench<'_, W, T>,
    sampled: &OfferedLoad,
    answer: &Answer,
) -> Result<Vec<Sensitivity>, RunError<W::Error>> {
    let Some((find, base, range)) = start(question, sampled, answer) else { return Ok(Vec::new()) };
    let nominal =
        Variant { assumption: "", change: String::new(), config: base.clone(), load: question.load };
    let variants: Vec<Variant> =
        std::iter::once(nominal).chain(variants(&base, find, question.load, sampled)).collect();
    let runs = question.sensitivity_runs as usize;
    let capacity = |i: usize| {
        let variant = &variants[i % variants.len()];
        if variant.config.validate().is_err() {
            return Ok(None);
        }
        let changed = Question { simulation: &variant.config, load: variant.load, ..question.clone() };
        let at = |x: f64| at(&changed, find, x, sampled.rate_per_s);
        one_run(bench, at, range, find != Find::Rate, (i / variants.len()) as u32).map(Some)
    };
    let capacities = bench.workers.map(variants.len() * runs, capacity)?;
    let of = |variant: usize, run: usize| capacities[run * variants.len() + variant];
    let effect = |variant: usize| {
        let changes: Option<Vec<f64>> =
            (0..runs).map(|run| Some(of(variant, run)? / of(0, run)? - 1.0)).collect();
        Estimate::of(&changes?, question.confidence)
    };
    let table = variants.iter().enumerate().skip(1).map(|(i, variant)| Sensitivity {
        assumption: variant.assumption,
        change: variant.change.clone(),
        effect: effect(i),
    });
    let mut table: Vec<_> = table.collect();
    let size = |line: &Sensitivity| line.effect.map_or(-1.0, |effect| effect.mean.abs());
    table.sort_by(|a, b| size(b).total_cmp(&size(a)));
    Ok(table)
}

/// What is sought for the table, of which server, and between which ends. Where replicas were sought, it is the rate that the
/// found number carries: at least nearly the workload's own, at most what device time allows.
fn start(
    question: &Question<'_>,
    sampled: &OfferedLoad,
    answer: &Answer,
) -> Option<(Find, SimulationConfig, (f64, f64))> {
    let good = answer.good?;
    match question.find {
        Find::Replicas => {
            let config = at(question, Find::Replicas, good, None).config;
            let rate = sampled.rate_per_s?;
            let most = answer.bound.map_or(TO * rate, |bound| good * bound);
            Some((Find::Rate, config, (FROM * rate, most)))
        }
        find => {
            let centre = f64::midpoint(good, answer.bad?);
            Some((find, question.simulation.clone(), (FROM * centre, TO * centre)))
        }
    }
}

/// The capacity of one replication: the middle of the range that is left after the halvings.
fn one_run<W: Workloads, T: Watch>(
    bench: &Bench<'_, W, T>,
    at: impl Fn(f64) -> Point,
    (mut low, mut high): (f64, f64),
    whole: bool,
    replication: u32,
) -> Result<f64, RunError<W::Error>> {
    for _ in 0..HALVINGS {
        let x = f64::midpoint(low, high);
        let x = if whole { libm::round(x).max(1.0) } else { x };
        let evidence = bench.evidence(&at(x), replication)?;
        let kept = evidence.margins.iter().flatten().all(|&(margin, _)| margin >= 0.0);
        if kept {
            low = x;
        } else {
            high = x;
        }
        if whole && high - low <= 1.0 {
            break;
        }
    }
    Ok(f64::midpoint(low, high))
}

/// The assumptions that an answer rests on, each changed by itself. Clients that wait for answers have no bursts to change.
fn variants(base: &SimulationConfig, find: Find, load: Load, sampled: &OfferedLoad) -> Vec<Variant> {
    let with = |assumption, change: &str, edit: &dyn Fn(&mut SimulationConfig, &mut Load)| {
        let (mut config, mut load) = (base.clone(), load);
        edit(&mut config, &mut load);
        Variant { assumption, change: change.to_owned(), config, load }
    };
    let blocks = |config: &mut SimulationConfig, share: f64| {
        let blocks = libm::round(f64::from(config.engine.num_gpu_blocks) * share);
        config.engine.num_gpu_blocks = blocks as u32;
    };
    let slower = |config: &mut SimulationConfig, share: f64| scale_step_time(config, share);
    let tail = |load: &mut Load, exponent: f64| {
        load.tail = Some(Tail { median: sampled.median_output_tokens, exponent });
    };
    let shorter = base.front_end.receipt.min(FRONT_END_CHANGE);
    let shorter_ms = format!("-{} ms", shorter.as_millis_f64());
    let bursts = || with("burstiness", "arrivals in pairs", &|_, load| load.pairs = true);
    let mut variants = vec![
        with("step time", "+10 %", &|config, _| slower(config, 1.1)),
        with("step time", "-10 %", &|config, _| slower(config, 0.9)),
        with("KV blocks", "+20 %", &|config, _| blocks(config, 1.2)),
        with("KV blocks", "-20 %", &|config, _| blocks(config, 0.8)),
    ];
    variants.extend((find == Find::Rate).then(bursts));
    variants.extend([
        with("length tail", "log output lengths 20 % wider", &|_, load| tail(load, 1.2)),
        with("length tail", "log output lengths 20 % narrower", &|_, load| tail(load, 0.8)),
        with("front-end overhead", "+10 ms", &|config, _| {
            config.front_end.receipt += FRONT_END_CHANGE;
        }),
    ]);
    if shorter > SimDuration::ZERO {
        variants.push(with("front-end overhead", &shorter_ms, &|config, _| {
            config.front_end.receipt = SimDuration::from_ps(base.front_end.receipt.as_ps() - shorter.as_ps());
        }));
    }
    variants
}

const FRONT_END_CHANGE: SimDuration = SimDuration::from_millis(10);

fn scale_step_time(config: &mut SimulationConfig, share: f64) {
    config.step_time = config.step_time.scaled(share);
}
