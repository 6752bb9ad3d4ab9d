//! The Azure LLM inference traces of 2023 and 2024: CSV of timestamps, context tokens and generated tokens.
//!
//! Source: <https://github.com/Azure/AzurePublicDataset>. The 2023 files write `2023-11-16 18:15:46.6805900`; those of
//! 2024 add an offset. Clocks are differences to the first row, taken by the reader.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{PrimitiveDateTime, UtcOffset};

use crate::error::TraceErrorKind;
use crate::record::FieldNames;

pub(crate) const FIELDS: FieldNames =
    FieldNames { clock: "TIMESTAMP", prompt: "ContextTokens", output: "GeneratedTokens" };

const PS_PER_NANO: i128 = 1_000;
const EXPECTED_TIMESTAMP: &str = "a time such as 2023-11-16 18:15:46.6805900";

const DATE_TIME: &[BorrowedFormatItem<'static>] = format_description!(
    version = 2,
    "[year]-[month]-[day][first [ ][T]][hour]:[minute]:[second][optional [.[subsecond]]]"
);
const OFFSET: &[BorrowedFormatItem<'static>] =
    format_description!("[offset_hour sign:mandatory]:[offset_minute]");

/// Length of the date alone: a later sign or `Z` begins the offset.
const DATE_LEN: usize = "2023-11-16".len();

/// A timestamp in picoseconds since 1970.
pub(crate) fn clock_ps(text: &str) -> Result<i128, TraceErrorKind> {
    timestamp_ps(text).ok_or_else(|| TraceErrorKind::value(FIELDS.clock, text, EXPECTED_TIMESTAMP))
}

/// Picoseconds since 1970, exactly; up to nine decimals of a second. No offset means UTC.
fn timestamp_ps(text: &str) -> Option<i128> {
    let offset_at = text.get(DATE_LEN..)?.find(['Z', '+', '-']).map_or(text.len(), |at| DATE_LEN + at);
    let (date_time, offset) = text.split_at(offset_at);
    let offset = match offset {
        "" | "Z" => UtcOffset::UTC,
        _ => UtcOffset::parse(offset, OFFSET).ok()?,
    };
    let date_time = PrimitiveDateTime::parse(date_time, DATE_TIME).ok()?;
    date_time.assume_offset(offset).unix_timestamp_nanos().checked_mul(PS_PER_NANO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_instant_is_the_same_instant() {
        let instant = Some(1_700_158_546_680_590_000_000);
        for text in [
            "2023-11-16 18:15:46.6805900",
            "2023-11-16T18:15:46.68059",
            "2023-11-16 18:15:46.680590+00:00",
            "2023-11-16T18:15:46.680590000Z",
            "2023-11-16 20:15:46.6805900+02:00",
            "2023-11-16 12:45:46.6805900-05:30",
        ] {
            assert_eq!(timestamp_ps(text), instant, "{text}");
        }
        assert_eq!(timestamp_ps("1970-01-01 00:00:01"), Some(1_000_000_000_000));
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "2023-11-16",
            "2023-02-29 00:00:00",
            "2023-11-16 24:00:00",
            "2023-11-16 18:15:46.",
            "2023-11-16 18:15:46 PM",
            "1700158546",
            "2023-11-16 18:15:46+0000x",
            "٢٠٢٣-11-16 18:15:46",
        ] {
            assert_eq!(timestamp_ps(text), None, "{text}");
        }
    }
}
