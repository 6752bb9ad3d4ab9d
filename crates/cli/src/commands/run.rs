//! `kendall run`

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kendall_des::{SimDuration, SimTime, Streams};
use kendall_report::{
    BenchRecorder, BenchReport, OutputDir, OutputError, RequestsCsv, RunReport, Spread, SteadyState,
    StepsCsv, Timeline, WrittenFile,
};
use kendall_serving::scenario::{Resolved, Server};
use kendall_serving::{
    ClassGoodput, DecodeRun, Engine, EngineGauges, Observer, RequestRecord, RunMetrics, Simulation,
    SimulationConfig, SimulationError, StepRecord, Workload, ZooReplica,
};
use kendall_study::{NumberInSystem, RunLatencies, SAMPLE};
use kendall_theory::output::Horizon;

use crate::args::RunArgs;
use crate::exit::{Failure, print};
use crate::progress::{Progress, interrupt_flag};
use crate::scenario_file::ScenarioFile;
use crate::study::{cost_model, horizon, stability};
use crate::terminal;
use crate::vllm::{self, Bench, Imported};
use crate::workload::{self, Prepared};

use super::replications::replications;
use super::report::write_report;

/// What stands below figures in the layout of a benchmark.
const BENCH_NOTE: &str =
    "These figures describe the requests of this benchmark, a transient, so they have no intervals.\n";

