//! A JSON value that knows its path, so that every fault names its field.

use serde_json::Value;

use crate::error::{ReadError, ReadErrorKind, quoted};
use crate::number::{AMOUNT, COUNT, count, is_amount};

/// Where a value comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The file as the user named it.
    pub(crate) file: &'a str,
    /// The line of a JSON Lines file.
    pub(crate) line: Option<u64>,
    /// What to do when a field is not as it should be.
    pub(crate) remedy: &'static str,
}

/// A value with its path.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    value: &'a Value,
    path: String,
    source: Source<'a>,
}

/// No client waits longer, 30,000 years: sums and means of what is read stay finite.
const MAX_SECONDS: f64 = 1e12;
/// Numbers beyond this are no instant in any unit (nanoseconds since 1970 are below 1e19), nor anything else.
const MAX_NUMBER: f64 = 1e21;

const LENGTH_OF_TIME: &str = "a length of time, not negative, at most 1e12 s";

impl<'a> Node<'a> {
    /// The root of a file or of a line.
    pub(crate) fn root(source: Source<'a>, value: &'a Value) -> Self {
        Self { value, path: String::new(), source }
    }

    /// The bare value.
    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// The member `name`, which must be there and not null.
    pub(crate) fn field(&self, name: &str, expected: &str) -> Result<Node<'a>, ReadError> {
        if !self.value.is_object() {
            return Err(self.wrong("an object"));
        }
        self.get(name).ok_or_else(|| {
            self.error(ReadErrorKind::Missing {
                field: self.child_path(name),
                expected: expected.to_owned(),
                remedy: self.source.remedy,
            })
        })
    }

    /// The member `name`, if it is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<Node<'a>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Node { value, path: self.child_path(name), source: self.source })
    }

    /// The member behind several names, if all are there.
    pub(crate) fn at(&self, names: &[&str]) -> Option<Node<'a>> {
        names.iter().try_fold(self.clone(), |node, name| node.get(name))
    }

    /// The elements of a list.
    pub(crate) fn list(&self) -> Result<Vec<Node<'a>>, ReadError> {
        let values = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let element =
            |(index, value)| Node { value, path: format!("{}[{index}]", self.path), source: self.source };
        Ok(values.iter().enumerate().map(element).collect())
    }

    /// A number of at most 1e21; Python's reports also write numbers as strings.
    pub(crate) fn number(&self) -> Result<f64, ReadError> {
        number_of(self.value).ok_or_else(|| self.wrong("a number"))
    }

    /// A length of time in the unit of `unit_s` seconds, in seconds: finite and not negative.
    pub(crate) fn duration(&self, unit_s: f64) -> Result<f64, ReadError> {
        let seconds = self.number()? * unit_s;
        if (0.0..=MAX_SECONDS).contains(&seconds) { Ok(seconds) } else { Err(self.wrong(LENGTH_OF_TIME)) }
    }

    /// A number from 0 to 1e18, of whatever unit.
    pub(crate) fn amount(&self) -> Result<f64, ReadError> {
        self.number().ok().filter(|&number| is_amount(number)).ok_or_else(|| self.wrong(AMOUNT))
    }

    /// A whole number from 0 to 1e12.
    pub(crate) fn count(&self) -> Result<u64, ReadError> {
        count(self.number()?).ok_or_else(|| self.wrong(COUNT))
    }

    /// Text.
    pub(crate) fn text(&self) -> Result<&'a str, ReadError> {
        self.value.as_str().ok_or_else(|| self.wrong("text"))
    }

    /// A list of lengths of time in the unit of `unit_s` seconds, in seconds.
    pub(crate) fn durations(&self, unit_s: f64) -> Result<Vec<f64>, ReadError> {
        self.numbers(|x| (0.0..=MAX_SECONDS).contains(&(x * unit_s)), LENGTH_OF_TIME)
            .map(|values| values.into_iter().map(|x| x * unit_s).collect())
    }

    /// A list of instants, in whatever unit the file has.
    pub(crate) fn instants(&self) -> Result<Vec<f64>, ReadError> {
        self.numbers(|_| true, "a point in time")
    }

    fn numbers(&self, holds: impl Fn(f64) -> bool, expected: &str) -> Result<Vec<f64>, ReadError> {
        let values = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let mut numbers = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let Some(number) = number_of(value).filter(|&number| holds(number)) else {
                let path = format!("{}[{index}]", self.path);
                return Err(Node { value, path, source: self.source }.wrong(expected));
            };
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// The error that this value is not what was expected.
    pub(crate) fn wrong(&self, expected: &str) -> ReadError {
        self.error(ReadErrorKind::Field {
            field: if self.path.is_empty() { "the whole".to_owned() } else { self.path.clone() },
            found: quoted(&short_json(self.value)),
            expected: expected.to_owned(),
            remedy: self.source.remedy,
        })
    }

    fn error(&self, kind: ReadErrorKind) -> ReadError {
        ReadError { file: self.source.file.to_owned(), line: self.source.line, kind: Box::new(kind) }
    }

    fn child_path(&self, name: &str) -> String {
        let name = quoted(name);
        if self.path.is_empty() { name } else { format!("{}.{name}", self.path) }
    }
}

fn number_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.abs() <= MAX_NUMBER)
}

/// A value's JSON without printing a whole large list.
fn short_json(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(members) => format!("an object of {} fields", members.len()),
        other => other.to_string(),
    }
}

/// The member `name` as a length of time in seconds, if it is there.
pub(crate) fn optional_duration(node: &Node<'_>, name: &str, unit_s: f64) -> Result<Option<f64>, ReadError> {
    node.get(name).map(|value| value.duration(unit_s)).transpose()
}

/// The member `name` as a count, if it is there.
pub(crate) fn optional_count(node: &Node<'_>, name: &str) -> Result<Option<u64>, ReadError> {
    node.get(name).map(|value| value.count()).transpose()
}
