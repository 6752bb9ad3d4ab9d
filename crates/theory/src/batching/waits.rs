//! The wait for a place: how long until `k` of the active requests have left, with nobody else needed.
//!
//! While an arrival waits the batch stays full, so departures are those of `B` phase-type servers. Time is counted in mean
//! outputs decoded by the full batch; prefills are added by the caller.

use super::phases::PhaseMoves;

/// A bound on uniformised jumps, for outputs with a very slow phase.
const MOST_JUMPS: usize = 20_000;

/// Law of the `k`-th departure as a mixture of Erlang laws: `reached[j]` is the probability that `j` uniformised jumps
/// suffice.
#[derive(Debug, Clone)]
pub(super) struct Departures {
    rate: f64,
    reached: Vec<f64>,
}

/// From each start, a number of departures and a law over the configurations of a full batch, the law of the time that
/// they take.
pub(super) fn departures(moves: &PhaseMoves, starts: &[(usize, Vec<f64>)]) -> Vec<Departures> {
    let batch = moves.sets.len() - 1;
    let configurations = moves.sets[batch].len();
    let places = starts.iter().map(|s| s.0).max().unwrap_or(0);
    let fastest = moves.phases.rates.iter().copied().fold(0.0, f64::max);
    let rate = batch as f64 * fastest;
    let mut reached: Vec<Vec<f64>> = vec![vec![0.0]; starts.len()];
    // done[k][c]: probability that k departures have happened within the jumps so far, from configuration c.
    let mut done = vec![vec![0.0; configurations]; places + 1];
    done[0].fill(1.0);
    let jumps = jump_table(moves, rate);
    for _ in 0..MOST_JUMPS {
        for k in (1..=places).rev() {
            let (fewer, here) = done.split_at_mut(k);
            step(&jumps, &fewer[k - 1], &mut here[0]);
        }
        let mut open = false;
        for (known, (k, start)) in reached.iter_mut().zip(starts) {
            let p: f64 = start.iter().zip(&done[*k]).map(|(s, d)| s * d).sum();
            known.push(p);
            open |= p < 1.0 - 1e-9;
        }
        if !open {
            break;
        }
    }
    reached.into_iter().map(|reached| Departures { rate, reached }).collect()
}

/// One configuration's jump: stay, move, or a departure and a new start.
struct Jump {
    stay: f64,
    inner: Vec<(f64, usize)>,
    leave: Vec<(f64, usize)>,
}

fn jump_table(moves: &PhaseMoves, rate: f64) -> Vec<Jump> {
    let batch = moves.sets.len() - 1;
    (0..moves.sets[batch].len())
        .map(|c| {
            let inner: Vec<_> = moves.inner[batch][c].iter().map(|&(r, to)| (r / rate, to)).collect();
            let leave: Vec<_> = moves.leave[batch][c].map_or(Vec::new(), |(r, rest)| {
                moves.start[batch - 1][rest].iter().map(|&(p, to)| (p * r / rate, to)).collect()
            });
            let left: f64 = inner.iter().chain(&leave).map(|x| x.0).sum();
            Jump { stay: (1.0 - left).max(0.0), inner, leave }
        })
        .collect()
}

/// One jump more: `here` counts one departure more than `fewer`, which is still without this jump.
fn step(jumps: &[Jump], fewer: &[f64], here: &mut Vec<f64>) {
    *here = jumps
        .iter()
        .enumerate()
        .map(|(c, jump)| {
            jump.stay * here[c]
                + jump.inner.iter().map(|&(p, to)| p * here[to]).sum::<f64>()
                + jump.leave.iter().map(|&(p, to)| p * fewer[to]).sum::<f64>()
        })
        .collect();
}

impl Departures {
    /// Mean and standard deviation, in mean outputs.
    pub(super) fn moments(&self) -> (f64, f64) {
        // An Erlang law of j jumps has mean j / rate and second moment j (j + 1) / rate^2.
        let (mut mean, mut square) = (0.0, 0.0);
        for (j, pair) in self.reached.windows(2).enumerate() {
            let (p, jumps) = (pair[1] - pair[0], (j + 1) as f64);
            mean += p * jumps;
            square += p * jumps * (jumps + 1.0);
        }
        mean /= self.rate;
        (mean, (square / (self.rate * self.rate) - mean * mean).max(0.0).sqrt())
    }

    /// Probability that the departure has happened by `t` mean outputs.
    pub(super) fn cdf(&self, t: f64) -> f64 {
        if t <= 0.0 {
            return 0.0;
        }
        let mean = self.rate * t;
        // Poisson weights around the mode; what lies above the table has certainly happened.
        let width = 8.0 * mean.sqrt() + 12.0;
        let low = (mean - width).max(0.0) as usize;
        let high = (mean + width) as usize;
        let mode = mean as usize;
        let at_mode = libm::exp(mode as f64 * libm::log(mean) - mean - libm::lgamma(mode as f64 + 1.0));
        let value = |j: usize| self.reached.get(j).copied().unwrap_or(1.0);
        let mut sum = at_mode * value(mode);
        let mut weight = at_mode;
        for j in (low..mode).rev() {
            weight *= (j + 1) as f64 / mean;
            sum += weight * value(j);
        }
        weight = at_mode;
        for j in mode + 1..=high {
            weight *= mean / j as f64;
            sum += weight * value(j);
        }
        sum.clamp(0.0, 1.0)
    }
}
