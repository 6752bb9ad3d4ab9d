//! The phase-type model: stationary chain, PASTA, law of the time to first token.

use super::chain::{Chain, Mode};
use super::first_token::{Found, Grid, law};
use super::grid::TimeLaw;
use super::kv::{KvTable, OutputMoments};
use super::phase_kv::PhaseKv;
use super::phases::{PhaseMoves, Phases};
use super::prediction::{Model, NotApplicable, Prediction};
use super::reserved::reserved_kv;
use super::system::System;
use super::transient::Counts;

/// Lattice cells of the KV cache.
const KV_CELLS: usize = 384;
/// Most requests in the system that the chain follows.
const MOST_REQUESTS: usize = 400;
/// Largest batch whose configurations of two phases are few enough.
const MOST_BATCH: usize = 64;
/// Most configurations of a full batch.
const MOST_CONFIGURATIONS: usize = 170;

/// Grid of the time to first token.
const GRID: Grid = Grid { finest_step_s: 1e-3, most_points: 16_384, most_joined: 3, curve_points: 240 };

/// Phase-type chain over the number in the system, the mode, and the phases of the active generations.
///
/// # Errors
/// A batch of more than 64, or an overload that keeps more than 400 requests inside.
pub fn phase_type(system: &System) -> Result<Prediction, NotApplicable> {
    Ok(Solved::new(system)?.prediction(system, Model::PhaseType, &|_| 1.0))
}

/// The phase-type chain in its stationary state, and over a run from an empty system.
#[derive(Debug, Clone, PartialEq)]
pub struct ShortRun {
    /// Without beginning and end.
    pub stationary: Prediction,
    /// Over the run: of all who arrive during it. Its throughput is over the time until the last has left.
    pub run: Prediction,
    /// Mean time until the last has left (s).
    pub duration_s: f64,
}

/// The phase-type chain over a run of `horizon_s` that begins with an empty system, by uniformisation of its levels. For a batch
/// of one the chain of reserved KV, where it applies, is changed in the same proportion.
///
/// # Errors
/// Those of [`phase_type`], and a run that is too long to follow jump by jump.
pub fn short_run(system: &System, horizon_s: f64) -> Result<ShortRun, NotApplicable> {
    let solved = Solved::new(system)?;
    let (law, births) = solved.levels(system);
    let Some(run) = Counts::balanced(&law, &births).run(horizon_s) else {
        let reason = format!("a run of {horizon_s} s is too long to follow: it is stationary");
        return Err(NotApplicable { model: Model::Transient, reason });
    };
    let more_often = |n: usize| run.mean_law.get(n).map_or(0.0, |p| p / law[n]);
    let stationary = solved.prediction(system, Model::PhaseType, &|_| 1.0);
    let mut over_run = solved.prediction(system, Model::Transient, &more_often);
    if let Ok(exact) = reserved_kv(system) {
        over_run = in_proportion(system, &exact, &over_run, &stationary);
    }
    let duration_s = horizon_s + run.drain_s;
    over_run.throughput_per_s *= horizon_s / duration_s;
    Ok(ShortRun { stationary, run: over_run, duration_s })
}

/// A stationary prediction with times, loss and numbers changed as one model changes its own over a run.
fn in_proportion(
    system: &System,
    exact: &Prediction,
    run: &Prediction,
    stationary: &Prediction,
) -> Prediction {
    let longer = run.mean_ttft_s / stationary.mean_ttft_s;
    let ttft = TimeLaw::new(exact.ttft.step_s() * longer, exact.ttft.masses().to_vec());
    let more_lost = run.blocking_probability / stationary.blocking_probability;
    let lost = exact.blocking_probability * if more_lost.is_finite() { more_lost } else { 1.0 };
    Prediction {
        model: Model::Transient,
        mean_ttft_s: ttft.mean_s(),
        ttft,
        throughput_per_s: system.arrival_rate_per_s() * (1.0 - lost),
        blocking_probability: lost,
        mean_in_system: exact.mean_in_system * run.mean_in_system / stationary.mean_in_system,
        states: exact.states + run.states,
    }
}

/// The chain with its stationary law, and what follows from it.
struct Solved {
    kv: KvTable,
    moves: PhaseMoves,
    chain: Chain,
    found: Vec<Found>,
}

impl Solved {
    fn new(system: &System) -> Result<Self, NotApplicable> {
        let batch = system.max_batch();
        if batch > MOST_BATCH {
            let reason = format!("max_batch = {batch}: the chain is made for batches up to {MOST_BATCH}");
            return Err(NotApplicable { model: Model::PhaseType, reason });
        }
        let kv = KvTable::new(system, KV_CELLS, MOST_REQUESTS);
        if !kv.complete {
            let reason = format!("more than {MOST_REQUESTS} requests in the system");
            return Err(NotApplicable { model: Model::PhaseType, reason });
        }
        let fit = Phases::fit(&OutputMoments::of_accepted(&kv.kernels), most_phases(batch));
        let moves = PhaseMoves::new(fit, batch);
        let phase_kv = PhaseKv::new(system, &kv.kernels, &moves, kv.largest());
        let chain = Chain::solve(system, &kv, &phase_kv, &moves);
        let kv = kv_by_phase(system, kv, &phase_kv, &moves);
        let found = found(system, &moves, &chain);
        Ok(Self { kv, moves, chain, found })
    }

