//! The phase-type model: stationary chain, PASTA, law of the time to first token.

use super::chain::{Chain, Mode};
use super::first_token::{Found, Grid, law};
use super::kv::{KvTable, OutputMoments};
use super::phases::{PhaseMoves, Phases};
use super::prediction::{Model, NotApplicable, Prediction};
use super::system::System;

/// Lattice cells of the KV cache.
const KV_CELLS: usize = 384;
/// Most requests in the system that the chain follows.
const MOST_REQUESTS: usize = 2000;
/// Most configurations of a full batch.
const MOST_CONFIGURATIONS: usize = 600;

/// Grid of the time to first token.
const GRID: Grid = Grid { finest_step_s: 1e-3, most_points: 16_384, most_joined: 3, curve_points: 240 };

/// Phase-type chain over the number in the system, the mode, and the phases of the active generations.
///
/// # Errors
/// A batch so large that even two phases give too many configurations.
pub fn phase_type(system: &System) -> Result<Prediction, NotApplicable> {
    let batch = system.max_batch();
    let phases = most_phases(batch);
    if phases < 2 {
        let reason =
            format!("max_batch = {batch}: more than {MOST_CONFIGURATIONS} configurations of two phases");
        return Err(NotApplicable { model: Model::PhaseType, reason });
    }
    let kv = KvTable::new(system, KV_CELLS, MOST_REQUESTS);
    let fit = Phases::fit(&OutputMoments::of_accepted(&kv.kernels), phases);
    let moves = PhaseMoves::new(fit, batch);
    let chain = Chain::solve(system, &kv, &moves);
    let found = found(system, &kv, &moves, &chain);
    let lost: f64 = chain
        .levels
        .iter()
        .zip(&chain.chance)
        .enumerate()
        .flat_map(|(n, (level, chance))| {
            let occupancy = kv.by_count[n];
            level.blocks.iter().map(move |block| {
                let mass: f64 = chance[block.first..block.first + block.len].iter().sum();
                mass * if block.mode == Mode::Decode { occupancy.lost } else { occupancy.lost_in_prefill }
            })
        })
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
fn found(system: &System, kv: &KvTable, moves: &PhaseMoves, chain: &Chain) -> Vec<Found> {
    let batch = system.max_batch();
    let mut found: Vec<Found> = Vec::new();
    for (n, (level, chance)) in chain.levels.iter().zip(&chain.chance).enumerate() {
        let mut here: std::collections::BTreeMap<Option<(usize, usize)>, Found> =
            std::collections::BTreeMap::new();
        for block in &level.blocks {
            let (prefill, lost) = match block.mode {
                Mode::Decode => (None, kv.by_count[n].lost),
                Mode::Prefill { joined, later, .. } => {
                    (Some((joined, later)), kv.by_count[n].lost_in_prefill)
                }
            };
            let configurations = if n >= batch { moves.sets[batch].len() } else { 0 };
            let entry = here.entry(prefill).or_insert_with(|| Found {
                count: n,
                prefill,
                chance: 0.0,
                phases: vec![0.0; configurations],
            });
            for c in 0..block.len {
                let p = chance[block.first + c] * (1.0 - lost);
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
