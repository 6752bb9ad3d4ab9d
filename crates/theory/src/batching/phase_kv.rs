//! Acceptance by phases: who is in a slow phase of its output is probably a big request.
//!
//! A long queue builds up behind long outputs, and long outputs hold much KV, so acceptance given the number inside is
//! lower than the product form says when few are inside for long. The chain knows the phases of the active requests; here
//! each phase gets its own size law, from how long an output of given length spends in it.

use super::kernels::{Kernel, SizeKernels, convolve, cumulate, fitting};
use super::phases::{PhaseMoves, Phases, equilibrium};
use super::system::System;

/// What acceptance is, by the number inside and the configuration of those that decode.
pub(super) struct PhaseKv {
    /// By batch that decodes and configuration: size law of the batch.
    inside: Vec<Vec<Kernel>>,
    /// The same with one request in prefill.
    with_prefill: Vec<Vec<Kernel>>,
    /// Partial sums of the law of j waiting sizes, scaled, and the scale from one j to the next.
    waiting: Vec<(Kernel, f64)>,
    /// By batch: law of the configuration of a free system.
    free: Vec<Vec<f64>>,
}

impl PhaseKv {
    pub(super) fn new(system: &System, kernels: &SizeKernels, moves: &PhaseMoves, most: usize) -> Self {
        let shares = time_shares(system, &moves.phases);
        let by_phase: Vec<Kernel> = (0..moves.phases.len())
            .map(|i| {
                let weight = |tokens: f64| tokens * shares.at(i, tokens);
                let total = system.output().expect(weight);
                kernels.with_output_weight(system, |tokens| weight(tokens) / total)
            })
            .collect();
        let steps = system.steps().at(system.max_batch());
        let prefill: Kernel = kernels
            .size
            .iter()
            .zip(&kernels.prompt)
            .map(|(f, p)| steps.prefill_base_s * f + steps.prefill_token_s * p)
            .collect();
        let mut empty = vec![0.0; kernels.points()];
        empty[0] = 1.0;
        let mut inside: Vec<Vec<Kernel>> = vec![vec![empty.clone()]];
        for b in 1..=system.max_batch() {
            let one_more = |counts: &Vec<u16>| {
                let i = counts.iter().position(|&c| c > 0).unwrap_or(0);
                let mut fewer = counts.clone();
                fewer[i] -= 1;
                convolve(&inside[b - 1][moves.sets[b - 1].find(&fewer)], &by_phase[i])
            };
            let set = moves.sets[b].counts.iter().map(one_more).collect();
            inside.push(set);
        }
        let with_prefill = inside[..system.max_batch()]
            .iter()
            .map(|set| set.iter().map(|kernel| convolve(kernel, &prefill)).collect())
            .collect();
        let mut waiting = vec![(cumulate(&empty), 1.0)];
        let mut law = empty;
        for _ in 0..=most {
            law = convolve(&law, &kernels.size);
            let scale: f64 = law.iter().sum();
            if scale <= 0.0 {
                break;
            }
            for x in &mut law {
                *x /= scale;
            }
            waiting.push((cumulate(&law), scale));
        }
        let free = moves.sets.iter().map(|set| equilibrium(&moves.phases, set)).collect();
        Self { inside, with_prefill, waiting, free }
    }

    /// Probability that an arrival is lost when `waiting` wait, by configuration of those that decode; `average` if the
    /// configuration is that of a free system.
    pub(super) fn lost(&self, decoding: usize, waiting: usize, average: f64) -> Vec<f64> {
        self.shared_out(&self.inside[decoding], &self.free[decoding], waiting, average)
    }

    /// The same while at least one request is in prefill, with `waiting` others that do not decode.
    pub(super) fn lost_in_prefill(&self, decoding: usize, waiting: usize, average: f64) -> Vec<f64> {
        self.shared_out(&self.with_prefill[decoding], &self.free[decoding], waiting, average)
    }

    fn shared_out(&self, inside: &[Kernel], free: &[f64], waiting: usize, average: f64) -> Vec<f64> {
        let fits: Vec<f64> = inside.iter().map(|kernel| self.fits(kernel, waiting)).collect();
        let mean: f64 = fits.iter().zip(free).map(|(a, p)| a * p).sum();
        let share =
            |a: &f64| if mean > 0.0 { (1.0 - (1.0 - average) * a / mean).clamp(0.0, 1.0) } else { average };
        fits.iter().map(share).collect()
    }

    fn fits(&self, kernel: &Kernel, waiting: usize) -> f64 {
        let (Some((now, _)), Some((next, scale))) =
            (self.waiting.get(waiting), self.waiting.get(waiting + 1))
        else {
            return 0.0;
        };
        let inside = fitting(kernel, now);
        if inside <= 0.0 { 0.0 } else { scale * fitting(kernel, next) / inside }
    }

