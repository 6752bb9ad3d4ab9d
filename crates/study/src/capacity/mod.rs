//! What can this server carry? The largest rate or concurrency, or the fewest replicas, that keep all objectives, as an
//! interval with a stated confidence.
//!
//! The lower end is feasible and the upper end infeasible (for replicas the other way round), both with the confidence of the
//! whole answer; what lies between was not decided. A rate above the analytic load bound is infeasible without
//! simulating it. Every point meets the same customers, replication by replication, at another pace.

mod draws;
mod load;
mod search;
mod sensitivity;
mod slo;
mod trial;
mod witness;

pub use draws::{DRAW_RUNS, Moved, capacity_of_draws};
pub use load::{Load, Loaded, Tail};
pub use sensitivity::Sensitivity;
pub use slo::{DEFAULT_GOODPUT, Latency, Slo, SloError, parse_slos};
pub use trial::{Binding, Decision, SloEstimate, Trial};
pub use witness::Pressure;

use kendall_serving::{SimulationConfig, SimulationError};
use serde::Serialize;

use crate::offered_load::{OfferedLoad, SAMPLE, offered_load};
use crate::parallel::Workers;
use crate::play::{RunError, Watch, Workloads};

use trial::Bench;
use witness::Window;

/// What is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Find {
    /// The largest arrival rate.
    Rate,
    /// The largest number of clients that send one request after another.
    Concurrency,
    /// The fewest replicas for the workload's own rate.
    Replicas,
}

/// A question about capacity.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The server.
    pub simulation: &'a SimulationConfig,
    /// What it must keep.
    pub slos: &'a [Slo],
    /// What is sought.
    pub find: Find,
    /// Long-run rate of the workload as it is (1/s); `None` if it has none.
    pub rate_per_s: Option<f64>,
    /// Probability with which both ends of the answer are right.
    pub confidence: f64,
    /// Requests of a run: as many as the workload has.
    pub requests: u64,
    /// Width of the answer that is narrow enough, over its upper end.
    pub resolution: f64,
    /// How the workload is changed at all points.
    pub load: Load,
    /// Replications behind each line of the sensitivity table; 0 for no table.
    pub sensitivity_runs: u32,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Both ends are known.
    Found,
    /// One end could not be decided.
    Undecided,
    /// A single request at a time misses an objective already.
    Impossible,
    /// Nothing that was tried is infeasible.
    Unlimited,
}

/// What a search found.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// What was sought.
    pub find: Find,
    /// How it ended.
    pub ending: Ending,
    /// The largest rate or concurrency that is feasible, or the fewest replicas that are.
    pub good: Option<f64>,
    /// The smallest rate or concurrency that is infeasible, or the most replicas that are.
    pub bad: Option<f64>,
    /// Every point that was tried, in order.
    pub trials: Vec<Trial>,
    /// Rate that this server, or one replica where replicas are sought, cannot exceed for reasons of device time (1/s).
    pub bound: Option<f64>,
    /// One request at a time.
    pub zero_load: Trial,
    /// What moves the answer.
    pub sensitivity: Vec<Sensitivity>,
}

impl Answer {
    /// The infeasible point next to the answer: what breaks first.
    pub fn first_infeasible(&self) -> Option<&Trial> {
        let infeasible = self.trials.iter().filter(|trial| trial.decision == Decision::Infeasible);
        match self.find {
            Find::Rate | Find::Concurrency => infeasible.min_by(|a, b| a.x.total_cmp(&b.x)),
            Find::Replicas => infeasible.max_by(|a, b| a.x.total_cmp(&b.x)),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CapacityError<E> {
    /// All requests come at once: there is no rate to change.
    #[error("all requests arrive at once: there is no rate")]
    NoRate,
    /// A run has too few requests to say anything about its steady part.
    #[error("the workload has {0} requests: at least 100 are needed")]
    TooFewRequests(u64),
    /// A run failed.
    #[error(transparent)]
    Run(#[from] RunError<E>),
}

/// Searches the capacity.
///
/// # Errors
/// If the question makes no sense for this workload, or a run fails.
pub fn capacity<W: Workloads>(
    question: &Question<'_>,
    workloads: &W,
    workers: &Workers,
    watch: &impl Watch,
) -> Result<Answer, CapacityError<W::Error>> {
    let (bench, sampled) = bench(question, workloads, workers, watch)?;
    let mut answer = search::search(question, &bench, sampled.rate_per_s, sampled.bound_per_s)?;
    if question.sensitivity_runs > 0 && matches!(answer.ending, Ending::Found) {
        answer.sensitivity = sensitivity::table(question, &bench, &sampled, &answer)?;
    }
    Ok(answer)
}

/// What the points of a question share, and what its workload asks of the server.
type Prepared<'a, W, T> = (Bench<'a, W, T>, OfferedLoad);

fn bench<'a, W: Workloads, T: Watch>(
    question: &Question<'a>,
    workloads: &'a W,
    workers: &'a Workers,
    watch: &'a T,
) -> Result<Prepared<'a, W, T>, CapacityError<W::Error>> {
    let open = workloads.open(0).map_err(RunError::Workload)?;
    let single = SimulationConfig { replicas: 1, ..question.simulation.clone() };
    let config = if question.find == Find::Replicas { &single } else { question.simulation };
    let sampled = offered_load(config, open, question.rate_per_s, SAMPLE)
        .map_err(|error| RunError::Simulation(SimulationError::Workload(error)))?;
    if sampled.rate_per_s.is_none() && question.find != Find::Concurrency {
        return Err(CapacityError::NoRate);
    }
    if sampled.requests < 100 {
        return Err(CapacityError::TooFewRequests(sampled.requests));
    }
    let mut bench = Bench {
        workloads,
        slos: question.slos,
        window: Window::of(question.requests),
        alpha: 1.0 - question.confidence,
        workers,
        watch,
    };
    // Conversations and retries make more requests than the workload begins with.
    let alone = bench.evidence(&search::at(question, Find::Concurrency, 1.0, None), 0)?;
    bench.window = Window::of(alone.departed.max(question.requests));
    Ok((bench, sampled))
}
