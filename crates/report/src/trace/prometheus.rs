//! A run as a scrape of vLLM's `/metrics`: the names, labels and buckets of `vllm/v1/metrics/loggers.py` (read at 0.10, with
//! the renamed histograms of 0.11 and later: `inter_token_latency_seconds`, `request_time_per_output_token_seconds`), so
//! that dashboards and alerts can be tried out on a server that does not exist yet.
//!
//! As in vLLM, TTFT and E2E count from the front end's receipt and not from the client's send.

use std::fmt::Write as _;

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{
    EngineConfig, EngineGauges, EngineTotals, Observer, RequestRecord, RequestStatus, StepRecord,
};

use super::Window;
use super::buckets::{Buckets, number};

const TTFT: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
    80.0, 160.0, 640.0, 2560.0,
];
const TOKEN_TIME: [f64; 19] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
];
const REQUEST_TIME: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0,
    960.0, 1920.0, 7680.0,
];
const STEP_TOKENS: [f64; 13] =
    [1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];

/// Histograms: vLLM's name, what it says, index below.
const HISTOGRAMS: [(&str, &str); 11] = [
    ("vllm:time_to_first_token_seconds", "Time from the front end's receipt to the first token."),
    ("vllm:inter_token_latency_seconds", "Time between consecutive output tokens."),
    ("vllm:request_time_per_output_token_seconds", "Mean time per output token after the first, by request."),
    ("vllm:e2e_request_latency_seconds", "Time from the front end's receipt to the last token."),
    ("vllm:request_queue_time_seconds", "Time in the waiting queue up to the first admission."),
    ("vllm:request_inference_time_seconds", "Time from the first admission to the last token."),
    ("vllm:request_prefill_time_seconds", "Time from the first admission to the first token."),
    ("vllm:request_decode_time_seconds", "Time from the first to the last token."),
    ("vllm:request_prompt_tokens", "Prompt tokens of finished requests."),
    ("vllm:request_generation_tokens", "Output tokens of finished requests."),
    ("vllm:iteration_tokens_total", "Tokens computed in a step."),
];
const INTER_TOKEN: usize = 1;
const PER_OUTPUT_TOKEN: usize = 2;
const STEP: usize = 10;

/// One engine's metrics.
#[derive(Debug, Clone)]
struct EngineMetrics {
    histograms: [Buckets; HISTOGRAMS.len()],
    running: u32,
    waiting: u32,
    used_blocks: u32,
    prompt_tokens: u64,
    generation_tokens: u64,
    preemptions: u64,
    finished_length: u64,
    finished_abort: u64,
}

/// Collects vLLM's metrics of a run.
#[derive(Debug, Clone)]
pub struct PrometheusMetrics {
    model_name: String,
    block_size: u32,
    num_gpu_blocks: u32,
    usable_blocks: u32,
    prefix_caching: bool,
    window: Window,
    now: SimTime,
    engines: Vec<EngineMetrics>,
    /// Gaps come without the engine that they are of, before the step that they belong to.
    gaps: Vec<(SimDuration, u64)>,
}

impl EngineMetrics {
    fn new(max_model_len: u32) -> Self {
        let tokens = || Buckets::one_two_five(max_model_len);
        let [ttft, gap, tpot] = [&TTFT[..], &TOKEN_TIME, &TOKEN_TIME].map(Buckets::new);
        let request = || Buckets::new(&REQUEST_TIME);
        Self {
            histograms: [
                ttft,
                gap,
                tpot,
                request(),
                request(),
                request(),
                request(),
                request(),
                tokens(),
                tokens(),
                Buckets::new(&STEP_TOKENS),
            ],
            running: 0,
            waiting: 0,
            used_blocks: 0,
            prompt_tokens: 0,
            generation_tokens: 0,
            preemptions: 0,
            finished_length: 0,
            finished_abort: 0,
        }
    }

    fn departed(&mut self, record: &RequestRecord) {
        if let Some(first) = record.first_token {
            self.histograms[0].observe((first - record.received).as_secs_f64(), 1);
            self.prompt_tokens += u64::from(record.num_prompt_tokens);
            self.generation_tokens += u64::from(record.num_output_tokens);
        }
        match record.status {
            RequestStatus::Finished => self.finished_length += 1,
            RequestStatus::Aborted => self.finished_abort += 1,
            RequestStatus::Rejected | RequestStatus::Unfinished => {}
        }
        let times = (record.status == RequestStatus::Finished).then_some(()).and_then(|()| {
            Some((record.queued?, record.first_scheduled?, record.first_token?, record.last_token?))
        });
        let Some((queued, scheduled, first, last)) = times else { return };
        if let Some(tpot) = record.tpot() {
            self.histograms[PER_OUTPUT_TOKEN].observe(tpot.as_secs_f64(), 1);
        }
        let spans =
            [last - record.received, scheduled - queued, last - scheduled, first - scheduled, last - first];
        for (histogram, span) in self.histograms[3..8].iter_mut().zip(spans) {
            histogram.observe(span.as_secs_f64(), 1);
        }
        self.histograms[8].observe(f64::from(record.num_prompt_tokens), 1);
        self.histograms[9].observe(f64::from(record.num_output_tokens), 1);
    }
}

