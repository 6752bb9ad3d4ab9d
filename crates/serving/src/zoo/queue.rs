//! The waiting queue of an engine of the zoo, in the order that the scenario names.

use std::collections::{BTreeSet, VecDeque};

use kendall_des::{Distribution, Streams};

use super::by_class::{ByClass, Turn};
use super::order::Ranking;
use super::request::Request;
use super::{Order, Slot, ZooConfig};

/// Requests that wait.
#[derive(Debug, Clone)]
pub(super) enum Queue {
    Fcfs(VecDeque<Slot>),
    Ranked(Ranked),
    ByClass(ByClass),
}

/// Sorted by rank, then number in the workload.
#[derive(Debug, Clone)]
pub(super) struct Ranked {
    ranking: Ranking,
    sorted: BTreeSet<(i128, u64, Slot)>,
    /// By slot: under which rank it waits.
    ranks: Vec<i128>,
}

impl Ranked {
    fn insert(&mut self, slot: Slot, request: &Request) {
        let rank = self.ranking.rank(request);
        let place = slot as usize;
        if self.ranks.len() <= place {
            self.ranks.resize(place + 1, 0);
        }
        self.ranks[place] = rank;
        self.sorted.insert((rank, request.index, slot));
    }
}

impl Queue {
    pub(super) fn new(zoo: &ZooConfig) -> Self {
        let settings = &zoo.queue;
        let turn = match zoo.order {
            Order::Fcfs => return Self::Fcfs(VecDeque::new()),
            Order::RoundRobin => Turn::RoundRobin,
            Order::FairShare => Turn::LeastServed {
                prompt_weight: u64::from(settings.prompt_weight),
                output_weight: u64::from(settings.output_weight),
            },
            order => {
                // A sigma of 0, and only that, is no distribution: it was checked before.
                let error = Distribution::log_normal(1.0, settings.prediction_sigma).ok();
                let error = error.filter(|_| settings.prediction_sigma > 0.0);
                let streams = Streams::new(0, 0);
                let ranking = Ranking { order, limits: zoo.ttft_limits.clone(), error, streams };
                return Self::Ranked(Ranked { ranking, sorted: BTreeSet::new(), ranks: Vec::new() });
            }
        };
        Self::ByClass(ByClass::new(turn))
    }

    /// Predictions err by these streams.
    pub(super) fn draw_from(&mut self, streams: Streams) {
        if let Self::Ranked(queue) = self {
            queue.ranking.streams = streams;
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Fcfs(queue) => queue.len(),
            Self::Ranked(queue) => queue.sorted.len(),
            Self::ByClass(queue) => queue.len(),
        }
    }

    pub(super) fn head(&self) -> Option<Slot> {
        match self {
            Self::Fcfs(queue) => queue.front().copied(),
            Self::Ranked(queue) => queue.sorted.first().map(|&(_, _, slot)| slot),
            Self::ByClass(queue) => queue.head(),
        }
    }

    /// In order, the head first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        let (mut fcfs, mut ranked, mut by_class) = (None, None, None);
        match self {
            Self::Fcfs(queue) => fcfs = Some(queue.iter().copied()),
            Self::Ranked(queue) => ranked = Some(queue.sorted.iter().map(|&(_, _, slot)| slot)),
            Self::ByClass(queue) => by_class = Some(queue.iter()),
        }
        let sorted = fcfs.into_iter().flatten().chain(ranked.into_iter().flatten());
        sorted.chain(by_class.into_iter().flatten())
    }

    pub(super) fn push_back(&mut self, slot: Slot, request: &Request) {
        match self {
            Self::Fcfs(queue) => queue.push_back(slot),
            Self::Ranked(queue) => queue.insert(slot, request),
            Self::ByClass(queue) => queue.push_back(slot, request),
        }
    }

    /// A preempted request comes back: to the front, to the front of its class, or to the place of its rank.
    pub(super) fn push_front(&mut self, slot: Slot, request: &Request) {
        match self {
            Self::Fcfs(queue) => queue.push_front(slot),
            Self::Ranked(queue) => queue.insert(slot, request),
            Self::ByClass(queue) => queue.push_front(slot, request),
        }
    }

    /// A request waits no longer; it is `admitted`, or has left.
    pub(super) fn remove(&mut self, slot: Slot, request: &Request, admitted: bool) {
        match self {
            Self::Fcfs(queue) if queue.front() == Some(&slot) => {
                queue.pop_front();
            }
            Self::Fcfs(queue) => queue.retain(|&other| other != slot),
            Self::Ranked(queue) => {
                let rank = queue.ranks[slot as usize];
                queue.sorted.remove(&(rank, request.index, slot));
            }
            Self::ByClass(queue) => queue.remove(slot, request.class(), admitted),
        }
    }

    /// So many decode steps were launched.
    pub(super) fn count_steps(&mut self, steps: u64) {
        if let Self::ByClass(queue) = self {
            queue.count_steps(steps);
        }
    }

    /// A request decodes from decode step `steps` on.
    pub(super) fn joined(&mut self, request: &Request, steps: u64) {
        if let Self::ByClass(queue) = self {
            queue.joined(request.class(), steps);
        }
    }

    /// It decodes no longer.
    pub(super) fn parted(&mut self, request: &Request, steps: u64) {
        if let Self::ByClass(queue) = self {
            queue.parted(request.class(), steps);
        }
    }

    /// It was given a token with the end of its prompt.
    pub(super) fn first_token(&mut self, request: &Request) {
        if let Self::ByClass(queue) = self {
            queue.first_token(request.class());
        }
    }
}
