//! In which order `SGLang` offers the waiting requests to the batch (`SchedulePolicy.calc_priority` in `schedule_policy.py`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kv::mix;
use crate::request::PromptContent;
use crate::zoo::{Slot, State};

use super::Scheduler;
use super::cache::Hit;
use super::radix::{Node, ROOT, RadixTree};

/// More waiting requests than this are not matched and sorted (`_determine_active_policy`).
const LONGEST_SORTED_QUEUE: usize = 128;

/// A request with a cached prefix of at most so many tokens is compared with the others that wait
/// (`IN_BATCH_PREFIX_CACHING_CHECK_THRESHOLD`), and comes last if one of them shares as many
/// (`IN_BATCH_PREFIX_CACHING_DEPRIORITIZE_THRESHOLD`).
const IN_BATCH_PREFIX: u32 = 32;

/// `--schedule-policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SchedulePolicy {
    /// In the order of the queue.
    #[default]
    Fcfs,
    /// The longest cached prefix first.
    Lpm,
    /// Depth first through the prefix tree, branches with more waiting requests first.
    DfsWeight,
    /// The longest declared output first.
    Lof,
    /// In an order that is drawn anew each time.
    Random,
}

impl SchedulePolicy {
    /// As it stands in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fcfs => "fcfs",
            Self::Lpm => "lpm",
            Self::DfsWeight => "dfs-weight",
            Self::Lof => "lof",
            Self::Random => "random",
        }
    }
}

impl Scheduler {
    /// The waiting requests in order; `None` for the order of the queue.
    pub(super) fn order(&mut self, state: &State) -> Option<Vec<Slot>> {
        let cached = !self.cache.is_disabled();
        match self.settings.schedule_policy {
            SchedulePolicy::Lpm if cached && state.num_waiting() <= LONGEST_SORTED_QUEUE => {
                Some(self.longest_prefix_first(state))
            }
            SchedulePolicy::DfsWeight if cached => Some(self.depth_first(state)),
            SchedulePolicy::Fcfs | SchedulePolicy::Lpm | SchedulePolicy::DfsWeight => None,
            SchedulePolicy::Lof => {
                let mut order: Vec<_> = state.waiting().collect();
                order.sort_by_key(|&slot| Reverse(self.settings.max_new_tokens.tokens(state, slot)));
                Some(order)
            }
            SchedulePolicy::Random => {
                // A draw that has an address: the request and the time.
                let mut order: Vec<_> = state.waiting().collect();
                order.sort_by_key(|&slot| mix(state.request(slot).index, state.now().as_ps()));
                Some(order)
            }
        }
    }

    fn longest_prefix_first(&mut self, state: &State) -> Vec<Slot> {
        let hits = self.look_up_all(state);
        let last = self.share_with_earlier(state, &hits);
        let mut order: Vec<_> =
            hits.iter().map(|&(slot, hit)| (last.contains(&slot), Reverse(hit.tokens), slot)).collect();
        order.sort_by_key(|&(last, tokens, _)| (last, tokens));
        order.into_iter().map(|(_, _, slot)| slot).collect()
    }

    fn look_up_all(&mut self, state: &State) -> Vec<(Slot, Hit)> {
        state.waiting().map(|slot| (slot, self.cache.look_up(state, slot))).collect()
    }

    /// Requests with hardly a cached prefix that share one with somebody in front of them: once that is computed, they find it.
    fn share_with_earlier(&self, state: &State, hits: &[(Slot, Hit)]) -> BTreeSet<Slot> {
        let mut last = BTreeSet::new();
        let is_unique = |slot| matches!(state.request(slot).prompt, PromptContent::Unique);
        if hits.iter().all(|&(slot, _)| is_unique(slot)) {
            return last;
        }
        let mut waiting = RadixTree::new(1);
        for &(slot, _) in hits.iter().filter(|(_, hit)| hit.tokens <= IN_BATCH_PREFIX) {
            let Some(tokens) = self.cache.tokens(slot) else { continue };
            let known = state.request(slot).num_prompt_tokens + state.outputs(slot);
            if waiting.longest_prefix(tokens, known).1 >= IN_BATCH_PREFIX {
                last.insert(slot);
            } else {
                waiting.insert(tokens, known);
            }
        }
        last
    }

    /// Depth first: a node's requests come after those below it, and of two branches the one with more of them first.
    fn depth_first(&mut self, state: &State) -> Vec<Slot> {
        let hits = self.look_up_all(state);
        let Some(tree) = self.cache.tree() else { return hits.into_iter().map(|(slot, _)| slot).collect() };
        let mut weights: BTreeMap<Node, usize> = BTreeMap::new();
        let mut children: BTreeMap<Node, BTreeSet<Node>> = BTreeMap::new();
        let mut requests: BTreeMap<Node, Vec<Slot>> = BTreeMap::new();
        for &(slot, hit) in &hits {
            requests.entry(hit.node).or_default().push(slot);
            let mut node = hit.node;
            *weights.entry(node).or_default() += 1;
            while node != ROOT {
                let parent = tree.parent(node);
                children.entry(parent).or_default().insert(node);
                *weights.entry(parent).or_default() += 1;
                node = parent;
            }
        }
        let mut order = Vec::with_capacity(hits.len());
        let mut stack = vec![(ROOT, false)];
        while let Some((node, is_open)) = stack.pop() {
            if is_open {
                order.extend(requests.remove(&node).unwrap_or_default());
                continue;
            }
            stack.push((node, true));
            let mut below: Vec<_> = children.remove(&node).unwrap_or_default().into_iter().collect();
            below.sort_by_key(|child| Reverse(weights.get(child).copied()));
            stack.extend(below.into_iter().rev().map(|child| (child, false)));
        }
        order
    }
}
