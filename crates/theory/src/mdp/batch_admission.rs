//! Whom a batching server with a KV cache lets in: the loss system of `batching` as an average-reward semi-Markov decision process.
//!
//! State: how many requests of each class are inside. A class is a range of request sizes with its mean KV, prompt and output.
//! Inside, the oldest `B` are active; a departure is of a class in proportion to its number inside, and takes an own prefill and
//! a share of decode steps, as in the birth-death chain of `batching::closed_form`. At an arrival the
//! controller accepts, if the KV fits, or rejects. Accepted requests pay the probability that their first token comes in
//! time, given who is before them; rejected ones cost. Relative value iteration finds the best closed loop; the one-step rule
//! of the study accepts what pays now and is here to be compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use statrs::function::gamma::gamma_ur;

use super::smdp::{Action, Choice, Event, Smdp};
use crate::queueing::{QueueingError, Result};

const MAX_STATES: usize = 200_000;

/// Where each state stands.
type Places = BTreeMap<Vec<u32>, usize>;

/// A class of requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchClass {
    /// Largest size of the class, prompt and output (tokens).
    pub most_tokens: u32,
    /// Mean size: KV that one request reserves (tokens).
    pub size_tokens: f64,
    /// Arrivals per second.
    pub rate_per_s: f64,
    /// Mean prompt (tokens).
    pub prompt_tokens: f64,
    /// Mean output (tokens).
    pub output_tokens: f64,
}

/// The server and what counts.
#[derive(Debug, Clone)]
pub struct BatchAdmission {
    /// Classes by rising size.
    pub classes: Vec<BatchClass>,
    /// KV (tokens).
    pub kv_tokens: f64,
    /// Decode step at 1, 2, ..., B active (s).
    pub decode_s: Vec<f64>,
    /// (base, per prompt token) of a prefill at 1, 2, ..., B active (s).
    pub prefill_s: Vec<(f64, f64)>,
    /// Longest time to first token that counts as good (s).
    pub ttft_limit_s: f64,
    /// What a rejection costs, in good requests.
    pub rejection_cost: f64,
}

/// Accept or reject, for each class in each state.
#[derive(Debug, Clone)]
pub struct AdmissionTable {
    classes: Vec<BatchClass>,
    accepts: BTreeMap<Vec<u32>, Vec<bool>>,
    /// Long-run good requests less rejection costs, per second, in the model; `None` for a rule that was not solved for.
    pub gain_per_s: Option<f64>,
}

impl BatchAdmission {
    fn check(&self) -> Result<()> {
        let error = |name, value: String, must| Err(QueueingError::Parameter { name, value, must });
        if self.classes.is_empty() {
            return error("classes", "none".into(), "at least one");
        }
        for class in &self.classes {
            for (name, value) in [
                ("size_tokens", class.size_tokens),
                ("rate_per_s", class.rate_per_s),
                ("output_tokens", class.output_tokens),
            ] {
                if !(value.is_finite() && value > 0.0) {
                    return error(name, value.to_string(), "a finite number above 0");
                }
            }
        }
        if self.decode_s.is_empty() || self.decode_s.len() != self.prefill_s.len() {
            return error("decode_s", self.decode_s.len().to_string(), "as long as prefill_s, at least 1");
        }
        for (name, value) in [("ttft_limit_s", self.ttft_limit_s), ("rejection_cost", self.rejection_cost)] {
            if !(value.is_finite() && value >= 0.0) {
                return error(name, value.to_string(), "a finite number, at least 0");
            }
        }
        Ok(())
    }

    fn active(&self, inside: u32) -> usize {
        (inside as usize).clamp(1, self.decode_s.len())
    }

    /// Departures of a class (1/s).
    fn leave_per_s(&self, state: &[u32], class: usize) -> f64 {
        let inside: u32 = state.iter().sum();
        if state[class] == 0 {
            return 0.0;
        }
        let b = self.active(inside);
        let of = &self.classes[class];
        let (base_s, token_s) = self.prefill_s[b - 1];
        let mean_s = base_s + token_s * of.prompt_tokens + of.output_tokens * self.decode_s[b - 1] / b as f64;
        f64::from(state[class]) / f64::from(inside) / mean_s
    }

    /// Probability that the first token of an arrival of this class comes in time, if it is accepted: its own prefill and
    /// decode step, half a step before, and, with no place free, the departures before it at the rate of this state.
    pub fn in_time(&self, state: &[u32], class: usize) -> f64 {
        let inside: u32 = state.iter().sum();
        let b = self.active(inside + 1);
        let (base_s, token_s) = self.prefill_s[b - 1];
        let own_s = base_s + token_s * self.classes[class].prompt_tokens + self.decode_s[b - 1];
        let batch = self.decode_s.len() as u32;
        if inside < batch {
            let before_s = if inside > 0 { 0.5 * self.decode_s[b - 1] } else { 0.0 };
            return f64::from(u8::from(own_s + before_s <= self.ttft_limit_s));
        }
        let left_s = self.ttft_limit_s - own_s;
        if left_s <= 0.0 {
            return 0.0;
        }
        let departures = f64::from(inside - batch + 1);
        let rate: f64 = (0..self.classes.len()).map(|c| self.leave_per_s(state, c)).sum();
        1.0 - gamma_ur(departures, rate * left_s)
    }

