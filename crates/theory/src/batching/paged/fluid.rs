//! A run that begins empty and ends: the fluid limit, for overload and for short runs, where a stationary number is wrong.
//!
//! Requests inside follow `dn/dt = rate - leave(n)`. An arrival that finds more than the engine runs waits until as many as
//! are before it have been admitted at the saturated rate. After the last arrival the engine empties.

use super::overload::{self, Saturation};
use super::points::Points;
use super::prediction::{PagedNotApplicable, check, prompt_sums};
use super::seats::Seats;
use super::system::PagedSystem;

/// Steps of the integration over the arrivals.
const STEPS: usize = 4_000;

/// What the fluid says of a run of so many requests.
#[derive(Debug, Clone)]
pub struct FluidPrediction {
    /// Times to first token of equally many requests, in order of arrival (s).
    pub ttft_s: Vec<f64>,
    /// Mean time per output token (s).
    pub mean_tpot_s: f64,
    /// Mean time to the last token (s).
    pub mean_e2e_s: f64,
    /// From the first arrival to the last token (s).
    pub duration_s: f64,
    /// Requests over that time (1/s).
    pub throughput_per_s: f64,
    /// The engine with an endless queue.
    pub saturation: Saturation,
}

impl FluidPrediction {
    /// Mean time to first token (s).
    pub fn mean_ttft_s(&self) -> f64 {
        self.ttft_s.iter().sum::<f64>() / self.ttft_s.len() as f64
    }

    /// Time to first token that a share `p` of the requests of the run does not exceed (s).
    pub fn ttft_quantile_s(&self, p: f64) -> f64 {
        let mut sorted = self.ttft_s.clone();
        sorted.sort_by(f64::total_cmp);
        let place = p.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
        let (below, share) = (libm::floor(place) as usize, place - libm::floor(place));
        let above = (below + 1).min(sorted.len() - 1);
        sorted[below] * (1.0 - share) + sorted[above] * share
    }
}

/// A run of `requests` arrivals that begins with an empty engine.
///
/// # Errors
/// A setting that is none, or KV blocks for hardly a request.
pub fn fluid(system: &PagedSystem<'_>, requests: u64) -> Result<FluidPrediction, PagedNotApplicable> {
    check(system)?;
    let prompts = prompt_sums(system);
    let full = overload::saturation(system, &prompts);
    let seats = Seats::new(system, &full);
    let rate = system.arrival_rate_per_s;
    let points = Points::new(system, &prompts, seats.most());
    let engine = Engine { system, points: &points, full: &full, seats: seats.mean() };
    let arrivals_s = requests as f64 / rate;
    let dt = arrivals_s / STEPS as f64;
    let (mut inside, mut ttft_s, mut tpots, mut e2es) = (0.0_f64, Vec::with_capacity(STEPS), 0.0, 0.0);
    for _ in 0..STEPS {
        let (first, tpot) = (engine.first_token_s(inside), engine.step_s(inside));
        ttft_s.push(first);
        tpots += tpot / STEPS as f64;
        e2es += (first + tpot * system.decode_steps()) / STEPS as f64;
        inside = engine.after(inside, rate, dt);
    }
    let duration_s = arrivals_s + engine.empties_s(inside);
    Ok(FluidPrediction {
        ttft_s,
        mean_tpot_s: tpots,
        mean_e2e_s: e2es,
        duration_s,
        throughput_per_s: requests as f64 / duration_s,
        saturation: full,
    })
}

struct Engine<'a> {
    system: &'a PagedSystem<'a>,
    points: &'a Points,
    full: &'a Saturation,
    seats: f64,
}

impl Engine<'_> {
    /// Mean step with so many inside (s).
    fn step_s(&self, inside: f64) -> f64 {
        if inside >= self.seats {
            return self.full.step_s;
        }
        self.points.interpolated(inside.max(1.0) as usize, |steps| steps.mean_s)
    }

    fn leave_per_s(&self, inside: f64) -> f64 {
        if inside >= self.seats {
            return self.full.capacity_per_s;
        }
        (inside / (self.system.place_steps() * self.step_s(inside))).min(self.full.capacity_per_s)
    }

    /// The number inside after a time, by midpoint steps no longer than a quarter of the time to relax.
    fn after(&self, inside: f64, rate_per_s: f64, time_s: f64) -> f64 {
        let relax_s = self.system.place_steps() * self.step_s(1.0);
        let parts = (4.0 * time_s / relax_s).max(1.0) as usize;
        let dt = time_s / parts as f64;
        (0..parts).fold(inside, |n, _| {
            let middle = n + 0.5 * dt * (rate_per_s - self.leave_per_s(n));
            (n + dt * (rate_per_s - self.leave_per_s(middle.max(0.0)))).max(0.0)
        })
    }

    /// Half a step, the step that was decided already, the step that carries the prompt, and the wait for a place.
    fn first_token_s(&self, inside: f64) -> f64 {
        let system = self.system;
        let step_s = self.step_s(inside);
        let own_s = system.step_s(inside.min(self.seats), 0.0) + self.prompt_s(inside);
        let before_s = if inside < 0.5 { 0.0 } else { step_s * (0.5 + system.lead_steps() as f64) };
        system.front_end_s + (inside - self.seats).max(0.0) / self.full.capacity_per_s + before_s + own_s
    }

    /// What a mean prompt adds to a step (s).
    fn prompt_s(&self, inside: f64) -> f64 {
        let running = inside.min(self.seats);
        self.system.step_s(running, self.system.prompt.mean()) - self.system.step_s(running, 0.0)
    }

    /// Until the last of so many has left (s): the queue at the saturated rate, then the longest output of the rest.
    fn empties_s(&self, inside: f64) -> f64 {
        let queue = (inside - self.seats).max(0.0);
        let rest = inside.min(self.seats).max(1.0);
        let longest = self.longest_output(rest);
        let step_s = self.step_s((rest / 3.0).max(1.0));
        queue / self.full.capacity_per_s + longest * step_s + self.system.front_end_s
    }

    /// The length that one of so many outputs exceeds on average, less what it has behind it.
    fn longest_output(&self, among: f64) -> f64 {
        let output = self.system.output;
        let mut above = 0.0;
        let goal = 1.0 / among;
        // Remaining tokens of a running request: density P(G > t) / E[G].
        let mut tail = 0.0;
        for tokens in (1..=output.largest()).rev() {
            tail += output.probability(tokens);
            above += tail / output.mean();
            if above >= goal {
                return tokens as f64;
            }
        }
        1.0
    }
}
