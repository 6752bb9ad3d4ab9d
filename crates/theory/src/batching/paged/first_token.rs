//! Time to first token: with a place free, or after a wait for one.

use super::numbers::Numbers;
use super::overload::Saturation;
use super::points::Points;
use super::prompts::PromptSums;
use super::seats::Seats;
use super::steps::Steps;
use super::system::PagedSystem;
use crate::batching::grid::{Fourier, Spectrum, TimeLaw};

/// Grid points in a mean step.
const POINTS_OF_A_STEP: f64 = 16.0;
/// Weights below this do not show in a quantile.
const NEGLIGIBLE: f64 = 1e-10;

/// What the parts of the model have found.
pub(super) struct Parts<'a> {
    pub system: &'a PagedSystem<'a>,
    pub prompts: &'a PromptSums,
    pub points: &'a Points,
    pub numbers: &'a Numbers,
    pub full: &'a Saturation,
    pub seats: &'a Seats,
}

impl Parts<'_> {
    /// The law of the time to first token, front end included.
    pub(super) fn ttft(&self) -> TimeLaw {
        let h = self.points.interpolated(1, |steps| steps.mean_s) / POINTS_OF_A_STEP;
        let mut at_points = vec![0.0; self.points.numbers.len()];
        let mut departures = vec![0.0; self.numbers.chance.len() + 1];
        for (n, p) in self.numbers.chance.iter().enumerate().skip(1) {
            let (low, high, weight) = self.points.around(n);
            let free = p * (1.0 - self.seats.full(n));
            at_points[low] += free * (1.0 - weight);
            at_points[high] += free * weight;
            for (seats, share) in self.seats.full_values(n) {
                departures[n - seats + 1] += p * share;
            }
        }
        let mut law = TimeLaw::zero(h);
        for (steps, weight) in self.points.steps.iter().zip(&at_points) {
            if *weight > NEGLIGIBLE {
                let first = steps.first_token(self.system, self.prompts, self.system.arrival_rate_per_s, h);
                law.add(&first, *weight);
            }
        }
        // An idle engine begins at once.
        let idle = Steps::new(self.system, self.prompts, 0.0, 0.0);
        law.add(&idle.own_steps(self.system, self.prompts, 0.0, h), self.numbers.chance[0]);
        law.add(&self.after_departures(&departures, h), 1.0);
        law.plus(&TimeLaw::point(h, self.system.front_end_s)).trimmed()
    }

    /// Those who find no place: departures until one is theirs, the step decided already, their own. `weights` by number of
    /// departures.
    fn after_departures(&self, weights: &[f64], h: f64) -> TimeLaw {
        let Some(most) = weights.iter().rposition(|weight| *weight > NEGLIGIBLE) else {
            return TimeLaw::zero(h);
        };
        let mean_s = 1.0 / self.full.capacity_per_s;
        let longest_s = (most as f64 + 8.0 * (most as f64).sqrt() + 40.0) * mean_s;
        let fourier = Fourier::new((longest_s / h) as usize + 2);
        let gap = fourier.of(&exponential(mean_s, h));
        let mut power = gap.clone();
        let mut sum = Spectrum::zero(fourier.points());
        for weight in &weights[1..=most] {
            for i in 0..fourier.points() {
                sum.re[i] += weight * power.re[i];
                sum.im[i] += weight * power.im[i];
            }
            power.times(&gap);
        }
        let steps = Steps::new(self.system, self.prompts, self.full.capacity_per_s, self.full.decode_seqs);
        let mut own = steps.own_steps(self.system, self.prompts, self.full.completed_per_step, h);
        if self.system.lead_steps() > 0 {
            own = own.plus(&steps.law(h));
        }
        fourier.law(sum, h).plus(&own)
    }
}

/// Exponential law on the grid, with its mean.
fn exponential(mean_s: f64, h: f64) -> TimeLaw {
    let mut law = TimeLaw::zero(h);
    let cells = (40.0 * mean_s / h) as usize + 2;
    for i in 0..cells {
        let (low, high) = (i as f64 * h, (i + 1) as f64 * h);
        let (at_low, at_high) = (libm::exp(-low / mean_s), libm::exp(-high / mean_s));
        let mass = at_low - at_high;
        if mass > 0.0 {
            // The mean of the cell.
            let middle = (at_low * (low + mean_s) - at_high * (high + mean_s)) / mass;
            law.put(middle.clamp(low, high), mass);
        }
    }
    law
}
