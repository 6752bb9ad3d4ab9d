//! A run as Chrome's trace events, which Perfetto and `chrome://tracing` open: a process for each replica with its steps and
//! counters, and one for requests with the phases of each.
//!
//! Format: *Trace Event Format* (Google, 2016): complete events `X`, counters `C`, nestable asynchronous events `b`, `e` and
//! `n`, metadata `M`. Times are
//! microseconds with three decimals: a double keeps nanoseconds for a hundred days.
//!
//! Every event is written when it is known; memory does not grow with the run.

use std::io::{self, Write};

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{EngineGauges, Observer, RequestRecord, RequestStatus, StepRecord};
use serde_json::{Value, json};

use crate::output_dir::{OutputError, OutputFile, WrittenFile};

use super::Window;

/// Process number of the requests; replica `i` has `i + FIRST_REPLICA`.
const REQUESTS: u32 = 1;
const FIRST_REPLICA: u32 = 2;

/// Writes the events of a run as they happen.
pub struct PerfettoTrace {
    file: OutputFile,
    window: Window,
    usable_blocks: u32,
    /// Latest time that was heard of.
    now: SimTime,
    is_first: bool,
    num_events: u64,
    failure: Option<io::Error>,
}

/// Microseconds with three decimals, cut off: whole nanoseconds.
fn micros(ns: u64) -> Value {
    let text = format!("{}.{:03}", ns / 1_000, ns % 1_000);
    // Digits and a point are a JSON number.
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn whole_ns(time: SimTime) -> u64 {
    time.as_ps() / 1_000
}

fn at(time: SimTime) -> Value {
    micros(whole_ns(time))
}

impl PerfettoTrace {
    /// Begins the file, of a run of so many replicas that each have so many usable KV blocks.
    pub fn new(file: OutputFile, window: Window, replicas: u32, usable_blocks: u32) -> Self {
        let mut trace = Self {
            file,
            window,
            usable_blocks,
            now: SimTime::ZERO,
            is_first: true,
            num_events: 0,
            failure: None,
        };
        trace.text("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
        trace.process(REQUESTS, "requests");
        for replica in 0..replicas {
            trace.process(FIRST_REPLICA + replica, &format!("replica {replica}"));
            trace.metadata("thread_name", FIRST_REPLICA + replica, 1, "steps");
        }
        trace
    }

    fn process(&mut self, pid: u32, name: &str) {
        self.metadata("process_name", pid, 0, name);
    }

    /// Readers want a category, a thread and a time of every event, also of those that have none: as Chrome writes them.
    fn metadata(&mut self, what: &str, pid: u32, tid: u32, name: &str) {
        self.event(&json!({
            "ph": "M", "cat": "__metadata", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": {"name": name},
        }));
    }

    fn text(&mut self, text: &str) {
        if self.failure.is_none()
            && let Err(error) = self.file.write_all(text.as_bytes())
        {
            self.failure = Some(error);
        }
    }

    fn event(&mut self, event: &Value) {
        let separator = if self.is_first { "\n" } else { ",\n" };
        self.is_first = false;
        self.num_events += 1;
        self.text(separator);
        self.text(&event.to_string());
    }

    fn counters(&mut self, replica: u32, time: SimTime, running: u32, waiting: u32, free_blocks: u32) {
        let pid = FIRST_REPLICA + replica;
        let used = self.usable_blocks.saturating_sub(free_blocks);
        self.event(&json!({
            "ph": "C", "cat": "state", "name": "requests", "pid": pid, "tid": 1, "ts": at(time),
            "args": {"running": running, "waiting": waiting},
        }));
        self.event(&json!({
            "ph": "C", "cat": "state", "name": "KV blocks used", "pid": pid, "tid": 1, "ts": at(time), "args": {"blocks": used},
        }));
    }

    /// A phase of a request, if it shows.
    fn phase(&mut self, record: &RequestRecord, name: &str, from: SimTime, to: SimTime, args: &Value) {
        let id = record.index.to_string();
        let event = |ph: &str, time: SimTime| {
            json!({
                "ph": ph, "cat": "request", "id": id, "name": name, "pid": REQUESTS, "tid": 1, "ts": at(time), "args": args,
            })
        };
        self.event(&event("b", from));
        self.event(&event("e", to));
    }

    /// Whether an event could not be written: there is no point in going on.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Events so far.
    pub fn num_events(&self) -> u64 {
        self.num_events
    }

    /// Completes the file, still under its temporary name.
    ///
    /// # Errors
    /// If an event could not be written.
    pub fn finish(mut self) -> Result<WrittenFile, OutputError> {
        self.text("\n]}\n");
        match self.failure {
            Some(source) => Err(OutputFile::error(self.file.path(), source)),
            None => self.file.finish(),
        }
    }
}

impl Observer for PerfettoTrace {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}

    fn gauges(&mut self, _replica: u32, now: SimTime, _gauges: EngineGauges) {
        self.now = self.now.max(now);
    }

    fn departed(&mut self, record: &RequestRecord) {
        if !self.window.shows(record.arrival, record.finish) {
            return;
        }
        let status = match record.status {
            RequestStatus::Finished => "finished",
            RequestStatus::Aborted => "aborted",
            RequestStatus::Rejected => "rejected",
            RequestStatus::Unfinished => "unfinished",
        };
        let args = json!({
            "prompt_tokens": record.num_prompt_tokens,
            "output_tokens": record.num_output_tokens,
            "cached_tokens": record.num_cached_tokens,
            "preemptions": record.num_preemptions,
            "replica": record.replica,
            "status": status,
        });
        self.phase(record, &format!("request {}", record.index), record.arrival, record.finish, &args);
        let none = json!({});
        let admitted = record.first_scheduled.unwrap_or(record.finish);
        let phases = [
            ("front end", Some((record.arrival, record.received))),
            ("queue", (record.status != RequestStatus::Rejected).then_some((record.received, admitted))),
            (
                "prefill",
                record.first_scheduled.map(|start| (start, record.first_token.unwrap_or(record.finish))),
            ),
            ("decode", record.first_token.map(|start| (start, record.finish))),
        ];
        for (name, phase) in phases {
            if let Some((from, to)) = phase.filter(|(from, to)| to > from) {
                self.phase(record, name, from, to, &none);
            }
        }
    }

    fn wants_steps(&self) -> bool {
        self.now >= self.window.from
    }

    fn wants_to_stop(&self) -> bool {
        self.now > self.window.to || self.has_failed()
    }

    fn step(&mut self, step: StepRecord) {
        if !self.window.shows(step.scheduled, step.end) {
            return;
        }
        let pid = FIRST_REPLICA + step.replica;
        let (prefill, decode) = (step.shape.prefill_tokens, step.shape.decode_seqs);
        // A nanosecond short: readers add times as doubles, and slices that overlap by rounding are dropped.
        let dur_ns = (whole_ns(step.end) - whole_ns(step.start)).saturating_sub(1);
        let name = match (prefill, decode) {
            (0, _) => "decode",
            (_, 0) => "prefill",
            _ => "mixed",
        };
        self.event(&json!({
            "ph": "X", "cat": "step", "name": name, "pid": pid, "tid": 1,
            "ts": at(step.start), "dur": micros(dur_ns),
            "args": {
                "step": step.step,
                "prefill_tokens": prefill,
                "decode_seqs": decode,
                "context_tokens": step.shape.prefill_context_tokens + step.shape.decode_context_tokens,
                "preempted": step.preempted,
                "finished": step.finished,
            },
        }));
        self.counters(step.replica, step.scheduled, step.num_running, step.num_waiting, step.free_blocks);
        for request in &step.preempted {
            self.event(&json!({
                "ph": "n", "cat": "request", "id": request.to_string(), "name": "preempted", "pid": REQUESTS, "tid": 1,
                "ts": at(step.scheduled),
            }));
        }
    }
}