    /// How acceptance changes the mean of a figure of the configuration, from that of a free system.
    pub(super) fn shift(&self, decoding: usize, waiting: usize, figure: impl Fn(usize) -> f64) -> f64 {
        let (mut accepted, mut accepted_figure, mut free_figure) = (0.0, 0.0, 0.0);
        for (c, p) in self.free[decoding].iter().enumerate() {
            let weight = p * self.fits(&self.inside[decoding][c], waiting);
            accepted += weight;
            accepted_figure += weight * figure(c);
            free_figure += p * figure(c);
        }
        if accepted > 0.0 && free_figure > 0.0 { accepted_figure / accepted / free_figure } else { 1.0 }
    }
}

/// Fraction of an output's time that it spends in each phase, by its length.
struct TimeShares {
    step_tokens: f64,
    by_phase: Vec<Vec<f64>>,
}

impl TimeShares {
    fn at(&self, phase: usize, tokens: f64) -> f64 {
        let shares = &self.by_phase[phase];
        let place = (tokens / self.step_tokens).min((shares.len() - 1) as f64);
        let below = (place as usize).min(shares.len() - 2);
        let above = place - below as f64;
        shares[below] * (1.0 - above) + shares[below + 1] * above
    }
}

/// Points of the table of time shares.
const SHARE_POINTS: usize = 400;
/// Integration steps between two of them.
const PARTS: usize = 8;

/// A request of output `g` has been in phase `i` at `t` and left at `g`: the time in the phase is the convolution of the
/// probability to be there at `t` with the density to leave `g - t` later.
fn time_shares(system: &System, phases: &Phases) -> TimeShares {
    let m = phases.len();
    let mean = system.output().mean();
    let longest = system.output().largest().min(system.kv_tokens()) as f64;
    let step_tokens = longest.max(2.0) / (SHARE_POINTS - 1) as f64;
    let step = step_tokens / mean;
    let forward = |p: &[f64]| -> Vec<f64> {
        (0..m)
            .map(|i| if i > 0 { p[i - 1] * phases.rates[i - 1] } else { 0.0 } - p[i] * phases.rates[i])
            .collect()
    };
    let backward = |q: &[f64]| -> Vec<f64> {
        (0..m).map(|i| phases.rates[i] * (if i + 1 < m { q[i + 1] } else { 0.0 } - q[i])).collect()
    };
    let mut leave = vec![0.0; m];
    leave[m - 1] = phases.rates[m - 1];
    let there = trajectory(phases.starts.clone(), step, forward);
    let away = trajectory(leave, step, backward);
    let mut by_phase = vec![vec![0.0; SHARE_POINTS]; m];
    for g in 0..SHARE_POINTS {
        for (i, shares) in by_phase.iter_mut().enumerate() {
            // Trapezoids; at length zero the one point alone.
            let inner: f64 = (0..=g).map(|t| there[t][i] * away[g - t][i]).sum();
            let ends = 0.5 * (there[0][i] * away[g][i] + there[g][i] * away[0][i]);
            shares[g] = if g == 0 { inner } else { inner - ends };
        }
        let total: f64 = by_phase.iter().map(|s| s[g]).sum();
        for shares in &mut by_phase {
            shares[g] = if total > 0.0 { shares[g] / total } else { 1.0 / m as f64 };
        }
    }
    TimeShares { step_tokens, by_phase }
}

/// Solution of a linear system of differential equations on a grid: Runge-Kutta of order 4 in steps small for the rates.
fn trajectory(start: Vec<f64>, step: f64, derivative: impl Fn(&[f64]) -> Vec<f64>) -> Vec<Vec<f64>> {
    let part = step / PARTS as f64;
    let moved = |x: &[f64], slope: &[f64], by: f64| -> Vec<f64> {
        x.iter().zip(slope).map(|(x, slope)| x + by * slope).collect()
    };
    let mut points = vec![start];
    for i in 1..SHARE_POINTS {
        let mut now = points[i - 1].clone();
        for _ in 0..PARTS {
            let first = derivative(&now);
            let second = derivative(&moved(&now, &first, 0.5 * part));
            let third = derivative(&moved(&now, &second, 0.5 * part));
            let last = derivative(&moved(&now, &third, part));
            for (j, value) in now.iter_mut().enumerate() {
                let slope = first[j] + 2.0 * second[j] + 2.0 * third[j] + last[j];
                *value = (*value + part / 6.0 * slope).max(0.0);
            }
        }
        points.push(now);
    }
    points
}
