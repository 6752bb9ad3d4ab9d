//! A YAML or JSON document that remembers which of its values were looked at.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

/// Most values of a document that are listed as not looked at.
const MAX_LISTED: usize = 200;

/// A document with its keys in the spelling with underscores.
#[derive(Debug)]
pub(super) struct Document {
    root: Value,
    seen: RefCell<BTreeSet<String>>,
}

impl Document {
    /// Reads YAML, of which JSON is a part.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let root: Value =
            serde_saphyr::from_str(text).map_err(|error| format!("it is neither YAML nor JSON: {error}"))?;
        if !root.is_object() {
            return Err("it holds no keys at its top level".into());
        }
        Ok(Self { root: underscored(root), seen: RefCell::default() })
    }

    /// The document that stands at a path of this one.
    pub(super) fn below(&self, path: &str) -> Option<Self> {
        let root = self.peek(path)?.clone();
        root.is_object().then(|| Self { root, seen: RefCell::default() })
    }

    /// The value at a path such as `load.stages.0.rate`, without noting it; `None` if it is absent or null.
    pub(super) fn peek(&self, path: &str) -> Option<&Value> {
        let mut value = &self.root;
        for key in path.split('.') {
            value = match value {
                Value::Object(map) => map.get(key)?,
                Value::Array(list) => list.get(key.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        (!value.is_null()).then_some(value)
    }

    /// The value at a path, noted as looked at with all that it holds.
    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        let value = self.peek(path)?;
        self.seen.borrow_mut().insert(path.to_owned());
        Some(value)
    }

    /// Number of entries of the list at a path; 0 if there is none.
    pub(super) fn len(&self, path: &str) -> usize {
        self.peek(path).and_then(Value::as_array).map_or(0, Vec::len)
    }

    /// A number; text that is one counts.
    pub(super) fn number(&self, path: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.get(path) else { return Ok(None) };
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        let finite = number.filter(|number| number.is_finite());
        finite.map(Some).ok_or_else(|| format!("`{path}` is {value}: expected a number"))
    }

    /// A whole number from 0 on.
    pub(super) fn whole(&self, path: &str) -> Result<Option<u64>, String> {
        let Some(number) = self.number(path)? else { return Ok(None) };
        let is_whole = (0.0..9e15).contains(&number) && number.fract() == 0.0;
        if is_whole {
            Ok(Some(number as u64))
        } else {
            Err(format!("`{path}` is {number}: expected a whole number, at least 0"))
        }
    }

    /// Text.
    pub(super) fn text(&self, path: &str) -> Result<Option<&str>, String> {
        let Some(value) = self.get(path) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| format!("`{path}` is {value}: expected text"))
    }

    /// Whether a switch is on; absent is off.
    pub(super) fn is_on(&self, path: &str) -> bool {
        self.get(path).and_then(Value::as_bool).unwrap_or(false)
    }

    /// What was not looked at: paths and values, null ones left out.
    pub(super) fn unread(&self) -> Vec<(String, String)> {
        let mut unread = Vec::new();
        self.collect("", &self.root, &mut unread);
        unread
    }

    fn collect(&self, path: &str, value: &Value, unread: &mut Vec<(String, String)>) {
        if unread.len() >= MAX_LISTED || self.seen.borrow().contains(path) {
            return;
        }
        let child = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match value {
            Value::Null => {}
            Value::Object(map) => {
                for (key, value) in map {
                    self.collect(&child(key), value, unread);
                }
            }
            Value::Array(list) => {
                for (at, value) in list.iter().enumerate() {
                    self.collect(&child(&at.to_string()), value, unread);
                }
            }
            Value::String(text) => unread.push((path.to_owned(), text.clone())),
            value => unread.push((path.to_owned(), value.to_string())),
        }
    }
}

/// `max-seconds` and `max_seconds` are the same key.
fn underscored(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter().map(|(key, value)| (key.replace('-', "_"), underscored(value))).collect(),
        ),
        Value::Array(list) => Value::Array(list.into_iter().map(underscored).collect()),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_looked_at_is_known() {
        let text =
            "load:\n  type: poisson\n  stages:\n  - rate: '4'\n    max-seconds: 6\n  sweep: null\nname: x\n";
        let document = Document::parse(text).unwrap();
        assert_eq!(document.number("load.stages.0.rate"), Ok(Some(4.0)));
        assert_eq!(document.text("load.type"), Ok(Some("poisson")));
        assert_eq!(document.whole("load.stages.1.rate"), Ok(None));
        assert!(document.number("name").unwrap_err().contains("expected a number"));
        assert_eq!(document.unread(), [("load.stages.0.max_seconds".to_owned(), "6".to_owned())]);
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in ["", "- 1", "a: [", "\u{0}", "just words"] {
            assert!(Document::parse(text).is_err(), "{text:?}");
        }
    }
}
