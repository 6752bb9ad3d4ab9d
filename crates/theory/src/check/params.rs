//! Typed access to the parameters of an entry.

use serde_json::{Map, Value};

use super::EvaluationError;

type Result<T> = std::result::Result<T, EvaluationError>;

/// The parameters of an entry or of a part of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Params<'a> {
    map: &'a Map<String, Value>,
}

/// The error of a parameter.
pub(super) fn reject<T>(name: &str, problem: &str) -> Result<T> {
    Err(EvaluationError::Parameter { name: name.into(), problem: problem.into() })
}

fn as_number(name: &str, value: &Value) -> Result<f64> {
    value.as_f64().map_or_else(|| reject(name, &format!("= {value}: must be a number")), Ok)
}

fn as_whole(name: &str, value: &Value) -> Result<u32> {
    let number = as_number(name, value)?;
    if number >= 0.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0 {
        return Ok(number as u32);
    }
    reject(name, &format!("= {value}: must be a whole number, at least 0"))
}

impl<'a> Params<'a> {
    pub(super) fn new(map: &'a Map<String, Value>) -> Self {
        Self { map }
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    fn get(self, name: &str) -> Result<&'a Value> {
        self.map.get(name).map_or_else(|| reject(name, "is missing"), Ok)
    }

    pub(super) fn number(self, name: &str) -> Result<f64> {
        as_number(name, self.get(name)?)
    }

    pub(super) fn whole(self, name: &str) -> Result<u32> {
        as_whole(name, self.get(name)?)
    }

    pub(super) fn index(self, name: &str) -> Result<usize> {
        self.whole(name).map(|number| number as usize)
    }

    pub(super) fn text(self, name: &str) -> Result<&'a str> {
        let value = self.get(name)?;
        value.as_str().map_or_else(|| reject(name, &format!("= {value}: must be a text")), Ok)
    }

    fn list(self, name: &str) -> Result<&'a Vec<Value>> {
        self.get(name)?.as_array().map_or_else(|| reject(name, "must be a list"), Ok)
    }

    pub(super) fn numbers(self, name: &str) -> Result<Vec<f64>> {
        self.list(name)?.iter().map(|value| as_number(name, value)).collect()
    }

    pub(super) fn wholes(self, name: &str) -> Result<Vec<u32>> {
        self.list(name)?.iter().map(|value| as_whole(name, value)).collect()
    }

    pub(super) fn matrix(self, name: &str) -> Result<Vec<Vec<f64>>> {
        let row = |value: &Value| match value.as_array() {
            Some(row) => row.iter().map(|value| as_number(name, value)).collect(),
            None => reject(name, "must be a list of lists"),
        };
        self.list(name)?.iter().map(row).collect()
    }

    pub(super) fn object(self, name: &str) -> Result<Params<'a>> {
        self.get(name)?
            .as_object()
            .map_or_else(|| reject(name, "must be an object"), |map| Ok(Params { map }))
    }

    pub(super) fn objects(self, name: &str) -> Result<Vec<Params<'a>>> {
        let object = |value: &'a Value| match value.as_object() {
            Some(map) => Ok(Params { map }),
            None => reject(name, "must be a list of objects"),
        };
        self.list(name)?.iter().map(object).collect()
    }
}
