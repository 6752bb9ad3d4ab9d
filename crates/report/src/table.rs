//! The run's table for a terminal.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use kendall_serving::Cost;

use crate::number::{percent, significant, whole};
use crate::paint::{Mood, Screen};
use crate::run_report::RunReport;
use crate::spread::{self, Spread};
use crate::steady::LATENCIES;

impl RunReport<'_> {
    /// The run in a screenful of text: plain for a file or a pipe, with colours and histograms where the screen has them.
    pub fn to_table(&self, screen: Screen) -> String {
        let metrics = &self.metrics;
        let replicas = self.resolved.simulation.replicas;
        let mut text = String::new();
        let several = if replicas > 1 { format!(", {replicas} replicas") } else { String::new() };
        let _ = writeln!(
            text,
            "{}: {}, {}{several}, seed {}",
            screen.bold(self.name),
            self.what,
            self.resolved.engine,
            self.seed
        );
        text.push_str(&self.steady.line(screen));
        let mut facts = facts_table();
        let mut fact = |name: &str, value: String| {
            facts.add_row([name.to_owned(), value]);
        };
        fact("status", if self.end.stalled.is_some() { "STALLED".into() } else { self.status().into() });
        fact("requests", self.request_counts());
        fact(
            "throughput",
            format!(
                "{} req/s, {} output tok/s over {} s simulated",
                significant(metrics.request_throughput),
                significant(metrics.output_throughput),
                significant(Some(metrics.duration_s))
            ),
        );
        if let Some(goodput) = self.goodput().filter(|_| self.shows_goodput()) {
            fact("goodput", goodput);
        }
        fact(
            "batch",
            format!(
                "{} running (max {}), {} waiting (max {})",
                significant(metrics.num_running.mean),
                metrics.num_running.max,
                significant(metrics.num_waiting.mean),
                metrics.num_waiting.max
            ),
        );
        fact(
            "KV cache",
            format!(
                "{}, {} used (max {}), {} of held slots empty",
                self.kv_blocks(),
                percent(metrics.kv_cache_usage.mean),
                percent(Some(metrics.kv_cache_usage.max)),
                percent(metrics.internal_fragmentation)
            ),
        );
        if let Some(rate) = self.prefix_cache_hit_rate() {
            fact("prefix cache", format!("{} of prompt tokens hit", percent(Some(rate))));
        }
        fact("step time", self.step_time());
        if let Some(cost) = &self.cost {
            fact("cost", cost_text(cost));
        }
        let _ = writeln!(text, "{}\n", facts.trim_fmt());
        text.push_str(&self.latency_text());
        text.push_str(&self.histograms(screen));
        text.push_str(&self.ttft_line());
        if !self.classes.is_empty() {
            let _ = write!(text, "\n{}", self.class_text());
        }
        text.push_str(&self.warnings_text(screen));
        text
    }

    /// The warnings, a line each.
    pub fn warnings_text(&self, screen: Screen) -> String {
        let mut text = String::new();
        for warning in self.warnings() {
            let _ = writeln!(text, "{}", screen.mood(Mood::Mixed, &format!("! {warning}")));
        }
        text
    }

    /// The spread of the latencies that have a meaning, a line each; nothing where nobody looks.
    fn histograms(&self, screen: Screen) -> String {
        let title =
            |latency: &str| LATENCIES.iter().find(|(name, _)| *name == latency).map(|(_, title)| *title);
        let shown = self.spreads.iter().filter(|(name, _)| self.steady.shows(name));
        let shown: Vec<(&str, &Spread)> =
            shown.filter_map(|(name, spread)| Some((title(name)?, spread))).collect();
        if screen.blocks { spread::lines(&shown, screen) } else { String::new() }
    }

    fn request_counts(&self) -> String {
        let metrics = &self.metrics;
        let mut parts = vec![format!("{} completed", whole(metrics.completed))];
        let preemptions: u64 = self.end.totals.iter().map(|totals| totals.num_preemptions).sum();
        for (count, what) in
            [(metrics.rejected, "rejected"), (metrics.aborted, "aborted"), (metrics.unfinished, "unfinished")]
        {
            if count > 0 {
                parts.push(format!("{} {what}", whole(count)));
            }
        }
        parts.push(format!("{} preemptions", whole(preemptions)));
        parts.join(", ")
    }

    fn goodput(&self) -> Option<String> {
        let metrics = &self.metrics;
        let (goodput, attained) = metrics.request_goodput.zip(metrics.slo_attainment)?;
        Some(format!(
            "{} req/s: {} of {} requests kept {}",
            significant(Some(goodput)),
            percent(Some(attained)),
            whole(metrics.num_requests),
            self.limits()
        ))
    }

    fn limits(&self) -> String {
        let Some(goodput) = self.resolved.goodput else { return String::new() };
        let limits = [("TTFT", goodput.ttft), ("TPOT", goodput.tpot), ("E2E", goodput.e2e)];
        let shown = limits
            .iter()
            .filter_map(|(name, limit)| limit.map(|limit| format!("{name} <= {} ms", limit.as_millis_f64())));
        shown.collect::<Vec<_>>().join(", ")
    }

    fn step_time(&self) -> String {
        let source = self.resolved.ledger.iter().find(|entry| entry.setting == "step_time");
        let name = source.map(|entry| entry.value.as_str()).unwrap_or_default();
        format!("{name} ({})", self.step_time_origin())
    }

    fn latency_table(&self) -> Table {
        let mut table = facts_table();
        table.set_header(["latency (ms)", "n", "mean", "p50", "p90", "p95", "p99", "max"]);
        for (place, (name, latency)) in self.latencies().into_iter().enumerate() {
            if !self.steady.shows(name) {
                continue;
            }
            let mut row = vec![LATENCIES[place].1.to_owned(), whole(latency.count)];
            let values = [latency.mean, latency.p50, latency.p90, latency.p95, latency.p99, latency.max];
            row.extend(values.into_iter().map(significant));
            table.add_row(row);
            if latency.count > 0
                && let Some(row) = self.steady.row(place)
            {
                table.add_row(row);
            }
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// The latencies with their intervals, and why some have none.
    pub fn latency_text(&self) -> String {
        let observed = self.latencies().map(|(_, latency)| latency.count);
        format!("{}\n\n{}", self.latency_table().trim_fmt(), self.steady.notes(observed))
    }

    /// Goodput by class, and how evenly it is shared.
    fn class_text(&self) -> String {
        let mut table = facts_table();
        table.set_header(["class", "requests", "completed", "goodput (req/s)", "attainment"]);
        for class in self.shown_classes() {
            table.add_row([
                class.class,
                whole(class.num_requests),
                whole(class.completed),
                significant(class.request_goodput),
                percent(class.slo_attainment),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let fairness = self.fairness().map_or_else(String::new, |index| {
            format!("fairness of attainment over classes (Jain): {}\n", significant(Some(index)))
        });
        format!("{}\n{fairness}", table.trim_fmt())
    }

    fn ttft_line(&self) -> String {
        let parts = self.metrics.mean_ttft_parts_ms;
        let named = [
            ("front end", parts.front_end),
            ("queue", parts.queue),
            ("own prefill", parts.prefill),
            ("interference", parts.interference),
            ("preemption", parts.preemption),
        ];
        if parts.front_end.is_none() || !self.steady.shows("ttft") {
            return String::new();
        }
        let sum =
            named.iter().map(|(name, value)| format!("{} {name}", significant(*value))).collect::<Vec<_>>();
        let of_front_end = self.metrics.mean_front_end_parts_ms.map_or_else(String::new, |of| {
            let named = [
                ("receipt", of.receipt),
                ("tokenising", of.tokenising),
                ("streaming", of.streaming),
                ("held up", of.held_up),
            ];
            let parts = named.iter().filter(|(_, ms)| *ms > 0.0);
            let parts: Vec<_> =
                parts.map(|(name, ms)| format!("{} {name}", significant(Some(*ms)))).collect();
            format!(" (front end = {})", parts.join(" + "))
        });
        let mean = significant(self.metrics.ttft_ms.mean);
        format!("mean TTFT {mean} ms = {}{of_front_end}\n", sum.join(" + "))
    }
}

/// Money and energy of a token, with what they rest on; the sources stand in `summary.json`.
fn cost_text(cost: &Cost) -> String {
    let energy = format!("at most {} J per output token", significant(Some(cost.joules_per_output_token)));
    match cost.usd_per_million_output_tokens.zip(cost.price_usd_per_gpu_hour) {
        None => format!("{energy} (TDP while busy; no list price known)"),
        Some((usd, price)) => format!(
            "{} USD per million output tokens ({} GPU at {price:.2} USD/h), {energy} (TDP while busy)",
            significant(Some(usd)),
            cost.gpus
        ),
    }
}

pub(crate) fn facts_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table
}
