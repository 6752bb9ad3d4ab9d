//! The `kendall` program as a user meets it: bad input, files, signals, determinism, formats, memory.
//!
//! | module | holds |
//! |---|---|
//! | `profiles` | profiles as files, fitted to requests, with their errors |
//! | `program` | running the program under a limit of time and memory |
//! | `keys` | mistakes in keys, types and TOML |
//! | `validate` | measured servers beside their simulation |
//! | `values` | values that no server or workload can have |
//! | `huge` | values at the ends of their types: an error or a result, never a panic, a hang, or gigabytes |
//! | `changes` | `--set` |
//! | `traces` | malformed recorded workloads |
//! | `files` | output folders, full disks, interrupts, closed pipes |
//! | `determinism` | equal input, equal bytes |
//! | `figures` | `requests.csv` and `steps.csv` against `summary.json` |
//! | `calibrate` | measured results: a profile, or a message |
//! | `calibrate_rows` | profiles from tables of measured servers |
//! | `model_config` | a model from its `config.json`, an fp8 KV cache |
//! | `built_in` | schema, catalogue, quick start, scenarios |
//! | `theory` | `kendall theory check`: counts, exit codes, messages |
//! | `azure` | the Azure traces within 60 MB |
//! | `capacity` | the capacity search |
//! | `goodput` | classes, fairness, cost, energy |
//! | `predict` | theory beside simulation, refusals, sweeps |
//! | `replications` | `--replications`, `--precision` |
//! | `sweep` | sweeps, killed and resumed |
//! | `import` | files of other tools as scenarios |
//! | `fuzz` | random scenarios never panic |

mod azure;
mod built_in;
mod calibrate;
mod calibrate_rows;
mod capacity;
mod changes;
mod determinism;
mod explain;
mod figures;
mod files;
mod fuzz;
mod goodput;
mod huge;
mod import;
mod keys;
mod model_config;
mod one_by_one;
mod predict;
mod profiles;
mod program;
mod readers;
mod replications;
mod report;
mod steady;
mod sweep;
mod theory;
mod trace;
mod traces;
mod validate;
mod values;
