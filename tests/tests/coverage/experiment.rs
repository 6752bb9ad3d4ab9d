//! Many independent experiments on one queue, and how often their intervals contain the truth.

use std::ops::Range;

use kendall_theory::output::{BatchAccumulator, mean_of_replications, quantile_of_replications};

use crate::queues::{Draws, Queue, Run};
use crate::truth;

const CONFIDENCE: f64 = 0.95;
const P: f64 = 0.99;
/// Observations are recorded in billionths of a mean service time.
const UNIT: f64 = 1e9;
const THREADS: usize = 4;
const SEED: u64 = 1;

/// What became of the intervals of one quantity.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Score {
    pub(crate) answers: u32,
    pub(crate) hits: u32,
    /// Intervals that lie wholly below the truth.
    pub(crate) below: u32,
    /// Sum of half-widths as a share of the truth.
    widths: f64,
}

impl Score {
    fn add(&mut self, ends: Option<(f64, f64)>, truth: f64) {
        let Some((low, high)) = ends.map(|(low, high)| (low / UNIT, high / UNIT)) else { return };
        self.answers += 1;
        self.hits += u32::from(low <= truth && truth <= high);
        self.below += u32::from(high < truth);
        self.widths += (high - low) / 2.0 / truth;
    }

    fn merge(&mut self, other: Self) {
        self.answers += other.answers;
        self.hits += other.hits;
        self.below += other.below;
        self.widths += other.widths;
    }

    pub(crate) fn coverage_percent(&self) -> f64 {
        100.0 * f64::from(self.hits) / f64::from(self.answers)
    }

    fn cells(&self, experiments: u32) -> String {
        let answers = f64::from(self.answers);
        format!(
            "{:.1} | {:.1} | {:.1} | {:.1}",
            self.coverage_percent(),
            100.0 * f64::from(self.below) / answers,
            100.0 * self.widths / answers,
            100.0 * f64::from(experiments - self.answers) / f64::from(experiments),
        )
    }
}

/// One way to look at one queue: some replications of so many customers each. One replication means the method for a
/// single run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Design {
    pub(crate) name: &'static str,
    pub(crate) queue: Queue,
    pub(crate) replications: usize,
    pub(crate) observations: usize,
}

/// Outcome of the experiments on one design.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coverage {
    pub(crate) design: Design,
    experiments: u32,
    pub(crate) mean: Score,
    pub(crate) p99: Score,
}

impl Coverage {
    /// Adds further experiments on the same design.
    pub(crate) fn merge(&mut self, further: &Self) {
        self.experiments += further.experiments;
        self.mean.merge(further.mean);
        self.p99.merge(further.p99);
    }

    /// A row of the table in `docs/output-analysis.md`.
    pub(crate) fn row(&self) -> String {
        let Self { design: Design { name, queue, replications, observations }, experiments, mean, p99 } =
            self;
        format!(
            "| {name} | {} | {replications} x {observations} | {} | {} |",
            queue.rho,
            mean.cells(*experiments),
            p99.cells(*experiments)
        )
    }
}

/// The same experiments for all designs, on the same random numbers: independent within a design, not between them.
pub(crate) fn coverage(designs: &[Design], experiments: Range<u32>) -> Vec<Coverage> {
    let truth = |design: &Design| (truth::mean_wait(&design.queue), truth::wait_quantile(&design.queue, P));
    let truths: Vec<(f64, f64)> = designs.iter().map(truth).collect();
    let blank = || -> Vec<Coverage> {
        let none = Score::default();
        designs
            .iter()
            .map(|&design| Coverage { design, experiments: experiments.len() as u32, mean: none, p99: none })
            .collect()
    };
    let share = |thread: usize| {
        let mut scores = blank();
        for experiment in experiments.clone().skip(thread).step_by(THREADS) {
            let observed = observe(designs, experiment);
            for ((score, runs), truth) in scores.iter_mut().zip(&observed).zip(&truths) {
                let (mean, p99) = intervals(runs);
                score.mean.add(mean, truth.0);
                score.p99.add(p99, truth.1);
            }
        }
        scores
    };
    let mut total = blank();
    std::thread::scope(|scope| {
        let share = &share;
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || share(thread))).collect();
        for thread in threads {
            let scores = thread.join().expect("a thread of the experiment panicked");
            for (sum, part) in total.iter_mut().zip(scores) {
                sum.mean.merge(part.mean);
                sum.p99.merge(part.p99);
            }
        }
    });
    total
}

/// The runs of every design in one experiment.
fn observe(designs: &[Design], experiment: u32) -> Vec<Vec<BatchAccumulator>> {
    let mut draws = Draws::new(SEED, experiment);
    let start = |design: &Design| (design.queue.start(), 0, vec![BatchAccumulator::new()]);
    let mut states: Vec<(Run, usize, Vec<BatchAccumulator>)> = designs.iter().map(start).collect();
    let longest = designs.iter().map(|design| design.replications * design.observations).max();
    let mut customers = 0;
    while Some(customers) < longest {
        let chunk = draws.refill();
        for (design, (run, seen, runs)) in designs.iter().zip(&mut states) {
            let left = (design.replications * design.observations).saturating_sub(customers);
            for i in 0..chunk.min(left) {
                if *seen == design.observations {
                    (*run, *seen) = (design.queue.start(), 0);
                    runs.push(BatchAccumulator::new());
                }
                *seen += 1;
                let wait = run.next_wait(&draws, i);
                if let Some(last) = runs.last_mut() {
                    last.record((wait * UNIT) as u64);
                }
            }
        }
        customers += chunk;
    }
    states.into_iter().map(|(_, _, runs)| runs).collect()
}

type Ends = Option<(f64, f64)>;

fn intervals(runs: &[BatchAccumulator]) -> (Ends, Ends) {
    let (mean, p99) = match runs {
        [run] => (run.mean_interval(CONFIDENCE), run.quantile_interval(P, CONFIDENCE)),
        runs => (mean_of_replications(runs, CONFIDENCE), quantile_of_replications(runs, P, CONFIDENCE)),
    };
    (mean.ok().map(|i| (i.low(), i.high())), p99.ok().map(|i| (i.low, i.high)))
}