/// One request in so many is read again for the load of a run.
const REQUESTS_A_SAMPLE: u64 = 64;
/// But not fewer than this.
const FEWEST_SAMPLED: u64 = 500;

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let Imported { file, bench, ignored, warnings } = vllm::import(args)?;
    if args.print_scenario {
        print(file.text())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut resolved = file.resolve()?;
    resolved.simulation.engine.one_by_one = args.one_by_one;
    resolved.ledger.extend(ignored);
    let seed = args.seed.or(file.scenario.seed).unwrap_or(0);
    if args.replications.replications.is_some() || args.replications.precision.is_some() {
        return replications(args, &file, &resolved, seed, warnings);
    }
    if args.replications.antithetic {
        let message = "--antithetic: a single run has no partner: add --replications N or --precision SHARE";
        return Err(Failure::Invalid(message.into()));
    }
    if args.replications.parameter_uncertainty.is_some() {
        let message =
            "--parameter-uncertainty: a single run has no interval to compare with: add --replications N";
        return Err(Failure::Invalid(message.into()));
    }
    let prepared = workload::prepare(&file)?;
    let ready = prepared.begin(&file, Streams::new(seed, 0))?;
    // Before the first temporary file: an interrupt must not leave one behind.
    let interrupted = interrupt_flag();
    let out = args.out.as_deref().map(OutputDir::create).transpose()?;
    let watcher = Watcher {
        bench: bench.as_ref().map(|bench| recorder(bench, &file, seed)).transpose()?,
        progress: Progress::new(ready.total, args.quiet),
        ..Watcher::new(&resolved, &prepared, out.as_ref(), args.steps, interrupted)?
    };
    if ready.total.is_none() {
        watcher.progress.animate();
    }
    let simulation = Simulation::new(&resolved.simulation, ready.requests, watcher)
        .map_err(|error| Failure::Invalid(error.to_string()))?
        .with_streams(Streams::new(seed, 0));
    let (end, watcher) = simulation.run().map_err(|error| failure(&file, &error))?;
    watcher.progress.clear();
    if watcher.interrupted.load(Ordering::Relaxed) {
        return Err(Failure::Interrupted);
    }
    let screen = terminal::screen();
    let summary = watcher.metrics.summary(end.end);
    let again = prepared.begin(&file, Streams::new(seed, 0))?.requests;
    // A benchmark sends so many requests and ends.
    let horizon = if args.transient || bench.is_some() { Horizon::Finite } else { horizon(&file) };
    let steady = watcher.steady(&file, &resolved.simulation, horizon, again, args.replications.confidence)?;
    let report = RunReport {
        kendall_version: env!("CARGO_PKG_VERSION"),
        name: &file.name,
        what: what(&file.scenario.server),
        seed,
        resolved: &resolved,
        end: &end,
        classes: watcher.classes.summary(summary.duration_s),
        cost: cost_model(&file).and_then(|model| {
            model.of(summary.duration_s, summary.total_output_tokens, watcher.metrics.busy_share(end.end))
        }),
        metrics: summary.clone(),
        steady,
        spreads: if screen.blocks { spreads(&watcher.metrics) } else { Vec::new() },
        notes: &warnings,
    };
    let json = format!("{:#}\n", report.to_json());
    let Finished { metrics, recorder, mut files } = watcher.finish(end.end, out.as_ref())?;
    let played = bench
        .as_ref()
        .zip(recorder)
        .map(|(bench, recorder)| (bench, BenchReport::new(&bench.settings, &metrics, summary, recorder)));
    if let Some((bench @ Bench { save: Some(save), .. }, played)) = &played {
        files.push(vllm::write_result(bench, save, played, &report.warnings())?);
    }
    if let Some(out) = &out {
        files.push(out.write("scenario.toml", file.text().as_bytes())?);
        files.push(out.write("summary.json", json.as_bytes())?);
    }
    files.into_iter().try_for_each(WrittenFile::publish)?;
    if let Some(folder) = args.out.as_deref().filter(|_| args.report) {
        write_report(folder)?;
    }
    print(&if args.json {
        json
    } else {
        let text = match &played {
            Some((_, played)) => played.to_text() + BENCH_NOTE + &report.warnings_text(screen),
            None => report.to_table(screen),
        };
        text + &if args.ledger { ledger(&resolved.ledger) } else { String::new() }
    })?;
    Ok(if end.stalled.is_some() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Histograms for a terminal.
fn spreads(metrics: &RunMetrics) -> Vec<(&'static str, Spread)> {
    let named = [("ttft", metrics.ttft()), ("tpot", metrics.tpot()), ("e2el", metrics.e2e())];
    named.map(|(name, metric)| (name, Spread::of(metric))).to_vec()
}

/// The failure for a run that could not start or go on.
pub(crate) fn failure(file: &ScenarioFile, error: &SimulationError) -> Failure {
    match error {
        SimulationError::Workload(error) => workload::failure(file, error),
        SimulationError::Config(_) | SimulationError::Unsorted { .. } => Failure::Invalid(error.to_string()),
        SimulationError::Overloaded { .. } => Failure::Failed(error.to_string()),
        SimulationError::BeyondHorizon => Failure::Failed(format!(
            "{error}: give it fewer requests, or check the step times (1 ms is 1_000_000_000 ps)"
        )),
    }
}

/// What is served, in a phrase.
pub(crate) fn what(server: &Server) -> String {
    match (&server.model, &server.gpu) {
        (Some(model), Some(gpu)) => {
            let gpus = server
                .tensor_parallel_size
                .filter(|&gpus| gpus > 1)
                .map(|gpus| format!("{gpus} x "))
                .unwrap_or_default();
            format!("{model} on {gpus}{gpu}")
        }
        (Some(model), None) => format!("{model} with given step times"),
        _ => "a server with given step times".into(),
    }
}

/// The fidelity ledger as a table.
pub(crate) fn ledger(entries: &[kendall_serving::scenario::LedgerEntry]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["setting", "value", "treatment", "from", "note"]);
    for entry in entries {
        let treatment = format!("{:?}", entry.treatment).to_lowercase();
        table.add_row([entry.setting, &entry.value, &treatment, &entry.source, entry.note]);
    }
    let mut text = String::new();
    let _ = writeln!(text, "\n{}", table.trim_fmt());
    text
}

fn recorder(bench: &Bench, file: &ScenarioFile, seed: u64) -> Result<BenchRecorder, Failure> {
    Ok(BenchRecorder::new(bench.settings.detailed, vllm::planned_sends(bench, file, seed)?))
}

/// Everything that watches a run: metrics, files, progress, the interrupt key.
struct Watcher {
    metrics: RunMetrics,
    bench: Option<BenchRecorder>,
    requests: Option<RequestsCsv>,
    steps: Option<StepsCsv>,
    progress: Progress,
    interrupted: Arc<AtomicBool>,
    classes: ClassGoodput,
    timeline: Option<Timeline>,
    latencies: RunLatencies,
    number: NumberInSystem,
}

/// What is left of a watcher.
struct Finished {
    metrics: RunMetrics,
    recorder: Option<BenchRecorder>,
    files: Vec<WrittenFile>,
}

impl Watcher {
    /// Watches for metrics and files, without a benchmark and in silence.
    fn new(
        resolved: &Resolved,
        prepared: &Prepared,
        out: Option<&OutputDir>,
        steps: bool,
        interrupted: Arc<AtomicBool>,
    ) -> Result<Self, OutputError> {
        let SimulationConfig { engine, replicas, front_end, .. } = &resolved.simulation;
        let steps = out.filter(|_| steps).map(|out| StepsCsv::new(out.begin("steps.csv")?));
        Ok(Self {
            metrics: RunMetrics::new(engine, *replicas, resolved.goodput).behind(*front_end),
            requests: out.map(|out| RequestsCsv::new(out.begin("requests.csv")?)).transpose()?,
            steps: steps.transpose()?,
            bench: None,
            progress: Progress::new(None, true),
            interrupted,
            classes: ClassGoodput::new(prepared.classes(), resolved.goodput),
            timeline: out.map(|_| Timeline::new(engine, *replicas)),
            latencies: RunLatencies::new(*replicas),
            number: NumberInSystem::new(*replicas),
        })
    }

    /// What the run says about the steady state. `requests` are its own once more.
    fn steady(
        &self,
        file: &ScenarioFile,
        simulation: &SimulationConfig,
        horizon: Horizon,
        requests: Box<dyn Workload + Send>,
        confidence: f64,
    ) -> Result<SteadyState, Failure> {
        let drift = self.number.drift(confidence).ok();
        let sample = (self.latencies.departed_so_far() / REQUESTS_A_SAMPLE).clamp(FEWEST_SAMPLED, SAMPLE);
        let stability = stability(file, simulation, horizon, requests, sample, drift.as_ref())?;
        Ok(SteadyState {
            verdict: stability.verdict,
            reason: stability.reason(),
            load: stability.load.and_then(|load| load.load),
            confidence,
            intervals: self.latencies.intervals(&self.metrics, confidence),
        })
    }

    fn finish(self, end: SimTime, out: Option<&OutputDir>) -> Result<Finished, OutputError> {
        let requests = self.requests.map(RequestsCsv::finish);
        let steps = self.steps.map(StepsCsv::finish);
        let timeline = self.timeline.zip(out).map(|(timeline, out)| timeline.write(end, out));
        let files = requests.into_iter().chain(steps).chain(timeline).collect::<Result<_, _>>()?;
        Ok(Finished { metrics: self.metrics, recorder: self.bench, files })
    }

    fn cannot_write(&self) -> bool {
        self.requests.as_ref().is_some_and(RequestsCsv::has_failed)
            || self.steps.as_ref().is_some_and(StepsCsv::has_failed)
    }
}

impl Observer for Watcher {
    fn token_gaps(&mut self, gap: SimDuration, n: u64) {
        self.metrics.token_gaps(gap, n);
    }

    fn departed(&mut self, record: &RequestRecord) {
        self.metrics.departed(record);
        self.latencies.departed(record, &self.metrics);
        self.number.departed(record.arrival);
        self.classes.departed(record);
        if let Some(bench) = &mut self.bench {
            bench.departed(record);
        }
        if let Some(requests) = &mut self.requests {
            requests.write(record);
        }
        self.progress.tick();
    }

    #[inline]
    fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        self.metrics.gauges(replica, now, gauges);
        self.number.gauges(replica, now, gauges);
        self.latencies.step_over(&self.metrics);
        if let Some(timeline) = &mut self.timeline {
            timeline.gauges(replica, now, gauges);
        }
    }

    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.metrics.decode_run(replica, run);
        if let Some(timeline) = &mut self.timeline {
            timeline.decode_run(replica, run);
        }
    }

    fn inspect(&mut self, replica: u32, engine: &Engine) {
        if let Some(timeline) = &mut self.timeline {
            timeline.totals(replica, &engine.totals());
        }
    }

    fn inspect_zoo(&mut self, replica: u32, server: &ZooReplica) {
        if let Some(timeline) = &mut self.timeline {
            timeline.totals(replica, &server.totals());
        }
    }

    fn wants_steps(&self) -> bool {
        self.steps.is_some() || self.bench.is_some()
    }

    fn step(&mut self, step: StepRecord) {
        if let Some(bench) = &mut self.bench {
            bench.step(&step);
        }
        if let Some(steps) = &mut self.steps {
            steps.write(&step);
        }
    }

    fn wants_to_stop(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) || self.cannot_write()
    }
}
