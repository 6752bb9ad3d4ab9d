//! Stand-in until the table of versions lands.
#![allow(missing_docs)]
use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EngineVersion { pub major: u32, pub minor: u32, pub patch: u32 }
impl Default for EngineVersion { fn default() -> Self { Self { major: 0, minor: 32, patch: 0 } } }
impl fmt::Display for EngineVersion { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}.{}.{}", self.major, self.minor, self.patch) } }
impl FromStr for EngineVersion { type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let t = s.trim_start_matches("vllm-").trim_start_matches('v');
        let p: Vec<u32> = t.split('.').map(|x| x.parse().map_err(|_| format!("{s}: not a version"))).collect::<Result<_, _>>()?;
        if p.len() < 2 || p[0] != 0 || !(19..=33).contains(&p[1]) { return Err(format!("{s}: supported are 0.19 to 0.33")); }
        Ok(Self { major: p[0], minor: p[1], patch: p.get(2).copied().unwrap_or(0) })
    } }
pub struct VersionDefaults { pub gpu_memory_utilization: f64, pub block_size: u32, pub enable_prefix_caching: bool, pub enable_chunked_prefill: bool, pub async_scheduling: bool, pub scheduler_reserve_full_isl: bool,
  pub lifo_unhashed: bool, pub lone_request_exempt: bool }
pub struct BatchDefaults { pub max_num_seqs: u32, pub max_num_batched_tokens: u32 }
impl EngineVersion {
    pub fn defaults(self) -> VersionDefaults { VersionDefaults { gpu_memory_utilization: 0.92, block_size: 16, enable_prefix_caching: true, enable_chunked_prefill: true, async_scheduling: true, scheduler_reserve_full_isl: self.minor >= 20, lifo_unhashed: self.minor >= 24, lone_request_exempt: self.minor >= 31 } }
    pub fn batch_defaults(self, bytes: u64, name: &str) -> BatchDefaults {
        let gib = bytes >> 30;
        if gib >= 160 { BatchDefaults { max_num_seqs: 1024, max_num_batched_tokens: 16384 } }
        else if gib >= 70 && !name.contains("A100") { BatchDefaults { max_num_seqs: 1024, max_num_batched_tokens: 8192 } }
        else { BatchDefaults { max_num_seqs: 256, max_num_batched_tokens: 2048 } }
    }
}
