//! The loss system with a controller at its door and an order of its queue, to compare rules of admission.

use kendall_theory::batching::{LengthLaw, System};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// What a controller sees of an arrival that fits.
pub(crate) struct Door<'a> {
    /// Sizes of the requests inside (tokens).
    pub(crate) sizes: &'a [usize],
    /// Its own size (tokens).
    pub(crate) size: usize,
    /// A number in [0, 1) of its own, the same for all rules.
    pub(crate) coin: f64,
}

/// Who is next when a place is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// First come, first served.
    Fcfs,
    /// Fewest output tokens: shortest remaining work among those that wait.
    ShortestWork,
}

/// What a run measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Fraction of arrivals that were turned away.
    pub(crate) blocking: f64,
    pub(crate) mean_ttft_s: f64,
    pub(crate) p99_ttft_s: f64,
    /// Accepted requests per second whose first token came in time.
    pub(crate) in_time_per_s: f64,
}

struct Request {
    arrival_s: f64,
    prompt: u32,
    output: u64,
    size: usize,
    left: u64,
    prefilled: bool,
    counts: bool,
}

fn cumulated(law: &LengthLaw) -> Vec<f64> {
    let mut sum = 0.0;
    law.masses()
        .iter()
        .map(|p| {
            sum += p;
            sum
        })
        .collect()
}

/// The customers of a run: the same for every rule.
struct Customers<'a> {
    system: &'a System,
    rng: ChaCha8Rng,
    prompts: Vec<f64>,
    outputs: Vec<f64>,
}

impl Customers<'_> {
    fn gap_s(&mut self) -> f64 {
        -libm::log1p(-self.rng.random::<f64>()) / self.system.arrival_rate_per_s()
    }

    fn length(rng: &mut ChaCha8Rng, cumulated: &[f64]) -> usize {
        let u: f64 = rng.random();
        cumulated.partition_point(|&c| c <= u).min(cumulated.len() - 1)
    }
}

/// Runs `requests` arrivals after a warm-up of a tenth of them, from an empty system.
pub(crate) fn simulate(
    system: &System,
    order: Order,
    limit_s: f64,
    requests: usize,
    seed: u64,
    accepts: &dyn Fn(&Door<'_>) -> bool,
) -> Outcome {
    let mut customers = Customers {
        system,
        rng: ChaCha8Rng::seed_from_u64(seed),
        prompts: cumulated(system.prompt()),
        outputs: cumulated(system.output()),
    };
    let (steps, kv, batch) = (system.steps(), system.kv_tokens(), system.max_batch());
    let warm_up = requests / 10;
    let total = requests + warm_up;
    let (mut queue, mut active): (Vec<Request>, Vec<Request>) = (Vec::new(), Vec::new());
    let (mut now, mut arrived, mut lost) = (0.0, 0, 0);
    let mut ttft = Vec::new();
    let mut next = customers.gap_s();
    let mut sizes: Vec<usize> = Vec::new();
    loop {
        while next <= now && arrived < total {
            let prompt = Customers::length(&mut customers.rng, &customers.prompts);
            let output = Customers::length(&mut customers.rng, &customers.outputs);
            let coin = customers.rng.random();
            let size = prompt + output;
            let fits = sizes.iter().sum::<usize>() + size <= kv;
            if fits && accepts(&Door { sizes: &sizes, size, coin }) {
                sizes.push(size);
                let counts = arrived >= warm_up;
                let (prompt, output) = (prompt as u32, output as u64);
                queue.push(Request {
                    arrival_s: next,
                    prompt,
                    output,
                    size,
                    left: output,
                    prefilled: false,
                    counts,
                });
            } else if arrived >= warm_up {
                lost += 1;
            }
            arrived += 1;
            next += customers.gap_s();
        }
        active.retain(|request| {
            if request.left == 0
                && let Some(place) = sizes.iter().position(|size| *size == request.size)
            {
                sizes.swap_remove(place);
            }
            request.left > 0
        });
        while active.len() < batch && !queue.is_empty() {
            let place = match order {
                Order::Fcfs => 0,
                Order::ShortestWork => (1..queue.len())
                    .fold(0, |best, i| if queue[i].output < queue[best].output { i } else { best }),
            };
            active.push(queue.remove(place));
        }
        if active.is_empty() {
            if arrived >= total {
                break;
            }
            now = next;
            continue;
        }
        let b = active.len();
        let prompts: u32 =
            active.iter().filter(|request| !request.prefilled).map(|request| request.prompt).sum();
        if prompts > 0 {
            now += steps.prefill_s(f64::from(prompts), b);
            for request in &mut active {
                request.prefilled = true;
            }
            continue;
        }
        let decode_s = steps.decode_s(b);
        let mut run = active.iter().map(|request| request.left).min().unwrap_or(1);
        if b < batch && arrived < total {
            run = run.min((((next - now) / decode_s).ceil() as u64).max(1));
        }
        for request in &mut active {
            if request.left == request.output && request.counts {
                ttft.push(now + decode_s - request.arrival_s);
            }
            request.left -= run;
        }
        now += run as f64 * decode_s;
    }
    outcome(&mut ttft, f64::from(lost) / requests as f64, system.arrival_rate_per_s(), limit_s)
}

fn outcome(ttft: &mut [f64], blocking: f64, rate_per_s: f64, limit_s: f64) -> Outcome {
    ttft.sort_by(f64::total_cmp);
    let p99 = ttft[((ttft.len() as f64 * 0.99) as usize).min(ttft.len() - 1)];
    let in_time = ttft.partition_point(|t| *t <= limit_s) as f64 / ttft.len() as f64;
    Outcome {
        blocking,
        mean_ttft_s: ttft.iter().sum::<f64>() / ttft.len() as f64,
        p99_ttft_s: p99,
        in_time_per_s: rate_per_s * (1.0 - blocking) * in_time,
    }
}
