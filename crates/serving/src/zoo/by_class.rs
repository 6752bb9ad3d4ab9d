//! Waiting queues by class of requests: fair share and round robin.
//!
//! Fair share is the virtual token counter of Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024, Algorithm 2,
//! with classes as clients. A class's counter grows by `prompt_weight` for each prompt token of a request that is admitted and
//! by `output_weight` for each token given; the class with the smallest counter comes first. A class that begins to wait is
//! lifted to the smallest counter of those that wait, or of the one that left the queue last, so that idling earns no credit.
//!
//! Counters follow decode steps when something happens to a request (an arrival, a first token, an end, a preemption), not in
//! each step. Between two such events an engine that reserves could not act on the difference; and runs of steps taken at once
//! stay equal to the same steps one by one (invariant 10).

use std::collections::VecDeque;

use super::Slot;
use super::request::Request;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// One class after another.
    RoundRobin,
    /// The smallest counter, with these weights of prompt and output tokens.
    LeastServed { prompt_weight: u64, output_weight: u64 },
}

/// The requests of one class.
#[derive(Debug, Clone, Default)]
struct Line {
    /// With what their admission will be charged.
    waiting: VecDeque<(Slot, u64)>,
    /// Virtual tokens so far.
    served: u64,
    /// Requests of the class that decode.
    decoding: u64,
}

/// Waiting requests by class.
#[derive(Debug, Clone)]
pub(super) struct ByClass {
    turn: Turn,
    lines: Vec<Line>,
    num_waiting: usize,
    /// The class that was admitted last.
    last: Option<usize>,
    /// Decode steps that are counted.
    counted: u64,
}

impl ByClass {
    pub(super) fn new(turn: Turn) -> Self {
        Self { turn, lines: Vec::new(), num_waiting: 0, last: None, counted: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.num_waiting
    }

    /// The class whose turn it is among those with somebody `left`, when the counters are `served`.
    fn next_class(
        &self,
        left: impl Fn(usize) -> bool,
        served: impl Fn(usize) -> u64,
        last: Option<usize>,
    ) -> Option<usize> {
        let count = self.lines.len();
        match self.turn {
            Turn::RoundRobin => {
                let start = last.map_or(0, |last| last + 1);
                (0..count).map(|step| (start + step) % count).find(|&class| left(class))
            }
            Turn::LeastServed { .. } => {
                (0..count).filter(|&class| left(class)).min_by_key(|&class| served(class))
            }
        }
    }

    pub(super) fn head(&self) -> Option<Slot> {
        let waits = |class: usize| !self.lines[class].waiting.is_empty();
        let class = self.next_class(waits, |class| self.lines[class].served, self.last)?;
        self.lines[class].waiting.front().map(|&(slot, _)| slot)
    }

    /// In the order in which they would be admitted if all were admitted now.
    pub(super) fn iter(&self) -> InOrder<'_> {
        InOrder {
            queue: self,
            taken: vec![0; self.lines.len()],
            served: self.lines.iter().map(|line| line.served).collect(),
            last: self.last,
        }
    }

    fn line(&mut self, class: u16) -> &mut Line {
        let class = usize::from(class);
        if class >= self.lines.len() {
            self.lines.resize_with(class + 1, Line::default);
        }
        &mut self.lines[class]
    }

    /// A request begins to wait, behind those of its class.
    pub(super) fn push_back(&mut self, slot: Slot, request: &Request) {
        let class = request.class();
        let charge = match self.turn {
            // It was charged when it was first admitted.
            Turn::LeastServed { prompt_weight, .. } if !request.was_admitted() => {
                prompt_weight * u64::from(request.num_prompt_tokens)
            }
            _ => 0,
        };
        if self.line(class).waiting.is_empty() && !request.was_admitted() {
            self.lift(class);
        }
        self.line(class).waiting.push_back((slot, charge));
        self.num_waiting += 1;
    }

    /// A request that was thrown out waits in front of its class.
    pub(super) fn push_front(&mut self, slot: Slot, request: &Request) {
        self.line(request.class()).waiting.push_front((slot, 0));
        self.num_waiting += 1;
    }

    /// A class that did not wait has earned nothing by that (Algorithm 2, lines 7 to 14).
    fn lift(&mut self, class: u16) {
        let waiting = self.lines.iter().filter(|line| !line.waiting.is_empty()).map(|line| line.served);
        let least = waiting.min().or_else(|| self.last.map(|last| self.lines[last].served));
        let line = self.line(class);
        line.served = line.served.max(least.unwrap_or(0));
    }

    /// A request waits no longer; it is `admitted`, or has left.
    pub(super) fn remove(&mut self, slot: Slot, class: u16, admitted: bool) {
        let line = self.line(class);
        let Some(place) = line.waiting.iter().position(|&(other, _)| other == slot) else { return };
        let (_, charge) = line.waiting.remove(place).unwrap_or_default();
        if admitted {
            line.served += charge;
            self.last = Some(usize::from(class));
        }
        self.num_waiting -= 1;
    }

    /// Brings the counters up to so many decode steps.
    pub(super) fn count_steps(&mut self, steps: u64) {
        let more = steps - self.counted;
        self.counted = steps;
        if let Turn::LeastServed { output_weight, .. } = self.turn
            && more > 0
        {
            for line in &mut self.lines {
                line.served += output_weight * line.decoding * more;
            }
        }
    }

    /// A request of this class decodes from decode step `steps` on.
    pub(super) fn joined(&mut self, class: u16, steps: u64) {
        self.count_steps(steps);
        self.line(class).decoding += 1;
    }

    /// It decodes no longer.
    pub(super) fn parted(&mut self, class: u16, steps: u64) {
        self.count_steps(steps);
        self.line(class).decoding -= 1;
    }

    /// A request was given a token with the end of its prompt.
    pub(super) fn first_token(&mut self, class: u16) {
        if let Turn::LeastServed { output_weight, .. } = self.turn {
            self.line(class).served += output_weight;
        }
    }

    /// Virtual tokens of a class so far.
    #[cfg(test)]
    pub(super) fn served(&self, class: usize) -> u64 {
        self.lines.get(class).map_or(0, |line| line.served)
    }
}

/// The queue in order.
pub(super) struct InOrder<'a> {
    queue: &'a ByClass,
    taken: Vec<usize>,
    served: Vec<u64>,
    last: Option<usize>,
}

impl Iterator for InOrder<'_> {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        let Self { queue, taken, served, last } = self;
        let left = |class: usize| queue.lines[class].waiting.len() > taken[class];
        let class = queue.next_class(left, |class| served[class], *last)?;
        let &(slot, charge) = queue.lines[class].waiting.get(taken[class])?;
        taken[class] += 1;
        served[class] += charge;
        *last = Some(class);
        Some(slot)
    }
}
