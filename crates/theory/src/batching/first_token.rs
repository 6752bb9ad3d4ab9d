//! The law of the time to first token, from what accepted arrivals find.

use super::grid::{Fourier, Spectrum, TimeLaw};
use super::kv::{KvTable, OutputMoments};
use super::phases::PhaseMoves;
use super::rounds::Rounds;
use super::system::System;
use super::waits::{Departures, departures};

/// What an accepted arrival finds, with its probability.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Requests in the system.
    pub count: usize,
    /// `None`: the batch decodes. Otherwise prompts in the running prefill step, and active requests that came during it.
    pub prefill: Option<(usize, usize)>,
    /// Probability that an accepted arrival finds this.
    pub chance: f64,
    /// For `count >= B`: law over the configurations of the full batch, those in prefill at their start.
    pub phases: Vec<f64>,
}

/// How fine the law is computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Finest time step (s).
    pub finest_step_s: f64,
    /// Most points.
    pub most_points: usize,
    /// Most requests of one prefill step that are told apart.
    pub most_joined: usize,
    /// Points of the law of a departure.
    pub curve_points: usize,
}

/// Coarsest time step, in decode steps of one request.
const STEPS_OF_DECODE: f64 = 0.4;
/// Points of a prefill step of four mean prompts.
const PREFILL_POINTS: f64 = 400.0;
/// Probability of what lies beyond the grid.
const BEYOND: f64 = 1e-7;

/// Law of the time to first token over everything that is found.
pub(super) fn law(system: &System, kv: &KvTable, moves: &PhaseMoves, found: &[Found], grid: Grid) -> TimeLaw {
    let total: f64 = found.iter().map(|f| f.chance).sum();
    let batch = system.max_batch();
    let starts: Vec<_> = found
        .iter()
        .filter(|f| f.count >= batch && f.chance > 0.0)
        .map(|f| (f.count + 1 - batch, f.phases.clone()))
        .collect();
    let clocks = departures(moves, &starts);
    let waiting: Vec<Waiting> = found
        .iter()
        .filter(|f| f.count >= batch && f.chance > 0.0)
        .zip(&clocks)
        .map(|(f, clock)| Waiting::new(system, kv, f, clock, grid.curve_points))
        .collect();
    let horizon_s = horizon_s(&waiting, total) + 1.0;
    let finest_step_s = finest_step_s(system, grid);
    let points = ((horizon_s / finest_step_s) as usize).next_power_of_two().clamp(512, grid.most_points);
    let step_s = (horizon_s / points as f64).max(finest_step_s);
    let mut rounds = Rounds::new(system, kv, step_s, grid.most_joined);
    let mut law = TimeLaw::zero(step_s);
    for f in found.iter().filter(|f| f.count < batch && f.chance > 1e-12 * total) {
        law.add(&free_place(system, &mut rounds, f), f.chance / total);
    }
    if !waiting.is_empty() {
        law.add(&in_queue(system, &mut rounds, &waiting, &Fourier::new(points)), 1.0 / total);
    }
    law
}

/// A fraction of a decode step, but so that a long prefill step has no more than some hundred points.
fn finest_step_s(system: &System, grid: Grid) -> f64 {
    let longest_s = system.steps().prefill_s(4.0 * system.prompt().mean(), system.max_batch());
    let of_decode_s = grid.finest_step_s.min(STEPS_OF_DECODE * system.steps().decode_s(1));
    of_decode_s.max(longest_s / PREFILL_POINTS).min(grid.finest_step_s)
}

/// A place is free: the rest of the step, then prefill.
fn free_place(system: &System, rounds: &mut Rounds<'_>, found: &Found) -> TimeLaw {
    let n = found.count;
    let (rest, during, joined) = match found.prefill {
        None if n == 0 => return rounds.until_token(1, 1),
        None => {
            let decode_s = system.steps().decode_s(n);
            // All arrivals of one decode step share the prefill, those before this one too.
            (TimeLaw::uniform(rounds.step_s(), decode_s), Some(decode_s), 1)
        }
        Some((joined, later)) => (rounds.prefill(n, joined).residual(), None, later + 1),
    };
    let mut law = TimeLaw::zero(rounds.step_s());
    let counted = during.map_or_else(|| rest.clone(), |s| TimeLaw::point(rounds.step_s(), s));
    for (count, part) in rounds.by_arrivals(&counted, n + 1) {
        let ahead = if during.is_some() { rest.weighted(|_| part.total()) } else { part };
        law.add(&ahead.plus(&rounds.until_token(n + 1 + count, joined + count)), 1.0);
    }
    law
}

/// An arrival that waits for departures.
struct Waiting {
    place: usize,
    prefill: Option<(usize, usize)>,
    chance: f64,
    /// Decode time until its place is free: distribution function by time (s), increasing in both.
    curve: Vec<(f64, f64)>,
    /// Mean prompt of those that enter (tokens).
    prompt: f64,
}

