//! Classes, closed loops, impatient clients and lengths that go together.

use kendall_des::{SimDuration, SimTime, Streams};

use super::*;
use crate::record::RequestStatus;
use crate::scenario::{Scenario, plan};
use crate::{
    EngineConfig, EngineGauges, LinearCoefficients, Observer, Simulation, SimulationConfig, StepTimeModel,
};

#[derive(Default)]
struct Records(Vec<RequestRecord>);

impl Observer for Records {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}
    fn departed(&mut self, record: &RequestRecord) {
        self.0.push(record.clone());
    }
    fn gauges(&mut self, _replica: u32, _now: SimTime, _gauges: EngineGauges) {}
}

fn started(workload: &str) -> Box<dyn Workload + Send> {
    let scenario = Scenario::from_toml(&format!("[workload]\n{workload}\n[server]\n")).unwrap();
    plan(&scenario.workload).unwrap().start(Streams::new(5, 0)).unwrap()
}

fn specs(workload: &str) -> Vec<RequestSpec> {
    let mut workload = started(workload);
    std::iter::from_fn(|| workload.next_request()).map(Result::unwrap).collect()
}

/// Plays a workload against a server whose steps last `step_ms`.
fn play(workload: &str, step_ms: u64) -> Vec<RequestRecord> {
    let config = SimulationConfig {
        engine: EngineConfig { max_num_seqs: 4, ..EngineConfig::default() },
        step_time: StepTimeModel::Linear(LinearCoefficients {
            base_ps: step_ms * 1_000_000_000,
            ..Default::default()
        }),
        replicas: 1,
        router: crate::RouterConfig::default(),
        front_end: crate::FrontEnd::default(),
    };
    let simulation = Simulation::new(&config, started(workload), Records::default()).unwrap();
    let (end, records) = simulation.run().unwrap();
    assert!(end.stalled.is_none());
    records.0
}

const LENGTHS: &str = "prompt_tokens = { dist = \"lognormal\", median = 60, sigma = 0.8 }\n\
                       output_tokens = { dist = \"gamma\", mean = 20, cv = 0.7 }\n";

#[test]
fn classes_by_weight_have_their_shares() {
    let text = format!(
        "requests = 20_000\narrivals = {{ process = \"poisson\", rate_per_s = 10 }}\n{LENGTHS}\
         [[workload.class]]\nname = \"chat\"\nweight = 7\n\
         [[workload.class]]\nname = \"code\"\nweight = 2\npriority = -1\nprompt_tokens = {{ dist = \"constant\", tokens = 900 }}\n\
         [[workload.class]]\nname = \"embed\"\nprefill_only = true\n"
    );
    // `output_tokens` of the workload and `prefill_only` of the class: the class wins.
    let specs = specs(&text);
    let mut counts = [0_u32; 3];
    for spec in &specs {
        let class = spec.class();
        counts[usize::from(class)] += 1;
        assert_eq!(spec.priority, if class == 1 { -1 } else { 0 });
        assert_eq!(spec.num_prompt_tokens == 900, class == 1);
        assert!(class != 2 || spec.max_tokens == 1);
    }
    // Standard deviations: 65, 57, 42.
    for (count, expected) in counts.iter().zip([14_000.0_f64, 4_000.0, 2_000.0]) {
        assert!((f64::from(*count) - expected).abs() < 5.0 * (expected * 0.9).sqrt(), "{counts:?}");
    }
}

#[test]
fn a_class_with_its_own_arrivals_is_undisturbed_by_the_others() {
    let class = |name: &str, rate: f64| {
        format!(
            "[[workload.class]]\nname = \"{name}\"\narrivals = {{ process = \"poisson\", rate_per_s = {rate} }}\n"
        )
    };
    let with =
        |second: f64| specs(&format!("duration_s = 500\n{LENGTHS}{}{}", class("a", 3.0), class("b", second)));
    let (one, other) = (with(1.0), with(8.0));
    assert!(one.windows(2).all(|pair| pair[0].arrival <= pair[1].arrival));
    let of = |specs: &[RequestSpec], class: u16| -> Vec<_> {
        specs.iter().filter(|spec| spec.class() == class).cloned().collect()
    };
    assert_eq!(of(&one, 0), of(&other, 0));
    let rates = [of(&one, 0).len(), of(&one, 1).len(), of(&other, 1).len()];
    for (count, expected) in rates.iter().zip([1_500.0_f64, 500.0, 4_000.0]) {
        assert!((*count as f64 - expected).abs() < 5.0 * expected.sqrt(), "{rates:?}");
    }
    let lengths = |class| of(&one, class).iter().take(20).map(|s| s.num_prompt_tokens).collect::<Vec<_>>();
    assert_ne!(lengths(0), lengths(1), "classes draw lengths of their own");
}

