//! The flags of the engines with many of them, for the ledger: name, value, and whether that is the default.

use crate::zoo::engines::{llama_cpp, sglang, tgi};

use super::zoo::flag;

type Flags = Vec<(&'static str, String, bool)>;

/// An optional flag, and what holds without it.
fn optional(name: &'static str, value: Option<u32>, without: &str) -> (&'static str, String, bool) {
    (name, value.map_or_else(|| without.to_owned(), |value| value.to_string()), value.is_none())
}

pub(super) fn sglang(s: &sglang::Settings) -> Flags {
    let d = sglang::Settings::default();
    let (policy, declared) = (s.schedule_policy.name(), s.max_new_tokens.name());
    let decay = (s.new_token_ratio_decay_steps, d.new_token_ratio_decay_steps);
    let clip = (s.clip_max_new_tokens_estimation, d.clip_max_new_tokens_estimation);
    let factor = (s.min_new_token_ratio_factor, d.min_new_token_ratio_factor);
    vec![
        flag("sglang.schedule_policy", &policy, &d.schedule_policy.name()),
        flag("sglang.schedule_conservativeness", &s.schedule_conservativeness, &d.schedule_conservativeness),
        flag("sglang.max_running_requests", &s.max_running_requests, &d.max_running_requests),
        flag("sglang.max_prefill_tokens", &s.max_prefill_tokens, &d.max_prefill_tokens),
        flag("sglang.chunked_prefill_size", &s.chunked_prefill_size, &d.chunked_prefill_size),
        flag("sglang.enable_mixed_chunk", &s.enable_mixed_chunk, &d.enable_mixed_chunk),
        flag("sglang.disable_radix_cache", &s.disable_radix_cache, &d.disable_radix_cache),
        flag("sglang.max_new_tokens", &declared, &d.max_new_tokens.name()),
        flag("sglang.init_new_token_ratio", &s.init_new_token_ratio, &d.init_new_token_ratio),
        flag("sglang.min_new_token_ratio_factor", &factor.0, &factor.1),
        flag("sglang.new_token_ratio_decay_steps", &decay.0, &decay.1),
        flag("sglang.retract_decode_steps", &s.retract_decode_steps, &d.retract_decode_steps),
        flag("sglang.clip_max_new_tokens_estimation", &clip.0, &clip.1),
    ]
}

pub(super) fn tgi(s: &tgi::Settings) -> Flags {
    let d = tgi::Settings::default();
    let declared = s.max_new_tokens.name();
    vec![
        optional("tgi.max_batch_prefill_tokens", s.max_batch_prefill_tokens, "longest prompt + 50"),
        optional("tgi.max_batch_total_tokens", s.max_batch_total_tokens, "of the KV blocks"),
        flag("tgi.waiting_served_ratio", &s.waiting_served_ratio, &d.waiting_served_ratio),
        flag("tgi.max_waiting_tokens", &s.max_waiting_tokens, &d.max_waiting_tokens),
        flag("tgi.max_concurrent_requests", &s.max_concurrent_requests, &d.max_concurrent_requests),
        optional("tgi.max_batch_size", s.max_batch_size, "no limit"),
        optional("tgi.max_input_tokens", s.max_input_tokens, "what the other limits allow"),
        flag("tgi.max_new_tokens", &declared, &d.max_new_tokens.name()),
    ]
}

pub(super) fn llama_cpp(s: &llama_cpp::Settings) -> Flags {
    let d = llama_cpp::Settings::default();
    vec![
        flag("llama-cpp.parallel", &s.parallel, &d.parallel),
        optional("llama-cpp.ctx_size", s.ctx_size, "of the KV blocks"),
        flag("llama-cpp.kv_unified", &s.kv_unified, &d.kv_unified),
        flag("llama-cpp.batch_size", &s.batch_size, &d.batch_size),
        flag("llama-cpp.ubatch_size", &s.ubatch_size, &d.ubatch_size),
        flag("llama-cpp.cont_batching", &s.cont_batching, &d.cont_batching),
        flag("llama-cpp.cache_prompt", &s.cache_prompt, &d.cache_prompt),
        flag("llama-cpp.slot_prompt_similarity", &s.slot_prompt_similarity, &d.slot_prompt_similarity),
    ]
}
