//! What is written for other programs is read by them. The programs are not part of kendall: a test says `skipped` where one is
//! missing.
//!
//! | reader | how to get it |
//! |---|---|
//! | Prometheus's own parser | `pip install prometheus_client`; the interpreter is `$PYTHON`, or `python3` |
//! | TracerBench's model of Chrome traces | `npm install @tracerbench/trace-model`; `$NODE_PATH` names `node_modules` |
//! | Perfetto's trace processor | `$TRACE_PROCESSOR` names the program `trace_processor_shell` |

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::program::Bench;

const STARVED: &str = include_str!("../../../../scenarios/kv-starved.toml");

/// A run that preempts, in `out`.
fn starved(bench: &Bench) -> Value {
    bench.write("starved.toml", STARVED);
    let args =
        ["run", "starved.toml", "--quiet", "--transient", "--out", "out", "--set", "workload.requests=600"];
    bench.kendall(&args).succeeds();
    let summary: Value = serde_json::from_str(&bench.read("out/summary.json")).expect("JSON");
    assert!(summary["num_preemptions"].as_u64() > Some(0), "the run does not test what it should");
    summary
}

fn env_or(name: &str, usual: &str) -> PathBuf {
    std::env::var_os(name).map_or_else(|| PathBuf::from(usual), PathBuf::from)
}

/// Whether a reader can be asked at all.
fn is_there(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn the_scrape_passes_the_parser_of_prometheus() {
    let python = env_or("PYTHON", "python3");
    if !is_there(Command::new(&python).args(["-c", "import prometheus_client"])) {
        println!("skipped: prometheus_client of PyPI not present");
        return;
    }
    let bench = Bench::new();
    let summary = starved(&bench);
    bench.kendall(&["trace", "out", "--format", "prometheus", "--out", "metrics.txt"]).succeeds();
    // Every family with its type and the sum of a counter or the count of a histogram.
    let script = "
import sys
from prometheus_client.parser import text_string_to_metric_families as families
for family in families(open(sys.argv[1]).read()):
    kept = [s for s in family.samples if s.name.endswith(('_count', '_total')) or family.type == 'gauge']
    buckets = [s for s in family.samples if s.name.endswith('_bucket')]
    assert all(s.labels['le'] for s in buckets)
    assert family.type != 'histogram' or float(buckets[-1].labels['le']) == float('inf')
    print(family.name, family.type, sum(s.value for s in kept))
";
    let output = Command::new(&python).args(["-c", script]).arg(bench.path("metrics.txt")).output();
    let families = text(&output.expect("python runs"));
    for (family, kind, figure) in [
        ("vllm:num_preemptions", "counter", "num_preemptions"),
        ("vllm:generation_tokens", "counter", "total_output_tokens"),
        ("vllm:time_to_first_token_seconds", "histogram", "num_ttft"),
        ("vllm:inter_token_latency_seconds", "histogram", "num_itl"),
        ("vllm:request_success", "counter", "completed"),
    ] {
        let value = summary[figure].as_f64().expect("a figure");
        let line = format!("{family} {kind} {value:.1}");
        assert!(families.lines().any(|found| found == line), "`{line}` in\n{families}");
    }
}

#[test]
fn the_trace_passes_a_reader_of_chrome_traces() {
    // Strings and numbers where the format has them, by the model's own types; and slices that nest, of each thread.
    let script = "
const { buildModel } = require('@tracerbench/trace-model');
const { readFileSync } = require('fs');
const model = buildModel(JSON.parse(readFileSync(process.argv[1], 'utf8')).traceEvents);
for (const process of model.processes) {
  for (const thread of process.threads) {
    const slices = thread.events.filter((event) => event.isComplete());
    const nested = slices.filter((event) => event.parent !== undefined).length;
    console.log([process.name, thread.name, slices.length, nested].join('|'));
  }
}
";
    if !is_there(Command::new("node").args(["-e", "require('@tracerbench/trace-model')"])) {
        println!("skipped: @tracerbench/trace-model of npm not present");
        return;
    }
    let bench = Bench::new();
    let summary = starved(&bench);
    bench.kendall(&["trace", "out", "--out", "trace.json"]).succeeds();
    let output = Command::new("node").args(["-e", script]).arg(bench.path("trace.json")).output();
    let threads = text(&output.expect("node runs"));
    let steps = summary["num_steps"].as_u64().expect("a figure");
    let line = format!("replica 0|steps|{steps}|0");
    assert!(threads.lines().any(|found| found == line), "`{line}` in\n{threads}");
    assert!(threads.contains("requests|"), "{threads}");
}

#[test]
fn the_trace_loads_in_perfetto() {
    let Some(processor) = std::env::var_os("TRACE_PROCESSOR") else {
        println!("skipped: Perfetto's trace_processor_shell not present ($TRACE_PROCESSOR)");
        return;
    };
    let bench = Bench::new();
    let summary = starved(&bench);
    bench.kendall(&["trace", "out", "--out", "trace.json"]).succeeds();
    let queries = "
select 'steps', count(*) from slice where category = 'step';
select 'errors', coalesce(sum(value), 0) from stats where severity in ('error', 'data_loss');
";
    bench.write("queries.sql", queries);
    let mut command = Command::new(processor);
    command.arg("-q").arg(bench.path("queries.sql")).arg(bench.path("trace.json"));
    let found = text(&command.output().expect("it runs"));
    let steps = summary["num_steps"].as_u64().expect("a figure");
    assert!(found.contains(&format!("\"steps\",{steps}")) && found.contains("\"errors\",0"), "{found}");
}
