//! What a run says: the figures under the names of `vllm bench serve`, kendall's own beside them, and how far to trust
//! them.

use indexmap::IndexMap;
use kendall_serving::scenario::{KvSource, Resolved, StepTimeSource};
use kendall_serving::{ClassSummary, Cost, LatencySummary, MetricsSummary, Rejection, RunEnd};
use kendall_theory::output::jain_index;
use serde::Serialize;
use serde_json::{Value, json};

use crate::spread::Spread;
use crate::steady::{LATENCIES, SteadyState};

/// Below so many observations a p99 rests on fewer than ten of them.
const FEW_FOR_P99: u64 = 1_000;

/// One finished run.
pub struct RunReport<'a> {
    /// Version of kendall.
    pub kendall_version: &'a str,
    /// Name of the scenario.
    pub name: &'a str,
    /// What was served, for instance `Qwen/Qwen2.5-1.5B-Instruct on A10G`.
    pub what: String,
    /// Seed of the random numbers.
    pub seed: u64,
    /// The server.
    pub resolved: &'a Resolved,
    /// How it ended.
    pub end: &'a RunEnd,
    /// The figures.
    pub metrics: MetricsSummary,
    /// How far they are estimates of a steady state.
    pub steady: SteadyState,
    /// Goodput by class; empty if the scenario names no classes.
    pub classes: Vec<ClassSummary>,
    /// Money and energy, if the scenario names GPUs.
    pub cost: Option<Cost>,
    /// How latencies spread, by name; for a terminal only.
    pub spreads: Vec<(&'static str, Spread)>,
    /// Warnings of whoever made the scenario.
    pub notes: &'a [String],
}

