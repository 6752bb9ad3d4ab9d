//! Cut and foreign files: an error that names the file and says what to do.

use kendall_calibrate::{ReadErrorKind, read_bytes, read_file};

use crate::{FIXTURES, bytes, message, path};

/// A JSON file that was cut anywhere is told as such, never read as a whole one.
#[test]
fn a_cut_json_file_is_never_read_as_a_whole_one() {
    for name in FIXTURES.iter().filter(|name| path(name).extension().is_some_and(|ext| ext == "json")) {
        let whole = bytes(name);
        let text_ends = whole.trim_ascii_end().len();
        for share in 1..20 {
            let cut = &whole[..text_ends * share / 20];
            let error = read_bytes(name, cut).expect_err("it is cut").to_string();
            assert!(
                error.starts_with(name) && error.contains("the file ends in the middle of its JSON"),
                "{error}"
            );
        }
        read_bytes(name, &whole[..text_ends]).expect("only the last line end is missing");
    }
}

/// JSON Lines may lose whole lines unseen, but never half of one.
#[test]
fn a_cut_line_is_named_by_its_number() {
    for name in ["aiperf/profile_export.jsonl", "aibrix/output.jsonl"] {
        let whole = bytes(name);
        let lines = String::from_utf8_lossy(&whole).lines().count();
        let error = read_bytes(name, &whole[..whole.len() - 20]).expect_err("it is cut").to_string();
        assert!(error.starts_with(&format!("{name}:{lines}: the file ends")), "{error}");
    }
}

#[test]
fn a_yaml_report_cut_before_its_figures_is_not_read() {
    let whole = bytes("llm-d-benchmark/br-0.1-vllm.yaml");
    for share in 1..9 {
        assert!(read_bytes("r.yaml", &whole[..whole.len() * share / 10]).is_err(), "{share}");
    }
}

#[test]
fn foreign_files_are_refused_with_what_they_are() {
    for (text, saw) in [
        ("", "an empty file"),
        ("[]", "an empty list"),
        ("{}", "an empty object"),
        ("[1, 2]", "a list of 2, no object"),
        ("{\"packages\": [], \"lock\": 1}", "an object with packages, lock"),
        ("hello world", "text that begins with `hello world`"),
        ("name: x\nversion: 1\n", "an object with name, version"),
        ("a,b\n1,2", "a table with the columns a,b"),
        ("{\"a\":1}\n{\"a\":2}\n", "an object with a"),
    ] {
        let message = message(text);
        assert!(message.starts_with(&format!("r: no known measured result: {saw}")), "{message}");
        assert!(message.ends_with("`kendall calibrate --help` lists the formats that are read"), "{message}");
    }
    let binary = read_bytes("model.gguf", &[0xff, 0x00, 0x80]).unwrap_err().to_string();
    assert_eq!(
        binary,
        "model.gguf: no known measured result: 3 bytes that are not UTF-8 text; `kendall calibrate --help` lists the \
         formats that are read"
    );
}

#[test]
fn an_absent_file_is_named() {
    let error = read_file(&path("no/such.json")).unwrap_err();
    assert!(
        matches!(*error.kind, ReadErrorKind::Io(_))
            && error.to_string().contains("no/such.json: cannot be read")
    );
}

#[test]
fn a_field_that_is_wrong_is_named_by_its_path() {
    let perf = String::from_utf8(bytes("inference-perf-0.2/per_request_lifecycle_metrics.json")).unwrap();
    for (text, expected) in [
        (perf.replacen("\"end_time\":", "\"end_time\":-", 1), "r: [0].end_time is `-5817"),
        (
            perf.replacen("\"output_token_times\":[", "\"output_token_times\":[\"x\",", 1),
            "r: [0].info.output_token_times[0] is `\"x\"`; expected a point in time",
        ),
        (
            perf.replacen("\"output_token_times\"", "\"other\"", 1),
            "r: [0].info.output_token_times is missing; expected a list of times; write it again with `report.request_lifecycle.per_request: true`",
        ),
        (
            r#"{"ttfts": [0.1, 0.2], "input_lens": [1], "output_lens": [1, 1], "itls": [[], []]}"#.to_owned(),
            "r: input_lens is `a list of 1`; expected a list of 2, as ttfts has",
        ),
        (
            r#"{"ttfts": [0.1], "input_lens": [1], "output_lens": [1], "itls": [[-1]]}"#.to_owned(),
            "r: itls[0][0] is `-1`; expected a length of time, not negative",
        ),
    ] {
        let message = message(&text);
        assert!(message.starts_with(expected), "{message}");
    }
}
