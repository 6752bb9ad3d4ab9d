//! A file as text of one syntax: JSON, JSON Lines, YAML, CSV or Prometheus exposition. The syntax is told from the
//! text, never from the file's name.

use serde_json::Value;

use crate::error::{ReadError, ReadErrorKind, quoted};

/// Largest file that is read, in bytes: a guard against pointing at a model or a core dump.
pub(crate) const MAX_FILE_BYTES: u64 = 2_000_000_000;

/// A file's text, parsed as far as its syntax alone allows.
#[derive(Debug)]
pub(crate) enum Content {
    /// One JSON value.
    Json(Value),
    /// One JSON value a line, with the line's number from 1.
    JsonLines(Vec<(u64, Value)>),
    /// One YAML document.
    Yaml(Value),
    /// Text with commas in its first line.
    Csv(String),
    /// Prometheus text exposition.
    Prometheus(String),
}

impl Content {
    /// Parses `bytes`.
    ///
    /// # Errors
    /// If they are of none of the syntaxes, or cut off.
    pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Self, ReadError> {
        let unrecognised = |saw: String| ReadError::whole(file, ReadErrorKind::Unrecognised { saw });
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(unrecognised(format!("{} bytes that are not UTF-8 text", bytes.len())));
        };
        let begin = text.trim_start();
        match begin.chars().next() {
            None => Err(unrecognised("an empty file".to_owned())),
            Some('{' | '[') => parse_json(file, text),
            Some(_) if is_prometheus(begin) => Ok(Self::Prometheus(text.to_owned())),
            Some(_) if is_yaml(begin) => parse_yaml(file, text),
            Some(_) if header_line(begin).contains(',') => Ok(Self::Csv(text.to_owned())),
            Some(_) => Err(unrecognised(format!("text that begins with `{}`", quoted(first_line(begin))))),
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The first line that is no comment.
fn header_line(text: &str) -> &str {
    text.lines().find(|line| !line.starts_with('#')).unwrap_or_default()
}

/// `# HELP`, `# TYPE`, or a sample `name{labels} value`.
fn is_prometheus(text: &str) -> bool {
    let line = first_line(text);
    line.starts_with("# HELP ") || line.starts_with("# TYPE ") || line.starts_with("vllm:")
}

/// A top-level key followed by a colon. CSV headers have commas and no colon before the first one.
fn is_yaml(text: &str) -> bool {
    let line = text.lines().find(|line| !line.starts_with('#') && *line != "---").unwrap_or_default();
    line.split_once(':').is_some_and(|(key, rest)| {
        !key.is_empty()
            && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
            && (rest.is_empty() || rest.starts_with([' ', '\r']))
    })
}

fn parse_json(file: &str, text: &str) -> Result<Content, ReadError> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let first = lines.next().map_or("", |(_, line)| line);
    // A first line that is a value by itself, with more behind it: one value a line.
    if lines.next().is_some() && json_value(first).is_ok() {
        let mut values = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = index as u64 + 1;
            values.push((number, json_value(line).map_err(|error| json_error(file, Some(number), &error))?));
        }
        return Ok(Content::JsonLines(values));
    }
    json_value(text).map(Content::Json).map_err(|error| json_error(file, None, &error))
}

/// Python writes `NaN` and `Infinity`, which JSON does not have: they are read as null, "not known".
fn json_value(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| {
        let repaired = without_nan(text);
        if repaired == text { Err(error) } else { serde_json::from_str(&repaired) }
    })
}

fn without_nan(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let token = ["NaN", "-Infinity", "Infinity"].into_iter().find(|token| rest.starts_with(token));
        if let (false, Some(token)) = (in_string, token) {
            out.push_str("null");
            rest = &rest[token.len()..];
            continue;
        }
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && c == '\\' && !escaped;
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

fn json_error(file: &str, line: Option<u64>, error: &serde_json::Error) -> ReadError {
    let kind = if error.is_eof() {
        ReadErrorKind::Truncated { what: "JSON" }
    } else {
        ReadErrorKind::Syntax { what: "JSON", message: quoted(&error.to_string()) }
    };
    ReadError::at_line(file, line.unwrap_or(error.line() as u64), kind)
}

fn parse_yaml(file: &str, text: &str) -> Result<Content, ReadError> {
    serde_saphyr::from_str::<Value>(text).map(Content::Yaml).map_err(|error| {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default();
        ReadError::whole(file, ReadErrorKind::Syntax { what: "YAML", message: quoted(first) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_s_nan_becomes_null_outside_of_strings_only() {
        let text = r#"{"a": NaN, "b": "NaN \" NaN", "c": [-Infinity, Infinity, 1]}"#;
        let value = json_value(text).expect("readable");
        assert_eq!(value, serde_json::json!({"a": null, "b": "NaN \" NaN", "c": [null, null, 1]}));
    }

    #[test]
    fn a_cut_file_is_named_as_such_with_its_line() {
        let error = Content::parse("r.json", b"{\n \"a\": [1,").unwrap_err().to_string();
        assert!(error.starts_with("r.json:2: the file ends in the middle of its JSON"), "{error}");
        let error = Content::parse("r.jsonl", b"{\"a\":1}\n{\"a\":2}\n{\"a\"").unwrap_err().to_string();
        assert!(error.starts_with("r.jsonl:3: the file ends"), "{error}");
    }
}
