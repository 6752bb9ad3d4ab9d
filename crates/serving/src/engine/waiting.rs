//! The waiting queue: a deque under `fcfs`, a heap under `priority`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use kendall_des::SimTime;

use super::{EngineRequest, SchedulingPolicy, Slot};

/// Smallest (priority, time received, id) first.
type PriorityKey = (i32, SimTime, u64);

#[derive(Debug, Clone)]
pub(crate) enum WaitingQueue {
    Fcfs(VecDeque<Slot>),
    Priority(BinaryHeap<Reverse<(PriorityKey, Slot)>>),
}

fn key(request: &EngineRequest) -> PriorityKey {
    (request.priority, request.received, request.id_rank)
}

impl WaitingQueue {
    pub(crate) fn new(policy: SchedulingPolicy) -> Self {
        match policy {
            SchedulingPolicy::Fcfs => Self::Fcfs(VecDeque::new()),
            SchedulingPolicy::Priority => Self::Priority(BinaryHeap::new()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Fcfs(queue) => queue.len(),
            Self::Priority(heap) => heap.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn head(&self) -> Option<Slot> {
        match self {
            Self::Fcfs(queue) => queue.front().copied(),
            Self::Priority(heap) => heap.peek().map(|Reverse((_, slot))| *slot),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Slot> {
        match self {
            Self::Fcfs(queue) => queue.pop_front(),
            Self::Priority(heap) => heap.pop().map(|Reverse((_, slot))| slot),
        }
    }

    /// A new request joins at the end.
    pub(crate) fn push_back(&mut self, slot: Slot, request: &EngineRequest) {
        match self {
            Self::Fcfs(queue) => queue.push_back(slot),
            Self::Priority(heap) => heap.push(Reverse((key(request), slot))),
        }
    }

    /// A preempted request comes back to the front; under `priority` to the place of its unchanged key.
    pub(crate) fn push_front(&mut self, slot: Slot, request: &EngineRequest) {
        match self {
            Self::Fcfs(queue) => queue.push_front(slot),
            Self::Priority(heap) => heap.push(Reverse((key(request), slot))),
        }
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        match self {
            Self::Fcfs(queue) => queue.retain(|&other| other != slot),
            Self::Priority(heap) => heap.retain(|Reverse((_, other))| *other != slot),
        }
    }
}
