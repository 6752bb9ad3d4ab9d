//! Random scenarios: an error or a result, never a panic.

use kendall_des::Streams;
use kendall_serving::scenario::{Scenario, plan, resolve};
use proptest::prelude::*;

use crate::program::{Bench, QUICKSTART};

/// Values that are wrong nearly everywhere, and some that are right.
const VALUES: [&str; 49] = [
    "0",
    "1",
    "-1",
    "2",
    "0.5",
    "1e-300",
    "1e300",
    "-0.0",
    "nan",
    "inf",
    "-inf",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "9223372036854775807",
    "true",
    "\"\"",
    "\"H100\"",
    "\"x\"",
    "[]",
    "[[1, 2.0]]",
    "{}",
    "{ dist = \"pareto\", minimum = 1, shape = 0.1 }",
    "{ process = \"at_once\" }",
    "1979-05-27",
    "'''\u{1F980}'''",
    "\"0.19\"",
    "\"priority\"",
    "16",
    "100_000",
    "{ tokens = 5, groups = 3 }",
    "{ tokens = 16777216, groups = 4294967295, zipf = nan }",
    "{ turns = { dist = \"constant\", tokens = 4294967295 }, think_time_s = 0 }",
    "{ turns = { dist = \"constant\", tokens = 3 }, think_time_s = 1e6 }",
    "{ process = \"weibull\", rate_per_s = 4, cv = 101 }",
    "{ process = \"mmpp\", states = [{ rate_per_s = 0, mean_s = 1e-9 }, { rate_per_s = 9, mean_s = 2, next = [1, 0] }] }",
    "{ process = \"on_off\", rate_per_s = 1e-300, on_s = 1e300, off_s = 1e-300 }",
    "{ process = \"sinusoidal\", rate_per_s = 1e300, amplitude = 1, period_s = 1e-300 }",
    "{ process = \"piecewise\", points = [[0, 0], [1e-300, 1e300]], repeat = true }",
    "{ process = \"stages\", stages = [{ rate_per_s = 1e-300, duration_s = 1e300 }] }",
    "{ process = \"closed_loop\", concurrency = 3, think_time_s = 1e300, ramp_up_s = 1e9 }",
    "{ shape = \"sinusoidal\", amplitude = 1, period_s = 1e-9 }",
    "{ shape = \"piecewise\", points = [[0, 0], [9, 1], [9, 0], [10, 0]] }",
    "{ timeout_s = 1, timeout_cv = 3, retries = { max = 65535, backoff_s = 1e300, factor = 1e300, jitter = 1 } }",
    "{ dist = \"zipf\", exponent = -1e300, max = 1000 }",
    "{ dist = \"normal\", mean = 1e300, std_dev = 1, min = 3, max = 9, outside = \"clip\" }",
    "{ pairs = [[1, 2], [3, 4]] }",
    "[{ name = \"a\" }, { name = \"b\", weight = 1e300 }]",
    "[{ name = \"a\", arrivals = { process = \"poisson\", rate_per_s = 3 } }]",
];

const KEYS: [&str; 30] = [
    "requests",
    "duration_s",
    "arrivals",
    "prompt_tokens",
    "output_tokens",
    "sessions",
    "shared_prefix",
    "distinct_prompts",
    "max_concurrency",
    "rescale_arrivals",
    "fluctuation",
    "rank_correlation",
    "prefill_only",
    "lengths",
    "clients",
    "class",
    "turns",
    "gpu",
    "model",
    "engine",
    "engine_version",
    "max_num_seqs",
    "max_num_batched_tokens",
    "gpu_memory_utilization",
    "block_size",
    "num_gpu_blocks",
    "max_model_len",
    "watermark",
    "replicas",
    "front_end_overhead_ms",
];

