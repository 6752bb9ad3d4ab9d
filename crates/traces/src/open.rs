//! The one door to the file system.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use crate::error::{TraceError, TraceErrorKind, shown};
use crate::table::read_table;
use crate::{TraceFormat, TraceReader, read_lengths};

/// How much of a file is looked at to tell its format, in bytes.
const MAX_HEAD_BYTES: u64 = 64 << 10;

/// Opens a timed trace; without `format`, tells it from the first line that is not blank.
///
/// # Errors
/// If the file cannot be opened, its format cannot be told or records no arrivals, or its header does not fit.
pub fn open(path: &Path, format: Option<TraceFormat>) -> Result<TraceReader, TraceError> {
    let name = path.display().to_string();
    let mut reader = buffered(path, &name)?;
    if let Some(format) = format {
        return TraceReader::new(reader, &name, format);
    }
    let head = head(&mut reader).map_err(|error| TraceError::of_file(&name, TraceErrorKind::Read(error)))?;
    let format = told_from(&head, &name)?;
    TraceReader::new(Cursor::new(head).chain(reader), &name, format)
}

/// Opens a document of lengths: see [`read_lengths`].
///
/// # Errors
/// If the file cannot be opened, and as [`read_lengths`].
pub fn open_lengths(path: &Path) -> Result<Vec<(u32, u32)>, TraceError> {
    let name = path.display().to_string();
    read_lengths(buffered(path, &name)?, &name)
}

/// Opens a table of lengths and weights: see the format in the scenario's `path` of an empirical distribution.
///
/// # Errors
/// If the file cannot be opened, a line is neither a length nor a length and a weight, or there is none.
pub fn open_length_table(path: &Path) -> Result<Vec<(u32, f64)>, TraceError> {
    let name = path.display().to_string();
    read_table(buffered(path, &name)?, &name)
}

/// Whether the file is of a format that is not made of lines.
pub(crate) fn is_parquet(path: &Path) -> Result<bool, TraceError> {
    let mut magic = Vec::new();
    let name = path.display().to_string();
    let read = buffered(path, &name)?.take(PARQUET_MAGIC.len() as u64).read_to_end(&mut magic);
    read.map_err(|error| TraceError::of_file(&name, TraceErrorKind::Read(error)))?;
    Ok(magic == PARQUET_MAGIC)
}

/// Begins every Parquet file.
const PARQUET_MAGIC: &[u8] = b"PAR1";

fn buffered(path: &Path, name: &str) -> Result<BufReader<File>, TraceError> {
    match File::open(path) {
        Ok(file) => Ok(BufReader::new(file)),
        Err(error) => Err(TraceError::of_file(name, TraceErrorKind::Open(error))),
    }
}

/// The file up to the end of its first line that is not blank, or as much of it as may be looked at.
fn head(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut limited = reader.take(MAX_HEAD_BYTES);
    while head.iter().all(u8::is_ascii_whitespace) {
        if limited.read_until(b'\n', &mut head)? == 0 {
            break;
        }
    }
    Ok(head)
}

fn told_from(head: &[u8], name: &str) -> Result<TraceFormat, TraceError> {
    let text = String::from_utf8_lossy(head);
    let line = text.trim();
    if line.is_empty() && (head.len() as u64) < MAX_HEAD_BYTES {
        return Err(TraceError::of_file(name, TraceErrorKind::NoRequests));
    }
    TraceFormat::detect(line)
        .ok_or_else(|| TraceError::of_file(name, TraceErrorKind::UnknownFormat { first_line: shown(line) }))
}
