//! The phase-type chain: number in the system, prefill or decode, phases of the active generations.
//!
//! A level is the number in the system. From level n + 1 the chain comes down to level n through few states (its
//! *doors*): the configurations of the batch without the request that left. Within a level nothing goes round except
//! through an arrival and the way back, so each level is solved by one pass over its states and one elimination of the
//! size of its doors, with sums of nonnegative numbers only. Gaver, Jacobs & Latouche 1984 (level reduction); Grassmann,
//! Taksar & Heyman 1985 (elimination without subtraction).

use super::kv::KvTable;
use super::linear::{add_row, expected_visits, multiply};
use super::phase_kv::PhaseKv;
use super::phases::PhaseMoves;
use super::system::System;

/// Stages of a prefill step: Erlang with this shape stands for its nearly constant duration.
const PREFILL_STAGES: usize = 3;
/// Most requests of one prefill step, and most that arrive during it, that the chain tells apart.
const PREFILL_CAP: usize = 3;

/// Where a state of a level is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// All active requests decode.
    Decode,
    /// `joined` requests are in prefill, `later` arrived during it and are active, `stage` of the step is to come.
    Prefill {
        /// Requests of this prefill step.
        joined: usize,
        /// Active requests of the next one.
        later: usize,
        /// Stages left, from [`PREFILL_STAGES`] down to 1.
        stage: usize,
    },
}

/// States of equal mode, one for each configuration of those that decode or hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub mode: Mode,
    /// Requests that have been prefilled.
    pub decoding: usize,
    /// Index of the first state.
    pub first: usize,
    /// Number of states.
    pub len: usize,
}

/// The states of one level. Blocks are ordered so that moves within the level go to earlier states, but for the doors.
#[derive(Debug, Clone)]
pub(super) struct Level {
    pub blocks: Vec<Block>,
    pub len: usize,
}

impl Level {
    fn new(n: usize, batch: usize, moves: &PhaseMoves) -> Self {
        let active = n.min(batch);
        let mut level = Self { blocks: Vec::new(), len: 0 };
        level.push(Mode::Decode, active, moves);
        // Whoever joins a full batch does so alone: steps that began with free places end soon above it.
        let cap = if n > batch + 1 { 1 } else { PREFILL_CAP };
        for later in 0..=if cap == 1 { 0 } else { cap } {
            for joined in 1..=cap {
                if joined + later <= active {
                    for stage in 1..=PREFILL_STAGES {
                        level.push(Mode::Prefill { joined, later, stage }, active - joined - later, moves);
                    }
                }
            }
        }
        level
    }

    fn push(&mut self, mode: Mode, decoding: usize, moves: &PhaseMoves) {
        let len = moves.sets[decoding].len();
        self.blocks.push(Block { mode, decoding, first: self.len, len });
        self.len += len;
    }

    fn block(&self, mode: Mode) -> Option<&Block> {
        self.blocks.iter().find(|b| b.mode == mode)
    }
}

/// Stationary probabilities of the chain.
pub(super) struct Chain {
    pub levels: Vec<Level>,
    /// By level and state.
    pub chance: Vec<Vec<f64>>,
    /// By level and state: probability that an arrival is lost.
    pub lost: Vec<Vec<f64>>,
}

/// What leaves a state, by rate.
struct Exits {
    total: f64,
    /// To states of the same level that come earlier.
    inner: Vec<(f64, usize)>,
    /// To states of the level above.
    up: Vec<(f64, usize)>,
    /// To a door of the level below.
    down: Option<(f64, usize)>,
}

/// A level as the pass down leaves it.
struct Reduced {
    /// From each state: probability to come back from above to each door before the level is left downwards.
    back: Vec<f64>,
    /// Expected visits to doors, from doors.
    visits: Vec<f64>,
    doors: usize,
}

struct Builder<'a> {
    system: &'a System,
    kv: &'a KvTable,
    moves: &'a PhaseMoves,
    levels: Vec<Level>,
    /// By level and state: probability that an arrival is lost.
    lost: Vec<Vec<f64>>,
}

impl Chain {
    pub(super) fn solve(system: &System, kv: &KvTable, phase_kv: &PhaseKv, moves: &PhaseMoves) -> Self {
        let levels: Vec<Level> =
            (0..=kv.largest()).map(|n| Level::new(n, system.max_batch(), moves)).collect();
        let lost = levels.iter().enumerate().map(|(n, level)| lost(kv, phase_kv, level, n)).collect();
        let builder = Builder { system, kv, moves, levels, lost };
        let reduced = builder.pass_down();
        let chance = builder.pass_up(&reduced);
        Self { levels: builder.levels, chance, lost: builder.lost }
    }

