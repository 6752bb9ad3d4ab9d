//! Where a result comes from: the scenario, its ledger, the command that makes it again. Nothing in it depends on the machine,
//! the number of threads or where results are written.

use kendall_report::Origin;
use kendall_serving::scenario::Resolved;
use serde_json::json;

/// The command of a result, word by word.
#[derive(Debug)]
pub(crate) struct Words(Vec<String>);

impl Words {
    /// `kendall COMMAND scenario.toml --seed N`
    pub(crate) fn new(command: &str, seed: u64) -> Self {
        let words = ["kendall", command, "scenario.toml", "--seed", &seed.to_string()];
        Self(words.map(str::to_owned).to_vec())
    }

    /// `--NAME VALUE`
    pub(crate) fn option(mut self, name: &str, value: &impl ToString) -> Self {
        self.0.extend([format!("--{name}"), value.to_string()]);
        self
    }

    /// `--NAME VALUE` for each value.
    pub(crate) fn options<T: ToString>(self, name: &str, values: &[T]) -> Self {
        values.iter().fold(self, |words, value| words.option(name, value))
    }

    /// `--NAME` if it is set.
    pub(crate) fn flag(mut self, name: &str, is_set: bool) -> Self {
        self.0.extend(is_set.then(|| format!("--{name}")));
        self
    }

    /// The origin of what this command gives of a scenario.
    pub(crate) fn origin(self, scenario_toml: &str, resolved: &Resolved) -> Origin {
        // What no shell can be told is in no argument of a shell either.
        let command = shlex::try_join(self.0.iter().map(String::as_str)).unwrap_or_default();
        Origin { scenario_toml: scenario_toml.to_owned(), ledger: json!(resolved.ledger), command }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        let words = Words::new("capacity", 1).options("slo", &["p99(ttft)<=500ms"]).flag("paired", false);
        assert_eq!(
            shlex::try_join(words.0.iter().map(String::as_str)).unwrap(),
            "kendall capacity scenario.toml --seed 1 --slo 'p99(ttft)<=500ms'"
        );
    }
}