    /// The best rule, by relative value iteration until the gain is known within `span_per_s`.
    ///
    /// # Errors
    /// Parameters out of range, more than 200,000 states, or no convergence.
    pub fn best(&self, span_per_s: f64) -> Result<AdmissionTable> {
        self.check()?;
        let (states, index) = self.states()?;
        let actions = states.iter().enumerate().map(|(at, state)| vec![self.action(at, state, &index, None)]);
        let solution = Smdp::new(actions.collect())?.solve(span_per_s)?;
        let accepts = states
            .iter()
            .map(|state| {
                let rule = (0..self.classes.len()).map(|class| {
                    let Some(next) = after(state, class, &index) else { return false };
                    let take = Choice { reward: self.in_time(state, class), next };
                    let here = Choice { reward: -self.rejection_cost, next: index[state] };
                    solution.worth(take) >= solution.worth(here)
                });
                (state.clone(), rule.collect())
            })
            .collect();
        Ok(AdmissionTable { classes: self.classes.clone(), accepts, gain_per_s: Some(solution.gain) })
    }

    /// What a rule earns in the long run in this model, good requests less rejection costs (1/s), within half of `span_per_s`.
    ///
    /// # Errors
    /// As [`Self::best`].
    pub fn gain_of(&self, rule: &AdmissionTable, span_per_s: f64) -> Result<f64> {
        self.check()?;
        let (states, index) = self.states()?;
        let actions =
            states.iter().enumerate().map(|(at, state)| vec![self.action(at, state, &index, Some(rule))]);
        Ok(Smdp::new(actions.collect())?.solve(span_per_s)?.gain)
    }

    /// The study's rule: accept what pays at once, the probability to be in time less a price of the KV that it takes.
    ///
    /// # Errors
    /// Parameters out of range, or more than 200,000 states.
    pub fn one_step(&self, price_per_kv: f64) -> Result<AdmissionTable> {
        self.check()?;
        let (states, index) = self.states()?;
        let accepts = states
            .iter()
            .map(|state| {
                let rule = (0..self.classes.len()).map(|class| {
                    let price = price_per_kv * self.classes[class].size_tokens / self.kv_tokens;
                    after(state, class, &index).is_some()
                        && self.in_time(state, class) + self.rejection_cost >= price
                });
                (state.clone(), rule.collect())
            })
            .collect();
        Ok(AdmissionTable { classes: self.classes.clone(), accepts, gain_per_s: None })
    }

    /// One action, whose events hold the decisions; under a rule there is nothing to decide.
    fn action(&self, at: usize, state: &[u32], index: &Places, rule: Option<&AdmissionTable>) -> Action {
        let mut events = Vec::with_capacity(2 * self.classes.len());
        for (class, of) in self.classes.iter().enumerate() {
            let reject = Choice { reward: -self.rejection_cost, next: at };
            let accept =
                after(state, class, index).map(|next| Choice { reward: self.in_time(state, class), next });
            let choices = match (accept, rule) {
                (None, _) => vec![reject],
                (Some(accept), None) => vec![reject, accept],
                (Some(accept), Some(rule)) => vec![if rule.accepts(state, class) { accept } else { reject }],
            };
            events.push(Event { rate: of.rate_per_s, choices });
            if state[class] > 0 {
                let mut less = state.to_vec();
                less[class] -= 1;
                let choice = Choice { reward: 0.0, next: index[&less] };
                events.push(Event { rate: self.leave_per_s(state, class), choices: vec![choice] });
            }
        }
        Action { reward_rate: 0.0, events }
    }

    /// Numbers of each class whose mean sizes fit together, and their places.
    fn states(&self) -> Result<(Vec<Vec<u32>>, Places)> {
        let mut states = vec![Vec::new()];
        for class in &self.classes {
            let mut longer = Vec::new();
            for state in &states {
                let held: f64 = self
                    .classes
                    .iter()
                    .zip(state)
                    .map(|(of, &n): (_, &u32)| of.size_tokens * f64::from(n))
                    .sum();
                let most = ((self.kv_tokens - held) / class.size_tokens).max(0.0) as u32;
                for n in 0..=most {
                    let mut next: Vec<u32> = state.clone();
                    next.push(n);
                    longer.push(next);
                }
                if longer.len() > MAX_STATES {
                    return Err(QueueingError::NotApplicable(
                        "more than 200,000 states: use fewer or larger classes",
                    ));
                }
            }
            states = longer;
        }
        let index = states.iter().cloned().enumerate().map(|(at, state)| (state, at)).collect();
        Ok((states, index))
    }
}

fn after(state: &[u32], class: usize, index: &Places) -> Option<usize> {
    let mut next = state.to_vec();
    next[class] += 1;
    index.get(&next).copied()
}