/// One change of the text, at a place given by `at`.
#[derive(Debug, Clone)]
enum Mutation {
    /// Bytes are cut out.
    Cut { at: usize, len: usize },
    /// Something is put in.
    Insert { at: usize, text: String },
    /// The value after the nth equals sign is replaced.
    Value { at: usize, value: &'static str },
    /// A line is added at the end of the nth table.
    Line { at: usize, key: &'static str, value: &'static str },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let key = || prop::sample::select(&KEYS[..]);
    let value = || prop::sample::select(&VALUES[..]);
    prop_oneof![
        (any::<usize>(), 1_usize..20).prop_map(|(at, len)| Mutation::Cut { at, len }),
        (any::<usize>(), "\\PC{0,4}|[\\[\\]{}=\"',.#\n\r\t\0\u{1b}]{1,3}")
            .prop_map(|(at, text)| Mutation::Insert { at, text }),
        (any::<usize>(), value()).prop_map(|(at, value)| Mutation::Value { at, value }),
        (any::<usize>(), key(), value()).prop_map(|(at, key, value)| Mutation::Line { at, key, value }),
    ]
}

fn mutated(text: &str, mutations: &[Mutation]) -> String {
    mutations.iter().fold(text.to_owned(), |text, mutation| {
        let mut places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
        places.push(text.len());
        let place = |at: usize| places[at % places.len()];
        match mutation {
            Mutation::Cut { at, len } => {
                let end = places[(at % places.len() + len).min(places.len() - 1)];
                format!("{}{}", &text[..place(*at)], &text[end..])
            }
            Mutation::Insert { at, text: new } => {
                format!("{}{new}{}", &text[..place(*at)], &text[place(*at)..])
            }
            Mutation::Value { at, value } => {
                let equals: Vec<_> = text.match_indices("= ").map(|(at, _)| at + 2).collect();
                let Some(&start) = equals.get(at % equals.len().max(1)) else { return text };
                let len = text[start..].find([',', '\n', '}']).unwrap_or(text.len() - start);
                format!("{}{value}{}", &text[..start], &text[start + len..])
            }
            Mutation::Line { at, key, value } => {
                let heads: Vec<_> = text.match_indices("]\n").map(|(at, _)| at + 2).collect();
                let Some(&start) = heads.get(at % heads.len().max(1)) else { return text };
                format!("{}{key} = {value}\n{}", &text[..start], &text[start..])
            }
        }
    })
}

/// All that happens before a run, and the first requests of its workload.
fn read_and_resolve(text: &str) {
    let scenario = match Scenario::from_toml(text) {
        Ok(scenario) => scenario,
        Err(error) => {
            assert!(!error.message.is_empty());
            assert!(error.span.is_none_or(|span| span.start <= span.end && span.end <= text.len()));
            return;
        }
    };
    if let Err(error) = resolve(&scenario) {
        let error = error.located_in(text);
        assert!(error.span.is_none_or(|span| text.get(span).is_some()), "{text}");
    }
    let planned = plan(&scenario.workload);
    let started = planned.and_then(|plan| plan.start(Streams::new(0, 0)));
    match started {
        Ok(mut workload) => {
            let requests = std::iter::from_fn(|| workload.next_request()).take(20);
            for request in requests.map_while(Result::ok) {
                assert!(request.num_prompt_tokens > 0 && request.max_tokens > 0);
            }
        }
        Err(error) => {
            let error = error.located_in(text);
            assert!(error.span.is_none_or(|span| text.get(span).is_some()), "{text}");
        }
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn a_changed_scenario_never_panics(mutations in prop::collection::vec(mutation(), 1..6)) {
        read_and_resolve(&mutated(QUICKSTART, &mutations));
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_and_resolve(&String::from_utf8_lossy(&bytes));
    }
}

proptest! {
    #![proptest_config(cases(150))]

    /// The whole program: its exit code is 0, 1 or 2, and an error shows the file.
    #[test]
    fn the_program_survives_a_changed_scenario(mutations in prop::collection::vec(mutation(), 1..4)) {
        let bench = Bench::new();
        let text = QUICKSTART.replace("20_000", "20").replace("duration_s", "slo");
        bench.write("mine.toml", mutated(&text, &mutations));
        let outcome = bench.kendall(&["run", "mine.toml", "--set", "workload.requests=20", "--out", "out"]);
        match outcome.code {
            Some(0) => prop_assert_eq!(bench.results(), ["requests.csv", "scenario.toml", "summary.json", "timeline.csv"]),
            Some(1 | 2) => {
                prop_assert!(outcome.stderr.contains("mine.toml") || outcome.code == Some(1), "{:?}", outcome);
                prop_assert_eq!(bench.results(), [""; 0]);
            }
            _ => prop_assert!(false, "{:?}", outcome),
        }
    }
}
