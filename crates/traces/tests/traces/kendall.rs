//! kendall's own CSV.

use kendall_des::SimDuration;
use kendall_serving::{PromptContent, TokenSegment, TokenStream};
use kendall_traces::TraceFormat::Kendall;
use kendall_traces::TraceRecord;

use crate::read;

fn segments(prompt: &PromptContent) -> &[TokenSegment] {
    match prompt {
        PromptContent::Segments(segments) => segments,
        PromptContent::Unique => &[],
    }
}

#[test]
fn columns_stand_in_any_order_between_comments_and_blank_lines() {
    let csv = "\u{feff}# recorded on a Tuesday\n\noutput_tokens, arrival_s ,prompt_tokens\r\n7,0.1,3\r\n# noon\n \n9,0.1,5";
    let unique = |ms, prompt, output| TraceRecord {
        arrival: SimDuration::from_millis(ms),
        num_prompt_tokens: prompt,
        num_output_tokens: output,
        prompt: PromptContent::Unique,
        priority: 0,
        abort: None,
    };
    assert_eq!(read(Kendall, csv).unwrap(), [unique(100, 3, 7), unique(100, 5, 9)]);
}

#[test]
fn arrivals_are_exact_to_the_picosecond() {
    let csv = "arrival_s,prompt_tokens,output_tokens\n0.000000000001,1,1\n17999999.999999999999,1,1\n";
    let arrivals: Vec<u64> =
        read(Kendall, csv).unwrap().iter().map(|record| record.arrival.as_ps()).collect();
    assert_eq!(arrivals, [1, 17_999_999_999_999_999_999]);
}

#[test]
fn optional_columns_may_be_empty() {
    let csv = "arrival_s,prompt_tokens,output_tokens,priority,abort_s,prefix_group,prefix_tokens,prompt_id\n\
               0,10,1,-3,2.5,,,\n\
               1,10,1,,,,0,\n";
    let records = read(Kendall, csv).unwrap();
    assert_eq!((records[0].priority, records[0].abort), (-3, Some(SimDuration::from_millis(2_500))));
    assert_eq!((records[1].priority, records[1].abort), (0, None));
    assert!(records.iter().all(|record| record.prompt == PromptContent::Unique));
}

#[test]
fn a_group_shares_its_prefix_and_an_id_its_whole_prompt() {
    let csv = "arrival_s,prompt_tokens,output_tokens,prefix_group,prefix_tokens,prompt_id\n\
               0,10,1,\"agents, v2\",4,\n\
               0,20,1,\"agents, v2\",6,\n\
               0,10,1,,,faq\n\
               0,10,1,,0,faq\n\
               0,10,1,faq,10,\n\
               0,12,1,\"agents, v2\",4,faq\n";
    let records = read(Kendall, csv).unwrap();
    let prompts: Vec<&[TokenSegment]> = records.iter().map(|record| segments(&record.prompt)).collect();

    let (group, own) = (prompts[0][0], prompts[0][1]);
    assert_eq!((group.start, group.len), (0, 4));
    assert_eq!(own, TokenSegment { stream: TokenStream::Own, start: 0, len: 6 });
    assert_eq!(prompts[1][0], TokenSegment { len: 6, ..group });
    assert_eq!(prompts[1][1], TokenSegment { stream: TokenStream::Own, start: 0, len: 14 });

    assert_eq!(prompts[2], prompts[3]);
    assert_eq!(prompts[2].len(), 1);
    assert_ne!(prompts[4][0].stream, prompts[2][0].stream, "a group and an id of one name differ");
    assert_eq!(prompts[5], [group, TokenSegment { len: 8, ..prompts[2][0] }]);
}

/// Equal names give equal streams in every run and on every system: prefix hits must not depend on either.
#[test]
fn the_stream_of_a_name_never_changes() {
    let csv = "arrival_s,prompt_tokens,output_tokens,prompt_id\n0,1,1,faq\n";
    let records = read(Kendall, csv).unwrap();
    assert_eq!(segments(&records[0].prompt)[0].stream, TokenStream::Shared(STREAM_OF_FAQ));
}

/// FNV-1a of the bytes 7 (the column's number), `f`, `a`, `q`, computed apart.
const STREAM_OF_FAQ: u64 = 2_506_927_630_803_721_766;
