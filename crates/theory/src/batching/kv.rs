//! What the KV cache does to `n` requests: who still fits, and how short those inside must be.
//!
//! Sizes of the active requests are weighted by their time in decode, those of the waiting ones are as they arrive, and
//! the sum fits: `m_n = a^b * f^(n-b)`, cut at K. With exponential decode that is independent of size, or with processor
//! sharing (n <= B), this is the exact law of the sizes inside (Kaufman 1981; Cohen 1979); elsewhere it closes the model.

use super::kernels::{Kernel, SizeKernels, convolve, cumulate, fitting};
use super::system::System;

/// What is known given that `n` requests are in the system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Occupancy {
    /// Probability that an arrival is lost while the batch decodes.
    pub lost: f64,
    /// The same while one request is in prefill.
    pub lost_in_prefill: f64,
    /// Mean output that sets the rate of departures (tokens): an active request leaves at rate 1 / (this * step).
    pub rate_output: f64,
    /// Mean residual output of an active request (tokens).
    pub residual_output: f64,
    /// Mean prompt of a request in prefill (tokens).
    pub prompt: f64,
    /// Output ahead of an arrival that must wait, relative to unlimited KV: mean and standard deviation.
    pub ahead: Ahead,
}

/// Decode work ahead of a waiting arrival, relative to what it would be with unlimited KV.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ahead {
    /// Ratio of means.
    pub mean: f64,
    /// Ratio of the times to the first departure.
    pub first: f64,
    /// Ratio of standard deviations.
    pub deviation: f64,
}

/// Occupancies for n = 0, 1, ..., and acceptance by prompt length while a place is free.
#[derive(Debug, Clone)]
pub(super) struct KvTable {
    pub kernels: SizeKernels,
    pub by_count: Vec<Occupancy>,
    /// Whether the counts go as far as they matter.
    pub complete: bool,
    /// For n < B: probability that a request fits, by its prompt's lattice point.
    fits_by_prompt: Vec<Kernel>,
}

/// Kernels that meet `a^(b-1) * f^(n-b)` in inner products.
struct Probes {
    size_size: Kernel,
    decode_size: Kernel,
    prompt_size: Kernel,
    residual_size: Kernel,
    residual_square_size: Kernel,
    decode_decode: Kernel,
    decode_output_square: Kernel,
    residual_decode: Kernel,
    decode_cubed: Kernel,
}

impl Probes {
    fn new(k: &SizeKernels) -> Self {
        let decode_decode = convolve(&k.decode, &k.decode);
        Self {
            size_size: convolve(&k.size, &k.size),
            decode_size: convolve(&k.decode, &k.size),
            prompt_size: convolve(&k.prompt, &k.size),
            residual_size: convolve(&k.residual, &k.size),
            residual_square_size: convolve(&k.residual_square, &k.size),
            decode_output_square: convolve(&k.decode, &k.output_square),
            residual_decode: convolve(&k.residual, &k.decode),
            decode_cubed: convolve(&decode_decode, &k.decode),
            decode_decode,
        }
    }
}

/// The product of all sizes but one, scaled, and its partial sums.
struct Base {
    mass: Kernel,
    sums: Kernel,
    /// For n >= B >= 2: the same with one decode kernel replaced by the residual, for the square of the work ahead.
    residual_sums: Kernel,
    residual_mass: Kernel,
}

