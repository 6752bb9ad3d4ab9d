//! GPUs: datasheet facts and the memory that CUDA really reports.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{CatalogError, nearest, normalized};

/// One kind of GPU. A GB is 10^9 bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// Name in the catalog, such as `H100-SXM-80GB`.
    pub name: String,
    /// Other names, compared without regard to case, spaces, hyphens and underscores.
    pub aliases: Vec<String>,
    /// Architecture and, where known, chip: `Ampere GA102`.
    pub architecture: String,
    /// CUDA compute capability: `8.6`.
    pub compute_capability: String,
    /// Total memory as CUDA reports it, in bytes: less than the label. The driver moves it by some MiB.
    pub memory_bytes: u64,
    /// Memory on the label, in GB.
    pub memory_gb: u32,
    /// Peak memory bandwidth, in GB/s.
    pub memory_bandwidth_gb_per_s: f64,
    /// Peak of bf16 without sparsity, in TFLOPS.
    pub bf16_dense_tflops: f64,
    /// Peak of fp8 without sparsity, in TFLOPS; absent where the GPU has no fp8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fp8_dense_tflops: Option<f64>,
    /// Board power, in W.
    pub tdp_w: u32,
    /// `NVLink` bandwidth in one direction, in GB/s; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nvlink_gb_per_s: Option<f64>,
    /// PCI Express bandwidth in one direction, in GB/s.
    pub pcie_gb_per_s: f64,
    /// A list price on demand, in USD per GPU and hour; absent where none was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_usd_per_hour: Option<f64>,
    /// Who asks this price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_source: Option<String>,
    /// Where the facts come from. `LOW CONFIDENCE` marks a fact without a primary source.
    pub source: String,
    /// What else a user should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

impl Gpu {
    /// Bandwidth to the other GPUs of one server, in GB/s one way: `NVLink` where there is one, PCI Express
    /// otherwise.
    pub fn link_gb_per_s(&self) -> f64 {
        self.nvlink_gb_per_s.unwrap_or(self.pcie_gb_per_s)
    }

    /// Whether some fact lacks a primary source.
    pub fn is_low_confidence(&self) -> bool {
        let marked = |text: &str| text.contains("LOW CONFIDENCE");
        marked(&self.source) || self.notes.as_deref().is_some_and(marked)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    gpu: Vec<Gpu>,
}

static GPUS: LazyLock<Vec<Gpu>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("gpus.toml")).expect("gpus.toml is embedded and tested");
    file.gpu
});

/// Every GPU of the catalog, in its order.
pub fn gpus() -> &'static [Gpu] {
    &GPUS
}

/// The GPU of this name or alias: case, spaces, hyphens and underscores do not matter.
///
/// # Errors
/// [`CatalogError::UnknownGpu`] with the nearest known name.
pub fn gpu(name: &str) -> Result<&'static Gpu, CatalogError> {
    let wanted = normalized(name);
    gpus().iter().find(|gpu| gpu.names().any(|known| normalized(known) == wanted)).ok_or_else(|| {
        CatalogError::UnknownGpu {
            name: name.to_owned(),
            nearest: nearest(name, gpus().iter().flat_map(Gpu::names)),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn aliases_resolve_without_regard_to_case_and_separators() {
        for (written, name) in [
            ("a10g", "A10G"),
            ("A10", "A10"),
            ("H100", "H100-SXM-80GB"),
            ("h100-sxm", "H100-SXM-80GB"),
            ("H100-SXM-80GB", "H100-SXM-80GB"),
            ("h100_pcie", "H100-PCIe-80GB"),
            ("NVIDIA H100 80GB HBM3", "H100-SXM-80GB"),
            ("A100-40GB", "A100-40GB-SXM"),
            ("A100-80GB", "A100-80GB-SXM"),
            ("A100-SXM4-80GB", "A100-80GB-SXM"),
            ("RTX4090", "RTX4090-24GB"),
            ("rtx 4090", "RTX4090-24GB"),
            ("RTX PRO 6000", "RTXPRO6000-96GB"),
            ("b200", "B200-SXM-180GB"),
            ("A40", "A40-48GB"),
        ] {
            assert_eq!(gpu(written).map(|found| found.name.as_str()), Ok(name));
        }
    }

    #[test]
    fn no_two_gpus_share_a_name() {
        let mut owner: BTreeMap<String, &str> = BTreeMap::new();
        for gpu in gpus() {
            for name in gpu.names() {
                if let Some(other) = owner.insert(normalized(name), &gpu.name) {
                    panic!("\"{name}\" names {other} and {}", gpu.name);
                }
            }
        }
        assert_eq!(gpus().len(), 16);
    }

    #[test]
    fn an_unknown_gpu_is_answered_with_the_nearest_name_and_a_remedy() {
        let message = gpu("H10O").map(|gpu| &gpu.name).expect_err("no such GPU").to_string();
        assert_eq!(
            message,
            "unknown GPU \"H10O\": the nearest name is \"H100\"; `kendall catalog gpus` lists all"
        );
    }

    #[test]
    fn figures_are_plausible_and_carry_a_source() {
        for gpu in gpus() {
            let label_bytes = f64::from(gpu.memory_gb) * 1e9;
            let share = gpu.memory_bytes as f64 / label_bytes;
            assert!((0.93..1.09).contains(&share), "{}: memory is {share} of its label", gpu.name);
            assert!(gpu.memory_bandwidth_gb_per_s >= 300.0 && gpu.memory_bandwidth_gb_per_s <= 8000.0);
            assert!(gpu.bf16_dense_tflops >= 70.0 && gpu.bf16_dense_tflops <= 2500.0);
            assert!(
                gpu.fp8_dense_tflops.is_none_or(|fp8| (1.9..2.1).contains(&(fp8 / gpu.bf16_dense_tflops)))
            );
            assert!(!gpu.source.is_empty() && gpu.price_usd_per_hour.is_some() == gpu.price_source.is_some());
        }
        assert!(gpu("A10G").is_ok_and(Gpu::is_low_confidence));
        assert!(gpu("H100").is_ok_and(|gpu| !gpu.is_low_confidence()));
    }
}
