//! From a free place to the first token: prefill steps, those that join them, and the first decode step.
//!
//! Whoever arrives during a prefill step and finds a free place is prefilled before anybody decodes, so a first token waits
//! for a cascade of prefill steps. The number that arrive depends on how long the step lasts, which depends on the prompt.

use super::grid::TimeLaw;
use super::kv::KvTable;
use super::system::System;

/// Arrivals rarer than this during one step are counted with the next smaller number.
const RARE: f64 = 1e-5;

/// Laws of prefill steps and what follows, on one grid.
pub(super) struct Rounds<'a> {
    system: &'a System,
    kv: &'a KvTable,
    step_s: f64,
    /// Most requests of one step that are told apart.
    most_joined: usize,
    /// `to_token[b][j - 1]`: from the start of a step with `j` prompts and `b` active to the first token.
    to_token: Vec<Vec<Option<TimeLaw>>>,
    /// Law of a prefill step with one prompt, by number active.
    single: Vec<Option<TimeLaw>>,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(system: &'a System, kv: &'a KvTable, step_s: f64, most_joined: usize) -> Self {
        let b = system.max_batch();
        Self {
            system,
            kv,
            step_s,
            most_joined,
            to_token: vec![vec![None; most_joined]; b + 1],
            single: vec![None; b + 1],
        }
    }

    /// Grid step (s).
    pub(super) fn step_s(&self) -> f64 {
        self.step_s
    }

    /// Law of one prefill step for an arrival that found `active - 1 < B`, given that it fit.
    pub(super) fn single_prefill(&mut self, active: usize) -> TimeLaw {
        if self.single[active].is_none() {
            let mut law = TimeLaw::zero(self.step_s);
            let steps = self.system.steps();
            for (tokens, &p) in self.system.prompt().masses().iter().enumerate() {
                if p > 0.0 {
                    let fits = self.kv.fits_with_prompt(active - 1, tokens as f64);
                    law.put(steps.prefill_s(tokens as f64, active), p * fits);
                }
            }
            let total = law.total();
            self.single[active] = Some(if total > 0.0 {
                law.weighted(|_| 1.0 / total).trimmed()
            } else {
                TimeLaw::point(self.step_s, 0.0)
            });
        }
        self.single[active].clone().unwrap_or_else(|| TimeLaw::zero(self.step_s))
    }

    /// Law of a prefill step with `joined` prompts.
    pub(super) fn prefill(&mut self, active: usize, joined: usize) -> TimeLaw {
        let one = self.single_prefill(active);
        // Only the tokens add up; the step's base is paid once.
        let base_s = self.system.steps().at(active).prefill_base_s;
        (1..joined).fold(one.clone(), |law, _| law.plus(&one).earlier(base_s))
    }

    /// Rate of accepted arrivals while `active` are in prefill or about to be (1/s).
    fn rate_per_s(&self, active: usize) -> f64 {
        let n = active.min(self.kv.largest());
        self.system.arrival_rate_per_s() * (1.0 - self.kv.by_count[n].lost_in_prefill)
    }

    /// From the start of a prefill step with `joined` prompts and `active` requests to the first token.
    pub(super) fn until_token(&mut self, active: usize, joined: usize) -> TimeLaw {
        let slot = joined.min(self.most_joined) - 1;
        if let Some(law) = &self.to_token[active][slot] {
            return law.clone();
        }
        let step = self.prefill(active, joined.min(self.most_joined));
        let decode = TimeLaw::point(self.step_s, self.system.steps().decode_s(active));
        let mut law = TimeLaw::zero(self.step_s);
        for (count, part) in self.by_arrivals(&step, active) {
            let rest = if count == 0 { decode.clone() } else { self.until_token(active + count, count) };
            law.add(&part.plus(&rest), 1.0);
        }
        let law = law.trimmed();
        self.to_token[active][slot] = Some(law.clone());
        law
    }

    /// Splits a duration by how many are accepted during it, as far as places are free.
    pub(super) fn by_arrivals(&self, duration: &TimeLaw, active: usize) -> Vec<(usize, TimeLaw)> {
        let free = self.system.max_batch() - active;
        let rate = self.rate_per_s(active);
        let mean = rate * duration.mean_s();
        let mut most = 0;
        let mut tail = 1.0 - libm::exp(-mean);
        let mut term = libm::exp(-mean);
        while most < free.min(self.most_joined) && tail > RARE {
            most += 1;
            term *= mean / most as f64;
            tail -= term;
        }
        let chance = |k: usize, t: f64| {
            let x = rate * t;
            let mut term = libm::exp(-x);
            let mut fewer = 0.0;
            for i in 1..=k {
                fewer += term;
                term *= x / i as f64;
            }
            if k < most { term } else { (1.0 - fewer).max(0.0) }
        };
        (0..=most).map(|k| (k, duration.weighted(|t| chance(k, t)).trimmed())).collect()
    }
}
