//! The radix tree over token sequences of `SGLang`'s prefix cache (`mem_cache/radix_cache.py`).
//!
//! A node's key is a run of whole pages; the tokens on the way from the root to a node are a cached prefix. A node is locked
//! while a running request uses it, and locked nodes lock their ancestors. The least recently used unlocked leaf goes first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use crate::request::TokenSegment;
use crate::zoo::tokens::{Tokens, common_prefix, cut, key_of_first};

/// Number of a node.
pub(super) type Node = u32;

/// The empty prefix.
pub(super) const ROOT: Node = 0;

#[derive(Debug, Clone)]
struct Entry {
    parent: Node,
    runs: Box<[TokenSegment]>,
    /// Tokens of its own.
    len: u32,
    /// The key of its first page, under which the parent knows it.
    key: u64,
    children: u32,
    locks: u32,
    used_at: u64,
    /// Whether `leaves` has it.
    queued: bool,
}

/// The tree.
#[derive(Debug, Clone)]
pub(super) struct RadixTree {
    page_size: u32,
    entries: Vec<Entry>,
    free: Vec<Node>,
    children: FxHashMap<(Node, u64), Node>,
    /// Unlocked leaves by the time of their last use, as it was when they were put here.
    leaves: BinaryHeap<Reverse<(u64, Node)>>,
    /// Counts look-ups and insertions.
    clock: u64,
    evictable: u64,
}

impl RadixTree {
    pub(super) fn new(page_size: u32) -> Self {
        let root = Entry {
            parent: ROOT,
            runs: Box::default(),
            len: 0,
            key: 0,
            children: 0,
            locks: 1,
            used_at: 0,
            queued: false,
        };
        Self {
            page_size,
            entries: vec![root],
            free: Vec::new(),
            children: FxHashMap::default(),
            leaves: BinaryHeap::new(),
            clock: 0,
            evictable: 0,
        }
    }

    /// Tokens that nobody who runs uses.
    #[cfg(test)]
    pub(super) fn evictable(&self) -> u64 {
        self.evictable
    }

    /// The node before this one.
    pub(super) fn parent(&self, node: Node) -> Node {
        self.entries[node as usize].parent
    }

    /// The longest cached prefix, in whole pages, of the first `limit` tokens: its last node and its length.
    pub(super) fn longest_prefix(&mut self, tokens: &Tokens, limit: u32) -> (Node, u32) {
        self.clock += 1;
        let limit = limit - limit % self.page_size;
        let (mut node, mut matched) = (ROOT, 0);
        while matched < limit {
            let page = tokens.runs(matched, matched + self.page_size);
            let Some(&child) = self.children.get(&(node, key_of_first(page, self.page_size))) else { break };
            let entry = &mut self.entries[child as usize];
            entry.used_at = self.clock;
            let same = common_prefix(entry.runs.iter().copied(), tokens.runs(matched, limit));
            let same = same - same % self.page_size;
            if same == 0 {
                break;
            }
            matched += same;
            if same < entry.len {
                node = self.split(child, same);
                break;
            }
            node = child;
        }
        (node, matched)
    }

    /// Stores the whole pages of the first `upto` tokens; returns the last node and how many tokens were there already.
    pub(super) fn insert(&mut self, tokens: &Tokens, upto: u32) -> (Node, u32) {
        let upto = upto - upto % self.page_size;
        let (parent, matched) = self.longest_prefix(tokens, upto);
        if matched == upto {
            return (parent, matched);
        }
        let runs: Box<[_]> = tokens.runs(matched, upto).collect();
        let key = key_of_first(runs.iter().copied(), self.page_size);
        let len = upto - matched;
        let entry =
            Entry { parent, runs, len, key, children: 0, locks: 0, used_at: self.clock, queued: false };
        let node = self.place(entry);
        self.entries[parent as usize].children += 1;
        self.evictable += u64::from(len);
        self.queue(node);
        (node, matched)
    }

    /// Somebody uses a prefix; returns how many of its tokens nobody used before.
    pub(super) fn lock(&mut self, node: Node) -> u32 {
        let (mut node, mut newly) = (node, 0);
        while node != ROOT {
            let entry = &mut self.entries[node as usize];
            newly += if entry.locks == 0 { entry.len } else { 0 };
            entry.locks += 1;
            node = entry.parent;
        }
        self.evictable -= u64::from(newly);
        newly
    }

    /// Somebody uses it no longer; returns how many of its tokens nobody uses now.
    pub(super) fn unlock(&mut self, node: Node) -> u32 {
        let (mut node, mut newly) = (node, 0);
        while node != ROOT {
            let entry = &mut self.entries[node as usize];
            entry.locks -= 1;
            let parent = entry.parent;
            if entry.locks == 0 {
                newly += entry.len;
                if entry.children == 0 {
                    self.queue(node);
                }
            }
            node = parent;
        }
        self.evictable += u64::from(newly);
        newly
    }

    /// How many tokens of a prefix nobody uses.
    pub(super) fn unused(&self, node: Node) -> u32 {
        let (mut node, mut tokens) = (node, 0);
        while node != ROOT {
            let entry = &self.entries[node as usize];
            tokens += if entry.locks == 0 { entry.len } else { 0 };
            node = entry.parent;
        }
        tokens
    }

