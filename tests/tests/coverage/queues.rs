//! Queues with known answers, simulated customer by customer: waiting times of the G/G/c queue that starts empty.
//!
//! Several queues can be fed from the same [`Draws`], because drawing costs more than queueing.

use kendall_des::{EntityRng, Purpose, Streams};

const ARRIVALS: Purpose = Purpose(1);
const SERVICES: Purpose = Purpose(2);
const PHASES: Purpose = Purpose(3);
/// Customers drawn at once.
const CHUNK: usize = 4096;

/// Law of the service time; its mean is always 1.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Service {
    Exponential,
    Deterministic,
    /// Two phases with balanced means: phase 1 with this probability, squared coefficient of variation above 1.
    Hyperexponential {
        p: f64,
    },
}

/// M/G/1 or M/G/c with mean service time 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) service: Service,
    pub(crate) servers: usize,
    /// Load of each server.
    pub(crate) rho: f64,
}

/// Standard exponential gaps and services, and uniform phases, of the next customers.
pub(crate) struct Draws {
    exponential: Exponential,
    streams: [EntityRng; 3],
    gaps: Vec<f64>,
    services: Vec<f64>,
    phases: Vec<f64>,
}

impl Draws {
    pub(crate) fn new(seed: u64, replication: u32) -> Self {
        let streams = Streams::new(seed, replication);
        let of = |purpose| streams.stream(purpose).entity(0);
        let streams = [of(ARRIVALS), of(SERVICES), of(PHASES)];
        let empty = || vec![0.0; CHUNK];
        Self { exponential: Exponential::new(), streams, gaps: empty(), services: empty(), phases: empty() }
    }

    /// Draws the next customers; returns how many.
    pub(crate) fn refill(&mut self) -> usize {
        let [arrivals, services, phases] = &mut self.streams;
        self.gaps.fill_with(|| self.exponential.sample(arrivals));
        self.services.fill_with(|| self.exponential.sample(services));
        self.phases.fill_with(|| phases.next_open01());
        CHUNK
    }
}

/// A queue in the middle of a run.
pub(crate) struct Run {
    queue: Queue,
    /// Unfinished work of each server as the next customer will find it, ascending.
    workload: Vec<f64>,
}

impl Queue {
    /// A run that starts empty.
    pub(crate) fn start(self) -> Run {
        Run { queue: self, workload: vec![0.0; self.servers] }
    }
}

impl Run {
    /// Waiting time of customer `i` of the draws. Kiefer & Wolfowitz (1955); with one server, Lindley's recursion.
    pub(crate) fn next_wait(&mut self, draws: &Draws, i: usize) -> f64 {
        let wait = self.workload[0];
        self.workload[0] += match self.queue.service {
            Service::Exponential => draws.services[i],
            Service::Deterministic => 1.0,
            Service::Hyperexponential { p } => {
                let share = if draws.phases[i] < p { p } else { 1.0 - p };
                draws.services[i] / (2.0 * share)
            }
        };
        for server in 1..self.workload.len() {
            if self.workload[server - 1] <= self.workload[server] {
                break;
            }
            self.workload.swap(server - 1, server);
        }
        let gap = draws.gaps[i] / (self.queue.rho * self.queue.servers as f64);
        for work in &mut self.workload {
            *work = (*work - gap).max(0.0);
        }
        wait
    }
}

/// Exponential variates by inversion with a tabulated logarithm: the long experiment draws some 10^11 of them.
struct Exponential {
    /// (centre, its reciprocal, its logarithm) of 256 equal parts of [1, 2).
    table: Vec<(f64, f64, f64)>,
}

impl Exponential {
    fn new() -> Self {
        let centre = |i: u32| 1.0 + (f64::from(i) + 0.5) / 256.0;
        let row = |c: f64| (c, 1.0 / c, libm::log(c));
        Self { table: (0..256).map(|i| row(centre(i))).collect() }
    }

    /// -ln u for u = m 2^-(e + 1), m in [1, 2). With r <= 2^-9 the series is exact to 10^-16.
    fn sample(&self, rng: &mut EntityRng) -> f64 {
        let bits = rng.next_u64() | 1;
        let e = bits.leading_zeros();
        let mantissa = bits << e;
        let m = mantissa as f64 / (1_u64 << 63) as f64;
        let (c, reciprocal, log_c) = self.table[(mantissa >> 55) as usize & 255];
        let r = (m - c) * reciprocal;
        let log1p = r * (1.0 - r * (1.0 / 2.0 - r * (1.0 / 3.0 - r * (1.0 / 4.0 - r / 5.0))));
        f64::from(e + 1) * std::f64::consts::LN_2 - log_c - log1p
    }
}
