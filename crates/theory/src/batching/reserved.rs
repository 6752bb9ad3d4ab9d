//! A batch of one: the chain of reserved KV.
//!
//! With one active request, a big request holds the server long and the KV cache full at once, so size and service must not
//! be separated. The state is the KV that is reserved just after a departure. The next request's size, given the state, is
//! the first of a renewal sequence of accepted sizes that add up to the state; while it is served, so many arrivals try
//! their luck one after the other as its service lasts; then its size is given back. What the renewal sequence is made of
//! follows from the solution (the law of accepted sizes, the busy fraction), so the chain is solved a few times.

use super::attempts::{after_service, attempts};
use super::grid::{Fourier, Spectrum, TimeLaw};
use super::kernels::cumulate;
use super::linear::stationary;
use super::prediction::{Model, NotApplicable, Prediction};
use super::seen::Seen;
use super::services::Services;
use super::system::System;

/// Lattice cells in a mean request, as far as there are [`KV_CELLS`] of them.
const CELLS_IN_REQUEST: f64 = 20.0;
/// Fewest lattice cells in a mean request with which the chain is offered.
const FEWEST_CELLS_IN_REQUEST: f64 = 3.0;
/// Smallest and largest number of lattice cells of the KV cache.
const KV_CELLS: (usize, usize) = (96, 160);
/// Fixed-point rounds, and the change that ends them.
const MOST_ROUNDS: usize = 40;
const SETTLED: f64 = 1e-6;
/// Probabilities below this are left out.
const NEGLIGIBLE: f64 = 1e-10;

/// Chain of reserved KV at departures, for `max_batch = 1`.
///
/// # Errors
/// A batch of more than one, or a KV cache of more than about 53 mean requests.
pub fn reserved_kv(system: &System) -> Result<Prediction, NotApplicable> {
    if system.max_batch() > 1 {
        let reason = format!(
            "max_batch = {}: the size of the request that leaves is known for 1 only",
            system.max_batch()
        );
        return Err(NotApplicable { model: Model::ReservedKv, reason });
    }
    let mean_size = system.prompt().mean() + system.output().mean();
    let most_kv = mean_size * KV_CELLS.1 as f64 / FEWEST_CELLS_IN_REQUEST;
    if system.kv_tokens() as f64 > most_kv {
        let reason = format!(
            "kv_tokens = {}: with requests of {mean_size:.0} tokens the lattice is too coarse above {most_kv:.0}",
            system.kv_tokens()
        );
        return Err(NotApplicable { model: Model::ReservedKv, reason });
    }
    let chain = ReservedChain::solve(system, mean_size);
    let seen = chain.seen();
    let ttft = chain.ttft(system, &seen);
    let accepted = 1.0 - seen.lost;
    let throughput_per_s = system.arrival_rate_per_s() * accepted;
    // Little: waiting and prefill and decode of whoever is accepted.
    let mean_ttft_s = ttft.mean_s();
    let decode_s = system.steps().decode_s(1) * (seen.mean_output(system) - 1.0);
    Ok(Prediction {
        model: Model::ReservedKv,
        mean_ttft_s,
        ttft,
        throughput_per_s,
        blocking_probability: seen.lost,
        mean_in_system: throughput_per_s * (mean_ttft_s + decode_s),
        states: chain.services.points() * chain.services.points(),
    })
}

struct ReservedChain {
    services: Services,
    /// `tries[j][r]`: law of the reserved KV after `j` attempts from `r`.
    tries: Vec<Vec<Vec<f64>>>,
    /// Chance to leave the system with this KV reserved.
    left: Vec<f64>,
    /// Next size given what is reserved: `next[r][s]`.
    next: Vec<Vec<f64>>,
    /// Weight of a queue that adds up to x, and the law of its sizes.
    renewal: Vec<f64>,
    sizes: Vec<f64>,
    /// Weight of one more in the queue.
    growth: f64,
}

