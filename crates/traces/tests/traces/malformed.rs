//! Every way in which a timed trace can be malformed, with the message that it gets.

use std::io::{BufReader, Read};

use kendall_traces::TraceFormat::{Azure, Kendall, Mooncake, ShareGpt};
use kendall_traces::{TraceErrorKind, TraceFormat, TraceReader};

use crate::message;

const TRUNCATED: &str = " (the file ends too early and looks truncated; fetch it again)";
const COUNT: &str = "expected a whole number from 0 to 4294967295";

/// A `kendall` trace of one column more than it must have, with the lines given.
fn kendall(column: &str, rows: &str) -> String {
    message(Kendall, format!("arrival_s,prompt_tokens,output_tokens,{column}\n{rows}\n"))
}

fn azure(rows: &str) -> String {
    message(Azure, format!("TIMESTAMP,ContextTokens,GeneratedTokens\n{rows}\n"))
}

fn mooncake(timestamp: &str, input_length: &str, output_length: &str, hash_ids: &str) -> String {
    let line = format!(
        r#"{{"timestamp": {timestamp}, "input_length": {input_length}, "output_length": {output_length}, "hash_ids": {hash_ids}}}"#
    );
    message(Mooncake, line + "\n")
}

#[test]
fn a_trace_without_requests() {
    let expected = "t: no requests; the trace is empty or holds only a header";
    for format in [Kendall, Azure, Mooncake] {
        assert_eq!(message(format, ""), expected);
        assert_eq!(message(format, "\n \r\n\n"), expected);
    }
    assert_eq!(message(Kendall, "# nothing yet\n"), expected);
    assert_eq!(message(Kendall, "arrival_s,prompt_tokens,output_tokens\n# nothing yet"), expected);
    assert_eq!(message(Azure, "TIMESTAMP,ContextTokens,GeneratedTokens\n"), expected);
}

#[test]
fn a_format_without_arrivals() {
    assert_eq!(
        message(ShareGpt, "{}"),
        "t: a sharegpt file holds lengths but no arrival times; use it for token lengths beside an arrival process"
    );
}

#[test]
fn headers() {
    assert_eq!(
        message(Kendall, "# c\narrival_s,promt_tokens,output_tokens\n"),
        "t:2: unknown column `promt_tokens`; the nearest known column is `prompt_tokens`"
    );
    assert_eq!(
        message(Kendall, "arrival_s,prompt_tokens\n"),
        "t:1: the header lacks the column `output_tokens`; the kendall format needs arrival_s, prompt_tokens, output_tokens"
    );
    assert_eq!(
        message(Azure, "TIMESTAMP,ContextTokens,Generated\n"),
        "t:1: the header lacks the column `GeneratedTokens`; the azure format needs TIMESTAMP, ContextTokens, GeneratedTokens"
    );
    assert_eq!(
        message(Kendall, "arrival_s,arrival_s,prompt_tokens\n"),
        "t:1: the header names the column `arrival_s` twice; remove one"
    );
}

#[test]
fn rows() {
    assert_eq!(
        kendall("priority", "0,1,1,0\n\n1,2,3"),
        "t:4: 3 fields where the header has 4; give every column a field, empty where optional"
    );
    assert_eq!(
        azure("2023-11-16 18:15:46,1,1,1"),
        "t:2: 4 fields where the header has 3; give every column a field, empty where optional"
    );
    assert_eq!(
        kendall("prompt_id", "0,1,1,\"a\nb\""),
        "t:2: a quoted field is not closed; write each quote inside quotes twice, and no line breaks"
    );
}

#[test]
fn counts() {
    for value in ["-5", "4294967296", "1.0", "NaN", "1e3", "+1", "ten"] {
        assert_eq!(
            kendall("priority", &format!("0,{value},1,")),
            format!("t:2: prompt_tokens is `{value}`; {COUNT}")
        );
        assert_eq!(
            kendall("priority", &format!("0,1,{value},")),
            format!("t:2: output_tokens is `{value}`; {COUNT}")
        );
        let row = format!("2023-11-16 18:15:46,{value},1");
        assert_eq!(azure(&row), format!("t:2: ContextTokens is `{value}`; {COUNT}"));
        let row = format!("2023-11-16 18:15:46,1,{value}");
        assert_eq!(azure(&row), format!("t:2: GeneratedTokens is `{value}`; {COUNT}"));
    }
    for value in ["-5", "4294967296", "1.0", "\"1\"", "null", "[1]"] {
        assert_eq!(mooncake("0", value, "1", "[]"), format!("t:1: input_length is `{value}`; {COUNT}"));
        assert_eq!(mooncake("0", "1", value, "[]"), format!("t:1: output_length is `{value}`; {COUNT}"));
    }
    assert_eq!(kendall("priority", "0,,1,"), format!("t:2: prompt_tokens is empty; {COUNT}"));
}

