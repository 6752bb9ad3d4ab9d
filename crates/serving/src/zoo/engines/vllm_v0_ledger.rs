//! What is modelled of vLLM's V0 engine.

use crate::scenario::Treatment;
use crate::zoo::Fidelity;

/// Name and source.
pub const SOURCE: &str = "vllm-v0 (vLLM 0.6.x, vllm/core/scheduler.py)";

/// What is modelled of it.
pub const FIDELITY: &[Fidelity] = &[
    Fidelity {
        what: "prompts first",
        treatment: Treatment::Modelled,
        note: "a step computes whole prompts or decodes; with chunked prefill both share it",
    },
    Fidelity {
        what: "watermark and whole prompts",
        treatment: Treatment::Modelled,
        note: "an admission takes the blocks of the whole prompt, chunked or not, and leaves the watermark free",
    },
    Fidelity {
        what: "preemption",
        treatment: Treatment::Modelled,
        note: "the last of the running list goes as soon as somebody who decodes finds no free block, needed or not",
    },
    Fidelity {
        what: "swapping",
        treatment: Treatment::Approximated,
        note: "copies take bytes by bandwidth before the step's compute; where V0 aborts the engine because swap space is full, \
               the request is recomputed",
    },
    Fidelity {
        what: "place after a swap, with chunked prefill",
        treatment: Treatment::Approximated,
        note: "a request that comes back stands last in the running list, in vLLM first; one that comes back within its prompt \
               goes on in chunks, where vLLM waits for a budget that holds the rest",
    },
    Fidelity {
        what: "requests that can never fit",
        treatment: Treatment::Approximated,
        note: "V0 drops them while it runs; here `max_model_len` is refused if it and the watermark exceed the KV cache",
    },
    Fidelity {
        what: "KV blocks",
        treatment: Treatment::Approximated,
        note: "one block less than `num_gpu_blocks` is used, as V1 does; V0 has no null block",
    },
    Fidelity {
        what: "prefix caching, beam search, LoRA, several steps at once, delay_factor",
        treatment: Treatment::Ignored,
        note: "all are off by default",
    },
    Fidelity {
        what: "asynchronous output processing",
        treatment: Treatment::Ignored,
        note: "the CPU's work is what the step-time model says",
    },
];
