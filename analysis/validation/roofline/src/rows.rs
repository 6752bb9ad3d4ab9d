//! Measured servers: rows of `e2e_measured.csv` as simulations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kendall_des::{Distribution, Purpose, SimDuration, SimTime, Streams};
use kendall_serving::catalog::{Model, SamplerKind, WeightPrecision, model};
use kendall_serving::{PromptContent, RequestSpec, TokenSegment, TokenStream};

use crate::tables::{Table, read};

/// Random numbers of this study; the catalogue of purposes is the workload's.
const ARRIVALS: Purpose = Purpose(900);
const LENGTHS: Purpose = Purpose(901);

/// What was measured in one stage.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "the unit stands last")]
pub(crate) struct Figures {
    pub ttft_s: f64,
    pub tpot_s: f64,
    pub e2e_s: f64,
}

/// One stage of an experiment.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub name: String,
    pub measured: Figures,
    /// Offered to the server (req/s); of a closed loop 0.
    pub rate: f64,
    requests: u64,
}

/// One experiment: stages that one server ran one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Experiment {
    pub name: String,
    pub gpu: String,
    pub model: Model,
    pub tensor_parallel_size: u32,
    pub max_num_seqs: Option<u32>,
    pub max_num_batched_tokens: Option<u32>,
    pub max_model_len: Option<u32>,
    pub num_gpu_blocks: Option<u32>,
    pub prefix_caching: bool,
    pub async_scheduling: bool,
    pub sorts_logits: bool,
    pub concurrency: Option<u64>,
    pub stages: Vec<Stage>,
    prompt: (f64, f64),
    output: (f64, f64),
    stage_s: f64,
    group_prefix: u32,
    trace: Option<PathBuf>,
}

/// Every experiment whose model is in the catalogue, in the table's order; the others with the reason.
pub(crate) fn experiments(measured: &Path) -> Result<(Vec<Experiment>, Vec<String>)> {
    let table = read(&measured.join("e2e_measured.csv"))?;
    let mut found: BTreeMap<usize, Experiment> = BTreeMap::new();
    let mut place: BTreeMap<String, usize> = BTreeMap::new();
    let mut skipped = Vec::new();
    for row in 0..table.len() {
        if table.text(row, "row_kind") == "summary" || table.text(row, "source") == "EE384S" {
            continue;
        }
        let name = table.text(row, "experiment").to_owned();
        let at = *place.entry(name.clone()).or_insert(row);
        if let Some(experiment) = found.get_mut(&at) {
            experiment.stages.push(stage(&table, row));
            continue;
        }
        match experiment(measured, &table, row) {
            Ok(experiment) => {
                found.insert(at, experiment);
            }
            Err(reason) => skipped.push(format!("{name}: {reason}")),
        }
    }
    Ok((found.into_values().collect(), skipped))
}

fn stage(table: &Table, row: usize) -> Stage {
    let number = |column| table.number(row, column);
    Stage {
        name: table.text(row, "stage").to_owned(),
        measured: Figures {
            ttft_s: number("ttft_mean"),
            tpot_s: number("tpot_mean"),
            e2e_s: number("e2e_mean"),
        },
        rate: Some(number("rate_rps")).filter(|rate| rate.is_finite()).unwrap_or(0.0),
        requests: number("n_requests") as u64,
    }
}

fn experiment(measured: &Path, table: &Table, row: usize) -> Result<Experiment, String> {
    let text = |column| table.text(row, column);
    let count = |column| Some(table.number(row, column)).filter(|n| n.is_finite()).map(|n| n as u32);
    let range = |kind: &str| {
        let mean = table.number(row, &format!("{kind}_mean"));
        let low = table.number(row, &format!("{kind}_min"));
        if text("load_mode") == "closed-loop" && low.is_finite() {
            (low, 2.0 * mean - low)
        } else {
            (mean, mean)
        }
    };
    if text("workload_confidence").starts_with("SUSPECT") {
        return Err("its collectors mark its workload as suspect".into());
    }
    if text("dp") != "1" || !matches!(text("ep"), "" | "1" | "1.0") {
        return Err("data or expert parallel".into());
    }
    if text("engine_version").starts_with("0.11") && text("source").contains("ground_truth") {
        return Err("which prompts repeat is not known".into());
    }
    let model = model_of(text("model"), text("precision"))?;
    let trace = Some(text("request_trace")).filter(|path| !path.is_empty());
    Ok(Experiment {
        name: text("experiment").to_owned(),
        gpu: text("gpu").to_owned(),
        tensor_parallel_size: count("tp").unwrap_or(1),
        max_num_seqs: count("max_num_seqs"),
        max_num_batched_tokens: count("max_num_batched_tokens"),
        max_model_len: count("max_model_len"),
        num_gpu_blocks: count("kv_blocks"),
        prefix_caching: text("prefix_caching") != "off" && text("load_mode") != "closed-loop",
        sorts_logits: sorts_logits(text("engine_version"), &model, text("load_mode")),
        async_scheduling: is_asynchronous(text("engine_version")),
        concurrency: count("concurrency").filter(|_| text("load_mode") == "closed-loop").map(u64::from),
        stages: vec![stage(table, row)],
        prompt: range("prompt"),
        output: range("output"),
        stage_s: Some(table.number(row, "duration_s")).filter(|s| s.is_finite()).unwrap_or(0.0),
        group_prefix: count("group_prefix_len").unwrap_or(0),
        trace: trace.map(|path| measured.join(path)),
        model,
    })
}

