//! Which replica a request is sent to.
//!
//! A router that asks replicas about their state knows it as of the last refresh: load balancers scrape `/metrics` every
//! few hundred milliseconds, and between two scrapes all of them see the same least loaded replica. What a router counts
//! itself (requests sent and answered) is never stale. Mitzenmacher, "The power of two choices in randomized load
//! balancing" (2001) and "How useful is old information?" (2000).

use kendall_des::{Purpose, SimDuration, Stream, Streams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The random numbers of routers; request by request.
const ROUTES: Purpose = Purpose(100);

/// How replicas are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouterPolicy {
    /// One after another.
    #[default]
    RoundRobin,
    /// Each with the same probability.
    Random,
    /// The one with the fewest requests sent and not yet answered, as the router counts them.
    LeastOutstanding,
    /// The one that reports the shortest waiting queue, then the fewest running requests.
    JoinShortestQueue,
    /// Of two different ones chosen at random the one that reports fewer requests.
    PowerOfTwoChoices,
    /// The one that reports the smallest share of its KV blocks in use.
    LeastKvUse,
}

/// A router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouterConfig {
    /// How it chooses.
    pub policy: RouterPolicy,
    /// How often replicas report; zero means that the router always knows.
    pub refresh_interval: SimDuration,
}

impl RouterConfig {
    /// Whether the choice depends on what replicas report.
    pub(crate) fn asks_replicas(&self) -> bool {
        matches!(
            self.policy,
            RouterPolicy::JoinShortestQueue | RouterPolicy::PowerOfTwoChoices | RouterPolicy::LeastKvUse
        )
    }
}

/// What a replica reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ReplicaLoad {
    /// Requests that wait, in its input queue or its waiting queue.
    pub num_waiting: u32,
    /// Requests that run.
    pub num_running: u32,
    /// KV blocks in use.
    pub used_blocks: u32,
}

/// A router at work. Among equals it takes the first after the replica that it chose last, so that replicas which all
/// look idle take turns.
#[derive(Debug)]
pub(crate) struct Router {
    policy: RouterPolicy,
    routes: Stream,
    /// Requests sent to each replica and not yet answered.
    outstanding: Vec<u64>,
    /// What each replica reported last.
    reports: Vec<ReplicaLoad>,
    last: u32,
}

impl Router {
    pub(crate) fn new(policy: RouterPolicy, replicas: u32, streams: Streams) -> Self {
        Self {
            policy,
            routes: streams.stream(ROUTES),
            outstanding: vec![0; replicas as usize],
            reports: vec![ReplicaLoad::default(); replicas as usize],
            last: replicas - 1,
        }
    }

    /// A replica reports its state.
    pub(crate) fn report(&mut self, replica: u32, load: ReplicaLoad) {
        self.reports[replica as usize] = load;
    }

    /// A request was sent to a replica.
    pub(crate) fn sent(&mut self, replica: u32) {
        self.outstanding[replica as usize] += 1;
    }

    /// So many requests were answered by a replica, or given up.
    pub(crate) fn answered(&mut self, replica: u32, requests: u64) {
        self.outstanding[replica as usize] -= requests;
    }

    /// The replica for request number `index`.
    pub(crate) fn choose(&mut self, index: u64) -> u32 {
        let replicas = self.reports.len() as u32;
        self.last = match self.policy {
            RouterPolicy::RoundRobin => (index % u64::from(replicas)) as u32,
            _ if replicas == 1 => 0,
            RouterPolicy::Random => below(replicas, self.routes.entity(index).next_u64()),
            RouterPolicy::LeastOutstanding => self.least(|replica| self.outstanding[replica as usize]),
            RouterPolicy::JoinShortestQueue => self.least(|replica| {
                let load = self.reports[replica as usize];
                (load.num_waiting, load.num_running)
            }),
            RouterPolicy::PowerOfTwoChoices => self.better_of_two(index),
            RouterPolicy::LeastKvUse => self.least(|replica| self.reports[replica as usize].used_blocks),
        };
        self.last
    }

    /// The replica with the smallest key, the first of equals after the one chosen last.
    fn least<K: Ord>(&self, key: impl Fn(u32) -> K) -> u32 {
        let replicas = self.reports.len() as u32;
        let in_turn = (1..=replicas).map(|i| (self.last + i) % replicas);
        in_turn.min_by_key(|&replica| key(replica)).unwrap_or(self.last)
    }

    fn better_of_two(&mut self, index: u64) -> u32 {
        let replicas = self.reports.len() as u32;
        let mut rng = self.routes.entity(index);
        let first = below(replicas, rng.next_u64());
        let second = (first + 1 + below(replicas - 1, rng.next_u64())) % replicas;
        let load = |replica: u32| {
            let load = self.reports[replica as usize];
            load.num_waiting + load.num_running
        };
        if load(second) < load(first) { second } else { first }
    }
}

/// A whole number below `n`, each with the same probability up to 2^-32.
fn below(n: u32, random: u64) -> u32 {
    ((u128::from(random) * u128::from(n)) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(policy: RouterPolicy, replicas: u32) -> Router {
        Router::new(policy, replicas, Streams::new(1, 0))
    }

    #[test]
    fn equals_take_turns_and_the_least_loaded_wins() {
        let mut router = router(RouterPolicy::LeastOutstanding, 3);
        let mut chosen = Vec::new();
        for index in 0..3 {
            let replica = router.choose(index);
            router.sent(replica);
            chosen.push(replica);
        }
        assert_eq!(chosen, [0, 1, 2]);
        router.answered(1, 1);
        assert_eq!(router.choose(3), 1);
    }

    #[test]
    fn reports_decide_until_the_next_ones() {
        let mut router = router(RouterPolicy::JoinShortestQueue, 2);
        router.report(0, ReplicaLoad { num_waiting: 0, num_running: 7, used_blocks: 9 });
        router.report(1, ReplicaLoad { num_waiting: 1, num_running: 2, used_blocks: 5 });
        assert!((0..5).all(|index| router.choose(index) == 0));
        let mut by_blocks = Router { policy: RouterPolicy::LeastKvUse, ..router };
        assert_eq!(by_blocks.choose(5), 1);
    }

    /// Chi-squared over 10,000 routes to 7 replicas: the 0.999 quantile at 6 degrees of freedom is 22.5.
    #[test]
    fn random_routes_are_even() {
        for policy in [RouterPolicy::Random, RouterPolicy::PowerOfTwoChoices] {
            let mut router = router(policy, 7);
            let mut counts = [0_u32; 7];
            for index in 0..10_000 {
                counts[router.choose(index) as usize] += 1;
            }
            let expected = 10_000.0 / 7.0;
            let chi: f64 = counts.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
            assert!(chi < 22.5, "{policy:?}: {counts:?}");
        }
    }
}
