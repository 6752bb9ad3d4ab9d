//! How fast the parts and the whole are: `cargo bench -p kendall-tests`. Counters are requests (or events) per second.
//!
//! Wall time on a shared machine is noisy: quote ratios of one run. Whole-process figures stand in docs/performance.md.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use divan::Bencher;
use divan::counter::ItemsCount;
use kendall_des::{Distribution, EventQueue, Phase, SimDuration, SimTime, Streams};
use kendall_serving::scenario::{Resolved, Scenario, resolve};
use kendall_serving::workload::{
    Arrivals, Contents, Extent, LengthSource, RequestClass, SyntheticConfig, SyntheticWorkload,
};
use kendall_serving::{BlockPool, RunMetrics, Simulation};

fn main() {
    divan::main();
}

const REQUESTS: u64 = 20_000;

fn quickstart() -> Resolved {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/quickstart.toml"))
        .unwrap();
    resolve(&Scenario::from_toml(&text).unwrap()).unwrap()
}

fn workload(rate_per_s: f64, contents: Contents) -> SyntheticWorkload {
    let lengths = LengthSource::Distributions {
        prompt: Distribution::log_normal(256.0, 0.55).unwrap(),
        output: Distribution::log_normal(128.0, 0.7).unwrap(),
    };
    let class = RequestClass { contents, ..RequestClass::new(lengths) };
    let config = SyntheticConfig::new(Extent::Requests(REQUESTS), Arrivals::Poisson { rate_per_s }, class);
    SyntheticWorkload::new(&config, Streams::new(0, 0)).unwrap()
}

fn simulate(resolved: &Resolved, rate_per_s: f64, contents: Contents) -> u64 {
    let metrics = RunMetrics::new(&resolved.simulation.engine, 1, None);
    let workload = Box::new(workload(rate_per_s, contents));
    let (end, metrics) = Simulation::new(&resolved.simulation, workload, metrics).unwrap().run().unwrap();
    metrics.summary(end.end).completed
}

/// The quick-start engine at four loads.
#[divan::bench(args = [1.0, 4.0, 8.0, 12.0])]
fn engine(bencher: Bencher<'_, '_>, rate_per_s: f64) {
    let resolved = quickstart();
    bencher.counter(ItemsCount::new(REQUESTS)).bench(|| simulate(&resolved, rate_per_s, Contents::default()));
}

/// The same, every request of every step scheduled by itself.
#[divan::bench(args = [4.0])]
fn engine_one_by_one(bencher: Bencher<'_, '_>, rate_per_s: f64) {
    let mut resolved = quickstart();
    resolved.simulation.engine.one_by_one = true;
    bencher.counter(ItemsCount::new(REQUESTS)).bench(|| simulate(&resolved, rate_per_s, Contents::default()));
}

/// Ten groups share prefixes of 512 tokens, Zipf-distributed, with prefix caching on.
#[divan::bench(args = [4.0, 8.0])]
fn engine_with_shared_prefixes(bencher: Bencher<'_, '_>, rate_per_s: f64) {
    let mut resolved = quickstart();
    resolved.simulation.engine.enable_prefix_caching = true;
    let contents = Contents { prefix_tokens: 512, prefix_groups: 10, zipf: 1.0, distinct_prompts: None };
    bencher.counter(ItemsCount::new(REQUESTS)).bench(|| simulate(&resolved, rate_per_s, contents.clone()));
}

/// Requests drawn from their streams, without an engine.
#[divan::bench]
fn synthetic_workload(bencher: Bencher<'_, '_>) {
    use kendall_serving::Workload;
    bencher.counter(ItemsCount::new(REQUESTS)).bench(|| {
        let mut workload = workload(4.0, Contents::default());
        std::iter::from_fn(|| workload.next_request())
            .map(|spec| u64::from(spec.unwrap().max_tokens))
            .sum::<u64>()
    });
}

/// An event queue that holds so many events.
#[divan::bench(args = [4, 64, 4096])]
fn event_queue(bencher: Bencher<'_, '_>, size: u64) {
    const EVENTS: u64 = 100_000;
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut queue = EventQueue::new();
        for i in 0..size {
            queue.schedule(SimTime::from_ps(i * 7_919 % 1_000), Phase(0), i);
        }
        for i in 0..EVENTS {
            let (now, event) = queue.pop().unwrap();
            queue.schedule(now + SimDuration::from_ps(i * 7_919 % 1_000), Phase(i % 3), event);
        }
        queue.len()
    });
}

/// A block pool under allocation, caching and release of tables of 32 blocks.
#[divan::bench]
fn block_pool(bencher: Bencher<'_, '_>) {
    const TABLES: u64 = 1_000;
    bencher.counter(ItemsCount::new(TABLES * 32)).bench(|| {
        let mut pool = BlockPool::new(4_096, true);
        let mut tables = std::collections::VecDeque::new();
        for table in 0..TABLES {
            if tables.len() == 64 {
                let oldest: Vec<_> = tables.pop_front().unwrap();
                pool.free(&oldest);
            }
            let blocks: Vec<_> = (0..32).map(|_| pool.allocate()).collect();
            for (i, &block) in blocks.iter().enumerate() {
                pool.insert(block, table * 32 + i as u64);
            }
            tables.push_back(blocks);
        }
        pool.num_free()
    });
}