#[test]
fn requests_without_tokens() {
    let of = |field| {
        format!(
            "{field} is 0; a request needs at least one token, and `on_empty = \"skip\"` leaves such rows out"
        )
    };
    assert_eq!(kendall("priority", "0,0,1,"), format!("t:2: {}", of("prompt_tokens")));
    assert_eq!(kendall("priority", "0,1,0,"), format!("t:2: {}", of("output_tokens")));
    assert_eq!(azure("2023-11-16 18:15:46,1,0"), format!("t:2: {}", of("GeneratedTokens")));
    assert_eq!(mooncake("0", "0", "1", "[]"), format!("t:1: {}", of("input_length")));
}

#[test]
fn times() {
    for value in ["-0.5", "NaN", "inf", "1:30", "0,5"] {
        let row = format!("\"{value}\",1,1,");
        assert_eq!(
            kendall("priority", &row),
            format!("t:2: arrival_s is `{value}`; expected a decimal number, at least 0")
        );
    }
    assert_eq!(
        kendall("priority", "2e7,1,1,"),
        "t:2: arrival_s `2e7` is beyond the simulated horizon of 213 days; cut the trace or scale its time"
    );
    assert_eq!(
        azure("16/11/2023 18:15,1,1"),
        "t:2: TIMESTAMP is `16/11/2023 18:15`; expected a time such as 2023-11-16 18:15:46.6805900"
    );
    assert_eq!(
        azure("2023-11-16 00:00:00,1,1\n2024-11-16 00:00:00,1,1"),
        "t:3: TIMESTAMP `2024-11-16 00:00:00` is beyond the simulated horizon of 213 days; \
         cut the trace or scale its time"
    );
    assert_eq!(
        mooncake("\"0\"", "1", "1", "[1]"),
        "t:1: timestamp is `\"0\"`; expected a decimal number, at least 0"
    );
}

#[test]
fn arrivals_that_are_not_sorted() {
    assert_eq!(
        kendall("priority", "1.5,1,1,\n# comment\n1.25,1,1,"),
        "t:4: arrival_s `1.25` comes before `1.5` of line 2; sort the file by arrival_s"
    );
    assert_eq!(
        azure("2023-11-16 18:15:46,1,1\n2023-11-16 18:15:45,1,1"),
        "t:3: TIMESTAMP `2023-11-16 18:15:45` comes before `2023-11-16 18:15:46` of line 2; sort the file by TIMESTAMP"
    );
}

#[test]
fn optional_columns() {
    assert_eq!(
        kendall("priority", "0,1,1,high"),
        "t:2: priority is `high`; expected a whole number from -2147483648 to 2147483647, or nothing for 0"
    );
    assert_eq!(
        kendall("abort_s", "0,1,1,soon"),
        "t:2: abort_s is `soon`; expected a decimal number, at least 0"
    );
    assert_eq!(
        kendall("abort_s", "5,1,1,2.0"),
        "t:2: abort_s `2.0` is before arrival_s `5`; abort_s is absolute, not a patience"
    );
    assert_eq!(
        kendall("prefix_group,prefix_tokens", "0,4,1,a,5"),
        "t:2: prefix_tokens is 5 but prompt_tokens is 4; prompt_tokens includes the prefix"
    );
    assert_eq!(
        kendall("prefix_group", "0,4,1,a"),
        "t:2: prefix_group is given but prefix_tokens is empty; fill in both or neither"
    );
    assert_eq!(
        kendall("prefix_tokens", "0,4,1,2"),
        "t:2: prefix_tokens is given but prefix_group is empty; fill in both or neither"
    );
}

#[test]
fn json_lines() {
    let example = "each line is one object {\"timestamp\": ms, \"input_length\": ..}";
    assert_eq!(message(Mooncake, "\n[0, 1, 2, [3]]\n"), format!("t:2: column 1: an array; {example}"));
    assert_eq!(
        message(Mooncake, "7\n"),
        format!("t:1: column 1: invalid type: integer `7`, expected an object; {example}")
    );
    assert_eq!(
        message(Mooncake, "{\"timestamp\": 1}\n"),
        format!("t:1: column 16: missing field `input_length`; {example}")
    );
    assert_eq!(
        message(Mooncake, "{\"timestamp\": 1 2}\n"),
        format!("t:1: column 17: expected `,` or `}}`; {example}")
    );
}

