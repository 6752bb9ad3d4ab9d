//! Request sizes on a lattice: the law of prompt + output, and the same law weighted by what a request needs.
//!
//! The lattice has `cells + 1` points of width `(K + 1/2) / (cells + 1/2)`, so that its last cell ends where the KV cache
//! does: a sum of sizes fits if and only if it is a lattice point. Mass between two points is split so that means stay.

use super::system::System;

/// A nonnegative function on the lattice, by point.
pub(super) type Kernel = Vec<f64>;

/// Sums that exceed the KV cache are dropped. Direct summation keeps every small value exact to rounding; a transform
/// would add noise of 1e-17, which the truncation then amplifies geometrically.
pub(super) fn convolve(left: &[f64], right: &[f64]) -> Kernel {
    let points = left.len();
    let mut sum = vec![0.0; points];
    for (i, &l) in left.iter().enumerate() {
        if l > 0.0 {
            for (into, &r) in sum[i..].iter_mut().zip(right) {
                *into += l * r;
            }
        }
    }
    sum
}

/// Partial sums.
pub(super) fn cumulate(kernel: &[f64]) -> Kernel {
    kernel
        .iter()
        .scan(0.0, |sum, x| {
            *sum += x;
            Some(*sum)
        })
        .collect()
}

/// Mass of `kernel * base` that fits, from the partial sums of `base`.
pub(super) fn fitting(kernel: &[f64], base_sums: &[f64]) -> f64 {
    kernel.iter().zip(base_sums.iter().rev()).map(|(k, b)| k * b).sum()
}

/// The size law of an arriving request and its weighted forms.
#[derive(Debug, Clone)]
pub(super) struct SizeKernels {
    /// Tokens between two lattice points.
    pub step_tokens: f64,
    /// `P(size = s)`; what exceeds the KV cache is missing.
    pub size: Kernel,
    /// `E[P; s]`.
    pub prompt: Kernel,
    /// `E[G; s] / E[G]`: the size of a request met in decode.
    pub decode: Kernel,
    /// `E[G^2; s] / (2 E[G])`: the same with its residual output.
    pub residual: Kernel,
    /// `E[G^3; s] / (3 E[G])`: with its squared residual output.
    pub residual_square: Kernel,
    /// `E[G^2; s]`.
    pub output_square: Kernel,
    /// Mean output (tokens).
    pub mean_output: f64,
    /// Output law on the lattice.
    pub output: Kernel,
}

impl SizeKernels {
    /// On a lattice of at most `cells + 1` points.
    pub(super) fn new(system: &System, cells: usize) -> Self {
        let kv = system.kv_tokens();
        let cells = cells.min(kv);
        let step_tokens = (kv as f64 + 0.5) / (cells as f64 + 0.5);
        // Prompt and output are put on a lattice four times finer before they are added.
        let fine = if cells == kv { 1 } else { 4 };
        let fine_step = step_tokens / fine as f64;
        let points = fine * (cells + 1);
        let (prompt, output) = (system.prompt(), system.output());
        let mean_output = output.mean();
        let power = |law: &[f64], n: i32| project(law, |tokens| tokens.powi(n), fine_step, points);
        let prompt_mass = power(prompt.masses(), 0);
        let output_mass = power(output.masses(), 0);
        let joint = |left: &Kernel, right: &Kernel, factor: f64| -> Kernel {
            coarsen(&convolve(left, right), fine, cells + 1).iter().map(|x| x * factor).collect()
        };
        let with_output = |n: i32, factor: f64| joint(&prompt_mass, &power(output.masses(), n), factor);
        Self {
            step_tokens,
            size: joint(&prompt_mass, &output_mass, 1.0),
            prompt: joint(&power(prompt.masses(), 1), &output_mass, 1.0),
            decode: with_output(1, 1.0 / mean_output),
            residual: with_output(2, 0.5 / mean_output),
            residual_square: with_output(3, 1.0 / (3.0 * mean_output)),
            output_square: with_output(2, 1.0),
            mean_output,
            output: project(output.masses(), |_| 1.0, step_tokens, cells + 1),
        }
    }

    /// The size law with each output length weighted.
    pub(super) fn with_output_weight(&self, system: &System, weight: impl Fn(f64) -> f64) -> Kernel {
        let points = self.points();
        let fine = if points == system.kv_tokens() + 1 { 1 } else { 4 };
        let step = self.step_tokens / fine as f64;
        let prompt = project(system.prompt().masses(), |_| 1.0, step, fine * points);
        let output = project(system.output().masses(), weight, step, fine * points);
        coarsen(&convolve(&prompt, &output), fine, points)
    }

    /// Lattice points.
    pub(super) fn points(&self) -> usize {
        self.size.len()
    }
}

/// Puts weighted masses at whole tokens on a lattice, split between neighbours.
fn project(masses: &[f64], weight: impl Fn(f64) -> f64, step: f64, points: usize) -> Kernel {
    let mut kernel = vec![0.0; points];
    for (tokens, &mass) in masses.iter().enumerate() {
        if mass > 0.0 {
            let place = tokens as f64 / step;
            let below = libm::floor(place);
            let above_share = place - below;
            let index = below as usize;
            let mass = mass * weight(tokens as f64);
            if index >= points {
                break;
            }
            kernel[index] += mass * (1.0 - above_share);
            if index + 1 < points {
                kernel[index + 1] += mass * above_share;
            }
        }
    }
    kernel
}

/// Points of a lattice `fine` times coarser that take the mass of point `i`, with their shares: the three nearest, so
/// that mass, mean and variance stay. A share may be negative; over a law without jumps the sum is not.
pub(super) fn shares(i: usize, fine: usize) -> impl Iterator<Item = (usize, f64)> {
    let nearest = (i + fine / 2) / fine;
    let t = i as f64 / fine as f64 - nearest as f64;
    // A point that is nearest to zero has no left neighbour.
    let both = nearest > 0;
    let left = if both { 0.5 * t * (t - 1.0) } else { 0.0 };
    let right = if both { 0.5 * t * (t + 1.0) } else { t };
    let shares = [(nearest.wrapping_sub(1), left), (nearest, 1.0 - left - right), (nearest + 1, right)];
    shares.into_iter().filter(|x| x.1 != 0.0)
}

/// From a lattice `fine` times finer, split between neighbours.
fn coarsen(kernel: &[f64], fine: usize, points: usize) -> Kernel {
    let mut coarse = vec![0.0; points];
    for (i, &mass) in kernel.iter().enumerate() {
        let (index, rest) = (i / fine, i % fine);
        let above_share = rest as f64 / fine as f64;
        coarse[index] += mass * (1.0 - above_share);
        if index + 1 < points {
            coarse[index + 1] += mass * above_share;
        }
    }
    coarse
}
