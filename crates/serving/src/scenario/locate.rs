//! Reading a scenario file, and mistakes in it: which key, which value, where, and what to do.

use std::ops::Range;

use thiserror::Error;
use toml::de::{DeTable, DeValue};

use super::Scenario;

/// A mistake in a scenario.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{}{message}", field.as_ref().map(|field| format!("`{field}`: ")).unwrap_or_default())]
pub struct ScenarioError {
    /// The key, such as `server.max_num_seqs`, where one key is at fault.
    pub field: Option<String>,
    /// What is wrong with its value, and the remedy.
    pub message: String,
    /// Where in the text, in bytes.
    pub span: Option<Range<usize>>,
}

impl ScenarioError {
    /// A mistake in the value of `field`.
    pub fn at(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), message: message.into(), span: None }
    }

    /// The same mistake with its place in the scenario's text.
    #[must_use]
    pub fn located_in(mut self, text: &str) -> Self {
        if self.span.is_none() {
            self.span = self.field.as_deref().and_then(|field| span_of(text, field));
        }
        self
    }
}

impl Scenario {
    /// Reads a scenario from the text of its file.
    ///
    /// # Errors
    /// On text that is not TOML, an unknown key (with the nearest known one), a missing key, or a value of another type.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        toml::from_str(text).map_err(|error| ScenarioError {
            field: None,
            message: in_words(&with_nearest(error.message())),
            span: error.span(),
        })
    }
}

/// Says what a Rust type is.
fn in_words(message: &str) -> String {
    let types = [
        ("u64", "a whole number from 0 on"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("f64", "a number"),
    ];
    let found = types
        .iter()
        .find_map(|(name, words)| Some((message.strip_suffix(&format!("expected {name}"))?, words)));
    found.map_or_else(|| message.to_owned(), |(start, words)| format!("{start}expected {words}"))
}

/// Adds the nearest of the expected names to a message about an unknown one.
fn with_nearest(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (Some(unknown), true) = (quoted.next(), message.starts_with("unknown ")) else {
        return message.to_owned();
    };
    let nearest =
        quoted.max_by(|a, b| strsim::jaro_winkler(unknown, a).total_cmp(&strsim::jaro_winkler(unknown, b)));
    match nearest {
        Some(nearest) if strsim::jaro_winkler(unknown, nearest) > 0.7 => {
            format!("{message}; did you mean `{nearest}`?")
        }
        _ => message.to_owned(),
    }
}

/// The place of a key's value, or of the innermost value on the way to it that exists. Places in arrays count from 0.
fn span_of(text: &str, field: &str) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let mut keys = field.split('.');
    let child = |table: &DeTable<'_>, key: &str| table.iter().position(|(name, _)| name.get_ref() == key);
    let first = child(root.get_ref(), keys.next()?)?;
    let (_, mut value) = root.get_ref().iter().nth(first)?;
    for key in keys {
        let inner = match value.get_ref() {
            DeValue::Table(table) => child(table, key).and_then(|at| Some(table.iter().nth(at)?.1)),
            DeValue::Array(array) => key.parse::<usize>().ok().and_then(|at| array.get(at)),
            _ => None,
        };
        let Some(inner) = inner else { break };
        value = inner;
    }
    Some(value.span())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[workload]\narrivals = { process = \"poisson\", rate_per_s = -4.0 }\n[server]\n";

    #[test]
    fn a_key_is_found_in_the_text() {
        let error = ScenarioError::at("workload.arrivals.rate_per_s", "negative").located_in(TEXT);
        assert_eq!(&TEXT[error.span.unwrap()], "-4.0");
    }

    #[test]
    fn a_key_of_an_array_is_found() {
        let text = "[[workload.class]]\nname = \"a\"\n[[workload.class]]\nname = \"b\"\narrivals = { points = [[0, 1], [5, -2]] }\n";
        let place = |field: &str| {
            let error = ScenarioError::at(field, "").located_in(text);
            text[error.span.unwrap()].to_owned()
        };
        assert_eq!(place("workload.class.1.name"), "\"b\"");
        assert_eq!(place("workload.class.1.arrivals.points.1"), "[5, -2]");
        assert_eq!(place("workload.class.1.arrivals.rate_per_s"), "{ points = [[0, 1], [5, -2]] }");
    }

    #[test]
    fn an_unknown_key_gets_the_nearest_name() {
        let error = Scenario::from_toml("[workload]\n[server]\nmax_num_seq = 3\n").unwrap_err();
        assert!(error.message.contains("did you mean `max_num_seqs`?"), "{}", error.message);
        assert_eq!(error.span.map(|span| span.start), Some(20));
        let error = Scenario::from_toml(
            "[workload]\narrivals = { process = \"poison\", rate_per_s = 1 }\n[server]\n",
        );
        assert!(error.unwrap_err().message.contains("did you mean `poisson`?"));
    }

    #[test]
    fn a_wrong_type_is_said_with_its_place() {
        let text = "[workload]\nrequests = \"many\"\n[server]\n";
        let error = Scenario::from_toml(text).unwrap_err();
        assert_eq!(&text[error.span.unwrap()], "\"many\"");
    }
}
