//! Which requests are looked at more closely: by number, or the slowest.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use kendall_des::{SimDuration, SimTime};

use crate::engine::EngineGauges;
use crate::observe::{DecodeRun, Observer};
use crate::record::RequestRecord;

/// What makes a request slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranking {
    /// Time to the first token.
    Ttft,
    /// Mean time per output token after the first.
    Tpot,
    /// Time to the last token, of finished requests.
    E2e,
}

impl Ranking {
    fn of(self, record: &RequestRecord) -> Option<SimDuration> {
        match self {
            Self::Ttft => record.ttft(),
            Self::Tpot => record.tpot(),
            Self::E2e => record.e2e(),
        }
    }
}

/// Keeps the records of chosen requests as a run goes by at full speed. Memory is bounded by their number.
pub struct RequestChoice {
    sought: BTreeSet<u64>,
    found: Vec<RequestRecord>,
    worst: Option<Worst>,
}

struct Worst {
    ranking: Ranking,
    most: usize,
    /// The least bad of the worst on top; among equals the one that came later.
    heap: BinaryHeap<Reverse<Ranked>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    latency: SimDuration,
    earlier: Reverse<u64>,
    record: Box<ByIndex>,
}

/// A record that is ordered by its number only.
struct ByIndex(RequestRecord);

impl PartialEq for ByIndex {
    fn eq(&self, other: &Self) -> bool {
        self.0.index == other.0.index
    }
}

impl Eq for ByIndex {}

impl PartialOrd for ByIndex {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByIndex {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.index.cmp(&other.0.index)
    }
}

impl RequestChoice {
    /// The requests with these numbers.
    pub fn numbers(numbers: impl IntoIterator<Item = u64>) -> Self {
        Self { sought: numbers.into_iter().collect(), found: Vec::new(), worst: None }
    }

    /// The slowest requests, so many at most.
    pub fn worst(most: usize, ranking: Ranking) -> Self {
        let heap = BinaryHeap::new();
        Self { sought: BTreeSet::new(), found: Vec::new(), worst: Some(Worst { ranking, most, heap }) }
    }

    /// The records: by number, or the slowest first; and the numbers that no request of the run has.
    pub fn finish(self) -> (Vec<RequestRecord>, BTreeSet<u64>) {
        let Self { sought, mut found, worst } = self;
        found.sort_by_key(|record| record.index);
        let ranked = worst.map(|worst| worst.heap.into_sorted_vec()).unwrap_or_default();
        found.extend(ranked.into_iter().map(|Reverse(ranked)| ranked.record.0));
        (found, sought)
    }
}

impl Worst {
    fn consider(&mut self, record: &RequestRecord) {
        let Some(latency) = self.ranking.of(record) else { return };
        let is_full = self.heap.len() >= self.most;
        if is_full && self.heap.peek().is_none_or(|Reverse(least)| latency <= least.latency) {
            return;
        }
        if is_full {
            self.heap.pop();
        }
        let record = Box::new(ByIndex(record.clone()));
        self.heap.push(Reverse(Ranked { latency, earlier: Reverse(record.0.index), record }));
    }
}

impl Observer for RequestChoice {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}

    fn gauges(&mut self, _replica: u32, _now: SimTime, _gauges: EngineGauges) {}

    fn decode_run(&mut self, _replica: u32, _run: &DecodeRun<'_>) {}

    fn departed(&mut self, record: &RequestRecord) {
        if let Some(worst) = &mut self.worst {
            worst.consider(record);
        }
        if self.sought.remove(&record.index) {
            self.found.push(record.clone());
        }
    }

    fn wants_to_stop(&self) -> bool {
        self.worst.is_none() && self.sought.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{RequestStatus, TtftParts};

    fn record(index: u64, ttft_ms: u64) -> RequestRecord {
        let first_token = SimTime::ZERO + SimDuration::from_millis(ttft_ms);
        RequestRecord {
            index,
            replica: 0,
            status: RequestStatus::Finished,
            rejection: None,
            arrival: SimTime::ZERO,
            received: SimTime::ZERO,
            queued: Some(SimTime::ZERO),
            first_scheduled: Some(SimTime::ZERO),
            first_token: Some(first_token),
            last_token: Some(first_token),
            finish: first_token,
            num_prompt_tokens: 1,
            num_output_tokens: 1,
            num_cached_tokens: 0,
            num_preemptions: 0,
            num_lost_tokens: 0,
            preempted_for: None,
            session: None,
            priority: 0,
            ttft_parts: TtftParts::default(),
        }
    }

    proptest! {
        /// The heap keeps what sorting everything would: the largest first, ties by number.
        #[test]
        fn the_worst_are_the_largest(latencies in prop::collection::vec(0_u64..20, 0..60), most in 0_usize..12) {
            let mut choice = RequestChoice::worst(most, Ranking::Ttft);
            let mut all: Vec<_> = latencies.iter().enumerate().map(|(i, &ms)| (Reverse(ms), i as u64)).collect();
            for &(Reverse(ms), index) in &all {
                choice.departed(&record(index, ms));
            }
            all.sort_unstable();
            let (found, missing) = choice.finish();
            let found: Vec<_> = found.iter().map(|record| record.index).collect();
            let expected: Vec<_> = all.iter().take(most).map(|&(_, index)| index).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(missing.is_empty());
        }
    }

    #[test]
    fn a_number_that_no_request_has_is_missing() {
        let mut choice = RequestChoice::numbers([3, 8]);
        choice.departed(&record(3, 1));
        assert!(!choice.wants_to_stop());
        let (found, missing) = choice.finish();
        assert_eq!(found.iter().map(|record| record.index).collect::<Vec<_>>(), [3]);
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), [8]);
    }
}
