//! What arrivals find at a batch of one, and what that says of those who are accepted.

use super::grid::TimeLaw;
use super::kernels::cumulate;
use super::system::System;

/// What attempts see.
pub(super) struct Seen {
    /// Reserved KV seen while busy, in attempts for each departure.
    pub busy: Vec<f64>,
    /// Attempts for each departure that find the system empty.
    pub idle: f64,
    /// Fraction of attempts that are lost.
    pub lost: f64,
    /// Probability that an accepted request has found this much reserved and a busy server, by lattice point.
    pub accepted_busy: Vec<f64>,
    /// Probability that an accepted request has found the system empty.
    pub accepted_idle: f64,
    /// Tokens between two lattice points.
    pub step_tokens: f64,
}

impl Seen {
    /// Law of own prefill and first decode step of an accepted request, idle or busy.
    pub(super) fn first_token(&self, system: &System, step_s: f64, idle: bool) -> TimeLaw {
        // Of one weight only the ratio to itself counts, and it may be too small for ratios.
        let room = if idle { vec![(self.free(0), 1.0)] } else { self.room(false) };
        let mut law = TimeLaw::zero(step_s);
        let output = cumulate(system.output().masses());
        let holds = |tokens: usize| output[tokens.min(output.len() - 1)];
        for (tokens, &p) in system.prompt().masses().iter().enumerate().filter(|x| *x.1 > 1e-12) {
            if tokens >= system.kv_tokens() {
                break;
            }
            let accepted: f64 =
                room.iter()
                    .map(|&(free, chance)| {
                        if free > tokens as f64 {
                            chance * holds((free - tokens as f64) as usize)
                        } else {
                            0.0
                        }
                    })
                    .sum();
            law.put(system.steps().prefill_s(tokens as f64, 1) + system.steps().decode_s(1), p * accepted);
        }
        let total = law.total();
        // Nobody is accepted so: a law without mass.
        if total > 0.0 { law.weighted(|_| 1.0 / total) } else { law }
    }

    /// Free KV (tokens) that an attempt finds, with weights.
    fn room(&self, idle: bool) -> Vec<(f64, f64)> {
        if idle {
            return vec![(self.free(0), self.idle)];
        }
        self.busy.iter().enumerate().filter(|x| *x.1 > 1e-12).map(|(r, &p)| (self.free(r), p)).collect()
    }

    /// Free KV (tokens) at a lattice point.
    fn free(&self, r: usize) -> f64 {
        (self.busy.len() as f64 - 0.5 - r as f64) * self.step_tokens
    }

    /// Mean output of accepted requests (tokens).
    pub(super) fn mean_output(&self, system: &System) -> f64 {
        let prompt = cumulate(system.prompt().masses());
        let holds = |tokens: usize| prompt[tokens.min(prompt.len() - 1)];
        let mut room = self.room(false);
        room.extend(self.room(true));
        let (mut mass, mut sum) = (0.0, 0.0);
        for (tokens, &p) in system.output().masses().iter().enumerate().filter(|x| *x.1 > 1e-12) {
            let accepted: f64 =
                room.iter()
                    .map(|&(free, chance)| {
                        if free > tokens as f64 {
                            chance * holds((free - tokens as f64) as usize)
                        } else {
                            0.0
                        }
                    })
                    .sum();
            mass += p * accepted;
            sum += p * accepted * tokens as f64;
        }
        sum / mass
    }
}
