//! The output length as a sum of exponential phases, so that a chain can carry it.

use super::kv::OutputMoments;

/// A Coxian law in canonical order with mean one: with probability `slow_start` a slow phase first, then equal phases.
///
/// Three moments fix the three parameters (the slow phase's probability and mean, the mean of the rest) for each number of
/// equal phases. Cumani 1982 gives the canonical form of which this is a special case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Phases {
    /// Rate of each phase, in order; after the last the request leaves.
    pub rates: Vec<f64>,
    /// Probability to start in each phase.
    pub starts: Vec<f64>,
}

impl Phases {
    /// Fits the first two moments and, as far as it can, the third, with at most `most` phases.
    pub(super) fn fit(moments: &OutputMoments, most: usize) -> Self {
        let mean = moments.mean;
        let scv = moments.square / (mean * mean) - 1.0;
        let raw2 = scv + 1.0;
        let third = moments.cube / (mean * mean * mean) - 3.0 * raw2 + 2.0;
        // k equal phases have variation 1/k: as few as stay under the law's own, leaving room for the slow phase.
        let room = most.saturating_sub(1).max(1);
        let equal = (libm::ceil(1.0 / scv.max(1e-9)) as usize).clamp(1, room);
        if most == 1 {
            return Self { rates: vec![1.0], starts: vec![1.0] };
        }
        Self::with_slow_start(equal, scv, third).unwrap_or_else(|| {
            let equal = (libm::round(1.0 / scv.max(1e-9)) as usize).clamp(1, most);
            let mut starts = vec![0.0; equal];
            starts[0] = 1.0;
            Self { rates: vec![equal as f64; equal], starts }
        })
    }

    /// Equal phases of total mean `z`, before them with probability `p` a phase of mean `y`: `p y = 1 - z`,
    /// variance `z^2 / k + 2 p y^2 - (p y)^2`; `z` is chosen for the third cumulant.
    fn with_slow_start(equal: usize, scv: f64, third: f64) -> Option<Self> {
        let count = equal as f64;
        // What the slow phase adds to the mean, and its own mean.
        let solve = |z: f64| {
            let rest = 1.0 - z;
            (rest, (scv - z * z / count + rest * rest) / (2.0 * rest))
        };
        let error = |z: f64| {
            let (rest, slow) = solve(z);
            let cumulant = 2.0 * z * z * z / (count * count) + 6.0 * rest * slow * slow
                - 6.0 * rest * rest * slow
                + 2.0 * rest * rest * rest;
            (slow >= rest && slow > 0.0).then_some((cumulant - third).abs())
        };
        let points = 4000;
        let grid = |i: usize| i as f64 / points as f64;
        let best = (1..points)
            .filter_map(|i| error(grid(i)).map(|miss| (i, miss)))
            .min_by(|a, b| a.1.total_cmp(&b.1))?
            .0;
        let (mut low, mut high) = (grid(best - 1).max(1e-9), grid(best + 1).min(1.0 - 1e-9));
        for _ in 0..60 {
            let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            match (error(left), error(right)) {
                (Some(l), Some(r)) if l > r => low = left,
                (Some(_), _) => high = right,
                (None, Some(_)) => low = left,
                (None, None) => break,
            }
        }
        let z = [f64::midpoint(low, high), grid(best)].into_iter().find(|&z| error(z).is_some())?;
        let (rest, slow) = solve(z);
        let mut rates = vec![1.0 / slow];
        rates.extend(std::iter::repeat_n(count / z, equal));
        let mut starts = vec![0.0; equal + 1];
        (starts[0], starts[1]) = (rest / slow, 1.0 - rest / slow);
        Some(Self { rates, starts })
    }

    pub(super) fn len(&self) -> usize {
        self.rates.len()
    }

    /// Mean time to the end from each phase.
    pub(super) fn mean_to_end(&self) -> Vec<f64> {
        let mut sum = 0.0;
        let mut means: Vec<f64> = self
            .rates
            .iter()
            .rev()
            .map(|rate| {
                sum += 1.0 / rate;
                sum
            })
            .collect();
        means.reverse();
        means
    }
}

/// All ways to have `requests` requests in the phases, ordered so that a request that moves on comes earlier.
#[derive(Debug, Clone)]
pub(super) struct Configurations {
    pub counts: Vec<Vec<u16>>,
    index: std::collections::BTreeMap<Vec<u16>, usize>,
}

impl Configurations {
    pub(super) fn new(requests: usize, phases: usize) -> Self {
        let mut counts = Vec::new();
        list(requests as u16, phases, &mut Vec::new(), &mut counts);
        let progress = |c: &Vec<u16>| c.iter().enumerate().map(|(i, &n)| i * usize::from(n)).sum::<usize>();
        counts.sort_by(|a, b| progress(b).cmp(&progress(a)).then_with(|| a.cmp(b)));
        let index = counts.iter().enumerate().map(|(i, c)| (c.clone(), i)).collect();
        Self { counts, index }
    }

    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Number of the configuration.
    pub(super) fn find(&self, counts: &[u16]) -> usize {
        self.index[counts]
    }
}

