//! Service of a request given its size, for a batch of one: how long it lasts and how many arrivals it sees.

use super::grid::TimeLaw;
use super::kernels::shares;
use super::system::System;

/// Lattice of sizes, and the service of each size on a time grid.
pub(super) struct Services {
    /// Tokens between two lattice points.
    pub step_tokens: f64,
    /// Law of the size of an arriving request; what exceeds the KV cache is missing.
    pub size: Vec<f64>,
    /// Time grid (s).
    pub step_s: f64,
    arrival_rate_per_s: f64,
    /// Law of the service, by size.
    laws: Vec<TimeLaw>,
    /// Probability of exactly j arrivals during a service, by size.
    exactly: Vec<Vec<f64>>,
    /// Probability of more than j.
    more: Vec<Vec<f64>>,
    /// By j and grid point: probability that arrival j + 1 comes in the half step before it, and after it.
    arrival: Vec<Vec<(f64, f64)>>,
    horizon_s: f64,
}

/// Total probability of the largest sizes that are put together.
const RARE_SIZE: f64 = 1e-6;
/// Groups of services that the residual service tells apart, for one size.
const GROUPS: usize = 32;
/// Grid steps in a mean service.
const STEPS_IN_SERVICE: f64 = 30.0;
/// Largest number of points of the wait's grid.
const MOST_WAIT_POINTS: usize = 4096;
/// Arrivals during one service beyond this number are counted as this number.
const MOST_ATTEMPTS: usize = 120;

impl Services {
    pub(super) fn new(system: &System, cells: usize) -> Self {
        let kv = system.kv_tokens();
        let cells = cells.min(kv);
        let step_tokens = (kv as f64 + 0.5) / (cells as f64 + 0.5);
        let times = system.steps();
        let mean_service_s =
            system.prompt().expect(|p| times.prefill_s(p, 1)) + system.output().mean() * times.decode_s(1);
        // Everything that fits into the cache, served one after the other, and as much again.
        let mean_size = system.prompt().mean() + system.output().mean();
        let horizon_s = mean_service_s * (1.6 * kv as f64 / mean_size + 6.0);
        let step_s = (mean_service_s / STEPS_IN_SERVICE).max(horizon_s / MOST_WAIT_POINTS as f64);
        let mut services = Self {
            step_tokens,
            size: Vec::new(),
            step_s,
            arrival_rate_per_s: system.arrival_rate_per_s(),
            laws: vec![TimeLaw::zero(step_s); cells + 1],
            exactly: Vec::new(),
            more: Vec::new(),
            arrival: Vec::new(),
            horizon_s,
        };
        services.fill(system, cells);
        services
    }

    /// Prompt and output on a finer lattice; their sum is split between neighbours of the coarse one.
    fn fill(&mut self, system: &System, cells: usize) {
        let fine = if cells == system.kv_tokens() { 1 } else { 4 };
        let fine_step = self.step_tokens / f64::from(fine as u32);
        let points = fine * (cells + 1);
        let prompt = on_lattice(system.prompt().masses(), fine_step, points);
        let output = on_lattice(system.output().masses(), fine_step, points);
        let decode_s = system.steps().decode_s(1);
        for (i, &p) in prompt.iter().enumerate().filter(|x| *x.1 > 1e-14) {
            let prefill_s = system.steps().prefill_s(i as f64 * fine_step, 1);
            for (j, &g) in output[..points - i].iter().enumerate().filter(|x| *x.1 > 1e-14) {
                let service_s = prefill_s + decode_s * j as f64 * fine_step;
                for (s, share) in shares(i + j, fine) {
                    if s <= cells {
                        self.laws[s].put(service_s, p * g * share);
                    }
                }
            }
        }
        let sum = |laws: &[TimeLaw]| laws.iter().map(TimeLaw::total).sum::<f64>();
        let before = sum(&self.laws);
        for law in &mut self.laws {
            *law = law.without_negative();
        }
        let factor = before / sum(&self.laws);
        for law in &mut self.laws {
            *law = law.weighted(|_| factor);
        }
        self.drop_rare_sizes();
        self.size = self.laws.iter().map(TimeLaw::total).collect();
        for law in &mut self.laws {
            let total = law.total();
            if total > 0.0 {
                *law = law.weighted(|_| 1.0 / total).trimmed();
            }
        }
        (self.exactly, self.more) = self.laws.iter().map(|law| self.counts(law)).unzip();
        let longest = self.laws.iter().map(|law| law.masses().len()).max().unwrap_or(0);
        self.arrival = (0..self.most_attempts()).map(|j| self.arrival_times(j, longest)).collect();
    }

    /// Sizes so large that hardly any request has them count as the largest that is left.
    fn drop_rare_sizes(&mut self) {
        let mut tail = 0.0;
        for s in (1..self.laws.len()).rev() {
            tail += self.laws[s].total();
            if tail > RARE_SIZE {
                break;
            }
            let law = std::mem::replace(&mut self.laws[s], TimeLaw::zero(self.step_s));
            self.laws[s - 1].add(&law, 1.0);
        }
    }

