//! Plays a measured server with given efficiencies.

use anyhow::{Context, Result};
use kendall_des::{SimDuration, SimTime};
use kendall_serving::scenario::{Scenario, resolve};
use kendall_serving::step_time::roofline::{Deployment, Efficiencies, Limits};
use kendall_serving::workload::ConcurrencyLimited;
use kendall_serving::{EngineGauges, Observer, RequestRecord, RooflineSteps, Simulation};

use crate::rows::{Experiment, Figures};

#[derive(Default)]
struct Records(Vec<RequestRecord>);

impl Observer for Records {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}
    fn departed(&mut self, record: &RequestRecord) {
        self.0.push(record.clone());
    }
    fn gauges(&mut self, _replica: u32, _now: SimTime, _gauges: EngineGauges) {}
}

/// The oldest version that kendall models stands for the older ones that were measured.
const ENGINE_VERSION: &str = "0.19";

/// Simulates an experiment with at most `most` requests of each stage; the figures of every stage.
pub(crate) fn simulate(
    experiment: &Experiment,
    efficiencies: &Efficiencies,
    most: usize,
) -> Result<Vec<Figures>> {
    let gpu = kendall_serving::catalog::gpu(&experiment.gpu)?;
    let mut scenario = Scenario::from_toml("[workload]\n[server]\n")?;
    let server = &mut scenario.server;
    server.engine_version = Some(ENGINE_VERSION.to_owned());
    server.gpu = Some(gpu.name.clone());
    server.model = Some(experiment.model.name.clone());
    server.tensor_parallel_size = Some(experiment.tensor_parallel_size);
    server.max_num_seqs = experiment.max_num_seqs;
    server.max_num_batched_tokens = experiment.max_num_batched_tokens;
    server.max_model_len = experiment.max_model_len;
    server.num_gpu_blocks = experiment.num_gpu_blocks;
    server.async_scheduling = Some(experiment.async_scheduling);
    server.enable_prefix_caching = Some(experiment.prefix_caching);
    let mut config = resolve(&scenario).with_context(|| experiment.name.clone())?.simulation;
    let of = Deployment {
        gpu,
        model: &experiment.model,
        tensor_parallel_size: experiment.tensor_parallel_size,
        kv_dtype_bytes: 2,
        async_scheduling: experiment.async_scheduling,
        sorts_logits: experiment.sorts_logits,
    };
    let limits = Limits {
        max_num_seqs: config.engine.max_num_seqs,
        max_num_batched_tokens: config.engine.max_num_batched_tokens,
        max_model_len: config.engine.max_model_len,
    };
    config.step_time = RooflineSteps::new(&of, limits, efficiencies)?.into();
    config.front_end = SimDuration::from_secs_f64(efficiencies.engine.front_end_ms / 1e3)?;
    let (stage_of, specs): (Vec<usize>, Vec<_>) = experiment.requests(most)?.into_iter().unzip();
    let stream = Box::new(specs.into_iter().map(Ok));
    let records = match experiment.concurrency {
        Some(limit) => {
            let limited = Box::new(ConcurrencyLimited::new(stream, limit));
            Simulation::new(&config, limited, Records::default())?.run()?.1
        }
        None => Simulation::new(&config, stream, Records::default())?.run()?.1,
    };
    let warm_up = experiment.concurrency.map_or(0, |limit| 2 * limit);
    Ok((0..experiment.stages.len()).map(|stage| figures(&records.0, &stage_of, stage, warm_up)).collect())
}

fn figures(records: &[RequestRecord], stage_of: &[usize], stage: usize, warm_up: u64) -> Figures {
    let of_stage: Vec<_> = records
        .iter()
        .filter(|record| stage_of[record.index as usize] == stage && record.index >= warm_up)
        .collect();
    let mean = |figure: &dyn Fn(&RequestRecord) -> Option<SimDuration>| {
        let values: Vec<f64> =
            of_stage.iter().filter_map(|record| figure(record)).map(SimDuration::as_secs_f64).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    Figures {
        ttft_s: mean(&RequestRecord::ttft),
        tpot_s: mean(&RequestRecord::tpot),
        e2e_s: mean(&RequestRecord::e2e),
    }
}
