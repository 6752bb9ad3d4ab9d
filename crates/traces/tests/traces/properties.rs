//! Whatever the bytes, no panic and at most one error, the last item; what was written is what is read.

use std::fmt::Write;

use kendall_des::SimDuration;
use kendall_serving::PromptContent;
use kendall_traces::TraceFormat::{Azure, Kendall, Mooncake};
use kendall_traces::{OnEmpty, TraceFormat, TraceOptions, TraceReader, TraceRecord, read_lengths};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::read;

const TIMED: [TraceFormat; 3] = [Kendall, Azure, Mooncake];

const VALID: [&str; 4] = [
    "# c\narrival_s,prompt_tokens,output_tokens,priority,abort_s,prefix_group,prefix_tokens,prompt_id\n\
     0.5,10,3,-1,7e1,\"a,b\",5,p\n1.25,20,4,,,,,\n",
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44\r\n\
     2023-11-16T18:15:50.9951690+00:00,396,109\r\n",
    "{\"timestamp\": 0, \"input_length\": 513, \"output_length\": 5, \"hash_ids\": [0, 1]}\n\
     {\"timestamp\": 7.5, \"input_length\": 12, \"output_length\": 1, \"hash_ids\": [2]}\n",
    "{\"prompt_len\": [1, 2], \"x\": {\"y\": [null]}, \"gen_len\": [3, 4]}",
];

/// Reads the bytes as every format; what was read keeps every promise of the reader.
fn survives(bytes: &[u8]) {
    let _ = TraceFormat::detect(&String::from_utf8_lossy(bytes));
    if let Err(error) = read_lengths(bytes, "t") {
        assert!(error.to_string().starts_with("t:"));
    }
    for format in TIMED {
        for on_empty in [OnEmpty::Error, OnEmpty::Skip] {
            match TraceReader::new(std::io::Cursor::new(bytes.to_vec()), "t", format) {
                Ok(reader) => keeps_its_promises(reader.on_empty(on_empty)),
                Err(error) => assert!(error.to_string().starts_with("t:")),
            }
        }
    }
}

fn keeps_its_promises(mut reader: TraceReader) {
    let mut previous = SimDuration::ZERO;
    while let Some(record) = reader.next() {
        let Ok(record) = record else {
            assert!(reader.next().is_none(), "nothing follows an error");
            return;
        };
        assert!(record.arrival >= previous && record.num_prompt_tokens > 0 && record.num_output_tokens > 0);
        assert!(record.abort.is_none_or(|abort| abort >= record.arrival));
        if let PromptContent::Segments(segments) = &record.prompt {
            let len: u64 = segments.iter().map(|segment| u64::from(segment.len)).sum();
            assert_eq!(len, u64::from(record.num_prompt_tokens));
            assert!(segments.iter().all(|segment| segment.len > 0));
        }
        previous = record.arrival;
    }
}

/// Sorted arrivals in picoseconds with lengths.
fn rows() -> impl Strategy<Value = Vec<(u64, u32, u32)>> {
    prop::collection::vec((0_u64..2_000_000_000_000_000, 1..=u32::MAX, 1..=u32::MAX), 1..20).prop_map(
        |mut rows| {
            rows.sort_unstable();
            rows
        },
    )
}

