//! The Mooncake traces.

use kendall_des::SimDuration;
use kendall_serving::{PromptContent, TokenSegment, TokenStream};
use kendall_traces::MOONCAKE_BLOCK_TOKENS;
use kendall_traces::TraceFormat::Mooncake;

use crate::read;

#[test]
fn ids_become_blocks_and_the_last_is_cut() {
    let jsonl = r#"{"timestamp": 27, "input_length": 1030, "output_length": 5, "hash_ids": [0, 46, 18446744073709551615]}"#;
    let records = read(Mooncake, jsonl).unwrap();
    let block = |id, len| TokenSegment { stream: TokenStream::Shared(id), start: 0, len };
    let blocks = [block(0, MOONCAKE_BLOCK_TOKENS), block(46, MOONCAKE_BLOCK_TOKENS), block(u64::MAX, 6)];
    assert_eq!(records[0].arrival, SimDuration::from_millis(27));
    assert_eq!((records[0].num_prompt_tokens, records[0].num_output_tokens), (1030, 5));
    assert_eq!(records[0].prompt, PromptContent::Segments(blocks.into()));
}

#[test]
fn the_format_may_grow_keys_and_fractions_of_a_millisecond() {
    let jsonl = r#"{"session": {"id": [1]}, "timestamp": 0.000000001, "input_length": 512, "output_length": 5, "hash_ids": [7]}"#;
    let records = read(Mooncake, format!("{jsonl}\n")).unwrap();
    assert_eq!(records[0].arrival, SimDuration::from_ps(1));
}
