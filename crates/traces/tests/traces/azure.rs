//! The Azure LLM inference traces.

use kendall_des::SimDuration;
use kendall_traces::TraceFormat::Azure;
use kendall_traces::{OnEmpty, TraceReader};

use crate::read;

#[test]
fn arrivals_count_from_the_first_row_exactly() {
    let csv = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
               2023-11-16 23:59:59.6805900,374,44\r\n\
               2023-11-17 00:00:00.0000001,396,109";
    let records = read(Azure, csv).unwrap();
    assert_eq!(records[0].arrival, SimDuration::ZERO);
    assert_eq!(records[1].arrival, SimDuration::from_nanos(319_410_100));
    assert_eq!((records[1].num_prompt_tokens, records[1].num_output_tokens), (396, 109));
}

#[test]
fn the_files_of_2024_write_an_offset() {
    let csv = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
               2024-05-10 00:00:00.009930+00:00,2162,5\n\
               2024-05-10T00:00:00.017335Z,2399,6\n\
               2024-05-10 02:00:00.020000+02:00,76,15\n";
    let arrivals: Vec<SimDuration> = read(Azure, csv).unwrap().iter().map(|record| record.arrival).collect();
    assert_eq!(arrivals, [0, 7_405, 10_070].map(SimDuration::from_micros));
}

#[test]
fn the_format_may_grow_columns() {
    let csv = "Region,TIMESTAMP,GeneratedTokens,ContextTokens\nwest,2024-05-10 00:00:00,5,2162\n";
    let records = read(Azure, csv).unwrap();
    assert_eq!((records[0].num_prompt_tokens, records[0].num_output_tokens), (2162, 5));
}

#[test]
fn empty_requests_are_left_out_on_demand_and_counted() {
    let csv = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
               2024-05-10 00:00:00,5,0\n\
               2024-05-10 00:00:01,5,7\n\
               2024-05-10 00:00:02,0,7\n";
    let mut reader = TraceReader::new(csv.as_bytes(), "t", Azure).unwrap().on_empty(OnEmpty::Skip);
    let records: Vec<_> = reader.by_ref().collect::<Result<_, _>>().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].arrival, SimDuration::from_secs(1), "the first row is the origin, left out or not");
    assert_eq!(reader.num_skipped(), 2);
}
