//! The file that `vllm bench serve --save-result` writes.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::RequestStatus;
use serde_json::{Map, Value, json};

use super::BenchReport;
use super::recorder::SentRequest;

/// vLLM puts the wall clock here; simulated time begins at 0.
const DATE: &str = "19700101-000000";

impl BenchReport<'_> {
    /// The object of `--save-result` with vLLM's keys in vLLM's order. kendall adds `kendall_version` and
    /// `kendall_warnings` at its end.
    pub fn to_json(&self, kendall_version: &str, warnings: &[String]) -> Value {
        let mut fields = Map::new();
        let mut put = |key: &str, value: Value| _ = fields.insert(key.to_owned(), value);
        self.put_setup(&mut put);
        self.put_totals(&mut put);
        self.put_requests(&mut put);
        put("max_output_tokens_per_s", json!(self.peak_tokens_per_s as f64));
        put("max_concurrent_requests", json!(self.peak_requests));
        put("rtfx", json!(0.0));
        for named in self.metrics() {
            for (word, ms) in self.statistics(named.metric) {
                put(&format!("{word}_{}_ms", named.key), json!(ms));
            }
        }
        put("kendall_version", json!(kendall_version));
        put("kendall_warnings", json!(warnings));
        Value::Object(fields)
    }

    fn put_setup(&self, put: &mut impl FnMut(&str, Value)) {
        let settings = self.settings;
        put("date", json!(DATE));
        put("endpoint_type", json!(settings.backend));
        put("backend", json!(settings.backend));
        put("label", json!(settings.label));
        put("model_id", json!(settings.model_id));
        put("tokenizer_id", json!(settings.tokenizer_id));
        put("num_prompts", json!(settings.num_prompts));
        for (key, value) in &settings.metadata {
            put(key, json!(value));
        }
        let number = |x: f64| if x.is_finite() { json!(x) } else { json!("inf") };
        put("request_rate", number(settings.request_rate));
        put("burstiness", number(settings.burstiness));
        put("max_concurrency", json!(settings.max_concurrency));
    }

    fn put_totals(&self, put: &mut impl FnMut(&str, Value)) {
        let summary = &self.summary;
        let rate = |per_s: Option<f64>| json!(per_s.unwrap_or(0.0));
        put("duration", json!(summary.duration_s));
        put("completed", json!(summary.completed));
        put("failed", json!(self.failed()));
        put("total_input_tokens", json!(summary.total_input_tokens));
        put("total_output_tokens", json!(summary.total_output_tokens));
        put("request_throughput", rate(summary.request_throughput));
        let goodput = self.settings.goodput.then(|| summary.request_goodput.unwrap_or(0.0));
        put("request_goodput", json!(goodput));
        put("output_throughput", rate(summary.output_throughput));
        put("total_token_throughput", rate(summary.total_token_throughput));
    }

    /// Arrays with one element a request. A failed one has zeros and a message, as in vLLM; times are in seconds, sends
    /// counted from the start of the run.
    fn put_requests(&self, put: &mut impl FnMut(&str, Value)) {
        let array = |of: &dyn Fn(&SentRequest) -> Value| Value::Array(self.requests.iter().map(of).collect());
        let secs = |duration: Option<SimDuration>| json!(duration.map_or(0.0, SimDuration::as_secs_f64));
        let finished = |sent: &SentRequest| sent.record.status == RequestStatus::Finished;
        let if_finished =
            |sent: &SentRequest, value: Option<SimDuration>| secs(value.filter(|_| finished(sent)));
        let detailed = self.settings.detailed;
        if detailed {
            put("input_lens", array(&|sent| json!(sent.record.num_prompt_tokens)));
            put(
                "output_lens",
                array(&|sent| json!(if finished(sent) { sent.record.num_output_tokens } else { 0 })),
            );
            put("ttfts", array(&|sent| if_finished(sent, sent.record.ttft())));
            put("itls", array(&|sent| gaps(if finished(sent) { &sent.tokens } else { &[] })));
        }
        if self.settings.client_queue {
            put("latencies", array(&|sent| if_finished(sent, sent.record.e2e())));
        }
        if detailed {
            put("start_times", array(&|sent| secs(Some(sent.record.arrival - SimTime::ZERO))));
        }
        if self.settings.client_queue {
            put("queue_times", array(&|sent| secs(Some(sent.client_queue))));
        }
        if detailed {
            put("generated_texts", array(&|_| json!("")));
            put("errors", array(&|sent| json!(error(sent.record.status))));
        }
    }
}

fn gaps(tokens: &[SimTime]) -> Value {
    tokens.windows(2).map(|pair| json!((pair[1] - pair[0]).as_secs_f64())).collect()
}

/// What vLLM's client would have to say; empty if nothing failed.
fn error(status: RequestStatus) -> &'static str {
    match status {
        RequestStatus::Finished => "",
        RequestStatus::Rejected => {
            "Bad Request: the prompt leaves no room for an output token within max_model_len"
        }
        RequestStatus::Aborted => "aborted",
        RequestStatus::Unfinished => "unfinished when the simulation ended",
    }
}
