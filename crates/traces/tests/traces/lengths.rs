//! Documents of lengths without arrivals.

use kendall_traces::read_lengths;

fn message(document: impl AsRef<[u8]>) -> String {
    read_lengths(document.as_ref(), "t").expect_err("the document is malformed").to_string()
}

const FORMS: &str = "expected {\"prompt_len\": [..], \"gen_len\": [..]} or \
                     [{\"prompt_tokens\": .., \"output_tokens\": ..}, ..]";

#[test]
fn both_forms_give_pairs_in_order() {
    let arrays = r#"{"seed": 0, "gen_len": [220, 120], "sizes": {"a": [1]}, "prompt_len": [10, 6]}"#;
    let plain = r#"[{"prompt_tokens": 10, "output_tokens": 220}, {"id": "x", "output_tokens": 120, "prompt_tokens": 6}]"#;
    assert_eq!(read_lengths(arrays.as_bytes(), "t").unwrap(), [(10, 220), (6, 120)]);
    assert_eq!(read_lengths(plain.as_bytes(), "t").unwrap(), [(10, 220), (6, 120)]);
}

#[test]
fn faults_name_line_key_index_and_value() {
    assert_eq!(message(""), "t: no requests; the trace is empty or holds only a header");
    assert_eq!(message("[]"), "t: no requests; the trace is empty or holds only a header");
    assert_eq!(
        message("{\"prompt_len\": [1,\n2,\n-3],\n\"gen_len\": [1, 2, 3]}"),
        "t:3: prompt_len[2] is `-3`; expected a whole number from 0 to 4294967295"
    );
    assert_eq!(
        message("[{\"prompt_tokens\": 4,\n \"output_tokens\": 1.5}]"),
        "t:2: [0].output_tokens is `1.5`; expected a whole number from 0 to 4294967295"
    );
    assert_eq!(
        message(r#"{"prompt_len": [1], "gen_len": [0]}"#),
        "t:1: gen_len[0] is 0; a request needs at least one token; remove the pair"
    );
    assert_eq!(
        message(r#"{"prompt_len": [1], "gen_len": [1, 2]}"#),
        "t:1: 1 prompt_len but 2 gen_len; give each request both"
    );
    assert_eq!(message(r#"{"prompt_len": [1]}"#), format!("t:1: {FORMS}"));
    assert_eq!(
        message(r#"{"prompt_len": 5, "gen_len": [1]}"#),
        "t:1: invalid type: integer `5`, expected an array of token lengths in `prompt_len`"
    );
    assert_eq!(message("[7]"), format!("t:1: [0] is `7`; {FORMS}"));
    assert_eq!(message(r#"[{"prompt_tokens": 1}]"#), "t:1: [0]: missing field `output_tokens`");
    assert_eq!(message("[]\n[]"), "t:2: trailing characters");
    assert_eq!(message(b"[\n{\"p\xff\"}]"), "t:2: byte 4 of the line is not UTF-8; save the file as UTF-8");
}

#[test]
fn a_document_that_was_cut_says_so() {
    let document = "{\"prompt_len\": [1, 2],\n\"gen_len\": [1, ";
    assert_eq!(
        message(document),
        "t:2: EOF while parsing a value (the file ends too early and looks truncated; fetch it again)"
    );
}

#[test]
fn a_document_that_nests_deeply_is_refused() {
    let deep = 200_000;
    let closed = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    assert!(message(&closed).starts_with("t:1: [0] is `[[[["));
    assert!(message("[".repeat(deep)).contains("truncated"));
    assert!(message("{\"a\":".repeat(deep)).contains("truncated"));
}
