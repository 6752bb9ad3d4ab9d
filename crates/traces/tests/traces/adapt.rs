//! Traces sliced, scaled and turned into requests.

use kendall_des::SimTime;
use kendall_serving::{PromptContent, RequestSpec, TokenStream};
use kendall_traces::{OnEmpty, TraceFormat, TraceOptions, TraceReader};

const TRACE: &str = "arrival_s,prompt_tokens,output_tokens,abort_s,prefix_group,prefix_tokens\n\
                     1,10,1,,,\n\
                     2,20,2,,g,5\n\
                     3,30,3,4.5,g,5\n\
                     4,40,4,,,\n";

fn requests(options: &TraceOptions) -> Result<Vec<RequestSpec>, String> {
    let reader = TraceReader::new(TRACE.as_bytes(), "t", TraceFormat::Kendall).expect("the header is valid");
    let requests = reader.into_requests(options).map_err(|error| error.to_string())?;
    requests.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn millis(requests: &[RequestSpec]) -> Vec<u64> {
    requests.iter().map(|request| request.arrival.as_ps() / 1_000_000_000).collect()
}

#[test]
fn the_whole_trace_by_default() {
    let requests = requests(&TraceOptions::default()).unwrap();
    assert_eq!(millis(&requests), [1_000, 2_000, 3_000, 4_000]);
    assert_eq!(requests[0], RequestSpec::new(SimTime::from_ps(1_000_000_000_000), 10, 1));
    assert_eq!(requests[2].abort, Some(SimTime::from_ps(4_500_000_000_000)));
}

#[test]
fn a_slice_begins_at_zero_and_leaves_out_its_end() {
    let options = TraceOptions { start_s: Some(2.0), end_s: Some(4.0), ..TraceOptions::default() };
    let requests = requests(&options).unwrap();
    assert_eq!(millis(&requests), [0, 1_000]);
    assert_eq!(requests[1].abort, Some(SimTime::from_ps(2_500_000_000_000)));
}

#[test]
fn own_tokens_carry_the_number_in_the_workload() {
    let options = TraceOptions { start_s: Some(3.0), ..TraceOptions::default() };
    let requests = requests(&options).unwrap();
    let PromptContent::Segments(segments) = &requests[0].prompt else { panic!("the prompt has a prefix") };
    assert_eq!(segments[1].stream, TokenStream::Own);
}

#[test]
fn time_is_scaled_but_not_patience() {
    let options = TraceOptions { time_scale: 0.5, start_s: Some(1.0), ..TraceOptions::default() };
    let requests = requests(&options).unwrap();
    assert_eq!(millis(&requests), [0, 500, 1_000, 1_500]);
    assert_eq!(
        requests[2].abort,
        Some(SimTime::from_ps(2_500_000_000_000)),
        "1.5 s of patience, as recorded"
    );
}

#[test]
fn no_more_requests_than_asked_for() {
    let options = TraceOptions { max_requests: Some(2), ..TraceOptions::default() };
    assert_eq!(requests(&options).unwrap().len(), 2);
}

#[test]
fn options_out_of_range_are_refused() {
    let whole = TraceOptions::default;
    let message = |options: TraceOptions| requests(&options).expect_err("out of range");
    for time_scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            message(TraceOptions { time_scale, ..whole() }),
            format!("t: time_scale is `{time_scale}`; expected a finite number above 0")
        );
    }
    assert_eq!(
        message(TraceOptions { start_s: Some(-1.0), ..whole() }),
        "t: start_s is `-1`; expected a number of seconds from 0 to 18446744 (213 days)"
    );
    assert_eq!(
        message(TraceOptions { start_s: Some(2.0), end_s: Some(2.0), ..whole() }),
        "t: end_s is `2`; expected a time after start_s"
    );
    assert_eq!(
        message(TraceOptions { max_requests: Some(0), ..whole() }),
        "t: max_requests is `0`; expected at least 1"
    );
    assert_eq!(
        message(TraceOptions { start_s: Some(50.0), ..whole() }),
        "t: no requests are left by start_s, end_s and on_empty; widen the slice"
    );
    assert_eq!(
        message(TraceOptions { time_scale: 1e7, start_s: Some(1.5), ..whole() }),
        "t:5: the request 2.500000000000 s into the slice is beyond the simulated horizon of 213 days once scaled by \
         10000000; lower time_scale or end_s"
    );
}

#[test]
fn a_fault_in_the_trace_ends_the_requests() {
    let csv = "arrival_s,prompt_tokens,output_tokens\n0,1,1\n1,1,x\n2,1,1\n";
    let reader = TraceReader::new(csv.as_bytes(), "t", TraceFormat::Kendall).unwrap();
    let mut requests = reader.into_requests(&TraceOptions::default()).unwrap();
    assert!(matches!(requests.next(), Some(Ok(_))));
    let error = requests.next().and_then(Result::err).expect("line 3 is malformed");
    assert_eq!(error.to_string(), "t:3: output_tokens is `x`; expected a whole number from 0 to 4294967295");
    assert!(requests.next().is_none());
}

#[test]
fn empty_requests_are_left_out_on_demand() {
    let csv = "arrival_s,prompt_tokens,output_tokens\n0,1,0\n1,1,5\n";
    let reader = || TraceReader::new(csv.as_bytes(), "t", TraceFormat::Kendall).unwrap();
    let options = TraceOptions { on_empty: OnEmpty::Skip, ..TraceOptions::default() };
    assert_eq!(reader().into_requests(&options).unwrap().count(), 1);
    assert!(reader().into_requests(&TraceOptions::default()).unwrap().any(|request| request.is_err()));
}

/// What `serde` and the schema call the options is part of the scenario file's format.
#[test]
fn options_read_from_text() {
    let options: TraceOptions = serde_json::from_str(r#"{"time_scale": 2.0, "on_empty": "skip"}"#).unwrap();
    assert_eq!(options, TraceOptions { time_scale: 2.0, on_empty: OnEmpty::Skip, ..TraceOptions::default() });
    assert!(serde_json::from_str::<TraceOptions>(r#"{"timescale": 2.0}"#).is_err());
    let names: Vec<String> =
        [TraceFormat::Kendall, TraceFormat::Azure, TraceFormat::Mooncake, TraceFormat::ShareGpt]
            .iter()
            .map(|format| serde_json::to_string(format).unwrap())
            .collect();
    assert_eq!(names, ["\"kendall\"", "\"azure\"", "\"mooncake\"", "\"sharegpt\""]);
}