impl ReservedChain {
    fn solve(system: &System, mean_size: f64) -> Self {
        let cells = (CELLS_IN_REQUEST * system.kv_tokens() as f64 / mean_size) as usize;
        let services = Services::new(system, cells.clamp(KV_CELLS.0, KV_CELLS.1));
        let points = services.points();
        let tries = attempts(&services.size, services.most_attempts());
        let after: Vec<Vec<Vec<f64>>> = (0..points).map(|s| after_service(&services, &tries, s)).collect();
        let load = services.load();
        let mut chain = Self {
            sizes: services.size.iter().map(|f| f / services.fits()).collect(),
            growth: load.min(1.0),
            services,
            tries,
            left: Vec::new(),
            next: Vec::new(),
            renewal: Vec::new(),
        };
        for _ in 0..MOST_ROUNDS {
            chain.compose();
            chain.left = stationary(chain.transitions(&after));
            let seen = chain.seen();
            let change = chain.learn(&seen);
            if change < SETTLED {
                break;
            }
        }
        chain
    }

    /// Renewal weights of the queue and the law of the next size.
    fn compose(&mut self) {
        let points = self.services.points();
        let mut renewal = vec![0.0; points];
        renewal[0] = 1.0 / (1.0 - self.growth * self.sizes[0]);
        for x in 1..points {
            let sum: f64 = (1..=x).map(|s| self.sizes[s] * renewal[x - s]).sum();
            renewal[x] = self.growth * sum * renewal[0];
        }
        self.next = (0..points)
            .map(|r| {
                let weights: Vec<f64> = (0..=r).map(|s| self.sizes[s] * renewal[r - s]).collect();
                let total: f64 = weights.iter().sum();
                weights.iter().map(|w| if total > 0.0 { w / total } else { 0.0 }).collect()
            })
            .collect();
        self.renewal = renewal;
    }

    /// One departure to the next.
    fn transitions(&self, after: &[Vec<Vec<f64>>]) -> Vec<Vec<f64>> {
        let points = self.services.points();
        let mut matrix = vec![vec![0.0; points]; points];
        for (r, row) in matrix.iter_mut().enumerate() {
            for (s, share) in self.heads(r) {
                let start = r.max(s);
                for (i, p) in after[s][start - s].iter().enumerate() {
                    row[start - s + i] += share * p;
                }
            }
        }
        matrix
    }

    /// Sizes that the next service may have after a departure that left `r` reserved. If nothing is left, the next request
    /// is the first that fits.
    fn heads(&self, r: usize) -> Vec<(usize, f64)> {
        let law: Vec<f64> = if r == 0 {
            self.services.size.iter().map(|f| f / self.services.fits()).collect()
        } else {
            self.next[r].clone()
        };
        law.into_iter().enumerate().filter(|x| x.1 > NEGLIGIBLE).collect()
    }

    /// What attempts see over one departure: while a service lasts, and idle.
    fn seen(&self) -> Seen {
        let points = self.services.points();
        let mut starts = vec![vec![0.0; points]; self.tries.len()];
        for (r, &chance) in self.left.iter().enumerate().filter(|x| *x.1 > NEGLIGIBLE) {
            for (s, share) in self.heads(r) {
                for (j, p) in self.services.more_than(s).iter().enumerate() {
                    starts[j][r.max(s)] += chance * share * p;
                }
            }
        }
        let mut busy = vec![0.0; points];
        for (start, tries) in starts.iter().zip(&self.tries) {
            for (r, &weight) in start.iter().enumerate().filter(|x| *x.1 > 0.0) {
                for (into, p) in busy[r..].iter_mut().zip(&tries[r]) {
                    *into += weight * p;
                }
            }
        }
        let fits = cumulate(&self.services.size);
        let idle = self.left[0] / self.services.fits();
        let attempts = busy.iter().sum::<f64>() + idle;
        let accepted_busy: Vec<f64> = busy.iter().zip(fits.iter().rev()).map(|(b, f)| b * f).collect();
        let accepted_idle = idle * self.services.fits();
        let accepted = accepted_busy.iter().sum::<f64>() + accepted_idle;
        let share = |x: f64| x / accepted;
        Seen {
            busy,
            idle,
            lost: (1.0 - accepted / attempts).max(0.0),
            accepted_busy: accepted_busy.into_iter().map(share).collect(),
            accepted_idle: share(accepted_idle),
            step_tokens: self.services.step_tokens,
        }
    }

