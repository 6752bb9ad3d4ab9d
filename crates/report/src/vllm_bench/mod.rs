//! A run as `vllm bench serve` prints and saves it: the same labels, widths, order and keys.
//!
//! Read in vLLM 0.19 to 0.33, `vllm/benchmarks/serve.py`. What differs between the versions: from 0.30 on the time that
//! requests wait at the client for `--max-concurrency` is recorded. Left out are sections that a simulation never has:
//! probes, speculative and diffusion decoding, audio.

mod json;
mod recorder;
mod text;

pub use recorder::BenchRecorder;

use kendall_des::SimDuration;
use kendall_serving::{LatencyMetric, MetricsSummary, RequestStatus, RunMetrics};

use recorder::SentRequest;

/// What `vllm bench serve` was asked for, as far as it shows in the result.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchSettings {
    /// `--backend`.
    pub backend: String,
    /// `--label`.
    pub label: Option<String>,
    /// `--model`, or what the server serves.
    pub model_id: String,
    /// `--tokenizer`, or the model; `None` with `--skip-tokenizer-init`, when vLLM does not show what needs token counts.
    pub tokenizer_id: Option<String>,
    /// `--num-prompts`.
    pub num_prompts: u64,
    /// `--metadata`: pairs of key and value.
    pub metadata: Vec<(String, String)>,
    /// `--request-rate`; infinite if all requests are sent at once.
    pub request_rate: f64,
    /// `--burstiness`.
    pub burstiness: f64,
    /// `--max-concurrency`.
    pub max_concurrency: Option<u64>,
    /// `--percentile-metrics`.
    pub percentile_metrics: Vec<String>,
    /// `--metric-percentiles`.
    pub percentiles: Vec<f64>,
    /// Whether `--goodput` is given.
    pub goodput: bool,
    /// Whether the version records the time that requests wait at the client.
    pub client_queue: bool,
    /// `--save-detailed`.
    pub detailed: bool,
}

impl BenchSettings {
    /// The name that vLLM gives to a saved result, without the date and time at its end: a simulation reads no clock.
    pub fn result_filename(&self) -> String {
        let label = self.label.as_deref().filter(|label| !label.is_empty()).unwrap_or(&self.backend);
        let concurrency = self.max_concurrency.map(|most| format!("-concurrency{most}")).unwrap_or_default();
        let model = self.model_id.rsplit('/').next().unwrap_or_default();
        // Rust's debug form of a float is Python's: 4.0, inf.
        format!("{label}-{:?}qps{concurrency}-{model}.json", self.request_rate)
    }
}

/// One finished benchmark.
pub struct BenchReport<'a> {
    settings: &'a BenchSettings,
    metrics: &'a RunMetrics,
    summary: MetricsSummary,
    /// By number.
    requests: Vec<SentRequest>,
    peak_tokens_per_s: u64,
    peak_requests: u64,
    client_queue: LatencyMetric,
    e2e_with_client_queue: LatencyMetric,
}

/// A metric as vLLM names it in keys, labels and headers.
struct Named<'a> {
    key: &'static str,
    label: &'static str,
    header: &'static str,
    metric: &'a LatencyMetric,
}

impl<'a> BenchReport<'a> {
    /// The report of a run whose requests `recorder` has seen.
    pub fn new(
        settings: &'a BenchSettings,
        metrics: &'a RunMetrics,
        summary: MetricsSummary,
        recorder: BenchRecorder,
    ) -> Self {
        let (peak_tokens_per_s, peak_requests) = recorder.peaks();
        let requests = recorder.into_requests();
        let (mut client_queue, mut e2e_with_client_queue) =
            (LatencyMetric::default(), LatencyMetric::default());
        for sent in requests.iter().filter(|sent| sent.record.status == RequestStatus::Finished) {
            client_queue.record_n(sent.client_queue, 1);
            let e2e = sent.record.e2e().unwrap_or(SimDuration::ZERO);
            e2e_with_client_queue.record_n(e2e + sent.client_queue, 1);
        }
        Self {
            settings,
            metrics,
            summary,
            requests,
            peak_tokens_per_s,
            peak_requests,
            client_queue,
            e2e_with_client_queue,
        }
    }

    fn failed(&self) -> u64 {
        self.summary.num_requests - self.summary.completed
    }

    /// The metrics that are asked for and that vLLM has, in its order.
    fn metrics(&self) -> Vec<Named<'_>> {
        let named = |key, label, header, metric| Named { key, label, header, metric };
        let settings = self.settings;
        let mut metrics = Vec::new();
        if settings.tokenizer_id.is_some() {
            metrics.push(named("ttft", "TTFT", "Time to First Token", self.metrics.ttft()));
            metrics.push(named(
                "tpot",
                "TPOT",
                "Time per Output Token (excl. 1st token)",
                self.metrics.tpot(),
            ));
            metrics.push(named("itl", "ITL", "Inter-token Latency", self.metrics.itl()));
        }
        metrics.push(named("e2el", "E2EL", "End-to-end Latency", self.metrics.e2e()));
        if settings.client_queue && settings.max_concurrency.is_some() {
            let header = "Client-side Queueing";
            metrics.push(named("client_queue_time", "Client Queue Time", header, &self.client_queue));
            if settings.request_rate.is_finite() {
                let (label, header) = ("E2EL incl. Client Queue", "Queue-inclusive End-to-end Latency");
                let metric = &self.e2e_with_client_queue;
                metrics.push(named("e2el_including_client_queue", label, header, metric));
            }
        }
        metrics.retain(|named| settings.percentile_metrics.iter().any(|asked| asked == named.key));
        metrics
    }

    /// Mean, median, standard deviation and the percentiles asked for, under the words that vLLM has for them. Where
    /// nothing was observed vLLM takes the statistics of a single 0.
    fn statistics(&self, metric: &LatencyMetric) -> Vec<(String, f64)> {
        let ms = |secs: Option<f64>| secs.unwrap_or(0.0) * 1e3;
        let quantile = |q| metric.quantile_ms(q).unwrap_or(0.0);
        let mut statistics = vec![
            ("mean".to_owned(), ms(metric.tally().mean_secs())),
            ("median".to_owned(), quantile(0.5)),
            ("std".to_owned(), ms(metric.tally().std_dev_secs())),
        ];
        // Rust and Python write 99.0 as 99 here and 99.9 alike.
        statistics.extend(self.settings.percentiles.iter().map(|p| (format!("p{p}"), quantile(p / 100.0))));
        statistics
    }
}
