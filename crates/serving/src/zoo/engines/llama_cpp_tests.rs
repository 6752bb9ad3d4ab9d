//! The schedules of `llama_cpp/mod.rs`.

use super::Engine;
use super::llama_cpp::Settings;
use crate::record::RequestStatus;
use crate::request::{PromptContent, RequestSpec, TokenSegment, TokenStream};
use crate::zoo::Rejection;
use crate::zoo::test_schedules::{Bench, lines, record, spec};

fn split(parallel: u32, batch_size: u32) -> Settings {
    Settings { parallel, kv_unified: false, batch_size, ubatch_size: batch_size, ..Settings::default() }
}

fn bench(settings: Settings, kv_tokens: u32, max_model_len: u32) -> Bench {
    Bench::new(Engine::LlamaCpp(settings), kv_tokens, max_model_len)
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
fn prompts_fill_the_batch_in_the_order_of_slots() {
    let steps = bench(split(2, 4), 20, 10).schedule(&[(0.0, 3, 3), (0.0, 3, 1), (0.0, 2, 1)]);
    assert_eq!(steps, ["0-1 B3 A1", "1-2 C2 A2", "2-3 A", "3-4 A"]);
}

#[test]
fn without_continuous_batching_prompts_wait_for_those_who_generate() {
    let settings = Settings { cont_batching: false, ..split(2, 4) };
    let steps = bench(settings, 20, 10).schedule(&[(0.0, 2, 3), (0.5, 2, 1)]);
    assert_eq!(steps, ["0-1 A2", "1-2 A", "2-3 A", "3-4 B2"]);
}

#[test]
fn micro_batches_take_a_step_each_and_contents_are_used_again() {
    let settings = Settings { ubatch_size: 2, ..split(1, 8) };
    assert_eq!(bench(settings, 20, 20).schedule(&[(0.0, 5, 1)]), ["0-3 A5"]);
    let requests = vec![quoting(0.0, 1, 6, 1, 2), quoting(10.0, 1, 6, 2, 1), quoting(20.0, 1, 6, 0, 1)];
    let seen = bench(split(1, 8), 20, 20).play_specs(requests.clone());
    assert_eq!(lines(&seen), ["0-1 A7", "1-2 A", "10-11 B2", "20-21 C1"]);
    assert_eq!([1, 2].map(|index| record(&seen, index).num_cached_tokens), [6, 5]);
    let seen = bench(Settings { cache_prompt: false, ..split(1, 8) }, 20, 20).play_specs(requests);
    assert_eq!(lines(&seen)[2], "10-11 B8");
}

#[test]
fn a_slot_is_chosen_for_its_content_and_else_for_its_age() {
    // A in slot 1, B in slot 0, which ends first. C finds A's text in slot 1; D shares nothing and takes slot 0.
    let requests = vec![
        quoting(0.0, 1, 6, 0, 2),
        quoting(0.0, 2, 6, 0, 1),
        quoting(10.0, 1, 6, 2, 1),
        quoting(20.0, 3, 6, 0, 1),
        quoting(30.0, 1, 6, 2, 1),
    ];
    let seen = bench(split(2, 32), 40, 20).play_specs(requests.clone());
    let cached: Vec<_> = (0..5).map(|index| record(&seen, index).num_cached_tokens).collect();
    assert_eq!(cached, [0, 0, 6, 0, 6]);
    // By age alone, C gets slot 0 with B's text; so does nobody find anything but the last, by chance, in slot 0.
    let by_age = Settings { slot_prompt_similarity: 0.0, ..split(2, 32) };
    let seen = bench(by_age, 40, 20).play_specs(requests);
    let cached: Vec<_> = (0..5).map(|index| record(&seen, index).num_cached_tokens).collect();
    assert_eq!(cached, [0, 0, 0, 0, 6]);
}

#[test]
fn a_unified_context_that_runs_out_fails_everybody() {
    let settings = Settings { parallel: 2, ..Settings::default() };
    let seen = bench(settings, 8, 8).play(&[(0.0, 3, 5), (0.0, 3, 5), (1.5, 2, 2)]);
    assert_eq!(lines(&seen), ["0-1 B3 A3", "1-2 A B", "2-3 C2", "3-4 C"]);
    for index in [0, 1] {
        let record = record(&seen, index);
        assert_eq!(
            (record.status, record.rejection),
            (RequestStatus::Rejected, Some(Rejection::ContextExceeded))
        );
        assert_eq!((record.num_output_tokens, record.finish.as_secs_f64()), (2, 2.0));
    }
}

#[test]
fn a_unified_context_clears_idle_slots_first() {
    // A's 4 tokens stay in their slot and leave 4: B needs 5 and more.
    let settings = Settings { parallel: 2, ..Settings::default() };
    let requests = vec![quoting(0.0, 1, 3, 0, 2), spec((10.0, 5, 2)), quoting(20.0, 1, 3, 1, 1)];
    let seen = bench(settings.clone(), 8, 8).play_specs(requests.clone());
    assert!(seen.records.iter().all(|record| record.status == RequestStatus::Finished));
    assert_eq!(record(&seen, 2).num_cached_tokens, 0, "A's slot was cleared for B");
    let seen = bench(settings, 16, 16).play_specs(requests);
    assert_eq!(record(&seen, 2).num_cached_tokens, 3);
}
