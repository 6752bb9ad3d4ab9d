//! The schedules of `sglang/mod.rs`.

use super::Engine;
use super::sglang::{SchedulePolicy, Settings};
use crate::request::{PromptContent, RequestSpec, TokenSegment, TokenStream};
use crate::zoo::test_schedules::{Bench, lines, record, spec};

fn bench(settings: Settings, kv_tokens: u32, max_model_len: u32) -> Bench {
    Bench::new(Engine::Sglang(settings), kv_tokens, max_model_len)
}

/// A request whose prompt is `shared` tokens of a text and `own` of its own.
fn quoting(at: f64, text: u64, shared: u32, own: u32, output: u32) -> RequestSpec {
    let mut request = spec((at, shared + own, output));
    request.prompt = PromptContent::Segments(Box::new([
        TokenSegment { stream: TokenStream::Shared(text), start: 0, len: shared },
        TokenSegment { stream: TokenStream::Own, start: 0, len: own },
    ]));
    request
}

#[test]
fn prompts_come_before_decoding_or_beside_it() {
    let requests = [(0.0, 3, 3), (0.5, 2, 2)];
    let steps = bench(Settings::default(), 100, 10).schedule(&requests);
    assert_eq!(steps, ["0-1 A3", "1-2 B2", "2-3 A B", "3-4 A"]);
    let mixed = Settings { enable_mixed_chunk: true, ..Settings::default() };
    let steps = bench(mixed, 100, 10).schedule(&requests);
    assert_eq!(steps, ["0-1 A3", "1-2 A B2", "2-3 A B"]);
}

#[test]
fn long_prompts_are_computed_in_chunks() {
    let settings = Settings { chunked_prefill_size: 4, ..Settings::default() };
    let requests = [(0.0, 6, 2), (0.0, 4, 1)];
    let steps = bench(settings, 100, 10).schedule(&requests);
    assert_eq!(steps, ["0-1 A4", "1-2 A2 B2", "2-3 B2", "3-4 A"]);
    let whole = Settings { chunked_prefill_size: -1, max_prefill_tokens: 9, ..Settings::default() };
    let steps = bench(whole, 100, 10).schedule(&requests);
    assert_eq!(steps, ["0-1 A6", "1-2 B4", "2-3 A"]);
}

#[test]
fn the_later_of_equals_is_retracted_and_keeps_its_prompt_in_the_tree() {
    let settings =
        Settings { clip_max_new_tokens_estimation: 1, retract_decode_steps: 1, ..Settings::default() };
    let requests = [(0.0, 3, 6), (0.0, 3, 6)];
    let seen = bench(settings.clone(), 11, 9).play(&requests);
    assert_eq!(
        lines(&seen),
        ["0-1 A3 B3", "1-2 A B", "2-3 A B", "3-4 A", "4-5 A", "5-6 A", "6-7 B3", "7-8 B", "8-9 B"]
    );
    let retracted = record(&seen, 1);
    assert_eq!((retracted.num_preemptions, retracted.num_lost_tokens), (1, 2));
    // Without the tree all of it is computed again.
    let seen = bench(Settings { disable_radix_cache: true, ..settings }, 11, 9).play(&requests);
    assert_eq!(lines(&seen)[6], "6-7 B6");
    assert_eq!(record(&seen, 1).num_lost_tokens, 5);
}

#[test]
fn whoever_shares_a_prefix_with_somebody_in_front_comes_last_and_finds_it() {
    let settings =
        Settings { schedule_policy: SchedulePolicy::Lpm, chunked_prefill_size: 45, ..Settings::default() };
    let requests = vec![quoting(0.0, 1, 40, 2, 1), quoting(0.0, 1, 40, 2, 1), spec((0.0, 5, 1))];
    let seen = bench(settings.clone(), 200, 100).play_specs(requests.clone());
    assert_eq!(lines(&seen), ["0-1 A42 C3", "1-2 C2 B2"]);
    assert_eq!(record(&seen, 1).num_cached_tokens, 40);
    let fcfs = Settings { schedule_policy: SchedulePolicy::Fcfs, ..settings };
    let seen = bench(fcfs, 200, 100).play_specs(requests);
    assert_eq!(lines(&seen), ["0-1 A42 B3", "1-2 B39 C5"]);
}

#[test]
fn the_longest_cached_prefix_goes_first() {
    // A leaves 50 tokens of text 1 behind. While B runs alone (one place), C and D come; D quotes A.
    let settings =
        |schedule_policy| Settings { schedule_policy, max_running_requests: 1, ..Settings::default() };
    let requests =
        vec![quoting(0.0, 1, 50, 0, 1), spec((2.0, 5, 3)), spec((2.5, 5, 1)), quoting(2.6, 1, 50, 1, 1)];
    let order = |policy| {
        let seen = bench(settings(policy), 200, 100).play_specs(requests.clone());
        seen.records.iter().map(|record| record.index).collect::<Vec<_>>()
    };
    assert_eq!(order(SchedulePolicy::Fcfs), [0, 1, 2, 3]);
    assert_eq!(order(SchedulePolicy::Lpm), [0, 1, 3, 2]);
    assert_eq!(order(SchedulePolicy::DfsWeight), [0, 1, 3, 2]);
}

#[test]
fn two_turns_of_a_conversation_share_prompt_and_answer() {
    // The second turn quotes the prompt of 6 and the answer of 4, of which the last token was never computed.
    let mut second = spec((10.0, 13, 1));
    second.prompt = PromptContent::Segments(Box::new([
        TokenSegment { stream: TokenStream::Prompt(0), start: 0, len: 6 },
        TokenSegment { stream: TokenStream::Output(0), start: 0, len: 4 },
        TokenSegment { stream: TokenStream::Own, start: 0, len: 3 },
    ]));
    let seen = bench(Settings::default(), 200, 100).play_specs(vec![spec((0.0, 6, 4)), second]);
    assert_eq!(record(&seen, 1).num_cached_tokens, 9);
}

#[test]
fn a_finished_request_makes_room_one_decode_step_later() {
    // One place of two is free from 3 on, but the batch is full until it is looked at in the next decode step.
    let settings = Settings { max_running_requests: 2, ..Settings::default() };
    let steps = bench(settings, 100, 10).schedule(&[(0.0, 1, 3), (0.0, 1, 6), (0.5, 1, 1)]);
    assert_eq!(steps, ["0-1 A1 B1", "1-2 A B", "2-3 A B", "3-4 B", "4-5 C1", "5-6 B", "6-7 B"]);
}