    /// Evicts leaf after leaf until at most so many tokens are left that nobody uses.
    pub(super) fn evict_to(&mut self, tokens: u64) {
        while self.evictable > tokens {
            let Some(Reverse((used_at, node))) = self.leaves.pop() else { return };
            let entry = &mut self.entries[node as usize];
            entry.queued = false;
            if entry.locks > 0 || entry.children > 0 {
                continue;
            }
            if entry.used_at == used_at { self.remove(node) } else { self.queue(node) }
        }
    }

    fn remove(&mut self, node: Node) {
        let entry = &mut self.entries[node as usize];
        entry.runs = Box::default();
        let (parent, key) = (entry.parent, entry.key);
        self.evictable -= u64::from(entry.len);
        self.children.remove(&(parent, key));
        self.free.push(node);
        let above = &mut self.entries[parent as usize];
        above.children -= 1;
        if above.children == 0 && above.locks == 0 {
            self.queue(parent);
        }
    }

    /// Puts a node between the first `at` tokens of `child` and the rest; returns it.
    fn split(&mut self, child: Node, at: u32) -> Node {
        let entry = &mut self.entries[child as usize];
        let (head, tail) = cut(&entry.runs, at);
        let upper = Entry { runs: head, len: at, children: 1, queued: false, ..entry.clone() };
        entry.runs = tail;
        entry.len -= at;
        entry.key = key_of_first(entry.runs.iter().copied(), self.page_size);
        let key = entry.key;
        let upper = self.place(upper);
        self.entries[child as usize].parent = upper;
        self.children.insert((upper, key), child);
        upper
    }

    /// Gives a node its number, and makes it known to its parent.
    fn place(&mut self, entry: Entry) -> Node {
        let at = (entry.parent, entry.key);
        let node = if let Some(node) = self.free.pop() {
            self.entries[node as usize] = entry;
            node
        } else {
            self.entries.push(entry);
            (self.entries.len() - 1) as Node
        };
        self.children.insert(at, node);
        node
    }

    fn queue(&mut self, node: Node) {
        let entry = &mut self.entries[node as usize];
        if !entry.queued {
            entry.queued = true;
            self.leaves.push(Reverse((entry.used_at, node)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Arrival;
    use crate::request::{PromptContent, RequestSpec, TokenStream};
    use crate::zoo::Request;
    use kendall_des::SimTime;

    /// The tokens of a prompt made of pieces of shared streams.
    fn tokens(pieces: &[(u64, u32)]) -> Tokens {
        let segments: Box<[_]> = pieces
            .iter()
            .map(|&(id, len)| TokenSegment { stream: TokenStream::Shared(id), start: 0, len })
            .collect();
        let total = segments.iter().map(|run| run.len).sum();
        let mut spec = RequestSpec::new(SimTime::ZERO, total, 1);
        spec.prompt = PromptContent::Segments(segments);
        let arrival = Arrival { index: 0, received: SimTime::ZERO, spec };
        Tokens::new(&Request::new(arrival, 1_000))
    }

    #[test]
    fn a_prefix_is_found_in_whole_pages() {
        let mut tree = RadixTree::new(4);
        assert_eq!(tree.insert(&tokens(&[(1, 10), (2, 5)]), 15).1, 0);
        assert_eq!(tree.evictable(), 12, "three whole pages");
        assert_eq!(tree.longest_prefix(&tokens(&[(1, 10), (3, 5)]), 15).1, 8, "the third page differs");
        assert_eq!(tree.longest_prefix(&tokens(&[(1, 10), (2, 5)]), 15).1, 12);
        assert_eq!(tree.longest_prefix(&tokens(&[(1, 10), (2, 5)]), 11).1, 8);
        assert_eq!(tree.evictable(), 12, "splitting loses nothing");
    }

    #[test]
    fn what_is_locked_stays_and_the_least_recently_used_leaf_goes() {
        let mut tree = RadixTree::new(1);
        let (first, second) = (tokens(&[(1, 4), (2, 3)]), tokens(&[(1, 4), (3, 5)]));
        tree.insert(&first, 7);
        let (node, known) = tree.insert(&second, 9);
        assert_eq!((known, tree.evictable()), (4, 12));
        assert_eq!(tree.unused(node), 9);
        assert_eq!(tree.lock(node), 9);
        assert_eq!(tree.evictable(), 3, "the rest of the first");
        tree.evict_to(0);
        assert_eq!((tree.evictable(), tree.longest_prefix(&first, 7).1), (0, 4));
        assert_eq!(tree.unlock(node), 9);
        tree.evict_to(8);
        assert_eq!(tree.evictable(), 4, "leaves go whole, their parents stay");
        tree.evict_to(0);
        assert_eq!((tree.evictable(), tree.longest_prefix(&second, 9)), (0, (ROOT, 0)));
    }

    #[test]
    fn a_look_up_keeps_a_leaf() {
        let mut tree = RadixTree::new(1);
        let (first, second) = (tokens(&[(1, 4)]), tokens(&[(2, 4)]));
        tree.insert(&first, 4);
        tree.insert(&second, 4);
        tree.longest_prefix(&first, 4);
        tree.evict_to(4);
        assert_eq!(tree.longest_prefix(&first, 4).1, 4);
        assert_eq!(tree.longest_prefix(&second, 4).1, 0);
    }
}