    /// Density of the time of arrival j + 1, integrated by Simpson's rule over the half steps around each grid point.
    fn arrival_times(&self, j: usize, points: usize) -> Vec<(f64, f64)> {
        let x = |i: f64| self.arrival_rate_per_s * self.step_s * i;
        let density = |t: f64| {
            if t <= 0.0 {
                return if j == 0 { 1.0 } else { 0.0 };
            }
            libm::exp(j as f64 * libm::log(t) - t - libm::lgamma(j as f64 + 1.0))
        };
        let half = |from: f64| {
            let (a, b) = (x(from), x(from + 0.5));
            (b - a) / 6.0 * (density(a) + 4.0 * density(f64::midpoint(a, b)) + density(b))
        };
        (0..points).map(|i| (if i == 0 { 0.0 } else { half(i as f64 - 0.5) }, half(i as f64))).collect()
    }

    /// Probabilities of exactly j and of more than j Poisson arrivals during a duration.
    fn counts(&self, law: &TimeLaw) -> (Vec<f64>, Vec<f64>) {
        let mut exactly: Vec<f64> = Vec::new();
        if law.total() <= 0.0 {
            return (Vec::new(), Vec::new());
        }
        let mut terms: Vec<f64> = law
            .masses()
            .iter()
            .enumerate()
            .map(|(i, m)| m * libm::exp(-self.arrival_rate_per_s * i as f64 * self.step_s))
            .collect();
        let mut left = law.total();
        let mut more = Vec::new();
        for j in 0..MOST_ATTEMPTS {
            let here: f64 = terms.iter().sum();
            left = (left - here).max(0.0);
            exactly.push(here);
            more.push(left);
            if left < 1e-8 {
                break;
            }
            for (i, t) in terms.iter_mut().enumerate() {
                *t *= self.arrival_rate_per_s * i as f64 * self.step_s / (j + 1) as f64;
            }
        }
        // What is cut off stays with the last count.
        if let Some(last) = exactly.last_mut() {
            *last += left;
        }
        (exactly, more)
    }

    pub(super) fn points(&self) -> usize {
        self.size.len()
    }

    /// Probability that a request fits into the empty cache.
    pub(super) fn fits(&self) -> f64 {
        self.size.iter().sum()
    }

    /// Offered load of what fits.
    pub(super) fn load(&self) -> f64 {
        let service_s: f64 = self.size.iter().zip(&self.laws).map(|(f, law)| f * law.first_moment_s()).sum();
        self.arrival_rate_per_s * service_s
    }

    /// Squared mean and mean square of the service, when sizes have this law; their ratio is what matters (s^2).
    pub(super) fn squares(&self, sizes: &[f64]) -> (f64, f64) {
        let moment = |n: i32| -> f64 {
            let of = |law: &TimeLaw| {
                law.masses().iter().enumerate().map(|(i, m)| m * (i as f64).powi(n)).sum::<f64>()
            };
            sizes.iter().zip(&self.laws).map(|(h, law)| h * of(law)).sum()
        };
        let h = self.step_s * self.step_s;
        (moment(1) * moment(1) * h, moment(2) * h)
    }

    pub(super) fn law(&self, s: usize) -> TimeLaw {
        self.laws[s].clone()
    }

    pub(super) fn exactly(&self, s: usize) -> &[f64] {
        &self.exactly[s]
    }

    pub(super) fn more_than(&self, s: usize) -> &[f64] {
        &self.more[s]
    }

    pub(super) fn most_attempts(&self) -> usize {
        self.more.iter().map(Vec::len).max().unwrap_or(0)
    }

    pub(super) fn wait_points(&self) -> usize {
        ((self.horizon_s / self.step_s) as usize).next_power_of_two()
    }

    /// Law of the residual service at the arrival that comes after `j` others, with the probability that there is one.
    pub(super) fn residual(&self, s: usize, j: usize) -> TimeLaw {
        let law = &self.laws[s];
        let times = &self.arrival[j];
        let length = law.masses().len();
        let mut mass = vec![0.0; length];
        for (k, m) in grouped(law) {
            // The half step after the end belongs to no time of this service.
            for (i, (before, after)) in times[..k].iter().enumerate() {
                mass[k - i] += m * (before + after);
            }
            mass[0] += m * times[k].0;
        }
        TimeLaw::new(self.step_s, mass)
    }
}

/// A law as few grid points of like mass: groups of neighbours, each at the two points around its mean.
fn grouped(law: &TimeLaw) -> Vec<(usize, f64)> {
    let share = law.total() / GROUPS as f64;
    let mut points = Vec::new();
    let (mut mass, mut moment) = (0.0, 0.0);
    let last = law.masses().len() - 1;
    for (i, &m) in law.masses().iter().enumerate() {
        mass += m;
        moment += m * i as f64;
        if (mass >= share || i == last) && mass > 0.0 {
            let mean = moment / mass;
            let below = (mean as usize).min(last);
            let above = mean - below as f64;
            points.push((below, mass * (1.0 - above)));
            if above > 0.0 && below < last {
                points.push((below + 1, mass * above));
            }
            (mass, moment) = (0.0, 0.0);
        }
    }
    points
}

/// Masses at whole tokens on a lattice, split between neighbours.
fn on_lattice(masses: &[f64], step: f64, points: usize) -> Vec<f64> {
    let mut lattice = vec![0.0; points];
    for (tokens, &mass) in masses.iter().enumerate().filter(|x| *x.1 > 0.0) {
        let place = tokens as f64 / step;
        let index = place as usize;
        let above = place - index as f64;
        if index >= points {
            break;
        }
        lattice[index] += mass * (1.0 - above);
        if index + 1 < points {
            lattice[index + 1] += mass * above;
        }
    }
    lattice
}