#[test]
fn a_closed_loop_keeps_its_number_and_its_requests() {
    let text = format!(
        "requests = 200\narrivals = {{ process = \"closed_loop\", concurrency = 6, think_time_s = 0.3, ramp_up_s = 3 }}\n{LENGTHS}"
    );
    let (fast, slow) = (play(&text, 5), play(&text, 50));
    let identity = |records: &[RequestRecord]| {
        let mut all: Vec<_> = records
            .iter()
            .map(|r| (r.session.unwrap().session, r.num_prompt_tokens, r.num_output_tokens))
            .collect();
        all.sort_unstable();
        all
    };
    assert_eq!(identity(&fast), identity(&slow), "requests do not depend on the server");
    assert_eq!(
        identity(&fast).iter().map(|(number, ..)| *number).collect::<Vec<_>>(),
        (0..200).collect::<Vec<_>>()
    );
    for records in [&fast, &slow] {
        let mut by_client: Vec<Vec<&RequestRecord>> = vec![Vec::new(); 6];
        for record in records {
            by_client[(record.session.unwrap().session % 6) as usize].push(record);
        }
        for (client, sent) in by_client.iter_mut().enumerate() {
            sent.sort_by_key(|record| record.arrival);
            assert_eq!(sent[0].arrival, SimTime::ZERO + SimDuration::from_millis(500 * client as u64));
            assert!(
                sent.windows(2).all(|pair| pair[1].arrival > pair[0].finish),
                "one at a time, with a thought between"
            );
        }
        let thinking = by_client.iter().flat_map(|sent| {
            sent.windows(2).map(|pair| (pair[1].arrival - pair[0].finish).as_secs_f64()).collect::<Vec<_>>()
        });
        let thinking: Vec<_> = thinking.collect();
        let mean = thinking.iter().sum::<f64>() / thinking.len() as f64;
        // 194 exponential times: a standard error of 0.0215 s.
        assert!((mean - 0.3).abs() < 0.09, "mean think time {mean}");
    }
}

