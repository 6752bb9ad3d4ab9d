//! What a token costs: money by the list price of the GPUs, energy by a stated power model.
//!
//! Power is linear in the share of time in which the device works, as Fan, Weber & Barroso (ISCA 2007) found for servers:
//! `TDP * (idle + (1 - idle) * busy)`. That a working GPU draws its whole TDP is an upper estimate (decoding waits for memory
//! and draws less), and the idle share is an assumption; both stand beside the result.

use serde::Serialize;

use crate::catalog::Gpu;

/// Draw of an idle GPU as a share of its TDP: an assumption. Boards of the catalogue idle at a tenth to a fifth.
pub const IDLE_SHARE: f64 = 0.15;

const SECONDS_AN_HOUR: f64 = 3_600.0;

/// What the GPUs of a server cost.
#[derive(Debug, Clone, Copy)]
pub struct CostModel<'a> {
    /// Their kind.
    pub gpu: &'a Gpu,
    /// Their number, over all replicas.
    pub gpus: u32,
}

/// What a run cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// GPUs, over all replicas.
    pub gpus: u32,
    /// USD for a million output tokens, all GPUs paid for from the first arrival to the last token; `None` without a price.
    pub usd_per_million_output_tokens: Option<f64>,
    /// List price of one GPU.
    pub price_usd_per_gpu_hour: Option<f64>,
    /// Who asks it.
    pub price_source: Option<String>,
    /// Energy of the GPUs for an output token, at most.
    pub joules_per_output_token: f64,
    /// The power model in words, with its source.
    pub power_model: String,
    /// Share of time with a request running.
    pub busy: f64,
}

impl CostModel<'_> {
    /// The cost of a run of `duration_s` that delivered so many tokens; `None` if it delivered none.
    pub fn of(&self, duration_s: f64, output_tokens: u64, busy: f64) -> Option<Cost> {
        let Self { gpu, gpus } = *self;
        let tokens = output_tokens as f64;
        let gpu_seconds = f64::from(gpus) * duration_s;
        let watts = f64::from(gpu.tdp_w) * (IDLE_SHARE + (1.0 - IDLE_SHARE) * busy);
        (output_tokens > 0).then(|| Cost {
            gpus,
            usd_per_million_output_tokens: gpu
                .price_usd_per_hour
                .map(|price| price * gpu_seconds / SECONDS_AN_HOUR / tokens * 1e6),
            price_usd_per_gpu_hour: gpu.price_usd_per_hour,
            price_source: gpu.price_source.clone(),
            joules_per_output_token: watts * gpu_seconds / tokens,
            power_model: format!(
                "{} W (TDP of {}; {}) while a request runs, {:.0} % of it when idle (assumed); linear as in Fan, Weber & \
                 Barroso 2007; GPUs only",
                gpu.tdp_w,
                gpu.name,
                gpu.source,
                IDLE_SHARE * 100.0
            ),
            busy,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_hour_of_a_million_tokens_costs_its_price() {
        let gpu = crate::catalog::gpu("A10G").expect("in the catalogue");
        let cost = CostModel { gpu, gpus: 2 }.of(3_600.0, 1_000_000, 1.0).expect("tokens");
        let price = gpu.price_usd_per_hour.expect("priced");
        assert!((cost.usd_per_million_output_tokens.expect("priced") - 2.0 * price).abs() < 1e-9);
        assert!((cost.joules_per_output_token - 2.0 * 300.0 * 3_600.0 / 1e6).abs() < 1e-9);
        let idle = CostModel { gpu, gpus: 2 }.of(3_600.0, 1_000_000, 0.0).expect("tokens");
        assert!((idle.joules_per_output_token / cost.joules_per_output_token - IDLE_SHARE).abs() < 1e-12);
        assert_eq!(CostModel { gpu, gpus: 1 }.of(1.0, 0, 1.0), None);
    }

    #[test]
    fn without_a_price_there_is_no_cost_and_still_an_energy() {
        let priced = crate::catalog::gpu("A10G").expect("in the catalogue");
        let gpu = crate::catalog::Gpu { price_usd_per_hour: None, price_source: None, ..priced.clone() };
        let cost = CostModel { gpu: &gpu, gpus: 1 }.of(1.0, 100, 1.0).expect("tokens");
        assert_eq!((cost.usd_per_million_output_tokens, cost.price_usd_per_gpu_hour), (None, None));
        assert!((cost.joules_per_output_token - 3.0).abs() < 1e-12, "300 W for a second, over 100 tokens");
    }
}