/// Asynchronous scheduling is vLLM's default from 0.14 on.
fn is_asynchronous(version: &str) -> bool {
    const FIRST: u32 = 14;
    version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()).is_none_or(|minor| minor >= FIRST)
}

/// Whether the server sorted logits: it is old enough, the client left sampling to the model's `generation_config.json`,
/// and that asks for top-p or top-k.
fn sorts_logits(version: &str, model: &Model, load_mode: &str) -> bool {
    SamplerKind::of_vllm(version) == SamplerKind::SortedLogits
        && load_mode == "open-loop"
        && model.truncates_sampling
}

fn model_of(name: &str, precision: &str) -> Result<Model, String> {
    let known = match name {
        "nvidia/Llama-3.x-70B-Instruct-FP8 (recorded as meta-llama/Llama-3.1-70B)" => {
            "meta-llama/Llama-3.1-70B-Instruct"
        }
        "nvidia/Llama-3.1-8B-Instruct-FP8" | "meta-llama/Llama-3.1-8B" => "meta-llama/Llama-3.1-8B-Instruct",
        name => name,
    };
    let mut model = model(known).map_err(|error| error.to_string())?.clone();
    match precision {
        "fp8" => model.weight_precision = WeightPrecision::Fp8,
        "int4" => return Err("4-bit integer weights".into()),
        _ => {}
    }
    Ok(model)
}

impl Experiment {
    /// Requests of all stages with the stage of each, at most `most` of a stage.
    pub(crate) fn requests(&self, most: usize) -> Result<Vec<(usize, RequestSpec)>> {
        match (&self.trace, self.concurrency) {
            (Some(path), _) => self.recorded(path, most).with_context(|| format!("{}", path.display())),
            (None, Some(concurrency)) => Ok(self.closed_loop(concurrency)),
            (None, None) => self.synthetic(most),
        }
    }

    fn recorded(&self, path: &Path, most: usize) -> Result<Vec<(usize, RequestSpec)>> {
        let table = read(path)?;
        let mut of_stage = vec![0; self.stages.len()];
        let mut requests = Vec::new();
        for row in 0..table.len() {
            let stage = table.text(row, "stage").parse().unwrap_or(0_usize);
            if stage >= of_stage.len() || of_stage[stage] >= most {
                continue;
            }
            of_stage[stage] += 1;
            let send = ["send_s", "arrival_s"].map(|column| table.number(row, column));
            let arrival = send.into_iter().find(|s| s.is_finite()).unwrap_or(0.0);
            let prompt = table.number(row, "prompt_tokens") as u32;
            let output = table.number(row, "output_tokens").max(1.0) as u32;
            let id = table.text(row, "prompt_id").parse().ok();
            requests.push((stage, self.spec(arrival, prompt, output, id)?));
        }
        requests.sort_by_key(|(_, spec)| spec.arrival);
        Ok(requests)
    }

    /// Exponential gaps stretched to the span of the stage; 100 prompts in turn.
    fn synthetic(&self, most: usize) -> Result<Vec<(usize, RequestSpec)>> {
        const PROMPTS: u64 = 100;
        let gap = Distribution::exponential(1.0)?;
        let mut stream = Streams::new(0, 0).stream(ARRIVALS);
        let mut requests = Vec::new();
        let (mut start, mut number) = (0.0, 0);
        for (index, stage) in self.stages.iter().enumerate() {
            let mut at = 0.0;
            let mut times = Vec::new();
            for _ in 0..stage.requests {
                at += gap.sample(&mut stream.entity(number));
                times.push(at);
                number += 1;
            }
            let scale = self.stage_s / at.max(1.0);
            for (i, time) in times.iter().take(most).enumerate() {
                let id = Some(i as u64 % PROMPTS);
                let (prompt, output) = (self.prompt.0 as u32, self.output.0 as u32);
                requests.push((index, self.spec(start + time * scale, prompt, output, id)?));
            }
            start += self.stage_s + 4.0;
        }
        Ok(requests)
    }

    /// Enough requests for ten rounds of the concurrency, with lengths uniform in their ranges.
    fn closed_loop(&self, concurrency: u64) -> Vec<(usize, RequestSpec)> {
        let mut stream = Streams::new(0, 0).stream(LENGTHS);
        let requests = 0..10 * concurrency;
        let request = |number| {
            let mut numbers = stream.entity(number);
            let mut length = |(low, high): (f64, f64)| (low + (high - low) * numbers.next_open01()) as u32;
            let (prompt, output) = (length(self.prompt), length(self.output));
            (0, RequestSpec::new(SimTime::ZERO, prompt.max(1), output.max(1)))
        };
        requests.map(request).collect()
    }

    fn spec(&self, arrival_s: f64, prompt: u32, output: u32, id: Option<u64>) -> Result<RequestSpec> {
        const GROUPS: u64 = 10;
        let mut spec =
            RequestSpec::new(SimTime::ZERO + SimDuration::from_secs_f64(arrival_s)?, prompt, output);
        if let Some(id) = id {
            let shared = self.group_prefix.min(prompt);
            let group = TokenStream::Shared(1_000_000 + id / GROUPS);
            let own = TokenStream::Shared(id);
            let segments = [
                TokenSegment { stream: group, start: 0, len: shared },
                TokenSegment { stream: own, start: shared, len: prompt - shared },
            ];
            spec.prompt =
                PromptContent::Segments(segments.into_iter().filter(|segment| segment.len > 0).collect());
        }
        Ok(spec)
    }
}
