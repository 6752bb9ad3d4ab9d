//! What can be wrong with a measured result. Each message names the file, the place, the value and the remedy.

use std::fmt;

/// Longest piece of the file's own text that a message repeats, in characters.
const QUOTED_CHARS: usize = 60;

/// A measured result that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", Place { file, line: *line })]
pub struct ReadError {
    /// The file as the user named it.
    pub file: String,
    /// The line, counted from 1, where the format has lines.
    pub line: Option<u64>,
    /// What is wrong there.
    pub kind: Box<ReadErrorKind>,
}

/// What is wrong with a measured result.
#[derive(Debug, thiserror::Error)]
pub enum ReadErrorKind {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Io(std::io::Error),
    /// No known tool writes this.
    #[error("no known measured result: {saw}; `kendall calibrate --help` lists the formats that are read")]
    Unrecognised {
        /// What the file seems to be.
        saw: String,
    },
    /// The file ends before its text does.
    #[error(
        "the file ends in the middle of its {what}: it was cut off; copy it again, or run the tool to its end"
    )]
    Truncated {
        /// JSON, YAML, CSV.
        what: &'static str,
    },
    /// The text is not of the format that its beginning announces.
    #[error("not valid {what}: {message}; a hand-edited file is best written again by its tool")]
    Syntax {
        /// JSON, YAML, CSV.
        what: &'static str,
        /// The parser's words.
        message: String,
    },
    /// A field that is needed is not there.
    #[error("{field} is missing; expected {expected}; {remedy}")]
    Missing {
        /// Path of the field.
        field: String,
        /// What it should hold.
        expected: String,
        /// What the user can do.
        remedy: &'static str,
    },
    /// A field holds something else.
    #[error("{field} is `{found}`; expected {expected}; {remedy}")]
    Field {
        /// Path of the field.
        field: String,
        /// What it holds, cut short.
        found: String,
        /// What it should hold.
        expected: String,
        /// What the user can do.
        remedy: &'static str,
    },
}

impl ReadError {
    /// An error of a whole file.
    pub(crate) fn whole(file: &str, kind: ReadErrorKind) -> Self {
        Self { file: file.to_owned(), line: None, kind: Box::new(kind) }
    }

    /// An error at a line, counted from 1.
    pub(crate) fn at_line(file: &str, line: u64, kind: ReadErrorKind) -> Self {
        Self { file: file.to_owned(), line: Some(line), kind: Box::new(kind) }
    }
}

/// The text cut to a length that fits a message, without line breaks.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String =
        text.chars().take(QUOTED_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(QUOTED_CHARS).is_some() {
        short.push_str("...");
    }
    short
}

struct Place<'a> {
    file: &'a str,
    line: Option<u64>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(self.file),
        }
    }
}
