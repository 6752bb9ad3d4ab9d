//! Files opened, their formats told from their content.

use std::path::PathBuf;

use kendall_traces::TraceFormat::{Azure, Kendall, Mooncake, ShareGpt};
use kendall_traces::{TraceFormat, open, open_lengths};

/// A file of the content given, in the directory that cargo keeps for integration tests.
fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("the directory can be written");
    path
}

#[test]
fn formats_are_told_from_the_first_line() {
    for (line, format) in [
        ("arrival_s,prompt_tokens,output_tokens", Some(Kendall)),
        ("\u{feff}priority, prompt_tokens", Some(Kendall)),
        ("# a comment", Some(Kendall)),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\r\n", Some(Azure)),
        (r#"{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1]}"#, Some(Mooncake)),
        ("{", Some(ShareGpt)),
        (r#"{"prompt_len": [1], "gen_len": [2]}"#, Some(ShareGpt)),
        ("[", Some(ShareGpt)),
        (r#"[{"prompt_tokens": 1"#, Some(ShareGpt)),
        ("", None),
        ("[1, 2]", None),
        (r#"{"completed": 5}"#, None),
        ("num_prefill_tokens,num_decode_tokens", None),
    ] {
        assert_eq!(TraceFormat::detect(line), format, "{line}");
    }
}

#[test]
fn a_told_format_loses_no_line() {
    let path = file("told.csv", "\n\narrival_s,prompt_tokens,output_tokens\n0,1,1\n1,1,x\n");
    let mut reader = open(&path, None).unwrap();
    assert_eq!(reader.format(), Kendall);
    assert!(matches!(reader.next(), Some(Ok(_))));
    let error = reader.next().and_then(Result::err).expect("line 5 is malformed");
    assert_eq!(error.line(), Some(5));
}

#[test]
fn a_named_format_is_not_told() {
    let path = file("named.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00,5,7\n");
    assert_eq!(open(&path, Some(Azure)).unwrap().count(), 1);
    let error = open(&path, Some(Kendall)).expect_err("an Azure header").to_string();
    assert!(
        error.ends_with("named.csv:1: unknown column `TIMESTAMP`; the nearest known column is `arrival_s`"),
        "{error}"
    );
}

#[test]
fn files_that_cannot_be_told() {
    let error = open(&file("empty", " \n\n"), None).expect_err("empty").to_string();
    assert!(error.ends_with("empty: no requests; the trace is empty or holds only a header"), "{error}");
    let error = open(&file("prose", "\nDear all,\n"), None).expect_err("prose").to_string();
    assert!(
        error.ends_with(
            "prose: `Dear all,` begins no known trace; name its format: kendall, azure, burstgpt, mooncake, parquet, or sharegpt for lengths"
        ),
        "{error}"
    );
    let error = open(&file("absent", "").with_extension("no"), None).expect_err("absent").to_string();
    assert!(error.contains("absent.no: cannot open: "), "{error}");
    let error = open(&file("lengths", "{\n\"prompt_len\": []}"), None).expect_err("no arrivals").to_string();
    assert!(error.contains("lengths: a sharegpt file holds lengths but no arrival times"), "{error}");
}

#[test]
fn lengths_are_opened_as_well() {
    let path = file("pairs.json", r#"[{"prompt_tokens": 4, "output_tokens": 2}]"#);
    assert_eq!(open_lengths(&path).unwrap(), [(4, 2)]);
}
