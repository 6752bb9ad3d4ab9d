//! Synthetic workloads as streams, and in simulations where they react to departures.

use kendall_des::{Distribution, SimDuration, SimTime, Streams};

use super::*;
use crate::request::PromptContent;
use crate::{
    EngineConfig, EngineGauges, LinearCoefficients, Observer, RouterConfig, Simulation, SimulationConfig,
};

fn config(requests: u64) -> SyntheticConfig {
    let class = RequestClass::new(LengthSource::Distributions {
        prompt: Distribution::uniform(10.0, 100.0).unwrap(),
        output: Distribution::uniform(1.0, 30.0).unwrap(),
    });
    SyntheticConfig::new(Extent::Requests(requests), Arrivals::Poisson { rate_per_s: 10.0 }, class)
}

fn all(config: &SyntheticConfig) -> Vec<RequestSpec> {
    let mut workload = SyntheticWorkload::new(config, Streams::new(5, 0)).unwrap();
    std::iter::from_fn(|| workload.next_request()).map(Result::unwrap).collect()
}

#[derive(Default)]
struct Records(Vec<RequestRecord>);

impl Observer for Records {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}
    fn departed(&mut self, record: &RequestRecord) {
        self.0.push(record.clone());
    }
    fn gauges(&mut self, _replica: u32, _now: SimTime, _gauges: EngineGauges) {}
}

fn play(workload: impl Workload + 'static) -> Vec<RequestRecord> {
    let step_time =
        LinearCoefficients { base_ps: 5_000_000_000, per_prefill_token_ps: 50_000_000, ..Default::default() };
    let config = SimulationConfig {
        engine: EngineConfig::default(),
        step_time: step_time.into(),
        replicas: 1,
        router: RouterConfig::default(),
        front_end: crate::FrontEnd::default(),
    };
    Simulation::new(&config, Box::new(workload), Records::default()).unwrap().run().unwrap().1.0
}

#[test]
fn rescaled_arrivals_end_at_requests_over_rate() {
    let mut config = config(300);
    config.rescale = true;
    let last = all(&config).last().unwrap().arrival;
    assert_eq!(last, SimTime::ZERO + SimDuration::from_secs(30));
}

#[test]
fn a_workload_of_a_duration_ends_there() {
    let mut config = config(0);
    config.extent = Extent::Duration(SimDuration::from_secs(20));
    let specs = all(&config);
    assert!((150..250).contains(&specs.len()), "{} arrivals in 20 s at 10 a second", specs.len());
    assert!(specs.last().unwrap().arrival <= SimTime::ZERO + SimDuration::from_secs(20));
}

#[test]
fn a_shared_prefix_comes_on_top_and_its_groups_are_unequal() {
    let plain = all(&config(2_000));
    let mut config = config(2_000);
    config.classes[0].contents =
        Contents { prefix_tokens: 512, prefix_groups: 10, zipf: 1.0, distinct_prompts: None };
    let shared = all(&config);
    let mut sizes = std::collections::BTreeMap::new();
    for (plain, shared) in plain.iter().zip(&shared) {
        assert_eq!(shared.num_prompt_tokens, plain.num_prompt_tokens + 512);
        let PromptContent::Segments(segments) = &shared.prompt else { panic!("segments") };
        assert_eq!(segments.iter().map(|s| s.len).sum::<u32>(), shared.num_prompt_tokens);
        *sizes.entry(segments[0].stream).or_insert(0_u32) += 1;
    }
    let sizes: Vec<_> = sizes.into_values().collect();
    assert_eq!(sizes.len(), 10);
    // Weights 1/k over the tenth harmonic number: 683 for the first, 68 for the last.
    assert!((600..760).contains(&sizes[0]) && (40..100).contains(&sizes[9]), "{sizes:?}");
}

#[test]
fn repeated_prompts_hit_the_prefix_cache() {
    let mut config = config(300);
    config.classes[0].contents.distinct_prompts = Some(100);
    let workload = SyntheticWorkload::new(&config, Streams::new(5, 0)).unwrap();
    let records = play(workload);
    for record in &records {
        let full_blocks = (record.num_prompt_tokens - 1) / 16 * 16;
        let hit = if record.index < 100 { 0 } else { full_blocks };
        assert_eq!(record.num_cached_tokens, hit, "request {}", record.index);
    }
}

#[test]
fn a_conversation_quotes_itself() {
    let mut config = config(20);
    config.classes[0].sessions = Some(SessionPlan {
        turns: Distribution::constant(4.0).unwrap(),
        think_time: Distribution::exponential(2.0).unwrap(),
    });
    let workload = SyntheticWorkload::new(&config, Streams::new(5, 0)).unwrap();
    let mut records = play(workload);
    assert_eq!(records.len(), 80);
    records.sort_by_key(|record| record.session);
    for turns in records.chunks(4) {
        for (before, after) in turns.iter().zip(&turns[1..]) {
            assert!(after.arrival > before.finish);
            let said = before.num_prompt_tokens + before.num_output_tokens;
            assert!(after.num_prompt_tokens > said);
            // All full blocks of what was said, but for the last output token, whose KV was never computed.
            assert_eq!(after.num_cached_tokens, (said - 1) / 16 * 16);
        }
    }
}

#[test]
fn limited_concurrency_is_never_exceeded() {
    let mut config = config(200);
    config.arrivals = Arrivals::AtOnce {};
    let workload = SyntheticWorkload::new(&config, Streams::new(5, 0)).unwrap();
    let records = play(ConcurrencyLimited::new(Box::new(workload), 7));
    assert_eq!(records.len(), 200);
    let mut changes: Vec<_> = records.iter().flat_map(|r| [(r.arrival, 1_i64), (r.finish, -1)]).collect();
    // At one instant a departure makes room for an arrival.
    changes.sort_unstable();
    let mut outstanding = 0;
    let most = changes.iter().map(|(_, change)| {
        outstanding += change;
        outstanding
    });
    assert_eq!(most.max(), Some(7));
}