impl Waiting {
    /// KV that is nearly full means short outputs ahead. The law of departures keeps its form: `y -> c y^g` takes its mean
    /// and spread to those of the work that fits.
    fn new(system: &System, kv: &KvTable, found: &Found, clock: &Departures, points: usize) -> Self {
        let place = found.count + 1 - system.max_batch();
        let occupancy = &kv.by_count[found.count];
        let output = OutputMoments::of_accepted(&kv.kernels).mean;
        let k = place as f64;
        let work = (1.0 - 1.0 / k) * occupancy.ahead.mean + occupancy.ahead.first / k;
        let spread = occupancy.ahead.deviation / occupancy.ahead.mean;
        let power = (1.0 - (1.0 - spread) * (1.0 - 0.5 / k)).clamp(0.2, 2.0);
        let (mean, deviation) = clock.moments();
        let end = mean + 9.0 * deviation;
        let at = |i: usize| end * i as f64 / points as f64;
        let raw: Vec<(f64, f64)> = (0..=points).map(|i| (at(i), clock.cdf(at(i)))).collect();
        let raised: f64 =
            raw.windows(2).map(|w| (w[1].1 - w[0].1) * libm::pow(f64::midpoint(w[0].0, w[1].0), power)).sum();
        let scale = work * mean / raised * output * system.steps().decode_s(system.max_batch());
        let curve = raw.iter().map(|&(y, p)| (scale * libm::pow(y, power), p)).collect();
        Self { place, prefill: found.prefill, chance: found.chance, curve, prompt: occupancy.prompt }
    }

    /// Time that a fraction `p` does not exceed (s).
    fn quantile_s(&self, p: f64) -> f64 {
        self.curve.iter().find(|x| x.1 >= p).or(self.curve.last()).map_or(0.0, |x| x.0)
    }

    /// On the grid, later by a time that may be negative.
    fn law(&self, step_s: f64, later_s: f64) -> TimeLaw {
        let mut mass = Vec::new();
        let (mut before, mut i) = (0.0, 0);
        let mut point = 0_u32;
        while i < self.curve.len() {
            let t = (f64::from(point) + 0.5) * step_s - later_s;
            while i < self.curve.len() && self.curve[i].0 < t {
                i += 1;
            }
            let p = match (i, self.curve.get(i)) {
                (_, None) => 1.0,
                (0, Some(_)) => 0.0,
                (_, Some(&(high_t, high_p))) => {
                    let (low_t, low_p) = self.curve[i - 1];
                    low_p + (high_p - low_p) * (t - low_t) / (high_t - low_t)
                }
            };
            mass.push((p - before).max(0.0));
            before = p;
            point += 1;
        }
        TimeLaw::new(step_s, mass)
    }
}

/// A time that waiting arrivals exceed with a probability of at most [`BEYOND`] (s).
fn horizon_s(waiting: &[Waiting], total: f64) -> f64 {
    let mut horizon: f64 = 1.0;
    for w in waiting {
        let chance = w.chance / total;
        if chance > BEYOND {
            let prefill_s = 0.05 * w.place as f64;
            horizon = horizon.max(w.quantile_s(1.0 - BEYOND / chance) + prefill_s);
        }
    }
    horizon
}

/// Waits, prefills of those ahead, own prefill, first decode step.
fn in_queue(system: &System, rounds: &mut Rounds<'_>, waiting: &[Waiting], fourier: &Fourier) -> TimeLaw {
    let (batch, step_s) = (system.max_batch(), rounds.step_s());
    let one = rounds.single_prefill(batch);
    let mean_s = one.mean_s();
    let one = fourier.of(&one);
    let mut ahead = Spectrum::one(fourier.points());
    let mut all = Spectrum::zero(fourier.points());
    let mut place = 1;
    let mut rests: std::collections::BTreeMap<(usize, usize), Spectrum> = std::collections::BTreeMap::new();
    for w in waiting {
        while place < w.place {
            ahead.times(&one);
            place += 1;
        }
        // Those that enter now are shorter than the law of `one` by so much.
        let later_s = w.place as f64 * (system.steps().prefill_s(w.prompt, batch) - mean_s);
        let law = w.law(step_s, later_s).weighted(|_| w.chance);
        let mut term = fourier.of(&law);
        if let Some((joined, later)) = w.prefill {
            let rest = rests.entry((joined, later)).or_insert_with(|| {
                let rest = rounds.prefill(batch, joined).residual();
                fourier.of(&if later > 0 { rest.plus(&rounds.prefill(batch, later)) } else { rest })
            });
            term.times(rest);
        }
        all.add_product(&term, &ahead);
    }
    all.times(&fourier.of(&rounds.until_token(batch, 1)));
    fourier.law(all, step_s)
}