#[test]
fn hash_ids() {
    assert_eq!(
        mooncake("0", "513", "1", "[1]"),
        "t:1: 1 hash_ids where input_length 513 takes 2; one id covers 512 tokens"
    );
    assert_eq!(
        mooncake("0", "512", "1", "[1, 2]"),
        "t:1: 2 hash_ids where input_length 512 takes 1; one id covers 512 tokens"
    );
    assert_eq!(
        mooncake("0", "1024", "1", "[1, -2]"),
        "t:1: hash_ids[1] is `-2`; expected a whole number from 0 to 18446744073709551615"
    );
    assert_eq!(
        mooncake("0", "512", "1", "7"),
        "t:1: hash_ids is `7`; expected an array of whole numbers from 0 to 18446744073709551615"
    );
}

#[test]
fn a_file_that_was_cut_says_so() {
    assert_eq!(
        message(Kendall, "arrival_s,prompt_tokens,output_tokens\n0,1,1\n1,2"),
        format!(
            "t:3: 2 fields where the header has 3; give every column a field, empty where optional{TRUNCATED}"
        )
    );
    assert_eq!(
        message(Azure, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,"),
        format!("t:2: GeneratedTokens is empty; {COUNT}{TRUNCATED}")
    );
    let cut = message(Mooncake, "{\"timestamp\": 1, \"input_le");
    assert!(cut.starts_with("t:1: column 26: EOF while parsing a string;"), "{cut}");
    assert!(cut.ends_with(TRUNCATED), "{cut}");
    let whole = message(Mooncake, "{\"timestamp\": 1}");
    assert!(!whole.contains("truncated"), "the object is closed: {whole}");
}

#[test]
fn bytes_that_are_no_text() {
    assert_eq!(
        message(Kendall, b"arrival_s,prompt_tokens,output_tokens\n0,1,1\n1,\xff,1\n"),
        "t:3: byte 3 of the line is not UTF-8; save the file as UTF-8"
    );
    assert_eq!(
        kendall("priority", "0,1\u{7}1,1,"),
        format!("t:2: prompt_tokens is `1\\u{{7}}1`; {COUNT}"),
        "control characters are escaped"
    );
    let long = "9".repeat(500);
    assert_eq!(
        kendall("priority", &format!("0,{long},1,")),
        format!("t:2: prompt_tokens is `{}...`; {COUNT}", "9".repeat(60)),
        "long values are clipped"
    );
}

/// An endless line costs 16 MiB and an error, not the machine's memory.
#[test]
fn lines_without_end() {
    let expected = "the line is longer than 16 MiB; a trace holds one request a line";
    for format in [Kendall, Azure, Mooncake] {
        let reader = BufReader::new(std::io::repeat(b'x'));
        let outcome = TraceReader::new(reader, "t", format).and_then(|mut reader| reader.next().transpose());
        assert_eq!(outcome.expect_err("too long").to_string(), format!("t:1: {expected}"));
    }
    let comment = "# ".as_bytes().chain(std::io::repeat(b'x'));
    let error = TraceReader::new(BufReader::new(comment), "t", Kendall).expect_err("too long");
    assert_eq!(error.to_string(), format!("t:1: {expected}"));
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the disk went away"))
    }
}

#[test]
fn a_reader_that_fails() {
    let error = TraceReader::new(BufReader::new(Broken), "t", Azure).expect_err("the disk went away");
    assert_eq!(error.to_string(), "t:1: cannot read: the disk went away");
}

#[test]
fn nothing_follows_an_error_and_its_parts_can_be_read() {
    let csv = "arrival_s,prompt_tokens,output_tokens\n0,1,1\n1,x,1\n2,1,1\n";
    let mut reader = TraceReader::new(csv.as_bytes(), "day.csv", TraceFormat::Kendall).unwrap();
    assert!(matches!(reader.next(), Some(Ok(_))));
    let error = reader.next().and_then(Result::err).expect("the second request is malformed");
    assert_eq!((error.file(), error.line(), error.looks_truncated()), ("day.csv", Some(3), false));
    assert!(matches!(error.kind(), TraceErrorKind::Value { field, .. } if field == "prompt_tokens"));
    assert!(reader.next().is_none());
    assert!(reader.next().is_none());
}