impl RunReport<'_> {
    /// `completed`, or `stalled` if a replica could make no progress.
    pub fn status(&self) -> &'static str {
        if self.end.stalled.is_some() { "stalled" } else { "completed" }
    }

    /// `calibrated`, `estimate` or `scenario`: what the step times rest on.
    pub fn step_time_origin(&self) -> &'static str {
        match self.resolved.step_time {
            StepTimeSource::Scenario => "scenario",
            StepTimeSource::Calibrated { .. } => "calibrated",
            StepTimeSource::Estimate { .. } => "estimate",
        }
    }

    /// What a reader must know before using the figures.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(stalled) = &self.end.stalled {
            let shown: Vec<_> = stalled.requests.iter().take(10).map(ToString::to_string).collect();
            warnings.push(format!(
                "STALLED: replica {} scheduled without delivering a token; {} requests in it, among them {}",
                stalled.replica,
                stalled.requests.len(),
                shown.join(", ")
            ));
        }
        match &self.resolved.step_time {
            StepTimeSource::Estimate { error, .. } => warnings.push(format!(
                "ESTIMATE: the step times come from datasheets and measured kernels; no server with this GPU and model was \
                 measured ({error})"
            )),
            StepTimeSource::Calibrated { profile } => warnings.extend(self.outside_fitted_range(profile)),
            StepTimeSource::Scenario => {}
        }
        let longest = self.resolved.simulation.engine.max_model_len;
        warnings.extend(self.metrics.rejections.iter().map(|(&reason, count)| {
            let of_all = format!("{count} of {} requests were rejected", self.metrics.num_requests);
            match reason {
                Rejection::TooLong => format!(
                    "{of_all}: their prompts leave no room for an output token within `max_model_len` ({longest} tokens)"
                ),
                Rejection::KvFull => format!("{of_all}: the KV cache was full when they arrived"),
                Rejection::NeverFits => format!("{of_all}: the whole KV cache would not hold them"),
                Rejection::QueueFull => format!("{of_all}: `queue_limit` requests waited already"),
                Rejection::RateLimited => format!("{of_all}: their prompts were more than the token bucket held"),
                Rejection::KvPromised => format!("{of_all}: the KV cache was promised to those inside"),
                Rejection::SloMiss => format!("{of_all}: their first tokens were expected beyond `ttft_ms`"),
                Rejection::PolicyTable => format!("{of_all}: the admission table did not let them in"),
                Rejection::ContextExceeded => {
                    format!("{of_all}: the KV cache ran out while they ran, and the server gave them up with an error")
                }
            }
        }));
        let n = self.metrics.ttft_ms.count;
        if n > 0 && n < FEW_FOR_P99 && self.steady.shows("ttft") {
            warnings.push(format!(
                "p99 of TTFT, TPOT and E2E rests on {} of {n} requests: use more requests",
                n.div_ceil(100)
            ));
        }
        warnings.extend(self.steady.warning());
        warnings.extend_from_slice(self.notes);
        warnings
    }

    fn outside_fitted_range(&self, profile: &kendall_serving::catalog::Profile) -> Option<String> {
        let kendall_serving::catalog::Origin::Calibrated { range, .. } = &profile.origin;
        let most = self.metrics.num_running.max;
        (most > range.max_decode_seqs as f64).then(|| {
            format!(
                "steps had up to {most} sequences; the profile {} was fitted on {} to {}: longer steps are extrapolated",
                profile.name, range.min_decode_seqs, range.max_decode_seqs
            )
        })
    }

    /// `summary.json`: one object, keys in a fixed order.
    pub fn to_json(&self) -> Value {
        let metrics = &self.metrics;
        let mut fields = Fields::default();
        fields.put("kendall_version", self.kendall_version);
        fields.put("scenario", self.name);
        fields.put("seed", self.seed);
        fields.put("status", self.status());
        fields.put("stalled_requests", self.end.stalled.as_ref().map(|stalled| &stalled.requests));
        fields.put("engine", &self.resolved.engine);
        fields.put("replicas", self.resolved.simulation.replicas);
        fields.put("estimate", self.resolved.step_time.is_estimate());
        fields.put("stability", self.steady.verdict_json());
        fields.put("warnings", self.warnings());
        fields.put("num_requests", metrics.num_requests);
        fields.put("completed", metrics.completed);
        fields.put("rejected", metrics.rejected);
        fields.put("rejections", Some(&metrics.rejections).filter(|reasons| !reasons.is_empty()));
        fields.put("aborted", metrics.aborted);
        fields.put("unfinished", metrics.unfinished);
        fields.put("blocking_probability", metrics.blocking_probability);
        fields.put("duration", metrics.duration_s);
        fields.put("total_input_tokens", metrics.total_input_tokens);
        fields.put("total_output_tokens", metrics.total_output_tokens);
        fields.put("request_throughput", metrics.request_throughput);
        fields.put("output_throughput", metrics.output_throughput);
        fields.put("total_token_throughput", metrics.total_token_throughput);
        fields.put("request_goodput", metrics.request_goodput.filter(|_| self.shows_goodput()));
        fields.put("slo_attainment", metrics.slo_attainment.filter(|_| self.shows_goodput()));
        fields.put("classes", Some(&self.shown_classes()).filter(|classes| !classes.is_empty()));
        fields.put("jain_fairness", self.fairness());
        for (name, latency) in self.latencies() {
            fields.put_latency(name, latency, self.steady.shows(name));
        }
        fields.put("intervals", self.steady.intervals_json());
        fields.put(
            "mean_ttft_parts_ms",
            Some(metrics.mean_ttft_parts_ms).filter(|_| self.steady.shows("ttft")),
        );
        let totals =
            |of: fn(&kendall_serving::EngineTotals) -> u64| self.end.totals.iter().map(of).sum::<u64>();
        fields.put("num_preemptions", totals(|t| t.num_preemptions));
        fields.put("num_preempted_requests", metrics.num_preempted_requests);
        fields.put("num_lost_tokens", metrics.num_lost_tokens);
        fields.put("preempted_time_s", metrics.preempted_time_s.filter(|&time_s| time_s > 0.0));
        fields.put("prefix_cache_hit_rate", self.prefix_cache_hit_rate());
        fields.put("kv_cache_usage", metrics.kv_cache_usage);
        fields.put("internal_fragmentation", metrics.internal_fragmentation);
        fields.put("num_waiting", metrics.num_waiting);
        fields.put("num_running", metrics.num_running);
        fields.put("num_steps", totals(|t| t.num_steps));
        fields.put("num_prefill_tokens", totals(|t| t.num_prefill_tokens));
        fields.put("num_decode_tokens", totals(|t| t.num_decode_tokens));
        fields.put("quantile_relative_error", kendall_serving::QUANTILE_RELATIVE_ERROR);
        fields.put(
            "step_time",
            json!({
                "origin": self.step_time_origin(),
                "coefficients": self.resolved.simulation.step_time,
                "source": &self.resolved.step_time,
            }),
        );
        fields.put("kv_cache", &self.resolved.kv_cache);
        fields.put("cost", &self.cost);
        fields.put("ledger", &self.resolved.ledger);
        fields.into_value()
    }

    /// Of an overloaded server goodput falls with the length of the run.
    pub(crate) fn shows_goodput(&self) -> bool {
        self.steady.shows("ttft")
    }

    /// The classes, with their goodput where it has a meaning.
    pub(crate) fn shown_classes(&self) -> Vec<ClassSummary> {
        let mut classes = self.classes.clone();
        if !self.shows_goodput() {
            for class in &mut classes {
                (class.request_goodput, class.slo_attainment) = (None, None);
            }
        }
        classes
    }

    /// Jain's index of the classes' attainments; `None` below two classes with requests and limits.
    pub(crate) fn fairness(&self) -> Option<f64> {
        let attainments: Vec<f64> =
            self.shown_classes().iter().filter_map(|class| class.slo_attainment).collect();
        (attainments.len() > 1).then(|| jain_index(&attainments)).flatten()
    }

    /// The latencies under the names of `vllm bench serve`, with kendall's queueing time.
    pub(crate) fn latencies(&self) -> [(&'static str, &LatencySummary); 5] {
        let metrics = &self.metrics;
        let values =
            [&metrics.ttft_ms, &metrics.tpot_ms, &metrics.itl_ms, &metrics.e2el_ms, &metrics.queue_ms];
        std::array::from_fn(|place| (LATENCIES[place].0, values[place]))
    }

    /// Share of admitted tokens that were found in the prefix cache.
    pub(crate) fn prefix_cache_hit_rate(&self) -> Option<f64> {
        let (queries, hits) = self.end.totals.iter().fold((0, 0), |(queries, hits), totals| {
            (queries + totals.prefix_cache_queries, hits + totals.prefix_cache_hits)
        });
        (self.resolved.simulation.engine.enable_prefix_caching && queries > 0)
            .then(|| hits as f64 / queries as f64)
    }

    /// Blocks of a replica's KV cache and where the number comes from.
    pub(crate) fn kv_blocks(&self) -> String {
        let engine = &self.resolved.simulation.engine;
        let source = match self.resolved.kv_cache {
            KvSource::Scenario => "given",
            KvSource::Derived { .. } => "derived from GPU memory",
        };
        format!(
            "{} blocks of {} tokens ({source})",
            crate::number::whole(u64::from(engine.num_gpu_blocks)),
            engine.block_size
        )
    }
}

/// JSON object in the order in which it was filled.
#[derive(Default)]
struct Fields(IndexMap<String, Value>);

impl Fields {
    fn put(&mut self, key: &str, value: impl Serialize) {
        // Only maps with keys that are no strings fail to serialise; there are none here.
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.0.insert(key.to_owned(), value);
    }

    /// `null` where it is not to be `shown`, but for the count.
    fn put_latency(&mut self, name: &str, latency: &LatencySummary, shown: bool) {
        self.put(&format!("num_{name}"), latency.count);
        for (statistic, value) in [
            ("mean", latency.mean),
            ("median", latency.p50),
            ("std", latency.std),
            ("min", latency.min),
            ("p50", latency.p50),
            ("p90", latency.p90),
            ("p95", latency.p95),
            ("p99", latency.p99),
            ("max", latency.max),
        ] {
            self.put(&format!("{statistic}_{name}_ms"), value.filter(|_| shown));
        }
    }

    fn into_value(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }
}
