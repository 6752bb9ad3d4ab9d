//! Average-reward semi-Markov decision processes, solved by relative value iteration.

use crate::queueing::{QueueingError, Result};

/// Choices that are weighed before an iteration counts as not converging.
const MAX_WORK: usize = 2_000_000_000;
const MAX_SWEEPS: usize = 5_000_000;

/// How far rounding may exceed the span that was asked for.
const MAX_LOSS: f64 = 1e6;

/// What happens when an event occurs and this choice was made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Paid at once.
    pub reward: f64,
    /// State after it.
    pub next: usize,
}

/// Something that occurs at a rate; the controller picks among its choices when it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Occurrences per unit of time.
    pub rate: f64,
    /// At least one. An event without a decision has one choice.
    pub choices: Vec<Choice>,
}

/// A mode in which the controller holds a state: its running reward and its events.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Paid per unit of time while the action is held; costs are negative.
    pub reward_rate: f64,
    /// What may occur.
    pub events: Vec<Event>,
}

/// A finite semi-Markov decision process. The average reward depends on sojourn times only through their means, so an
/// action with mean sojourn time `t` and transition probabilities `p` is a set of events with rates `p / t`.
#[derive(Debug, Clone)]
pub struct Smdp {
    states: Vec<Vec<Action>>,
    rate: f64,
}

/// The optimum: its gain, relative values, and best action in each state.
#[derive(Debug, Clone)]
pub struct Solution {
    /// Long-run reward per unit of time.
    pub gain: f64,
    /// Bound on the error of the gain: half the span of the last sweep.
    pub gain_error: f64,
    /// Relative values of the states.
    pub values: Vec<f64>,
    /// Sweeps taken.
    pub sweeps: usize,
}

impl Solution {
    /// What a choice is worth, relative to others of the same event.
    pub fn worth(&self, choice: Choice) -> f64 {
        choice.reward + self.values[choice.next]
    }
}

impl Smdp {
    /// # Errors
    /// When a state has no action, an event no choice, a rate is negative or a next state does not exist.
    pub fn new(states: Vec<Vec<Action>>) -> Result<Self> {
        let count = states.len();
        if count == 0 || states.iter().any(Vec::is_empty) {
            return Err(QueueingError::NotApplicable("each state needs an action"));
        }
        let mut largest: f64 = 0.0;
        for action in states.iter().flatten() {
            let mut rate = 0.0;
            for event in &action.events {
                let known =
                    event.choices.iter().all(|choice| choice.next < count && choice.reward.is_finite());
                if event.choices.is_empty() || !known || !(event.rate.is_finite() && event.rate >= 0.0) {
                    return Err(QueueingError::NotApplicable(
                        "each event needs a rate of at least 0 and choices with finite rewards to known states",
                    ));
                }
                rate += event.rate;
            }
            if !action.reward_rate.is_finite() {
                return Err(QueueingError::NotApplicable("reward rates must be finite"));
            }
            largest = largest.max(rate);
        }
        if largest <= 0.0 {
            return Err(QueueingError::NotApplicable("nothing ever happens"));
        }
        // Strictly above every rate: each state then has a chance to stay, which makes the iteration aperiodic.
        Ok(Self { states, rate: 1.05 * largest })
    }

    /// Relative value iteration on the uniformised process (M. L. Puterman, *Markov Decision Processes*, 1994, sections 8.5 and
    /// 11.4): sweeps until the changes of all values lie within `span` or their rounding, which bounds the error of the gain. The optimal chain
    /// must have one recurrent class.
    ///
    /// # Errors
    /// When rounding makes the span meaningless, or when it does not get there within 2e9 evaluations of a choice or 5 million sweeps: rates that lie far apart take
    /// as many sweeps as they differ.
    pub fn solve(&self, span: f64) -> Result<Solution> {
        let mut values = vec![0.0; self.states.len()];
        let mut next = values.clone();
        let choices = self.states.iter().flatten().flat_map(|action| &action.events);
        let work: usize = choices.map(|event| event.choices.len()).sum();
        let most_sweeps = (MAX_WORK / work).min(MAX_SWEEPS);
        for sweeps in 1..=most_sweeps {
            let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
            let mut largest: f64 = 0.0;
            for (state, actions) in self.states.iter().enumerate() {
                let best = actions
                    .iter()
                    .map(|action| advantage(action, values[state], &values))
                    .fold(f64::NEG_INFINITY, f64::max);
                least = least.min(best);
                most = most.max(best);
                largest = largest.max(values[state].abs());
                next[state] = values[state] + best / self.rate;
            }
            let anchor = next[0];
            for value in &mut next {
                *value -= anchor;
            }
            std::mem::swap(&mut values, &mut next);
            // Values of this size are known no better: a smaller span would never be seen.
            let rounding = 4.0 * f64::EPSILON * self.rate * largest;
            if rounding > span * MAX_LOSS {
                return Err(QueueingError::NotApplicable(
                    "rates or rewards lie too far apart for double precision",
                ));
            }
            if most - least <= span.max(rounding) {
                let (gain, gain_error) = (f64::midpoint(most, least), (most - least) / 2.0);
                return Ok(Solution { gain, gain_error, values, sweeps });
            }
        }
        Err(QueueingError::NoConvergence {
            method: "relative value iteration",
            limit: format!("{most_sweeps} sweeps"),
        })
    }
}

/// Reward per unit of time of an action, the change of value included.
fn advantage(action: &Action, here: f64, values: &[f64]) -> f64 {
    let events = action.events.iter().map(|event| {
        let best = event
            .choices
            .iter()
            .map(|choice| choice.reward + values[choice.next])
            .fold(f64::NEG_INFINITY, f64::max);
        event.rate * (best - here)
    });
    action.reward_rate + events.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::{Action, Choice, Event, Smdp};

    fn forced(rate: f64, reward: f64, next: usize) -> Event {
        Event { rate, choices: vec![Choice { reward, next }] }
    }

    // A machine: repair slowly for little or fast for much. Renewal-reward gives both gains.
    #[test]
    fn picks_the_better_of_two_speeds() {
        for (cost, faster) in [(3.0, true), (8.0, false)] {
            let up = Action { reward_rate: 10.0, events: vec![forced(1.0, 0.0, 1)] };
            let slow = Action { reward_rate: -1.0, events: vec![forced(0.5, 0.0, 0)] };
            let fast = Action { reward_rate: -1.0, events: vec![forced(2.0, -cost, 0)] };
            let solution = Smdp::new(vec![vec![up], vec![slow, fast]]).unwrap().solve(1e-10).unwrap();
            let (slow_gain, fast_gain) = ((10.0 - 2.0) / 3.0, (10.0 - 0.5 - cost) / 1.5);
            assert_eq!(fast_gain > slow_gain, faster);
            assert!((solution.gain - f64::max(slow_gain, fast_gain)).abs() <= solution.gain_error + 1e-12);
        }
    }

    #[test]
    fn what_is_no_process_is_refused() {
        let stuck = Action { reward_rate: 0.0, events: vec![] };
        assert!(Smdp::new(vec![vec![stuck]]).is_err());
        let astray = Action { reward_rate: 0.0, events: vec![forced(1.0, 0.0, 7)] };
        assert!(Smdp::new(vec![vec![astray]]).is_err());
        let backwards = Action { reward_rate: 0.0, events: vec![forced(-1.0, 0.0, 0)] };
        assert!(Smdp::new(vec![vec![backwards]]).is_err());
        assert!(Smdp::new(vec![vec![]]).is_err());
    }
}
