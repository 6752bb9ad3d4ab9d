//! Ways to play a scenario.

use kendall_serving::{RequestSpec, Workload, WorkloadError};
use kendall_tests::tape::{Played, Watch, play as play_workload};

use crate::scenario::Scenario;

/// Plays a scenario to its end.
pub(crate) fn play(scenario: &Scenario) -> Played {
    play_steps(scenario, usize::MAX)
}

/// Plays a scenario to its end without asking for its steps.
pub(crate) fn play_without_steps(scenario: &Scenario) -> Played {
    play_as(scenario, Watch { patience: usize::MAX, wants_steps: false })
}

/// Plays a scenario until so many steps are over.
pub(crate) fn play_steps(scenario: &Scenario, patience: usize) -> Played {
    play_as(scenario, Watch { patience, wants_steps: true })
}

/// Plays a scenario to its end without asking for its steps. Its prompts are known to have nothing in common.
pub(crate) fn play_unshared(scenario: &Scenario) -> Played {
    let workload = Unshared(scenario.requests.clone().into_iter());
    play_workload(&scenario.config, Box::new(workload), Watch { patience: usize::MAX, wants_steps: false })
}

fn play_as(scenario: &Scenario, watch: Watch) -> Played {
    play_workload(&scenario.config, Box::new(scenario.requests.clone().into_iter().map(Ok)), watch)
}

/// Requests of which no two have tokens in common.
struct Unshared(std::vec::IntoIter<RequestSpec>);

impl Workload for Unshared {
    fn next_request(&mut self) -> Option<Result<RequestSpec, WorkloadError>> {
        self.0.next().map(Ok)
    }

    fn shares_tokens(&self) -> bool {
        false
    }
}
