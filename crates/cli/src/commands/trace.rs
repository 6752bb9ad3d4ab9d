//! `kendall trace`

use std::path::Path;
use std::process::ExitCode;

use kendall_des::{SimDuration, SimTime};
use kendall_report::{PerfettoTrace, PrometheusMetrics, Window, WrittenFile};

use crate::args::{TraceArgs, TraceFormat};
use crate::exit::{Failure, print};

use super::output;
use super::replay::Replay;

pub(crate) fn trace(args: &TraceArgs) -> Result<ExitCode, Failure> {
    let replay = Replay::open(args.run.as_deref(), &args.set, args.seed)?;
    let window =
        Window { from: time(args.from_s.unwrap_or(0.0))?, to: args.to_s.map_or(Ok(SimTime::MAX), time)? };
    if window.from >= window.to {
        return Err(Failure::Invalid("--from-s must lie before --to-s".into()));
    }
    let engine = &replay.resolved.simulation.engine;
    let replicas = replay.resolved.simulation.replicas;
    match args.format {
        TraceFormat::Perfetto => {
            let path = args.out.as_deref().unwrap_or(Path::new("trace.json"));
            let (folder, name) = output::place(path)?;
            let file = folder.begin(name)?;
            let trace = PerfettoTrace::new(file, window, replicas, engine.usable_blocks());
            let (_, trace) = replay.play(trace)?;
            let events = trace.num_events();
            trace.finish().and_then(WrittenFile::publish)?;
            print(&format!("{}: {events} events; open it at https://ui.perfetto.dev\n", path.display()))?;
        }
        TraceFormat::Prometheus => {
            let model = replay.file.scenario.server.model.as_deref().unwrap_or("model");
            let metrics = PrometheusMetrics::new(model, engine, replicas, window);
            let (end, metrics) = replay.play(metrics)?;
            let text = metrics.to_text(&end.totals);
            match &args.out {
                None => print(&text)?,
                Some(path) => {
                    output::write(path, &text)?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn time(seconds: f64) -> Result<SimTime, Failure> {
    let since_start = SimDuration::from_secs_f64(seconds);
    since_start
        .map(|time| SimTime::ZERO + time)
        .map_err(|error| Failure::Invalid(format!("--from-s, --to-s: {error}")))
}
