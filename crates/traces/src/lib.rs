//! Recorded workloads in their original formats, read as a stream.
//!
//! A trace is a list of requests with their arrival times and lengths. Four formats are timed and read by
//! [`TraceReader`], one line at a time, in memory bounded by the longest line; Parquet is read by batches of rows through
//! [`TraceSource`]; a last one records lengths alone and is read by [`read_lengths`].
//!
//! | format | a line, or the document | source |
//! |---|---|---|
//! | `kendall` | `0.25,512,128` under `arrival_s,prompt_tokens,output_tokens` | below |
//! | `azure` | `2023-11-16 18:15:46.6805900,374,44` | <https://github.com/Azure/AzurePublicDataset> |
//! | `mooncake` | `{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}` | <https://github.com/kvcache-ai/Mooncake> |
//! | `burstgpt` | `5,ChatGPT,472,18,490,Conversation log` | <https://github.com/HPMLL/BurstGPT> |
//! | `parquet` | columns by name: arrival, prompt tokens, output tokens | <https://parquet.apache.org> |
//! | `sharegpt` | `{"prompt_len": [10, 6], "gen_len": [220, 120]}` | samples published with benchmarks |
//!
//! ```
//! use kendall_traces::{TraceFormat, TraceReader};
//!
//! let csv = "arrival_s,prompt_tokens,output_tokens\n0.25,512,128\n0.50,64,x\n";
//! let mut trace = TraceReader::new(csv.as_bytes(), "day.csv", TraceFormat::Kendall)?;
//! assert_eq!(trace.next().transpose()?.map(|record| record.num_prompt_tokens), Some(512));
//! let error = trace.next().transpose().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "day.csv:3: output_tokens is `x`; expected a whole number from 0 to 4294967295"
//! );
//! # Ok::<(), kendall_traces::TraceError>(())
//! ```
//!
//! # The `kendall` format
//!
//! CSV in UTF-8 with a header; columns by name in any order; lines that begin with `#` are comments. A field with a
//! comma stands in double quotes; no field holds a line break.
//!
//! | column | | meaning |
//! |---|---|---|
//! | `arrival_s` | required | when the client sends, in seconds since the start of the run; never decreasing |
//! | `prompt_tokens` | required | prompt length, at least 1 |
//! | `output_tokens` | required | output length, at least 1 |
//! | `priority` | optional | smaller is more urgent; empty for 0 |
//! | `abort_s` | optional | when the client gives up, on the clock of `arrival_s`; empty for never |
//! | `prefix_group` | optional | any name; requests of one group share their first tokens |
//! | `prefix_tokens` | with a group | how many of `prompt_tokens` are the group's, counted from the front |
//! | `prompt_id` | optional | any name; requests of one id have equal tokens after the group's prefix, if any |
//!
//! Times are decimal numbers, exact to the picosecond; finer digits are rounded to the nearest. Two requests with one
//! `prompt_id` and different lengths share the shorter one's tokens.
//!
//! # What is refused
//!
//! Every fault is a [`TraceError`] that names file, line, field, value and remedy; nothing is mended in silence. A file
//! that was cut between two digits of its last line's last number looks whole and cannot be told from a whole one.
//!
//! Architecture invariant: nothing here simulates, and only [`open()`], [`TraceSource`], [`open_lengths`] and
//! [`open_length_table`] touch a file.

mod adapt;
mod azure;
mod burstgpt;
mod error;
mod format;
mod kendall;
mod lengths;
mod line;
mod mooncake;
mod open;
mod parquet;
mod published;
mod reader;
mod record;
mod row;
mod scale;
mod source;
mod table;
mod value;

pub use adapt::TraceOptions;
pub use error::{TraceError, TraceErrorKind};
pub use format::TraceFormat;
pub use kendall_serving::scenario::OnEmpty;
pub use lengths::read_lengths;
pub use mooncake::MOONCAKE_BLOCK_TOKENS;
pub use open::{open, open_length_table, open_lengths};
pub use reader::TraceReader;
pub use record::TraceRecord;
pub use source::TraceSource;
