//! Laws of the sum of several prompts, on a lattice of token counts.

use crate::batching::lengths::LengthLaw;
use crate::queueing::numeric::poisson_pmf;

/// Cells of a mean prompt.
const CELLS_OF_A_PROMPT: f64 = 16.0;
/// Most cells of the backlog.
const MOST_CELLS: usize = 768;
/// Most prompts that are told apart in a step.
const MOST_PROMPTS: f64 = 400.0;

/// Laws of the sum of 0, 1, 2, ... prompts on a lattice of token counts.
pub(super) struct PromptSums {
    /// Tokens between lattice points.
    pub cell: f64,
    /// By number of prompts.
    pub sums: Vec<Vec<f64>>,
}

impl PromptSums {
    /// For steps that carry `expected` prompts on average; what lies beyond the lattice is at its end.
    pub(super) fn new(prompt: &LengthLaw, budget: f64, expected: f64) -> Self {
        let mean = prompt.mean();
        let most = (expected + 8.0 * expected.sqrt() + 10.0).min(MOST_PROMPTS) as usize;
        let many = expected + 6.0 * (expected * (1.0 + prompt.scv())).sqrt();
        let reach = longest(prompt) + mean * many.min(MOST_PROMPTS);
        let reach = reach.max((3.0 * budget).min(2.0 * reach));
        let cell = (mean / CELLS_OF_A_PROMPT).max(reach / MOST_CELLS as f64);
        let cells = ((reach / cell) as usize + 2).min(MOST_CELLS);
        let mut one = vec![0.0; cells];
        for (tokens, &mass) in prompt.masses().iter().enumerate() {
            let place = tokens as f64 / cell;
            let below = (place as usize).min(cells - 1);
            let above = (below + 1).min(cells - 1);
            let share = if below + 1 < cells { place - below as f64 } else { 0.0 };
            one[below] += mass * (1.0 - share);
            one[above] += mass * share;
        }
        let mut none = vec![0.0; cells];
        none[0] = 1.0;
        let mut sums = vec![none];
        for j in 0..most {
            sums.push(plus(&sums[j], &one));
        }
        Self { cell, sums }
    }

    pub(super) fn cells(&self) -> usize {
        self.sums[0].len()
    }

    /// Law of the prompts of Poisson arrivals with this mean, and of `more` further requests.
    pub(super) fn of_arrivals(&self, mean: f64, more: usize) -> Vec<f64> {
        let mut law = vec![0.0; self.cells()];
        let mut left = 1.0;
        let last = self.sums.len() - 1;
        for j in 0..=last {
            let p = poisson_pmf(j, mean).min(left);
            left -= p;
            let p = if j == last { p + left } else { p };
            if p > 1e-14 {
                add(&mut law, &self.sums[(j + more).min(last)], p);
            }
        }
        law
    }
}

/// A length that one prompt in a million exceeds (tokens).
fn longest(prompt: &LengthLaw) -> f64 {
    let mut above = 0.0;
    let last = prompt.masses().iter().rposition(|p| {
        above += p;
        above > 1e-6
    });
    last.unwrap_or(1) as f64
}

/// Adds a law times a factor.
pub(super) fn add(into: &mut [f64], law: &[f64], factor: f64) {
    for (into, mass) in into.iter_mut().zip(law) {
        *into += factor * mass;
    }
}

/// The law of a sum; what lies beyond the lattice is at its end.
pub(super) fn plus(left: &[f64], right: &[f64]) -> Vec<f64> {
    let cells = left.len();
    let mut sum = vec![0.0; cells];
    for (i, &l) in left.iter().enumerate().filter(|(_, l)| **l > 1e-13) {
        for (j, &r) in right.iter().enumerate().filter(|(_, r)| **r > 0.0) {
            sum[(i + j).min(cells - 1)] += l * r;
        }
    }
    sum
}
