//! `BurstGPT`: CSV of requests to `ChatGPT` and `GPT-4` at a university, in seconds.
//!
//! Source: <https://github.com/HPMLL/BurstGPT> (Wang et al., KDD 2025). `BurstGPT_1.csv` and `_2.csv` have the columns `Timestamp`,
//! `Model`, `Request tokens`, `Response tokens`, `Total tokens`, `Log Type`; `_3.csv` has `Session ID` and `Elapsed time` besides.
//! A failed request has 0 response tokens. Clocks are differences to the first row, taken by the reader.

use crate::error::TraceErrorKind;
use crate::record::FieldNames;
use crate::value::{PS_PLACES_PER_SEC, parse_time_ps};

pub(crate) const FIELDS: FieldNames =
    FieldNames { clock: "Timestamp", prompt: "Request tokens", output: "Response tokens" };

/// A number of seconds in picoseconds.
pub(crate) fn clock_ps(text: &str) -> Result<i128, TraceErrorKind> {
    parse_time_ps(FIELDS.clock, text, PS_PLACES_PER_SEC).map(i128::from)
}
