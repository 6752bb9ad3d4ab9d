//! Reading versions, and the two sides of every change.

use super::*;

fn at(minor: u32) -> EngineVersion {
    EngineVersion { major: 0, minor, patch: 0 }
}

/// Each version with the facts that differ: utilization, watermark, adaptive, two-ended list, alone, scan goes on.
type Facts = (f64, Option<f64>, Option<bool>, bool, bool, SelfPreemption);

fn facts(minor: u32) -> Facts {
    let d = at(minor).defaults();
    let adaptive = d.long_prefill_token_threshold_adaptive;
    (
        d.gpu_memory_utilization,
        d.watermark,
        adaptive,
        d.lifo_unhashed,
        d.lone_request_exempt,
        d.self_preemption,
    )
}

#[test]
fn every_usual_spelling_is_read() {
    let release = EngineVersion { major: 0, minor: 22, patch: 1 };
    for text in ["0.22.1", "v0.22.1", "vllm-0.22.1", "vllm-v0.22.1", "vllm==0.22.1", " 0.22.1+cu129 "] {
        assert_eq!(text.parse(), Ok(release), "{text}");
    }
    for text in ["0.22", "v0.22", "vllm-0.22", "vllm 0.22", "0.22.0"] {
        assert_eq!(text.parse(), Ok(at(22)), "{text}");
    }
    assert_eq!(release.to_string(), "0.22.1");
    assert_eq!(at(22).to_string(), "0.22.0");
    assert_eq!(EngineVersion::default().to_string(), "0.32.0");
}

#[test]
fn other_texts_are_refused_with_the_range_and_the_remedy() {
    for text in
        ["", "0", "22", "0.18.1", "0.34", "1.22", "0.+22", "0.22.", "0.22.0.1", "0.22.0rc1", "v", "latest"]
    {
        let error = text.parse::<EngineVersion>().unwrap_err();
        assert_eq!(error.value, text);
    }
    assert_eq!(
        "0.12".parse::<EngineVersion>().unwrap_err().to_string(),
        "`0.12` is not a vLLM version that is modelled: versions 0.19 to 0.33 are; write it as `0.32.0` or choose the \
         nearest of them"
    );
}

#[test]
fn versions_are_ordered_and_travel_as_strings() {
    assert!(at(22) < "0.22.1".parse().unwrap());
    assert!(
        EngineVersion::OLDEST < EngineVersion::default() && EngineVersion::default() < EngineVersion::NEWEST
    );
    let text: String = at(24).into();
    assert_eq!(EngineVersion::try_from(text), Ok(at(24)));
}

#[test]
fn every_change_has_its_boundary() {
    use SelfPreemption::{Continue, Stop};
    assert_eq!(facts(19), (0.9, None, None, false, false, Stop));
    for minor in 20..=23 {
        assert_eq!(facts(minor), (0.92, None, None, false, false, Stop), "0.{minor}");
    }
    for minor in 24..=30 {
        assert_eq!(facts(minor), (0.92, Some(0.0), None, true, false, Stop), "0.{minor}");
    }
    for minor in 31..=32 {
        assert_eq!(facts(minor), (0.92, Some(0.0), Some(false), true, true, Stop), "0.{minor}");
    }
    assert_eq!(facts(33), (0.92, Some(0.0), Some(false), true, true, Continue));
    for minor in 19..=33 {
        let defaults = at(minor).defaults();
        assert!(
            defaults.scheduler_reserve_full_isl
                && defaults.async_scheduling
                && defaults.enable_prefix_caching
        );
        assert_eq!(defaults.max_num_active_seqs, minor >= 31);
        assert_eq!(defaults.max_num_partial_prefills, minor <= 26);
        assert_eq!(defaults.stale_tokens_tracked, minor >= 27);
        assert_eq!(defaults.victim_position_tracked, minor >= 28);
    }
}

#[test]
fn a_patch_release_changes_nothing() {
    let patched: EngineVersion = "0.27.1".parse().unwrap();
    assert_eq!(patched.defaults(), at(27).defaults());
    assert_eq!(patched.batch_defaults(1 << 38, "B200"), at(27).batch_defaults(1 << 38, "B200"));
}

#[test]
fn batch_limits_follow_memory_name_and_version() {
    let limits = |minor: u32, memory_bytes: u64, name: &str| {
        let batch = at(minor).batch_defaults(memory_bytes, name);
        (batch.max_num_seqs, batch.max_num_batched_tokens)
    };
    let (h100, b200, gb10) = (85_029_027_840, 191_502_483_456, 128_000_000_000);
    for minor in 19..=33 {
        assert_eq!(limits(minor, 23_685_000_000, "NVIDIA A10G"), (256, 2048));
        assert_eq!(limits(minor, 85_094_039_552, "NVIDIA A100-SXM4-80GB"), (256, 2048));
        assert_eq!(limits(minor, h100, "NVIDIA H100 80GB HBM3"), (1024, 8192));
        assert_eq!(limits(minor, b200, "NVIDIA B200"), (1024, if minor >= 28 { 16_384 } else { 8192 }));
        let spark = if minor >= 33 { (256, 2048) } else { (1024, 8192) };
        assert_eq!(limits(minor, gb10, "NVIDIA GB10"), spark);
    }
    assert_eq!(limits(32, 70 * (1 << 30) - 1, "X"), (256, 2048));
    assert_eq!(limits(32, 70 * (1 << 30), "X"), (1024, 8192));
    assert_eq!(limits(32, 160 * (1 << 30), "X"), (1024, 16_384));
}

#[test]
fn defaults_bend_to_what_the_user_gave() {
    let large = BatchDefaults { max_num_seqs: 1024, max_num_batched_tokens: 8192 };
    let given = BatchSettings {
        max_num_seqs: None,
        max_num_batched_tokens: None,
        max_model_len: 32_768,
        enable_chunked_prefill: true,
    };
    assert_eq!(large.fit(given), large);
    let fitted = |settings: BatchSettings| {
        let batch = large.fit(settings);
        (batch.max_num_seqs, batch.max_num_batched_tokens)
    };
    // A small budget cuts the default number of sequences, but never the user's.
    assert_eq!(fitted(BatchSettings { max_num_batched_tokens: Some(512), ..given }), (512, 512));
    let both = BatchSettings { max_num_seqs: Some(600), max_num_batched_tokens: Some(512), ..given };
    assert_eq!(fitted(both), (600, 512));
    // Few short sequences cannot fill the default budget.
    assert_eq!(fitted(BatchSettings { max_num_seqs: Some(2), max_model_len: 1000, ..given }), (2, 2000));
    // Without chunked prefill a whole prompt must fit.
    assert_eq!(fitted(BatchSettings { enable_chunked_prefill: false, ..given }), (1024, 32_768));
    assert_eq!(
        fitted(BatchSettings { enable_chunked_prefill: false, max_model_len: 4096, ..given }),
        (1024, 8192)
    );
}
