//! The waiting queue and its order, which every engine of the zoo takes as an argument.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::Request;
use super::{Rejection, Slot};

/// Who of the waiting requests comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// First come, first served; who was preempted comes back to the front.
    #[default]
    Fcfs,
    /// The smallest `priority` first, then the earliest.
    Priority,
    /// The shortest prompt first, then the earliest.
    ShortestPrompt,
    /// The shortest job, prompt and true output together, first. No server knows it: a bound on what a prediction can gain.
    OracleSjf,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fcfs => "fcfs",
            Self::Priority => "priority",
            Self::ShortestPrompt => "shortest_prompt",
            Self::OracleSjf => "oracle_sjf",
        })
    }
}

impl Order {
    /// What the order sorts by; a request's key never changes.
    fn key(self, request: &Request) -> i64 {
        match self {
            Self::Fcfs => 0,
            Self::Priority => i64::from(request.priority),
            Self::ShortestPrompt => i64::from(request.num_prompt_tokens),
            Self::OracleSjf => i64::from(request.num_prompt_tokens) + i64::from(request.output_tokens),
        }
    }
}

/// Who may join the queue at all, before the engine is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Admission {
    /// Everybody.
    #[default]
    Open,
    /// Nobody while so many wait.
    QueueLimit(u32),
}

impl Admission {
    /// Why a request must go, if it must.
    pub(super) fn refuses(self, num_waiting: u32) -> Option<Rejection> {
        match self {
            Self::Open => None,
            Self::QueueLimit(limit) => (num_waiting >= limit).then_some(Rejection::QueueFull),
        }
    }
}

/// Requests that wait.
#[derive(Debug, Clone)]
pub(super) enum Queue {
    Fcfs(VecDeque<Slot>),
    /// By key, then number in the workload.
    Keyed(Order, BTreeSet<(i64, u64, Slot)>),
}

impl Queue {
    pub(super) fn new(order: Order) -> Self {
        match order {
            Order::Fcfs => Self::Fcfs(VecDeque::new()),
            order => Self::Keyed(order, BTreeSet::new()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Fcfs(queue) => queue.len(),
            Self::Keyed(_, queue) => queue.len(),
        }
    }

    pub(super) fn head(&self) -> Option<Slot> {
        match self {
            Self::Fcfs(queue) => queue.front().copied(),
            Self::Keyed(_, queue) => queue.first().map(|&(_, _, slot)| slot),
        }
    }

    /// In order, the head first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        let (fcfs, keyed) = match self {
            Self::Fcfs(queue) => (Some(queue.iter().copied()), None),
            Self::Keyed(_, queue) => (None, Some(queue.iter().map(|&(_, _, slot)| slot))),
        };
        fcfs.into_iter().flatten().chain(keyed.into_iter().flatten())
    }

    pub(super) fn push_back(&mut self, slot: Slot, request: &Request) {
        match self {
            Self::Fcfs(queue) => queue.push_back(slot),
            Self::Keyed(order, queue) => {
                queue.insert((order.key(request), request.index, slot));
            }
        }
    }

    /// A preempted request comes back: to the front, or to the place of its key.
    pub(super) fn push_front(&mut self, slot: Slot, request: &Request) {
        match self {
            Self::Fcfs(queue) => queue.push_front(slot),
            Self::Keyed(..) => self.push_back(slot, request),
        }
    }

    pub(super) fn remove(&mut self, slot: Slot, request: &Request) {
        match self {
            Self::Fcfs(queue) if queue.front() == Some(&slot) => {
                queue.pop_front();
            }
            Self::Fcfs(queue) => queue.retain(|&other| other != slot),
            Self::Keyed(order, queue) => {
                queue.remove(&(order.key(request), request.index, slot));
            }
        }
    }
}