    /// Takes the law of accepted sizes and the busy fraction from the solution; returns how much they changed.
    fn learn(&mut self, seen: &Seen) -> f64 {
        let mut all = seen.busy.clone();
        all[0] += seen.idle;
        let attempts: f64 = all.iter().sum();
        let room = cumulate(&all);
        let mut sizes: Vec<f64> =
            self.services.size.iter().zip(room.iter().rev()).map(|(f, p)| f * p).collect();
        let total: f64 = sizes.iter().sum();
        for s in &mut sizes {
            *s /= total;
        }
        // A geometric law of the number inside, if any, with the mean of M/G/1 at the same busy fraction.
        let idle = (seen.idle / attempts).max(1e-9);
        let (squared_mean, square) = self.services.squares(&sizes);
        let mean_if_any = 1.0 + (1.0 - idle) * (square / squared_mean) / (2.0 * idle);
        let growth = 1.0 - 1.0 / mean_if_any;
        let change = sizes.iter().zip(&self.sizes).map(|(a, b)| (a - b).abs()).sum::<f64>()
            + (growth - self.growth).abs();
        (self.sizes, self.growth) = (sizes, growth);
        change
    }

    /// Law of the time to first token: wait, own prefill, first decode step.
    fn ttft(&self, system: &System, seen: &Seen) -> TimeLaw {
        let wait = self.wait(seen);
        // Sizes too rare to follow are shared out over the others.
        let busy: f64 = seen.accepted_busy.iter().sum();
        let total = wait.total();
        let wait = if total > 0.0 { wait.weighted(|_| busy / total) } else { wait };
        let horizon_s = wait.step_s() * wait.masses().len() as f64;
        let points = 16_384.min(((horizon_s + 1.0) / 1e-3) as usize).next_power_of_two();
        let step_s = ((horizon_s + 1.0) / points as f64).max(1e-3);
        let fourier = Fourier::new(points);
        let mut law = fourier.of(&refined(&wait, step_s));
        law.times(&fourier.of(&seen.first_token(system, step_s, false)));
        let mut law = fourier.law(law, step_s);
        law.add(&seen.first_token(system, step_s, true), seen.accepted_idle);
        law
    }

    /// Law of the wait of those that find the server busy: residual service, then the queue's services given its total size.
    fn wait(&self, seen: &Seen) -> TimeLaw {
        let points = self.services.points();
        let step_s = self.services.step_s;
        let fourier = Fourier::new(self.services.wait_points());
        let n = fourier.points();
        // Residual service by the size of the queue behind the request in service.
        let mut residual: Vec<TimeLaw> = vec![TimeLaw::zero(step_s); points];
        let fits = cumulate(&self.services.size);
        for s in 0..points {
            self.residuals(s, &fits, &mut residual);
        }
        let accepted: f64 = residual.iter().map(TimeLaw::total).sum();
        let scale = seen.accepted_busy.iter().sum::<f64>() / accepted;
        let by_size: Vec<Option<Spectrum>> = (0..points)
            .map(|s| (self.sizes[s] > NEGLIGIBLE).then(|| fourier.of(&self.services.law(s))))
            .collect();
        let residual: Vec<Option<Spectrum>> =
            residual.iter().map(|law| (law.total() > 0.0).then(|| fourier.of(law))).collect();
        let mut total = Spectrum::zero(n);
        let kernel: Vec<(usize, &Spectrum)> =
            by_size.iter().enumerate().filter_map(|(s, f)| f.as_ref().map(|f| (s, f))).collect();
        for first in (0..=n / 2).step_by(LANES) {
            let (re, im) = self.at_frequencies(first, &kernel, &residual);
            for (lane, w) in (first..=n / 2).take(LANES).enumerate() {
                (total.re[w], total.im[w]) = (re[lane] * scale, im[lane] * scale);
                if w > 0 && w < n / 2 {
                    (total.re[n - w], total.im[n - w]) = (re[lane] * scale, -im[lane] * scale);
                }
            }
        }
        fourier.law(total, step_s)
    }

