//! The phase-type model: stationary chain, PASTA, law of the time to first token.

use super::chain::{Chain, Mode};
use super::first_token::{Found, Grid, law};
use super::kv::{KvTable, OutputMoments};
use super::phase_kv::PhaseKv;
use super::phases::{PhaseMoves, Phases};
use super::prediction::{Model, NotApplicable, Prediction};
use super::system::System;

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
    let batch = system.max_batch();
    if batch > MOST_BATCH {
        let reason = format!("max_batch = {batch}: the chain is made for batches up to {MOST_BATCH}");
        return Err(NotApplicable { model: Model::PhaseType, reason });
    }
    let phases = most_phases(batch);
    let kv = KvTable::new(system, KV_CELLS, MOST_REQUESTS);
    if !kv.complete {
        let reason = format!("more than {MOST_REQUESTS} requests in the system");
        return Err(NotApplicable { model: Model::PhaseType, reason });
    }
    let fit = Phases::fit(&OutputMoments::of_accepted(&kv.kernels), phases);
    let moves = PhaseMoves::new(fit, batch);
    let phase_kv = PhaseKv::new(system, &kv.kernels, &moves, kv.largest());
    let chain = Chain::solve(system, &kv, &phase_kv, &moves);
    let kv = kv_by_phase(system, kv, &phase_kv, &moves);
    let found = found(system, &moves, &chain);
    let lost: f64 = chain
        .chance
        .iter()
        .zip(&chain.lost)
        .flat_map(|(p, lost)| p.iter().zip(lost))
        .map(|(p, l)| p * l)
        .sum();
    let ttft = law(system, &kv, &moves, &found, GRID);
    let mean_in_system = chain.chance.iter().enumerate().map(|(n, c)| n as f64 * c.iter().sum::<f64>()).sum();
    Ok(Prediction {
        model: Model::PhaseType,
        mean_ttft_s: ttft.mean_s(),
        ttft,
        throughput_per_s: system.arrival_rate_per_s() * (1.0 - lost),
        blocking_probability: lost,
        mean_in_system,
        states: chain.states(),
    })
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