impl AdmissionTable {
    /// The class of a request of this size.
    pub fn class_of(&self, size_tokens: u32) -> usize {
        self.classes.partition_point(|class| class.most_tokens < size_tokens).min(self.classes.len() - 1)
    }

    /// Whether an arrival of this class is accepted with these numbers inside. Numbers beyond the table (sizes are means
    /// there) are taken down to its edge, the largest class first.
    pub fn accepts(&self, inside: &[u32], class: usize) -> bool {
        let mut state = inside.to_vec();
        loop {
            if let Some(rule) = self.accepts.get(&state) {
                return rule.get(class).copied().unwrap_or(false);
            }
            let Some(largest) = state.iter().rposition(|n| *n > 0) else { return false };
            state[largest] -= 1;
        }
    }

    /// Number of states.
    pub fn num_states(&self) -> usize {
        self.accepts.len()
    }

    /// The classes, by rising size.
    pub fn classes(&self) -> &[BatchClass] {
        &self.classes
    }

    /// The table as CSV: one row a state, the number inside of each class and then 1 or 0 for each class. A first row of
    /// comments names the classes by their largest size.
    pub fn to_csv(&self) -> String {
        let mut text = String::from("# class: largest size in tokens");
        for (i, class) in self.classes.iter().enumerate() {
            let _ = write!(text, "; {i}: {}", class.most_tokens);
        }
        text.push('\n');
        let names = |prefix: &'static str| (0..self.classes.len()).map(move |i| format!("{prefix}_{i}"));
        let header: Vec<String> = names("inside").chain(names("accept")).collect();
        let _ = writeln!(text, "{}", header.join(","));
        for (state, rule) in &self.accepts {
            let numbers = state.iter().map(ToString::to_string);
            let rule = rule.iter().map(|&accept| u8::from(accept).to_string());
            let row: Vec<String> = numbers.chain(rule).collect();
            let _ = writeln!(text, "{}", row.join(","));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(most_tokens: u32, size: f64, rate_per_s: f64, output: f64) -> BatchClass {
        BatchClass { most_tokens, size_tokens: size, rate_per_s, prompt_tokens: 0.0, output_tokens: output }
    }

    fn server(classes: Vec<BatchClass>, batch: usize) -> BatchAdmission {
        BatchAdmission {
            classes,
            kv_tokens: 10.0,
            decode_s: vec![1.0; batch],
            prefill_s: vec![(0.0, 0.0); batch],
            ttft_limit_s: 4.0,
            rejection_cost: 0.0,
        }
    }

    /// One class and one place: nobody is worth letting in who would come late anyway, so the rule is a threshold (Naor 1969).
    #[test]
    fn one_class_has_a_threshold() {
        let table = server(vec![class(1, 1.0, 1.5, 1.0)], 1).best(1e-9).unwrap();
        let accepted: Vec<bool> = (0..=10).map(|n| table.accepts(&[n], 0)).collect();
        let threshold = accepted.iter().take_while(|accept| **accept).count();
        assert!(threshold > 0 && threshold < 10, "{accepted:?}");
        assert!(accepted[threshold..].iter().all(|accept| !accept), "{accepted:?}");
    }

    /// The closed loop earns at least what any other rule does, here the one-step rule, by the balance of the same chain.
    #[test]
    fn it_never_pays_less_than_accepting_all() {
        let all = server(vec![class(1, 1.0, 1.5, 1.0)], 1);
        let best = all.best(1e-9).unwrap();
        // Accept everybody: M/M/1/10 at load 1.5.
        let weights: Vec<f64> = (0..=10).map(|n| libm::pow(1.5, f64::from(n))).collect();
        let total: f64 = weights.iter().sum();
        let gain: f64 = (0..10_u32).map(|n| 1.5 * weights[n as usize] / total * all.in_time(&[n], 0)).sum();
        assert!(best.gain_per_s.unwrap() > gain * 1.01, "{:?} {gain}", best.gain_per_s);
        let accept_all = all.one_step(0.0).unwrap();
        assert!((all.gain_of(&accept_all, 1e-10).unwrap() / gain - 1.0).abs() < 1e-8);
        // The best rule, played as a given one, earns what its solution says.
        let played = all.gain_of(&best, 1e-10).unwrap();
        assert!((played - best.gain_per_s.unwrap()).abs() < 1e-8, "{played} {:?}", best.gain_per_s);
    }

    #[test]
    fn a_full_cache_rejects_and_the_table_says_so() {
        let table = server(vec![class(1, 1.0, 1.0, 1.0), class(5, 5.0, 1.0, 5.0)], 2).best(1e-8).unwrap();
        assert!(!table.accepts(&[10, 0], 0) && !table.accepts(&[6, 0], 1));
        let csv = table.to_csv();
        assert!(csv.starts_with(
            "# class: largest size in tokens; 0: 1; 1: 5\ninside_0,inside_1,accept_0,accept_1\n"
        ));
        assert_eq!(csv.lines().count(), 2 + 11 + 6 + 1);
        assert_eq!((table.class_of(1), table.class_of(3), table.class_of(9)), (0, 1, 1));
    }
}
