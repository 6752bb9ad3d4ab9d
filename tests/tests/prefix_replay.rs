//! The public H100 runs of Llama-2-7b, in which the same 100 prompts repeat: what the prefix cache saves.
//!
//! Step times are the datasheet estimate; the cache's decisions hardly depend on them. The measured files are not in this
//! project; without them the test says so and passes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use kendall_des::{SimDuration, SimTime};
use kendall_serving::scenario::{Scenario, resolve};
use kendall_serving::{
    EngineGauges, Observer, PromptContent, RequestRecord, RequestSpec, Simulation, TokenSegment, TokenStream,
};

const SCENARIO: &str = r#"
[workload]
[server]
gpu = "H100"
model = "meta-llama/Llama-2-7b-hf"
engine_version = "0.19"
max_num_seqs = 128
max_num_batched_tokens = 2048
max_model_len = 4096
num_gpu_blocks = 7462
"#;

/// Tokens of requests from number 100 on: found in the cache, and in all.
#[derive(Default)]
struct Hits {
    cached: u64,
    prompt: u64,
}

impl Observer for Hits {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}

    fn departed(&mut self, record: &RequestRecord) {
        if record.index >= 100 {
            self.cached += u64::from(record.num_cached_tokens);
            self.prompt += u64::from(record.num_prompt_tokens);
        }
    }

    fn gauges(&mut self, _replica: u32, _now: SimTime, _gauges: EngineGauges) {}
}

fn spec(row: &csv::StringRecord) -> RequestSpec {
    let number = |column: usize| row[column].parse::<u32>().unwrap();
    let arrival = SimTime::ZERO + SimDuration::from_secs_f64(row[2].parse().unwrap()).unwrap();
    let prompt = TokenSegment { stream: TokenStream::Shared(u64::from(number(5))), start: 0, len: number(3) };
    RequestSpec {
        prompt: PromptContent::Segments(Box::new([prompt])),
        ..RequestSpec::new(arrival, number(3), number(4))
    }
}

#[test]
fn repeated_prompts_of_the_public_h100_runs_hit() {
    let measured = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/measured/requests");
    if !measured.exists() {
        println!("skipped: measured data not present");
        return;
    }
    let resolved = resolve(&Scenario::from_toml(SCENARIO).unwrap()).unwrap();
    for workload in ["codegen", "general", "reasoning", "roleplay"] {
        let path = measured.join(format!("h100_llama-2-7b-tp1-{workload}.csv"));
        let mut specs: Vec<_> =
            csv::Reader::from_path(path).unwrap().records().map(|row| spec(&row.unwrap())).collect();
        specs.sort_by_key(|spec| spec.arrival);
        let n = specs.len();
        let requests = Box::new(specs.into_iter().map(Ok));
        let (_, hits) =
            Simulation::new(&resolved.simulation, requests, Hits::default()).unwrap().run().unwrap();
        let share = hits.cached as f64 / hits.prompt as f64;
        println!("{workload}: {n} requests, {:.1} % of prompt tokens hit from request 100 on", share * 100.0);
        if workload == "reasoning" {
            // Overloaded: running sequences of up to 2,531 tokens fill the cache of 119,376 tokens, and the 100 prompts of
            // 1,083 tokens come round in turn. The least recently used prompt is always the one that comes next.
            assert!(share < 0.1, "{workload}: {share}");
        } else {
            assert!(share > 0.9, "{workload}: {share}");
        }
    }
}