fn summary(records: &[TraceRecord]) -> Vec<(u64, u32, u32)> {
    let row =
        |record: &TraceRecord| (record.arrival.as_ps(), record.num_prompt_tokens, record.num_output_tokens);
    records.iter().map(row).collect()
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn no_text_of_the_formats_own_characters_panics(text in "[-+0-9.,:eETZ{}\\[\\]\"#\\\\ \n]{0,80}") {
        for valid in VALID {
            let header = valid.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
            survives(format!("{header}\n{text}").as_bytes());
        }
    }

    #[test]
    fn no_damage_to_a_valid_trace_panics(
        valid in prop::sample::select(&VALID[..]),
        at in any::<Index>(),
        removed in 0_usize..6,
        added in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        let mut bytes = valid.as_bytes().to_vec();
        let from = at.index(bytes.len());
        let to = (from + removed).min(bytes.len());
        bytes.splice(from..to, added);
        survives(&bytes);
    }

    #[test]
    fn no_cut_of_a_valid_trace_panics(valid in prop::sample::select(&VALID[..]), at in any::<Index>()) {
        survives(&valid.as_bytes()[..at.index(valid.len())]);
    }

    #[test]
    fn kendall_rows_come_back(rows in rows()) {
        let mut csv = String::from("output_tokens,arrival_s,prompt_tokens\n");
        for (ps, prompt, output) in &rows {
            let (secs, rest) = (ps / 1_000_000_000_000, ps % 1_000_000_000_000);
            writeln!(csv, "{output},{secs}.{rest:012},{prompt}").unwrap();
        }
        prop_assert_eq!(summary(&read(Kendall, csv).unwrap()), rows);
    }

    #[test]
    fn mooncake_rows_come_back(rows in rows()) {
        let mut jsonl = String::new();
        let rows: Vec<_> = rows.into_iter().map(|(ps, prompt, output)| (ps, prompt % 5_000 + 1, output)).collect();
        for (ps, prompt, output) in &rows {
            let (millis, rest) = (ps / 1_000_000_000, ps % 1_000_000_000);
            let ids: Vec<u32> = (0..prompt.div_ceil(512)).collect();
            writeln!(
                jsonl,
                r#"{{"timestamp":{millis}.{rest:09},"input_length":{prompt},"output_length":{output},"hash_ids":{ids:?}}}"#
            ).unwrap();
        }
        prop_assert_eq!(summary(&read(Mooncake, jsonl).unwrap()), rows);
    }

    /// Times of the day to 100 ns, as the genuine files have them.
    #[test]
    fn azure_rows_come_back(rows in rows()) {
        const PS_PER_TICK: u64 = 100_000;
        const TICKS_PER_SEC: u64 = 10_000_000;
        let tick = |ps: u64| ps / PS_PER_TICK % (86_400 * TICKS_PER_SEC);
        let mut rows: Vec<_> = rows.into_iter().map(|(ps, prompt, output)| (tick(ps), prompt, output)).collect();
        rows.sort_unstable();
        let mut csv = String::from("TIMESTAMP,ContextTokens,GeneratedTokens\n");
        for (ticks, prompt, output) in &rows {
            let (secs, rest) = (ticks / TICKS_PER_SEC, ticks % TICKS_PER_SEC);
            let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
            writeln!(csv, "2023-11-16 {hour:02}:{minute:02}:{second:02}.{rest:07},{prompt},{output}").unwrap();
        }
        let first = rows[0].0;
        let expected: Vec<_> =
            rows.iter().map(|&(ticks, prompt, output)| ((ticks - first) * PS_PER_TICK, prompt, output)).collect();
        prop_assert_eq!(summary(&read(Azure, csv).unwrap()), expected);
    }

    /// Whatever the factor, requests stay in order.
    #[test]
    fn scaled_arrivals_stay_sorted(rows in rows(), time_scale in 1e-9_f64..1e3) {
        let mut csv = String::from("arrival_s,prompt_tokens,output_tokens\n");
        for (ps, ..) in &rows {
            writeln!(csv, "{ps}e-12,1,1").unwrap();
        }
        let reader = TraceReader::new(std::io::Cursor::new(csv), "t", Kendall).unwrap();
        let options = TraceOptions { time_scale, ..TraceOptions::default() };
        let arrivals: Vec<_> = reader.into_requests(&options).unwrap().map(|request| request.unwrap().arrival).collect();
        prop_assert_eq!(arrivals.len(), rows.len());
        prop_assert!(arrivals.is_sorted());
    }
}

#[test]
fn a_reader_can_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<TraceReader>();
}
