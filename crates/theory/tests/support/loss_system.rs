//! A small simulator of the loss system, to judge the models: decode steps in which nothing is decided are skipped.

use std::collections::VecDeque;

use kendall_theory::batching::{LengthLaw, System};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// What a run measured.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// Mean, p50, p95 and p99 of the time to first token of accepted requests (s), with standard errors from batches.
    pub(crate) ttft_s: [(f64, f64); 4],
    /// Fraction of arrivals that were lost.
    pub(crate) blocking: (f64, f64),
}

struct Request {
    arrival_s: f64,
    prompt: u32,
    size: usize,
    left: u64,
    prefilled: bool,
    started: bool,
}

impl Request {
    fn new(arrival_s: f64, prompt: usize, output: usize) -> Self {
        let (size, left) = (prompt + output, output as u64);
        Self { arrival_s, prompt: prompt as u32, size, left, prefilled: false, started: false }
    }
}

/// Draws a length by inversion.
struct Lengths(Vec<f64>);

impl Lengths {
    fn new(law: &LengthLaw) -> Self {
        let mut sum = 0.0;
        Self(
            law.masses()
                .iter()
                .map(|p| {
                    sum += p;
                    sum
                })
                .collect(),
        )
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> usize {
        let u: f64 = rng.random();
        self.0.partition_point(|&c| c <= u).min(self.0.len() - 1)
    }
}

const BATCHES: usize = 20;

/// Runs `requests` arrivals after a warm-up of a twentieth of them, from an empty system.
pub(crate) fn simulate(system: &System, requests: usize, seed: u64) -> Measured {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (prompts, outputs) = (Lengths::new(system.prompt()), Lengths::new(system.output()));
    let (steps, kv, batch) = (system.steps(), system.kv_tokens(), system.max_batch());
    let gap = |rng: &mut ChaCha8Rng| -libm::log1p(-rng.random::<f64>()) / system.arrival_rate_per_s();
    let (warm_up, per_batch) = (requests / 20, requests.div_ceil(BATCHES));
    let total = requests + warm_up;
    let (mut ttft, mut lost) = (vec![Vec::new(); BATCHES], vec![0_usize; BATCHES]);
    let mut queue: VecDeque<(Request, usize)> = VecDeque::new();
    let mut active: Vec<(Request, usize)> = Vec::new();
    let (mut now, mut reserved, mut arrived) = (0.0, 0, 0);
    let mut next = gap(&mut rng);
    loop {
        while next <= now && arrived < total {
            let request = Request::new(next, prompts.draw(&mut rng), outputs.draw(&mut rng));
            if reserved + request.size <= kv {
                reserved += request.size;
                queue.push_back((request, arrived));
            } else if arrived >= warm_up {
                lost[(arrived - warm_up) / per_batch] += 1;
            }
            arrived += 1;
            next += gap(&mut rng);
        }
        // Departures give back their KV only now: arrivals of the last steps still found it taken.
        active.retain(|(r, _)| {
            if r.left == 0 {
                reserved -= r.size;
            }
            r.left > 0
        });
        while active.len() < batch
            && let Some(first) = queue.pop_front()
        {
            active.push(first);
        }
        if active.is_empty() {
            if arrived >= total {
                break;
            }
            now = next;
            continue;
        }
        let b = active.len();
        let waiting: u32 = active.iter().filter(|(r, _)| !r.prefilled).map(|(r, _)| r.prompt).sum();
        if waiting > 0 {
            now += steps.prefill_s(f64::from(waiting), b);
            for (r, _) in &mut active {
                r.prefilled = true;
            }
            continue;
        }
        let decode_s = steps.decode_s(b);
        let mut run = active.iter().map(|(r, _)| r.left).min().unwrap_or(1);
        if b < batch && arrived < total {
            run = run.min((((next - now) / decode_s).ceil() as u64).max(1));
        }
        for (r, index) in &mut active {
            if !r.started {
                r.started = true;
                if *index >= warm_up {
                    ttft[(*index - warm_up) / per_batch].push(now + decode_s - r.arrival_s);
                }
            }
            r.left -= run;
        }
        now += run as f64 * decode_s;
    }
    measure(ttft, &lost, per_batch)
}

fn measure(mut ttft: Vec<Vec<f64>>, lost: &[usize], per_batch: usize) -> Measured {
    for batch in &mut ttft {
        batch.sort_by(f64::total_cmp);
    }
    let mut all: Vec<f64> = ttft.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let figure = |of: &dyn Fn(&[f64]) -> f64| {
        let each: Vec<f64> = ttft.iter().map(|batch| of(batch)).collect();
        (of(&all), standard_error(&each))
    };
    let quantile = |p: f64| move |x: &[f64]| x[((x.len() as f64 * p) as usize).min(x.len() - 1)];
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let blocked: Vec<f64> = lost.iter().map(|&l| l as f64 / per_batch as f64).collect();
    Measured {
        ttft_s: [figure(&mean), figure(&quantile(0.50)), figure(&quantile(0.95)), figure(&quantile(0.99))],
        blocking: (mean(&blocked), standard_error(&blocked)),
    }
}

fn standard_error(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    (x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n * (n - 1.0))).sqrt()
}
