//! Commands of vLLM as scenarios: `kendall run --vllm "vllm serve ..." --bench "vllm bench serve ..."`.
//!
//! | module | holds |
//! |---|---|
//! | `words`, `flags` | from a pasted command to flags and values, each flag with its meaning to a simulation |
//! | `options` | the flags in force, their values typed, those that are not modelled |
//! | `server`, `bench`, `workload` | the keys of `[server]`; the settings of a benchmark; the keys of `[workload]` and `[slo]` |
//! | `toml_text` | TOML with a comment on each key: where it comes from |
//! | `import` | the whole way, from the arguments of `kendall run` to a scenario |
//! | `played` | what the benchmark's result needs of the simulated run, and its file |
//!
//! Facts on vLLM are from its wheels 0.19.0 to 0.33.0: `vllm/benchmarks/serve.py`, `vllm/benchmarks/datasets/`,
//! `vllm/engine/arg_utils.py`.

mod bench;
mod flags;
mod import;
mod options;
mod played;
mod server;
mod toml_text;
mod words;
mod workload;

pub(crate) use bench::Bench;
pub(crate) use import::{Imported, bench_as_scenario, import};
pub(crate) use played::{planned_sends, write_result};
pub(crate) use toml_text::{TomlText, inline};