impl KvTable {
    /// Counts up to the one whose weight in a birth-death chain falls under 1e-11, or to `most`.
    pub(super) fn new(system: &System, cells: usize, most: usize) -> Self {
        let kernels = SizeKernels::new(system, cells);
        let probes = Probes::new(&kernels);
        let points = kernels.points();
        let batch = system.max_batch();
        let mut unit = vec![0.0; points];
        unit[0] = 1.0;
        let accepted: f64 = kernels.size.iter().sum();
        let prompt_alone = kernels.prompt.iter().sum::<f64>() / accepted;
        let none = Ahead { mean: 1.0, first: 1.0, deviation: 1.0 };
        let empty = Occupancy {
            lost: (1.0 - accepted).max(0.0),
            lost_in_prefill: (1.0 - accepted).max(0.0),
            rate_output: kernels.mean_output,
            residual_output: 0.0,
            prompt: prompt_alone,
            ahead: none,
        };
        let mut table = Self { by_count: vec![empty], complete: false, fits_by_prompt: Vec::new(), kernels };
        table.fits_by_prompt.push(table.fit_by_prompt(&unit));
        let mut base =
            Base { sums: cumulate(&unit), residual_sums: Vec::new(), residual_mass: Vec::new(), mass: unit };
        let mut previous: Option<(Kernel, f64)> = None;
        let (mut log_weight, mut top) = (0.0_f64, 0.0_f64);
        for n in 1..=most {
            let k = &table.kernels;
            let occupancy = occupancy(system, k, &probes, &base, previous.as_ref(), n);
            let Some(occupancy) = occupancy else {
                table.complete = true;
                break;
            };
            let b = system.active(n);
            let mean_s = occupancy.rate_output * system.steps().decode_s(b) / b as f64
                + system.steps().prefill_s(occupancy.prompt, b);
            let before = 1.0 - table.by_count[n - 1].lost;
            log_weight += libm::log(system.arrival_rate_per_s() * before * mean_s);
            top = top.max(log_weight);
            table.by_count.push(occupancy);
            if log_weight < top - 25.3 && n > batch {
                table.complete = true;
                break;
            }
            if n < batch {
                let inside = convolve(&table.kernels.decode, &base.mass);
                table.fits_by_prompt.push(table.fit_by_prompt(&inside));
            }
            let grow = if n < batch { &table.kernels.decode } else { &table.kernels.size };
            let mut next = convolve(&base.mass, grow);
            let scale: f64 = next.iter().sum();
            if scale <= 0.0 {
                table.complete = true;
                break;
            }
            for x in &mut next {
                *x /= scale;
            }
            // What was the base of n - 1 is needed once more, in the scale of the new one.
            previous = Some((base.sums.clone(), scale));
            let residual_mass = next_residual(&table.kernels, &base, n, batch, scale);
            base = Base {
                sums: cumulate(&next),
                residual_sums: cumulate(&residual_mass),
                residual_mass,
                mass: next,
            };
        }
        table
    }

    /// Largest count of the table.
    pub(super) fn largest(&self) -> usize {
        self.by_count.len() - 1
    }

    /// Probability that a request with this prompt fits when it finds `n < B`.
    pub(super) fn fits_with_prompt(&self, n: usize, prompt_tokens: f64) -> f64 {
        // Beyond the largest number that can be inside nobody is accepted, so it does not matter which law is taken.
        let fits = &self.fits_by_prompt[n.min(self.fits_by_prompt.len() - 1)];
        let place = prompt_tokens / self.kernels.step_tokens;
        let below = libm::floor(place);
        let share = place - below;
        let index = below as usize;
        match (fits.get(index), fits.get(index + 1)) {
            (Some(low), Some(high)) => low * (1.0 - share) + high * share,
            (Some(low), None) => low * (1.0 - share),
            _ => 0.0,
        }
    }

    /// `P(G + R <= K - p)` by the lattice point of `p`, where `inside` is proportional to the law of `R`.
    fn fit_by_prompt(&self, inside: &[f64]) -> Kernel {
        let total: f64 = inside.iter().sum();
        let together = cumulate(&convolve(&self.kernels.output, inside));
        together.iter().rev().map(|x| x / total).collect()
    }
}

/// `a^(B-2) * residual * f^(n-B+1)` for the next count, in the scale of the new base.
fn next_residual(k: &SizeKernels, base: &Base, n: usize, batch: usize, scale: f64) -> Kernel {
    if batch < 2 {
        return Vec::new();
    }
    let scaled = |kernel: Kernel| kernel.iter().map(|x| x / scale).collect();
    if n + 1 == batch {
        // The new base is a^(B-1) = a * a^(B-2): here the a gives way to the residual.
        scaled(convolve(&base.mass, &k.residual))
    } else if n >= batch {
        scaled(convolve(&base.residual_mass, &k.size))
    } else {
        Vec::new()
    }
}