    /// Law of the number inside, and the rate of accepted arrivals at each (1/s).
    fn levels(&self, system: &System) -> (Vec<f64>, Vec<f64>) {
        let by_level = self.chain.chance.iter().zip(&self.chain.lost).map(|(chance, lost)| {
            let here: f64 = chance.iter().sum();
            let accepted: f64 = chance.iter().zip(lost).map(|(p, lost)| p * (1.0 - lost)).sum();
            (here, if here > 0.0 { system.arrival_rate_per_s() * accepted / here } else { 0.0 })
        });
        by_level.unzip()
    }

    /// What arrivals meet if they find `n` inside `weight(n)` times as often as in the stationary state.
    fn prediction(&self, system: &System, model: Model, weight: &dyn Fn(usize) -> f64) -> Prediction {
        let weighted = |found: &Found| Found { chance: found.chance * weight(found.count), ..found.clone() };
        let found: Vec<Found> = self.found.iter().map(weighted).collect();
        let (mut lost, mut mean_in_system) = (0.0, 0.0);
        for (n, (chance, lost_here)) in self.chain.chance.iter().zip(&self.chain.lost).enumerate() {
            lost += weight(n) * chance.iter().zip(lost_here).map(|(p, l)| p * l).sum::<f64>();
            mean_in_system += weight(n) * n as f64 * chance.iter().sum::<f64>();
        }
        let ttft = law(system, &self.kv, &self.moves, &found, GRID);
        Prediction {
            model,
            mean_ttft_s: ttft.mean_s(),
            ttft,
            throughput_per_s: system.arrival_rate_per_s() * (1.0 - lost),
            blocking_probability: lost,
            mean_in_system,
            states: self.chain.states(),
        }
    }
}

/// As many phases as keep the configurations of the batch few.
fn most_phases(batch: usize) -> usize {
    let configurations = |m: usize| (1..m).fold(1.0, |c, i| c * (batch + i) as f64 / i as f64);
    (1..=5).take_while(|&m| configurations(m) <= MOST_CONFIGURATIONS as f64).last().unwrap_or(1)
}

/// What accepted arrivals find: stationary probability times acceptance.
fn found(system: &System, moves: &PhaseMoves, chain: &Chain) -> Vec<Found> {
    let batch = system.max_batch();
    let mut found: Vec<Found> = Vec::new();
    for (n, (level, chance)) in chain.levels.iter().zip(&chain.chance).enumerate() {
        let mut here: std::collections::BTreeMap<Option<(usize, usize)>, Found> =
            std::collections::BTreeMap::new();
        for block in &level.blocks {
            let prefill = match block.mode {
                Mode::Decode => None,
                Mode::Prefill { joined, later, .. } => Some((joined, later)),
            };
            let configurations = if n >= batch { moves.sets[batch].len() } else { 0 };
            let entry = here.entry(prefill).or_insert_with(|| Found {
                count: n,
                prefill,
                chance: 0.0,
                phases: vec![0.0; configurations],
            });
            for c in 0..block.len {
                let state = block.first + c;
                let p = chance[state] * (1.0 - chain.lost[n][state]);
                entry.chance += p;
                if n >= batch && p > 0.0 {
                    for (share, to) in moves.started(block.decoding, c, batch - block.decoding) {
                        entry.phases[to] += p * share;
                    }
                }
            }
        }
        for mut f in here.into_values() {
            for x in &mut f.phases {
                *x /= f.chance.max(f64::MIN_POSITIVE);
            }
            found.push(f);
        }
    }
    found
}

/// The work ahead beyond what the phases that accepted arrivals find already say of it.
fn kv_by_phase(system: &System, mut kv: KvTable, phase_kv: &PhaseKv, moves: &PhaseMoves) -> KvTable {
    let batch = system.max_batch();
    let to_end = moves.phases.mean_to_end();
    for n in batch..=kv.largest() {
        let waiting = n - batch;
        let work = |c: usize| {
            let counts = moves.sets[batch].counts[c].iter().zip(&to_end);
            waiting as f64 + counts.map(|(&c, mean)| f64::from(c) * mean).sum::<f64>()
        };
        let leave = |c: usize| moves.leave[batch][c].map_or(0.0, |x| x.0);
        // An accepted arrival's own size fits too.
        let ahead = &mut kv.by_count[n].ahead;
        ahead.mean /= phase_kv.shift(batch, waiting, work);
        ahead.first *= phase_kv.shift(batch, waiting, leave);
    }
    kv
}
