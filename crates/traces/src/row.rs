//! Rows of comma-separated values, one to a line, with columns found by name.

use std::io::Read;

use csv::{ReaderBuilder, StringRecord, Terminator};

use crate::TraceFormat;
use crate::error::{TraceErrorKind, shown};

/// Splits lines into fields, into one buffer.
///
/// Fed with one line at a time, the csv crate cannot count lines differently from us past comments and blank lines,
/// nor can an open quote swallow the rest of a file.
#[derive(Debug)]
pub(crate) struct RowSplitter {
    reader: csv::Reader<OneLine>,
    record: StringRecord,
}

/// A source that holds one line and notes whether more was asked of it.
#[derive(Debug, Default)]
struct OneLine {
    bytes: Vec<u8>,
    position: usize,
    ran_dry: bool,
}

impl RowSplitter {
    pub(crate) fn new() -> Self {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).terminator(Terminator::Any(b'\n'));
        Self { reader: builder.from_reader(OneLine::default()), record: StringRecord::new() }
    }

    /// The fields of `line`. After an error the splitter is spent.
    pub(crate) fn split(&mut self, line: &str) -> Result<&StringRecord, TraceErrorKind> {
        self.reader.get_mut().hold(line);
        let outcome = self.reader.read_record(&mut self.record);
        // The line is UTF-8 and may have any number of fields: all that can go wrong is that it does not end.
        if matches!(outcome, Ok(true)) && !self.reader.get_ref().ran_dry {
            Ok(&self.record)
        } else {
            Err(TraceErrorKind::OpenQuote)
        }
    }
}

impl OneLine {
    fn hold(&mut self, line: &str) {
        self.bytes.clear();
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
        self.position = 0;
        self.ran_dry = false;
    }
}

impl Read for OneLine {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = (&self.bytes[self.position..]).read(out)?;
        self.position += read;
        self.ran_dry |= read == 0;
        Ok(read)
    }
}

/// Where the known columns of a format stand in a header.
#[derive(Debug)]
pub(crate) struct Columns<const N: usize> {
    names: [&'static str; N],
    positions: [Option<usize>; N],
    width: usize,
}

/// What to do with a column that the format does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Our own format: more likely a typing error than an extension.
    Refuse,
    /// Someone else's format, which may grow.
    PassOver,
}

impl<const N: usize> Columns<N> {
    /// Finds `names` in the header; the first `num_required` must be there.
    pub(crate) fn find(
        names: [&'static str; N],
        num_required: usize,
        format: TraceFormat,
        header: &StringRecord,
        unknown: Unknown,
    ) -> Result<Self, TraceErrorKind> {
        let mut positions = [None; N];
        for (position, field) in header.iter().map(str::trim).enumerate() {
            match names.iter().position(|name| *name == field) {
                Some(column) if positions[column].is_some() => {
                    return Err(TraceErrorKind::RepeatedColumn(names[column]));
                }
                Some(column) => positions[column] = Some(position),
                None if unknown == Unknown::Refuse => {
                    return Err(TraceErrorKind::UnknownColumn {
                        column: shown(field),
                        nearest: nearest(field, &names),
                    });
                }
                None => {}
            }
        }
        for column in 0..num_required {
            if positions[column].is_none() {
                let needed = names[..num_required].join(", ");
                return Err(TraceErrorKind::MissingColumn { column: names[column], format, needed });
            }
        }
        Ok(Self { names, positions, width: header.len() })
    }

    /// Checks that a row has as many fields as the header.
    pub(crate) fn check(&self, record: &StringRecord) -> Result<(), TraceErrorKind> {
        if record.len() == self.width {
            Ok(())
        } else {
            Err(TraceErrorKind::FieldCount { found: record.len(), expected: self.width })
        }
    }

    /// The field of a column, trimmed; empty where the file lacks the column.
    pub(crate) fn get<'a>(&self, record: &'a StringRecord, column: usize) -> &'a str {
        self.positions[column].and_then(|position| record.get(position)).map_or("", str::trim)
    }

    /// The name of a column.
    pub(crate) const fn name(&self, column: usize) -> &'static str {
        self.names[column]
    }
}

fn nearest<const N: usize>(field: &str, names: &[&'static str; N]) -> &'static str {
    let mut best = (names[0], usize::MAX);
    // Clipped: the distance takes time in the product of the lengths.
    let field: String = field.chars().take(64).collect();
    for name in names {
        let distance = strsim::damerau_levenshtein(&field, name);
        if distance < best.1 {
            best = (name, distance);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Option<Vec<String>> {
        RowSplitter::new().split(line).ok().map(|record| record.iter().map(str::to_owned).collect())
    }

    #[test]
    fn quotes_hold_commas_and_quotes() {
        assert_eq!(fields("a,,\"b, \"\"c\"\"\",").unwrap(), ["a", "", "b, \"c\"", ""]);
        assert_eq!(fields("a\"b,c\rd").unwrap(), ["a\"b", "c\rd"]);
        let long = "x".repeat(100_000);
        assert_eq!(fields(&format!("{long},\"{long}\"")).unwrap(), [long.as_str(), &long]);
    }

    #[test]
    fn a_quote_must_close_on_its_line() {
        for line in ["\"", "a,\"b", "a\",\"b", "a,\"b\"\""] {
            assert_eq!(fields(line), None, "{line}");
        }
    }

    #[test]
    fn one_splitter_takes_line_after_line() {
        let mut splitter = RowSplitter::new();
        for line in ["a,b", "\"c\",d,e", "f"] {
            let expected: Vec<String> = line.split(',').map(|field| field.replace('"', "")).collect();
            assert_eq!(splitter.split(line).unwrap(), expected);
        }
    }
}