fn occupancy(
    system: &System,
    k: &SizeKernels,
    probes: &Probes,
    base: &Base,
    previous: Option<&(Kernel, f64)>,
    n: usize,
) -> Option<Occupancy> {
    let batch = system.max_batch();
    let inside = fitting(&k.decode, &base.sums);
    let entering = fitting(&k.size, &base.sums);
    let in_prefill = fitting(&k.prompt, &base.sums);
    if !(inside > 0.0 && entering > 0.0 && in_prefill > 0.0) {
        return None;
    }
    let step = system.steps().at(system.active(n));
    // Met in prefill, a request is weighted by its time there.
    let prefill = step.prefill_base_s * entering + step.prefill_token_s * in_prefill;
    let prefill_fits = step.prefill_base_s * fitting(&probes.size_size, &base.sums)
        + step.prefill_token_s * fitting(&probes.prompt_size, &base.sums);
    let ahead = if n >= batch { ahead(k, probes, base, previous, (batch, n + 1 - batch)) } else { None };
    let fits = fitting(&probes.decode_size, &base.sums) / inside;
    let fits_in_prefill = if prefill > 0.0 { prefill_fits / prefill } else { fits };
    Some(Occupancy {
        lost: (1.0 - fits).max(0.0),
        lost_in_prefill: (1.0 - fits_in_prefill).max(0.0),
        rate_output: k.mean_output * inside / entering,
        residual_output: fitting(&k.residual, &base.sums) / inside,
        prompt: in_prefill / entering,
        ahead: ahead.unwrap_or(Ahead { mean: 1.0, first: 1.0, deviation: 1.0 }),
    })
}

/// Moments of the decode work ahead of an arrival that fits and is `place`-th in the queue: residuals of the `batch` active
/// and whole outputs of those before it, given that all sizes and its own fit.
fn ahead(
    k: &SizeKernels,
    probes: &Probes,
    base: &Base,
    previous: Option<&(Kernel, f64)>,
    (batch, place): (usize, usize),
) -> Option<Ahead> {
    let (active, waiting) = (batch as f64, place as f64 - 1.0);
    let all = fitting(&probes.decode_size, &base.sums);
    if all <= 0.0 {
        return None;
    }
    let mut first = active * fitting(&probes.residual_size, &base.sums);
    let mut second = active * fitting(&probes.residual_square_size, &base.sums);
    if batch > 1 {
        second += active * (active - 1.0) * fitting(&probes.residual_size, &base.residual_sums);
    }
    if place > 1 {
        first += waiting * k.mean_output * fitting(&probes.decode_decode, &base.sums);
        second += waiting * fitting(&probes.decode_output_square, &base.sums);
        second += 2.0 * active * waiting * k.mean_output * fitting(&probes.residual_decode, &base.sums);
    }
    if let (Some((sums, scale)), true) = (previous, place > 2) {
        let pairs = waiting * (waiting - 1.0) * k.mean_output * k.mean_output;
        second += pairs * fitting(&probes.decode_cubed, sums) / scale;
    }
    let (mean, square) = (first / all, second / all);
    let free = OutputMoments::of_accepted(k);
    let free_mean = active * free.residual + waiting * free.mean;
    let free_variance = active * (free.residual_square - free.residual * free.residual)
        + waiting * (free.square - free.mean * free.mean);
    let deviation = (square - mean * mean).max(0.0).sqrt();
    let deviation_ratio = if free_variance > 0.0 { deviation / free_variance.sqrt() } else { 1.0 };
    let first_ratio = k.mean_output * all / fitting(&probes.size_size, &base.sums) / free.mean;
    Some(Ahead { mean: mean / free_mean, first: first_ratio, deviation: deviation_ratio })
}

/// Moments of the output of a request that fits into the empty KV cache, and of its residual in decode (tokens).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OutputMoments {
    pub mean: f64,
    pub square: f64,
    pub cube: f64,
    pub residual: f64,
    pub residual_square: f64,
}

impl OutputMoments {
    pub(super) fn of_accepted(k: &SizeKernels) -> Self {
        let mass = |kernel: &Kernel| kernel.iter().sum::<f64>();
        let fits = mass(&k.size);
        let mean = k.mean_output * mass(&k.decode) / fits;
        let square = mass(&k.output_square) / fits;
        let cube = 3.0 * k.mean_output * mass(&k.residual_square) / fits;
        Self { mean, square, cube, residual: square / (2.0 * mean), residual_square: cube / (3.0 * mean) }
    }
}