#[test]
fn impatient_clients_try_again_with_the_same_request() {
    let text = format!(
        "requests = 300\narrivals = {{ process = \"poisson\", rate_per_s = 2 }}\n{LENGTHS}\
         clients = {{ timeout_s = 2, timeout_cv = 0.5, retries = {{ max = 3, backoff_s = 1, factor = 2, jitter = 0.5 }} }}\n"
    );
    let records = play(&text, 100);
    let mut by_request = std::collections::BTreeMap::<u64, Vec<&RequestRecord>>::new();
    for record in &records {
        by_request.entry(record.session.unwrap().session).or_default().push(record);
    }
    assert_eq!(by_request.len(), 300);
    let mut retries = 0;
    for attempts in by_request.values_mut() {
        attempts.sort_by_key(|record| record.session.unwrap().attempt);
        assert!(attempts.len() <= 4);
        for (number, record) in attempts.iter().enumerate() {
            assert_eq!(usize::from(record.session.unwrap().attempt), number);
            assert_eq!(record.num_prompt_tokens, attempts[0].num_prompt_tokens);
            let is_last = number + 1 == attempts.len();
            assert!(record.status == RequestStatus::Aborted || is_last);
            assert!(!is_last || record.status == RequestStatus::Finished || number == 3, "{record:?}");
        }
        for (before, (number, after)) in attempts.iter().zip(attempts.iter().enumerate().skip(1)) {
            retries += 1;
            let wait = (after.arrival - before.finish).as_secs_f64();
            let whole = f64::from(1_u32 << (number - 1));
            assert!((0.5 * whole..=whole).contains(&wait), "retry {number} after {wait} s");
        }
    }
    assert!(retries > 50, "{retries} retries: the server is overloaded");
    // The first attempts are the same whatever the server does.
    let first = |records: &[RequestRecord]| {
        let firsts = records.iter().filter(|record| record.session.unwrap().attempt == 0);
        let mut all: Vec<_> = firsts.map(|r| (r.arrival, r.num_prompt_tokens)).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(first(&records), first(&play(&text, 5)));
}

#[test]
fn clients_give_up_at_their_time_out() {
    let text = format!(
        "requests = 100\narrivals = {{ process = \"at_once\" }}\n{LENGTHS}clients = {{ timeout_s = 1.5 }}\nmax_concurrency = 30\n"
    );
    let records = play(&text, 100);
    assert_eq!(records.len(), 100);
    let aborted: Vec<_> = records.iter().filter(|record| record.status == RequestStatus::Aborted).collect();
    assert!(!aborted.is_empty());
    for record in &records {
        let waited = (record.finish - record.arrival).as_secs_f64();
        // A step that is under way is waited for.
        assert!(waited <= 1.7, "{waited} s from the send");
        assert!(record.status == RequestStatus::Finished || waited >= 1.5, "{waited} s");
    }
}

/// Spearman's correlation of 100,000 pairs; its standard error is about 0.003. The marginals are as without correlation.
#[test]
fn lengths_have_the_rank_correlation_asked_for() {
    let text = |correlation: &str| {
        format!("requests = 100_000\narrivals = {{ process = \"at_once\" }}\n{correlation}{LENGTHS}")
    };
    let ranks = |values: &mut dyn Iterator<Item = u32>| -> Vec<f64> {
        let values: Vec<_> = values.collect();
        let mut order: Vec<_> = (0..values.len()).collect();
        order.sort_by_key(|&i| values[i]);
        let mut ranks = vec![0.0; values.len()];
        let mut at = 0;
        while at < order.len() {
            // Equal values share their mean rank.
            let end = order[at..].iter().take_while(|&&i| values[i] == values[order[at]]).count() + at;
            for &i in &order[at..end] {
                ranks[i] = (at + end - 1) as f64 / 2.0;
            }
            at = end;
        }
        ranks
    };
    let spearman = |specs: &[RequestSpec]| {
        let a = ranks(&mut specs.iter().map(|spec| spec.num_prompt_tokens));
        let b = ranks(&mut specs.iter().map(|spec| spec.max_tokens));
        let n = a.len() as f64;
        let mean = (n - 1.0) / 2.0;
        let product =
            |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
        product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
    };
    let plain = specs(&text(""));
    assert!(spearman(&plain).abs() < 0.015);
    for wanted in [0.6, -0.4, 0.95] {
        let joined = specs(&text(&format!("rank_correlation = {wanted}\n")));
        let found = spearman(&joined);
        assert!((found - wanted).abs() < 0.015, "{found} for {wanted}");
        let prompts =
            |specs: &[RequestSpec]| specs.iter().map(|spec| spec.num_prompt_tokens).collect::<Vec<_>>();
        assert_eq!(prompts(&joined), prompts(&plain));
        let mean = joined.iter().map(|spec| f64::from(spec.max_tokens)).sum::<f64>() / 1e5;
        // A gamma of mean 20 and standard deviation 14, less half a token of rounding down.
        assert!((mean - 19.5).abs() < 0.3, "mean output {mean}");
    }
}

#[test]
fn lengths_keep_their_bounds() {
    let of = |lengths: &str| -> Vec<u32> {
        let text = format!(
            "requests = 20_000\narrivals = {{ process = \"at_once\" }}\nprompt_tokens = {{ {lengths} }}\nprefill_only = true\n"
        );
        specs(&text).iter().map(|spec| spec.num_prompt_tokens).collect()
    };
    let normal = "dist = \"normal\", mean = 100, std_dev = 80, min = 16, max = 300";
    let truncated = of(normal);
    let clipped = of(&format!("{normal}, outside = \"clip\""));
    let at = |lengths: &[u32], value| lengths.iter().filter(|&&length| length == value).count();
    for lengths in [&truncated, &clipped] {
        assert!(lengths.iter().all(|length| (16..=300).contains(length)));
    }
    // P(X < 17) = 0.150 and P(X >= 300) = 0.0062.
    assert!((2_800..3_200).contains(&at(&clipped, 16)) && at(&truncated, 16) < 100, "{}", at(&clipped, 16));
    assert!((80..170).contains(&at(&clipped, 300)) && at(&truncated, 300) < 20, "{}", at(&clipped, 300));
    let zipf = of("dist = \"zipf\", exponent = 1.0, max = 1024, unit = 64");
    assert!(zipf.iter().all(|length| length % 64 == 0 && *length <= 1024));
    // 1 over the 16th harmonic number, 3.3807.
    assert!((at(&zipf, 64) as f64 - 20_000.0 / 3.380_729).abs() < 350.0);
    let seen = of("dist = \"empirical\", values = [5, 7, 7, 7]");
    assert!((at(&seen, 7) as f64 - 15_000.0).abs() < 310.0);
}

#[test]
fn contradictions_are_errors_at_their_key() {
    for (workload, field) in [
        (
            "requests = 1\narrivals = { process = \"poisson\", rate_per_s = 1 }\n[[workload.class]]\nname = \"a\"\n\
          arrivals = { process = \"poisson\", rate_per_s = 1 }",
            "workload.arrivals",
        ),
        (
            "requests = 1\n[[workload.class]]\nname = \"a\"\narrivals = { process = \"poisson\", rate_per_s = 1 }\n\
          [[workload.class]]\nname = \"b\"",
            "workload.class.1.arrivals",
        ),
        (
            "requests = 1\n[[workload.class]]\nname = \"a\"\n[[workload.class]]\nname = \"a\"",
            "workload.class.1.name",
        ),
        (
            "requests = 1\narrivals = { process = \"closed_loop\", concurrency = 0 }",
            "workload.arrivals.concurrency",
        ),
        (
            "requests = 1\narrivals = { process = \"closed_loop\", concurrency = 2 }\nmax_concurrency = 3",
            "workload.max_concurrency",
        ),
        ("requests = 1\narrivals = { process = \"at_once\" }\nprefill_only = true", "workload.prefill_only"),
        (
            "requests = 1\narrivals = { process = \"at_once\" }\nrank_correlation = 2.0",
            "workload.rank_correlation",
        ),
        (
            "requests = 1\narrivals = { process = \"at_once\" }\nclients = { timeout_s = 0.0 }",
            "workload.clients.timeout_s",
        ),
        (
            "requests = 1\narrivals = { process = \"at_once\" }\n\
          clients = { timeout_s = 1.0, retries = { max = 1, backoff_s = 1.0, factor = 0.5 } }",
            "workload.clients.retries.factor",
        ),
        ("arrivals = { process = \"poisson\", rate_per_s = 1 }", "workload.requests"),
        (
            "requests = 1\narrivals = { process = \"at_once\" }\nfluctuation = { shape = \"sinusoidal\", amplitude = 1, period_s = 1 }",
            "workload.fluctuation",
        ),
        (
            "requests = 1\narrivals = { process = \"poisson\", rate_per_s = 1 }\n\
          fluctuation = { shape = \"sinusoidal\", amplitude = 2, period_s = 1 }",
            "workload.fluctuation.amplitude",
        ),
    ] {
        // Classes stand behind the lengths, which are keys of [workload].
        let at = workload.find("[[").unwrap_or(workload.len());
        let text = format!("[workload]\n{}\n{LENGTHS}{}\n[server]\n", &workload[..at], &workload[at..]);
        let scenario = Scenario::from_toml(&text).unwrap();
        let error = plan(&scenario.workload).err().unwrap_or_else(|| panic!("no error in {workload}"));
        assert_eq!(error.field.as_deref(), Some(field), "{error}");
    }
}