    /// Number of states.
    pub(super) fn states(&self) -> usize {
        self.levels.iter().map(|l| l.len).sum()
    }
}

/// Probability that an arrival is lost in each state of a level: that of the product form, shared out over configurations.
fn lost(kv: &KvTable, phase_kv: &PhaseKv, level: &Level, n: usize) -> Vec<f64> {
    let occupancy = kv.by_count[n];
    let by_block = |block: &Block| {
        let others = n - block.decoding;
        if block.mode == Mode::Decode {
            phase_kv.lost(block.decoding, others, occupancy.lost)
        } else {
            phase_kv.lost_in_prefill(block.decoding, others - 1, occupancy.lost_in_prefill)
        }
    };
    level.blocks.iter().flat_map(by_block).collect()
}

impl Builder<'_> {
    fn top(&self) -> usize {
        self.levels.len() - 1
    }

    /// Rate of arrivals that are accepted; none at the top.
    fn arrivals_per_s(&self, n: usize, state: usize) -> f64 {
        if n == self.top() { 0.0 } else { self.system.arrival_rate_per_s() * (1.0 - self.lost[n][state]) }
    }

    /// First state of the doors of level `n`, and how many there are.
    fn doors(&self, n: usize) -> (usize, usize) {
        let mode = if n >= self.system.max_batch() {
            Mode::Prefill { joined: 1, later: 0, stage: PREFILL_STAGES }
        } else {
            Mode::Decode
        };
        // Both blocks exist: a batch that is full has a request to prefill.
        let block = self.levels[n].block(mode).expect("a level has its doors");
        (block.first, block.len)
    }

    fn exits(&self, n: usize, block: &Block, c: usize) -> Exits {
        let mut exits = Exits { total: 0.0, inner: Vec::new(), up: Vec::new(), down: None };
        self.arrivals(n, block, c, &mut exits);
        match block.mode {
            Mode::Decode => self.decode(n, block, c, &mut exits),
            Mode::Prefill { .. } => self.prefill(n, block, c, &mut exits),
        }
        exits.total =
            exits.inner.iter().chain(&exits.up).map(|x| x.0).sum::<f64>() + exits.down.map_or(0.0, |x| x.0);
        exits
    }

    fn arrivals(&self, n: usize, block: &Block, c: usize, exits: &mut Exits) {
        let rate = self.arrivals_per_s(n, block.first + c);
        if rate <= 0.0 {
            return;
        }
        let above = &self.levels[n + 1];
        let full = n >= self.system.max_batch();
        let target = match block.mode {
            _ if full => block.mode,
            Mode::Decode => Mode::Prefill { joined: 1, later: 0, stage: PREFILL_STAGES },
            Mode::Prefill { joined, later, stage } => Mode::Prefill { joined, later: later + 1, stage },
        };
        if let Some(to) = above.block(target) {
            exits.up.push((rate, to.first + c));
        } else if let (Mode::Prefill { joined, stage, .. }, false) = (block.mode, full) {
            // Beyond the cap: prefilled at once.
            let fewer = Mode::Prefill { joined, later: PREFILL_CAP, stage };
            if let Some(to) = above.block(fewer) {
                for &(p, start) in &self.moves.start[block.decoding][c] {
                    exits.up.push((rate * p, to.first + start));
                }
            }
        } else if let Mode::Prefill { joined, later, stage } = block.mode {
            let alone = Mode::Prefill { joined: 1, later: 0, stage };
            if let Some(to) = above.block(alone) {
                for (p, start) in self.moves.started(block.decoding, c, joined + later - 1) {
                    exits.up.push((rate * p, to.first + start));
                }
            }
        }
    }

    fn decode(&self, n: usize, block: &Block, c: usize, exits: &mut Exits) {
        let b = block.decoding;
        if b == 0 {
            return;
        }
        let per_s = 1.0 / (self.system.steps().decode_s(b) * self.kv.by_count[n].rate_output);
        for &(rate, to) in &self.moves.inner[b][c] {
            exits.inner.push((rate * per_s, block.first + to));
        }
        if let Some((rate, to)) = self.moves.leave[b][c] {
            exits.down = Some((rate * per_s, to));
        }
    }

    fn prefill(&self, n: usize, block: &Block, c: usize, exits: &mut Exits) {
        let Mode::Prefill { joined, later, stage } = block.mode else { return };
        let active = self.system.active(n);
        let tokens = joined as f64 * self.kv.by_count[n].prompt;
        // A prefill that costs nothing still passes its stages, in no time that matters.
        let rate = PREFILL_STAGES as f64 / self.system.steps().prefill_s(tokens, active).max(1e-12);
        let level = &self.levels[n];
        if stage > 1 {
            let next = Mode::Prefill { joined, later, stage: stage - 1 };
            if let Some(to) = level.block(next) {
                exits.inner.push((rate, to.first + c));
            }
            return;
        }
        let next = if later == 0 {
            Mode::Decode
        } else {
            Mode::Prefill { joined: later, later: 0, stage: PREFILL_STAGES }
        };
        if let Some(to) = level.block(next) {
            for (p, started) in self.moves.started(block.decoding, c, joined) {
                exits.inner.push((rate * p, to.first + started));
            }
        }
    }

    /// From the top down: for each level, what an arrival brings back, and where the level is left.
    fn pass_down(&self) -> Vec<Reduced> {
        let mut reduced: Vec<Reduced> = Vec::new();
        // From each state of the level above: probability of each door of this one.
        let mut falls_above: Vec<f64> = Vec::new();
        for n in (1..=self.top()).rev() {
            let level = &self.levels[n];
            let (first_door, doors) = self.doors(n);
            let (_, below) = self.doors(n - 1);
            let mut back = vec![0.0; level.len * doors];
            let mut falls = vec![0.0; level.len * below];
            for block in &level.blocks {
                for c in 0..block.len {
                    let exits = self.exits(n, block, c);
                    let here = block.first + c;
                    for &(rate, to) in &exits.inner {
                        debug_assert!(to < here);
                        add_row(&mut back, doors, here, to, rate / exits.total);
                        add_row(&mut falls, below, here, to, rate / exits.total);
                    }
                    for &(rate, to) in &exits.up {
                        let share = rate / exits.total;
                        for j in 0..doors {
                            back[here * doors + j] += share * falls_above[to * doors + j];
                        }
                    }
                    if let Some((rate, to)) = exits.down {
                        falls[here * below + to] += rate / exits.total;
                    }
                }
            }
            let from_doors = &back[first_door * doors..(first_door + doors) * doors];
            let leaves: Vec<f64> = (0..doors)
                .map(|d| falls[(first_door + d) * below..(first_door + d + 1) * below].iter().sum())
                .collect();
            let visits = expected_visits(from_doors, &leaves);
            let door_falls =
                multiply(&visits, &falls[first_door * below..(first_door + doors) * below], doors, below);
            for s in 0..level.len {
                for d in 0..doors {
                    let share = back[s * doors + d];
                    if share > 0.0 {
                        for j in 0..below {
                            falls[s * below + j] += share * door_falls[d * below + j];
                        }
                    }
                }
            }
            falls_above = falls;
            reduced.push(Reduced { back, visits, doors });
        }
        reduced.reverse();
        reduced
    }

    /// From the empty system up: probabilities of each level from those of the level below.
    fn pass_up(&self, reduced: &[Reduced]) -> Vec<Vec<f64>> {
        let mut chance: Vec<Vec<f64>> = vec![vec![1.0]];
        for n in 1..=self.top() {
            let level = &self.levels[n];
            let mut inflow = vec![0.0; level.len];
            for block in &self.levels[n - 1].blocks {
                for c in 0..block.len {
                    for &(rate, to) in &self.exits(n - 1, block, c).up {
                        inflow[to] += rate * chance[n - 1][block.first + c];
                    }
                }
            }
            let Reduced { back, visits, doors } = &reduced[n - 1];
            let (first_door, _) = self.doors(n);
            let mut first_returns = vec![0.0; *doors];
            for (s, flow) in inflow.iter().enumerate().filter(|x| *x.1 > 0.0) {
                for (d, into) in first_returns.iter_mut().enumerate() {
                    *into += flow * back[s * doors + d];
                }
            }
            let returns = multiply(&first_returns, visits, *doors, *doors);
            for (d, flow) in returns.iter().enumerate() {
                inflow[first_door + d] += flow;
            }
            let mut here = vec![0.0; level.len];
            for block in level.blocks.iter().rev() {
                for c in (0..block.len).rev() {
                    let s = block.first + c;
                    let exits = self.exits(n, block, c);
                    here[s] = inflow[s] / exits.total;
                    for &(rate, to) in &exits.inner {
                        inflow[to] += rate * here[s];
                    }
                }
            }
            chance.push(here);
            rescale(&mut chance);
        }
        let total: f64 = chance.iter().flatten().sum();
        chance.iter_mut().flatten().for_each(|p| *p /= total);
        chance
    }
}

/// Keeps the weights of a long way up inside the range of numbers.
fn rescale(chance: &mut [Vec<f64>]) {
    let top: f64 = chance.last().map_or(0.0, |level| level.iter().sum());
    if top > 1e100 {
        chance.iter_mut().flatten().for_each(|p| *p /= top);
    }
}