    /// `sum over x of residual(x) * u(x) / U(x)`, where `u(x) = [x = 0] + busy * sum over s of h(s) phi_s u(x - s)`, at
    /// [`LANES`] frequencies.
    fn at_frequencies(
        &self,
        first: usize,
        kernel: &[(usize, &Spectrum)],
        residual: &[Option<Spectrum>],
    ) -> (Lanes, Lanes) {
        let lanes = |of: &[f64], factor: f64| -> Lanes {
            std::array::from_fn(|l| of.get(first + l).copied().unwrap_or_default() * factor)
        };
        let terms: Vec<(usize, Lanes, Lanes)> = kernel
            .iter()
            .filter(|k| k.0 > 0)
            .map(|&(s, f)| {
                let weight = self.growth * self.sizes[s];
                (s, lanes(&f.re, weight), lanes(&f.im, weight))
            })
            .collect();
        // Sizes that round to nothing: u = (...) / (1 - busy h(0) phi_0).
        let nothing = kernel.iter().find(|k| k.0 == 0).map_or(([1.0; LANES], [0.0; LANES]), |&(_, f)| {
            let weight = self.growth * self.sizes[0];
            inverse_of_one_less(&lanes(&f.re, weight), &lanes(&f.im, weight))
        });
        let points = self.services.points();
        let mut u: Vec<(Lanes, Lanes)> = Vec::with_capacity(points);
        let (mut re, mut im) = ([0.0; LANES], [0.0; LANES]);
        for x in 0..points {
            let mut sum = ([if x == 0 { 1.0 } else { 0.0 }; LANES], [0.0; LANES]);
            for (s, a, b) in terms.iter().take_while(|t| t.0 <= x) {
                add_product(&mut sum, a, b, &u[x - s]);
            }
            let mut scaled = ([0.0; LANES], [0.0; LANES]);
            add_product(&mut scaled, &nothing.0, &nothing.1, &sum);
            let sum = scaled;
            u.push(sum);
            if let (Some(r), true) = (&residual[x], self.renewal[x] > 0.0) {
                let weight = 1.0 / self.renewal[x];
                let mut all = (re, im);
                add_product(&mut all, &lanes(&r.re, weight), &lanes(&r.im, weight), &sum);
                (re, im) = all;
            }
        }
        (re, im)
    }

    /// Adds, for a service of size `s`, the law of what remains of it when an accepted arrival comes, by the size of the queue.
    fn residuals(&self, s: usize, fits: &[f64], residual: &mut [TimeLaw]) {
        let points = self.services.points();
        let more = self.services.more_than(s);
        let mut starts: Vec<(usize, f64)> = Vec::new();
        for (r, &chance) in self.left.iter().enumerate().filter(|x| *x.1 > NEGLIGIBLE) {
            let share = if r == 0 {
                self.services.size[s] / self.services.fits()
            } else {
                self.next[r].get(s).copied().unwrap_or_default()
            };
            if share * chance > NEGLIGIBLE {
                starts.push((r.max(s), chance * share));
            }
        }
        if starts.is_empty() {
            return;
        }
        for j in 0..more.len() {
            let mut by_queue = vec![0.0; points];
            for &(r, weight) in &starts {
                for (i, p) in self.tries[j][r].iter().enumerate() {
                    by_queue[r + i - s] += weight * p * fits[points - 1 - r - i];
                }
            }
            let rest = self.services.residual(s, j);
            for (queue, &weight) in by_queue.iter().enumerate().filter(|x| *x.1 > 1e-13) {
                residual[queue].add(&rest, weight);
            }
        }
    }
}

/// Frequencies that are treated together.
const LANES: usize = 8;
type Lanes = [f64; LANES];

/// `1 / (1 - a - i b)`, lane by lane.
fn inverse_of_one_less(a: &Lanes, b: &Lanes) -> (Lanes, Lanes) {
    let square: Lanes = std::array::from_fn(|l| (1.0 - a[l]) * (1.0 - a[l]) + b[l] * b[l]);
    (std::array::from_fn(|l| (1.0 - a[l]) / square[l]), std::array::from_fn(|l| b[l] / square[l]))
}

/// Adds `(a + i b) (c + i d)`, lane by lane.
fn add_product(sum: &mut (Lanes, Lanes), a: &Lanes, b: &Lanes, (c, d): &(Lanes, Lanes)) {
    for l in 0..LANES {
        sum.0[l] += a[l] * c[l] - b[l] * d[l];
        sum.1[l] += a[l] * d[l] + b[l] * c[l];
    }
}

/// The same law on a finer grid, each mass spread over its step.
fn refined(law: &TimeLaw, step_s: f64) -> TimeLaw {
    let coarse = law.step_s();
    let mut fine = TimeLaw::zero(step_s);
    let parts = libm::ceil(coarse / step_s).max(1.0) as usize;
    for (i, &m) in law.masses().iter().enumerate().filter(|x| *x.1 > 0.0) {
        for part in 0..parts {
            let offset = (part as f64 + 0.5) / parts as f64 - 0.5;
            // Half of the first mass lies before zero: it belongs to just after.
            fine.put(((i as f64 + offset) * coarse).abs(), m / parts as f64);
        }
    }
    fine
}
