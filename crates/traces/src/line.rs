//! Lines of bounded length, numbered from 1, in constant memory.

use std::io::{BufRead, Read};

use crate::error::TraceErrorKind;

/// Longest line that is read, in bytes. A Mooncake line of a million prompt tokens takes about 20 kB.
pub(crate) const MAX_LINE_BYTES: u64 = 16 << 20;

/// Begins a comment line, in the one format that has them.
pub(crate) const COMMENT: u8 = b'#';

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads lines one by one into one buffer; blank lines are counted and passed over.
pub(crate) struct LineReader {
    reader: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    number: u64,
}

/// One line, without its line end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) text: &'a str,
    /// False for a last line without a line end: complete in some genuine traces, a sign of truncation in others.
    pub(crate) has_end: bool,
}

/// A line that cannot be read as text.
pub(crate) struct BadLine {
    pub(crate) number: u64,
    pub(crate) has_end: bool,
    pub(crate) kind: TraceErrorKind,
}

impl LineReader {
    pub(crate) fn new(reader: Box<dyn BufRead + Send>) -> Self {
        Self { reader, buffer: Vec::new(), number: 0 }
    }

    /// The next line that is neither blank nor begins with `comment`; `None` at the end.
    pub(crate) fn next_line(&mut self, comment: Option<u8>) -> Result<Option<Line<'_>>, BadLine> {
        while self.read_line()? {
            let is_blank = self.buffer.iter().all(u8::is_ascii_whitespace);
            let is_comment = comment.is_some() && self.buffer.first().copied() == comment;
            if !is_blank && !is_comment {
                return self.line().map(Some);
            }
        }
        Ok(None)
    }

    /// Fills the buffer with the next line; false at the end.
    fn read_line(&mut self) -> Result<bool, BadLine> {
        self.buffer.clear();
        self.number += 1;
        let number = self.number;
        let bad = |kind| BadLine { number, has_end: true, kind };
        let read = (&mut self.reader)
            .take(MAX_LINE_BYTES + 1)
            .read_until(b'\n', &mut self.buffer)
            .map_err(|error| bad(TraceErrorKind::Read(error)))?;
        if read as u64 > MAX_LINE_BYTES {
            return Err(bad(TraceErrorKind::LineTooLong));
        }
        if number == 1 && self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(read > 0)
    }

    fn line(&self) -> Result<Line<'_>, BadLine> {
        let has_end = self.buffer.ends_with(b"\n");
        match std::str::from_utf8(&self.buffer) {
            Ok(text) => Ok(Line { number: self.number, text: text.trim_end_matches(['\n', '\r']), has_end }),
            Err(error) => {
                let kind = TraceErrorKind::NotUtf8 { column: error.valid_up_to() + 1 };
                Err(BadLine { number: self.number, has_end, kind })
            }
        }
    }
}