/// A label's value with what Prometheus escapes.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl PrometheusMetrics {
    /// Nothing seen, of so many replicas of this engine.
    pub fn new(model_name: &str, engine: &EngineConfig, replicas: u32, window: Window) -> Self {
        Self {
            model_name: label(model_name),
            block_size: engine.block_size,
            num_gpu_blocks: engine.num_gpu_blocks,
            usable_blocks: engine.usable_blocks(),
            prefix_caching: engine.enable_prefix_caching,
            window,
            now: SimTime::ZERO,
            engines: vec![EngineMetrics::new(engine.max_model_len); replicas as usize],
            gaps: Vec::new(),
        }
    }

    /// The scrape, with the engines' counts at its time.
    pub fn to_text(&self, totals: &[EngineTotals]) -> String {
        let mut text = String::new();
        self.gauges_text(&mut text);
        self.counters_text(&mut text, totals);
        for (i, (name, help)) in HISTOGRAMS.iter().enumerate() {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
            for (engine, metrics) in self.engines.iter().enumerate() {
                metrics.histograms[i].write(&mut text, name, &self.labels(engine));
            }
        }
        text
    }

    fn labels(&self, engine: usize) -> String {
        format!("engine=\"{engine}\",model_name=\"{}\"", self.model_name)
    }

    fn samples(
        &self,
        text: &mut String,
        name: &str,
        kind: &str,
        help: &str,
        value: impl Fn(usize, &EngineMetrics) -> f64,
    ) {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (engine, metrics) in self.engines.iter().enumerate() {
            let _ = writeln!(text, "{name}{{{}}} {}", self.labels(engine), number(value(engine, metrics)));
        }
    }

    fn gauges_text(&self, text: &mut String) {
        let usable = f64::from(self.usable_blocks.max(1));
        self.samples(
            text,
            "vllm:num_requests_running",
            "gauge",
            "Requests in the running list.",
            |_, engine| f64::from(engine.running),
        );
        self.samples(
            text,
            "vllm:num_requests_waiting",
            "gauge",
            "Requests in the waiting queue.",
            |_, engine| f64::from(engine.waiting),
        );
        self.samples(
            text,
            "vllm:kv_cache_usage_perc",
            "gauge",
            "Share of the KV blocks in use; 1 is all.",
            |_, engine| f64::from(engine.used_blocks) / usable,
        );
        let name = "vllm:cache_config_info";
        let _ = writeln!(text, "# HELP {name} The KV cache's settings.\n# TYPE {name} gauge");
        for engine in 0..self.engines.len() {
            let _ = writeln!(
                text,
                "{name}{{block_size=\"{}\",enable_prefix_caching=\"{}\",num_gpu_blocks=\"{}\",{}}} 1.0",
                self.block_size,
                if self.prefix_caching { "True" } else { "False" },
                self.num_gpu_blocks,
                self.labels(engine)
            );
        }
    }

    fn counters_text(&self, text: &mut String, totals: &[EngineTotals]) {
        let total =
            |engine: usize, of: fn(&EngineTotals) -> u64| totals.get(engine).map_or(0.0, |t| of(t) as f64);
        self.samples(text, "vllm:num_preemptions_total", "counter", "Preemptions.", |_, engine| {
            engine.preemptions as f64
        });
        self.samples(
            text,
            "vllm:prompt_tokens_total",
            "counter",
            "Prompt tokens with a first token.",
            |_, engine| engine.prompt_tokens as f64,
        );
        self.samples(text, "vllm:generation_tokens_total", "counter", "Output tokens.", |_, engine| {
            engine.generation_tokens as f64
        });
        self.samples(
            text,
            "vllm:prefix_cache_queries_total",
            "counter",
            "Tokens looked up in the prefix cache.",
            |i, _| total(i, |totals| totals.prefix_cache_queries),
        );
        self.samples(
            text,
            "vllm:prefix_cache_hits_total",
            "counter",
            "Tokens found in the prefix cache.",
            |i, _| total(i, |totals| totals.prefix_cache_hits),
        );
        let name = "vllm:request_success_total";
        let _ =
            writeln!(text, "# HELP {name} Requests by the reason that they finished.\n# TYPE {name} counter");
        for (i, engine) in self.engines.iter().enumerate() {
            let reasons = [("stop", 0), ("length", engine.finished_length), ("abort", engine.finished_abort)];
            for (reason, count) in reasons {
                let labels = self.labels(i);
                let _ = writeln!(
                    text,
                    "{name}{{finished_reason=\"{reason}\",{labels}}} {}",
                    number(count as f64)
                );
            }
        }
    }
}

impl Observer for PrometheusMetrics {
    fn token_gaps(&mut self, gap: SimDuration, n: u64) {
        self.gaps.push((gap, n));
    }

    fn departed(&mut self, record: &RequestRecord) {
        self.engines[record.replica as usize].departed(record);
    }

    fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        self.now = self.now.max(now);
        let engine = &mut self.engines[replica as usize];
        engine.running = gauges.num_running;
        engine.waiting = gauges.num_waiting;
        engine.used_blocks = gauges.used_blocks;
    }

    fn wants_steps(&self) -> bool {
        true
    }

    fn wants_to_stop(&self) -> bool {
        self.now > self.window.to
    }

    fn step(&mut self, step: StepRecord) {
        let engine = &mut self.engines[step.replica as usize];
        for (gap, n) in self.gaps.drain(..) {
            engine.histograms[INTER_TOKEN].observe(gap.as_secs_f64(), n);
        }
        engine.preemptions += step.preempted.len() as u64;
        let tokens: u64 = step.rows.iter().map(|row| u64::from(row.num_tokens)).sum();
        engine.histograms[STEP].observe(tokens as f64, 1);
    }
}
