//! What is modelled of TensorRT-LLM.

use crate::scenario::Treatment;
use crate::zoo::Fidelity;

/// Name and source.
pub const SOURCE: &str = "tensorrt-llm (TensorRT-LLM 1.0, cpp/tensorrt_llm/batch_manager)";

/// What is modelled of it.
pub const FIDELITY: &[Fidelity] = &[
    Fidelity {
        what: "capacity scheduler",
        treatment: Treatment::Modelled,
        note: "GUARANTEED_NO_EVICT, MAX_UTILIZATION and STATIC_BATCH",
    },
    Fidelity {
        what: "micro batch scheduler",
        treatment: Treatment::Modelled,
        note: "tokens that are generated first, then prompts first come first served, parts in whole blocks",
    },
    Fidelity {
        what: "max_tokens of the clients",
        treatment: Treatment::Approximated,
        note: "a workload has output lengths, not limits: the flag `max_tokens` says what is reserved",
    },
    Fidelity {
        what: "used KV blocks",
        treatment: Treatment::Approximated,
        note: "GUARANTEED_NO_EVICT and STATIC_BATCH count blocks from the moment that they are kept; TensorRT-LLM's own \
               counter shows them when they are written to",
    },
    Fidelity {
        what: "order of starts",
        treatment: Treatment::Approximated,
        note: "a paused request goes back to the front of the queue; TensorRT-LLM keeps its place by arrival, the same first \
               come first served",
    },
    Fidelity {
        what: "KV reuse, EQUAL_PROGRESS chunks, several micro batches, two steps looked ahead",
        treatment: Treatment::Ignored,
        note: "reuse is on by default in TensorRT-LLM and would save work where prompts share a beginning",
    },
    Fidelity {
        what: "overlap of scheduling and compute, CUDA graphs and their padding",
        treatment: Treatment::Ignored,
        note: "the CPU's work is what the step-time model says",
    },
];