fn list(left: u16, phases: usize, head: &mut Vec<u16>, all: &mut Vec<Vec<u16>>) {
    if head.len() + 1 == phases {
        let mut whole = head.clone();
        whole.push(left);
        all.push(whole);
        return;
    }
    for here in 0..=left {
        head.push(here);
        list(left - here, phases, head, all);
        head.pop();
    }
}

/// How the phases of a batch move, by batch size: the transitions of [`Configurations`].
#[derive(Debug, Clone)]
pub(super) struct PhaseMoves {
    pub phases: Phases,
    /// Configurations of 0, 1, ..., B requests.
    pub sets: Vec<Configurations>,
    /// By batch and configuration: (rate, configuration of the same batch).
    pub inner: Vec<Vec<Vec<(f64, usize)>>>,
    /// By batch and configuration: (rate, configuration of the batch less one), when the request in its last phase leaves.
    pub leave: Vec<Vec<Option<(f64, usize)>>>,
    /// By batch and configuration: (probability, configuration of the batch and one more) when a request starts.
    pub start: Vec<Vec<Vec<(f64, usize)>>>,
}

impl PhaseMoves {
    pub(super) fn new(phases: Phases, batch: usize) -> Self {
        Self::with_sets(phases, batch, 0)
    }

    fn with_sets(phases: Phases, batch: usize, first: usize) -> Self {
        let m = phases.len();
        let empty = || Configurations { counts: Vec::new(), index: std::collections::BTreeMap::new() };
        let set = |b: usize| if b < first { empty() } else { Configurations::new(b, m) };
        let sets: Vec<Configurations> = (0..=batch).map(set).collect();
        let moved = |counts: &[u16], from: Option<usize>, to: Option<usize>| {
            let mut next = counts.to_vec();
            if let Some(from) = from {
                next[from] -= 1;
            }
            if let Some(to) = to {
                next[to] += 1;
            }
            next
        };
        let (mut inner, mut leave, mut start) = (Vec::new(), Vec::new(), Vec::new());
        for (b, set) in sets.iter().enumerate() {
            inner.push(
                set.counts
                    .iter()
                    .map(|c| {
                        (0..m - 1)
                            .filter(|&i| c[i] > 0)
                            .map(|i| {
                                (f64::from(c[i]) * phases.rates[i], set.find(&moved(c, Some(i), Some(i + 1))))
                            })
                            .collect()
                    })
                    .collect(),
            );
            leave.push(
                set.counts
                    .iter()
                    .map(|c| {
                        let last = m - 1;
                        (c[last] > 0 && b > first).then(|| {
                            let rate = f64::from(c[last]) * phases.rates[last];
                            (rate, sets[b - 1].find(&moved(c, Some(last), None)))
                        })
                    })
                    .collect(),
            );
            start.push(match sets.get(b + 1) {
                None => Vec::new(),
                Some(larger) => set
                    .counts
                    .iter()
                    .map(|c| {
                        (0..m)
                            .filter(|&i| phases.starts[i] > 0.0)
                            .map(|i| (phases.starts[i], larger.find(&moved(c, None, Some(i)))))
                            .collect()
                    })
                    .collect(),
            });
        }
        Self { phases, sets, inner, leave, start }
    }

    /// The moves of a full batch alone; smaller batches but the next have no configurations.
    pub(super) fn full_batch(phases: Phases, batch: usize) -> Self {
        Self::with_sets(phases, batch, batch.saturating_sub(1))
    }

    /// Distribution over configurations after `more` requests have started from one configuration.
    pub(super) fn started(&self, batch: usize, from: usize, more: usize) -> Vec<(f64, usize)> {
        let mut now = vec![(1.0, from)];
        for b in batch..batch + more {
            let mut next = std::collections::BTreeMap::new();
            for (p, c) in now {
                for &(q, to) in &self.start[b][c] {
                    *next.entry(to).or_insert(0.0) += p * q;
                }
            }
            now = next.into_iter().map(|(c, p)| (p, c)).collect();
        }
        now
    }
}

/// Law of the configuration of a batch in equilibrium: each request in each phase by its mean time there.
pub(super) fn equilibrium(phases: &Phases, set: &Configurations) -> Vec<f64> {
    let mut reached = 0.0;
    let times: Vec<f64> = phases
        .starts
        .iter()
        .zip(&phases.rates)
        .map(|(start, rate)| {
            reached += start;
            reached / rate
        })
        .collect();
    let total: f64 = times.iter().sum();
    let log_factorial = |n: u16| libm::lgamma(f64::from(n) + 1.0);
    set.counts
        .iter()
        .map(|counts| {
            let batch: u16 = counts.iter().sum();
            let log: f64 = counts
                .iter()
                .zip(&times)
                .map(|(&c, t)| f64::from(c) * libm::log((t / total).max(1e-300)) - log_factorial(c))
                .sum();
            libm::exp(log + log_factorial(batch))
        })
        .collect()
}
