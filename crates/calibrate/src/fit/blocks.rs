//! Blocks of neighbouring steps: what is resampled for standard errors and held out for errors on unseen steps.
//!
//! Neighbouring steps share a batch, a clock frequency and a moment of the server, so single steps would count one
//! accident many times: standard errors from them are too small, and a held-out step beside a fitted one is hardly
//! unseen. Blocks keep neighbours together (Kunsch, Annals of Statistics 17, 1989; blocks that do not overlap).

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng};

use super::gram::Gram;
use super::terms::{TERMS, Vector, predict};
use super::{Choice, nnls};
use crate::steps::MeasuredStep;

/// Blocks aimed at: enough for a variance, long enough to hold a request's decode.
const BLOCKS: usize = 100;

/// Parts of which each is held out once, where there are too few runs to hold out whole ones.
const FOLDS: usize = 5;

/// Fewest runs to hold out whole runs.
const MIN_RUNS: usize = 4;

/// Runs are held out in at most so many parts.
const MAX_PARTS: usize = 20;

/// The sums of each block.
pub(crate) struct Blocks {
    /// Block of each step.
    of_step: Vec<usize>,
    grams: Vec<Gram>,
    /// All blocks together.
    pub(crate) all: Gram,
}

impl Blocks {
    /// Cuts steps into blocks of equal length; a block never spans two runs.
    pub(crate) fn of(steps: &[MeasuredStep], weights: &[f64]) -> Self {
        let length = steps.len().div_ceil(BLOCKS);
        let (mut of_step, mut grams): (Vec<usize>, Vec<Gram>) = (Vec::new(), Vec::new());
        let (mut run, mut left) = (None, 0);
        for (step, &weight) in steps.iter().zip(weights) {
            if run != Some(step.run) || left == 0 {
                grams.push(Gram::default());
                (run, left) = (Some(step.run), length);
            }
            left -= 1;
            let block = grams.len() - 1;
            grams[block].add(step, weight);
            of_step.push(block);
        }
        let mut all = Gram::default();
        for gram in &grams {
            all.add_sums(gram);
        }
        Self { of_step, grams, all }
    }

    /// Covariance of the fitted values (s^2) over resamples of the blocks; weights stay as they are.
    pub(crate) fn bootstrap(&self, choice: &Choice, replicates: u32, seed: u64) -> [Vector; TERMS] {
        let solutions: Vec<Vector> = (0..replicates)
            .map(|replicate| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(u64::from(replicate));
                let mut gram = Gram::default();
                for _ in 0..self.grams.len() {
                    gram.add_sums(&self.grams[rng.random_range(0..self.grams.len())]);
                }
                nnls::solve(&gram, choice.free, &choice.fixed)
            })
            .collect();
        let n = solutions.len() as f64;
        let mean: Vector = std::array::from_fn(|i| solutions.iter().map(|x| x[i]).sum::<f64>() / n.max(1.0));
        std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let products = solutions.iter().map(|x| (x[i] - mean[i]) * (x[j] - mean[j]));
                if n > 1.0 { products.sum::<f64>() / (n - 1.0) } else { 0.0 }
            })
        })
    }

    /// Each step's duration as predicted by a fit that had not seen its part, and what the parts are.
    pub(crate) fn hold_out(&self, steps: &[MeasuredStep], choice: &Choice) -> (Vec<f64>, String) {
        let mut runs: Vec<u32> = steps.iter().map(|step| step.run).collect();
        runs.sort_unstable();
        runs.dedup();
        let by_run = runs.len() >= MIN_RUNS;
        let parts = if by_run { runs.len().min(MAX_PARTS) } else { FOLDS };
        let part_of = |step: &MeasuredStep, block: usize| {
            if by_run { runs.partition_point(|&run| run < step.run) % parts } else { block % parts }
        };
        let mut part_grams = vec![Gram::default(); parts];
        let mut seen = vec![false; self.grams.len()];
        for (step, &block) in steps.iter().zip(&self.of_step) {
            if !std::mem::replace(&mut seen[block], true) {
                part_grams[part_of(step, block)].add_sums(&self.grams[block]);
            }
        }
        let solutions: Vec<Vector> = part_grams
            .iter()
            .map(|part| nnls::solve(&self.all.without(part), choice.free, &choice.fixed))
            .collect();
        let predicted = steps
            .iter()
            .zip(&self.of_step)
            .map(|(step, &block)| predict(&solutions[part_of(step, block)], step))
            .collect();
        let how = match (by_run, parts == runs.len()) {
            (true, true) => format!("each of {parts} runs held out once"),
            (true, false) => format!("{} runs held out in {parts} parts", runs.len()),
            (false, _) => {
                format!("{} blocks of neighbouring steps held out in {parts} parts", self.grams.len())
            }
        };
        (predicted, how)
    }
}
