//! Which request holds which part of the prefix cache, and what that is in blocks of the KV account.
//!
//! A page is in use while a running request needs it: it is locked in the tree, or private to one request. What is cached and
//! not in use counts as free, and is evicted when room is needed. The order of eviction depends on look-ups and insertions only,
//! so that it may be made up for at the next of these: a run of decode steps changes neither.

use crate::zoo::tokens::Tokens;
use crate::zoo::{Slot, State};

use super::radix::{Node, ROOT, RadixTree};

/// A cached prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub node: Node,
    pub tokens: u32,
}

/// What one request holds of the tree.
#[derive(Debug, Clone)]
struct Holder {
    tokens: Tokens,
    node: Node,
    locked: u32,
}

/// The cache with its users.
#[derive(Debug, Clone)]
pub(super) struct PrefixCache {
    /// `None` until the size of a page is known, and without prefix caching.
    tree: Option<RadixTree>,
    disabled: bool,
    holders: Vec<Option<Holder>>,
}

impl PrefixCache {
    pub(super) fn new(disabled: bool) -> Self {
        Self { tree: None, disabled, holders: Vec::new() }
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.disabled
    }

    pub(super) fn tree(&self) -> Option<&RadixTree> {
        self.tree.as_ref()
    }

    /// The tokens of a request that has passed the door.
    pub(super) fn tokens(&self, slot: Slot) -> Option<&Tokens> {
        self.holders.get(slot as usize)?.as_ref().map(|holder| &holder.tokens)
    }

    /// A request passed the door.
    pub(super) fn arrived(&mut self, state: &State, slot: Slot) {
        if self.disabled {
            return;
        }
        self.tree.get_or_insert_with(|| RadixTree::new(state.kv().block_size()));
        if self.holders.len() <= slot as usize {
            self.holders.resize(slot as usize + 1, None);
        }
        let tokens = Tokens::new(state.request(slot));
        self.holders[slot as usize] = Some(Holder { tokens, node: ROOT, locked: 0 });
    }

    /// Evicts what the steps since the last look needed the room of.
    pub(super) fn trim(&mut self, state: &State) {
        if let Some(tree) = &mut self.tree {
            tree.evict_to(u64::from(state.kv().free_blocks()) * u64::from(state.kv().block_size()));
        }
    }

    /// The longest cached prefix of a waiting request, of all its tokens but the last.
    pub(super) fn look_up(&mut self, state: &State, slot: Slot) -> Hit {
        let known = state.request(slot).num_prompt_tokens + state.outputs(slot);
        match (&mut self.tree, self.holders.get(slot as usize)) {
            (Some(tree), Some(Some(holder))) => {
                let (node, tokens) = tree.longest_prefix(&holder.tokens, known - 1);
                Hit { node, tokens }
            }
            _ => Hit { node: ROOT, tokens: 0 },
        }
    }

    /// Tokens of a prefix that count as free.
    pub(super) fn unused(&self, hit: Hit) -> u32 {
        self.tree.as_ref().map_or(0, |tree| tree.unused(hit.node))
    }

    /// A waiting request joins the batch with a cached prefix.
    pub(super) fn admit(&mut self, state: &mut State, slot: Slot, hit: Hit) {
        if let (Some(tree), Some(Some(holder))) = (&mut self.tree, self.holders.get_mut(slot as usize)) {
            let newly = tree.lock(hit.node);
            (holder.node, holder.locked) = (hit.node, hit.tokens);
            let kv = state.kv_mut();
            let page = kv.block_size();
            kv.take(newly / page);
            kv.share((hit.tokens - newly) / page);
        }
        state.admit(slot, hit.tokens);
    }

    /// Part of a prompt was computed: its whole pages belong to the tree from now on (`cache_unfinished_req`).
    pub(super) fn store(&mut self, state: &mut State, slot: Slot) {
        let computed = state.computed(slot);
        let (Some(tree), Some(Some(holder))) = (&mut self.tree, self.holders.get_mut(slot as usize)) else {
            return;
        };
        let (node, _) = tree.insert(&holder.tokens, computed);
        let newly = tree.lock(node);
        tree.unlock(holder.node);
        let kv = state.kv_mut();
        let page = kv.block_size();
        let stored = computed - computed % page;
        // What others had computed in the meantime is there twice, and one copy goes.
        let twice = (stored - holder.locked - newly) / page;
        kv.give_back(twice);
        kv.share(twice);
        (holder.node, holder.locked) = (node, stored);
    }

    /// A running request lets go of its blocks; its whole pages are cached if `insert` (`cache_finished_req`), or at least
    /// those that were in the tree before. Returns how many tokens these are.
    pub(super) fn release(&mut self, state: &mut State, slot: Slot, insert: bool) -> u32 {
        let computed = state.computed(slot);
        let blocks = state.kv().blocks_for(computed);
        let (Some(tree), Some(Some(holder))) = (&mut self.tree, self.holders.get_mut(slot as usize)) else {
            state.kv_mut().give_back(blocks);
            return 0;
        };
        if insert {
            tree.insert(&holder.tokens, computed);
        }
        let newly = tree.unlock(holder.node);
        let kv = state.kv_mut();
        let page = kv.block_size();
        let own = blocks - holder.locked / page + newly / page;
        kv.give_back(own);
        kv.unshare(blocks - own);
        holder.node = ROOT;
        std::mem::take(&mut holder.locked)
    }
}
