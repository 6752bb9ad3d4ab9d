//! Every format read, every fault named, nothing that panics, the genuine files whole.

mod adapt;
mod azure;
mod kendall;
mod lengths;
mod malformed;
mod mooncake;
mod open;
mod properties;
mod real_files;
mod repeated;

use kendall_traces::{TraceError, TraceFormat, TraceReader, TraceRecord};

/// Reads a whole trace from memory.
fn read(format: TraceFormat, content: impl Into<Vec<u8>>) -> Result<Vec<TraceRecord>, TraceError> {
    TraceReader::new(std::io::Cursor::new(content.into()), "t", format)?.collect()
}

/// The message of a trace that cannot be read.
fn message(format: TraceFormat, content: impl Into<Vec<u8>>) -> String {
    read(format, content).expect_err("the trace is malformed").to_string()
}
