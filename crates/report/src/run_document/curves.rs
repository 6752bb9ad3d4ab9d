//! Distributions of latencies, and where the time to the first token went.

use crate::chart::{Axis, Chart, Direction, Layer, Mark, Shape, Unit};
use crate::document::{Block, DataTable, Figure, Section, Shares};
use crate::estimates::significant_share;
use crate::number::{significant, whole};

use super::Source;
use super::verdict::interval;

/// Points of a curve.
const POINTS: usize = 160;
/// A limit so many times as large as nearly all latencies is not drawn.
const FAR: f64 = 2.5;

pub(super) fn section(source: &Source<'_>) -> Option<Section> {
    let folder = source.folder;
    let mut blocks = Vec::new();
    if let Some(latencies) = &folder.latencies {
        let limits = &source.limits;
        let figures = [
            ("ttft", "Time to first token", &latencies.ttft, limits.ttft_ms),
            ("tpot", "Time per output token", &latencies.tpot, limits.tpot_ms),
            ("e2el", "End-to-end latency", &latencies.e2el, limits.e2el_ms),
        ];
        let figures = figures.into_iter().filter(|(_, _, values, _)| !values.is_empty());
        blocks.push(Block::Figures(
            figures.map(|(id, title, values, limit)| curve(source, id, title, values, limit)).collect(),
        ));
    }
    blocks.extend(parts(source).map(Block::Shares));
    blocks.push(Block::Table(table(source)?));
    let lead = "Each curve gives the share of requests that were at least so fast: read a limit upwards. The steeper the curve, \
                the more alike the requests.";
    Some(Section { id: "latency", heading: "Latency".into(), lead: lead.into(), blocks })
}

fn curve(source: &Source<'_>, id: &str, title: &str, values: &[(f64, f64)], promised: Option<f64>) -> Figure {
    let mut sorted: Vec<f64> = values.iter().map(|&(_, ms)| ms).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    let at = |share: f64| sorted[((n - 1) as f64 * share) as usize];
    let mut shares: Vec<f64> = (0..=POINTS).map(|i| i as f64 / POINTS as f64).collect();
    // The tail is what limits are about.
    shares.extend((1..20).map(|i| 0.99 + 0.01 * f64::from(i) / 20.0));
    shares.sort_unstable_by(f64::total_cmp);
    let mut points: Vec<(f64, f64)> =
        shares.into_iter().map(|share| (at(share), (share * (n - 1) as f64 + 1.0) / n as f64)).collect();
    // A limit far beyond all of them would squeeze the curve.
    let limit = promised.filter(|&limit| limit < FAR * at(0.999));
    points.extend(limit.filter(|&limit| limit > at(1.0)).map(|limit| (limit, 1.0)));
    let mut layers = vec![Layer { label: String::new(), colour: 0, shape: Shape::Area(points) }];
    let bars = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];
    let bars: Vec<_> = bars
        .into_iter()
        .filter_map(|(name, share)| {
            let interval = interval(source.folder, &format!("{name}_{id}_ms"))?;
            Some((share, interval.low, interval.high))
        })
        .collect();
    let confidence =
        interval(source.folder, &format!("p50_{id}_ms")).map_or(0.95, |interval| interval.confidence);
    if !bars.is_empty() {
        let label = format!("{} % intervals", significant_share(confidence));
        layers.push(Layer { label, colour: 1, shape: Shape::Intervals(bars) });
    }
    layers.extend(source.theory.iter().flat_map(|theory| theory.layers(id)));
    let p99 = source.folder.number(&format!("p99_{id}_ms"));
    let mark =
        |at: f64, label: String, is_limit| Mark { at, label, direction: Direction::Vertical, is_limit };
    let marks = p99
        .map(|p99| mark(p99, format!("p99 {}", significant(Some(p99))), false))
        .into_iter()
        .chain(limit.map(|limit| mark(limit, format!("limit {}", significant(Some(limit))), true)));
    let wide = at(0.999) > 20.0 * at(0.001).max(1e-6);
    let mut x =
        if wide { Axis::log(title, Unit::Milliseconds) } else { Axis::linear(title, Unit::Milliseconds) };
    if !wide && at(0.0) > at(1.0) / 2.0 {
        x.from = None;
    }
    if !wide {
        // The last thousandth may lie far out.
        x.to = Some((1.15 * at(0.999)).max(limit.unwrap_or(0.0) * 1.05));
    }
    let kept = promised.map(|limit| {
        let kept = sorted.partition_point(|&ms| ms <= limit);
        format!(" {} of {} kept {} ms.", whole(kept as u64), whole(n as u64), significant(Some(limit)))
    });
    let overloaded = source.folder.text("stability.verdict") == Some("overloaded") && id != "tpot";
    let grows =
        if overloaded { " The server is overloaded: of a longer run all of these are larger." } else { "" };
    let caption = format!("{} requests.{}{grows}", whole(n as u64), kept.unwrap_or_default());
    let chart = Chart {
        title: title.to_owned(),
        x,
        y: Axis::share("requests at least so fast"),
        layers,
        marks: marks.collect(),
    };
    Figure { id: format!("{id}-distribution"), chart, caption }
}

fn parts(source: &Source<'_>) -> Option<Shares> {
    let named = [
        ("front end", "front_end"),
        ("queue", "queue"),
        ("own prefill", "prefill"),
        ("interference by others", "interference"),
        ("preemption", "preemption"),
    ];
    let parts: Vec<_> = named
        .into_iter()
        .filter_map(|(name, key)| {
            let ms = source.folder.number(&format!("mean_ttft_parts_ms.{key}"))?;
            Some((name.to_owned(), ms, format!("{} ms", significant(Some(ms)))))
        })
        .collect();
    let mean = significant(source.folder.number("mean_ttft_ms"));
    let caption = format!("Where the mean time to first token of {mean} ms went:");
    (!parts.is_empty()).then_some(Shares { caption, parts })
}

fn table(source: &Source<'_>) -> Option<DataTable> {
    let mut table = DataTable::new(&["latency (ms)"], &["n", "mean", "p50", "p90", "p95", "p99", "max"]);
    for (name, title) in
        [("ttft", "TTFT"), ("tpot", "TPOT"), ("itl", "ITL"), ("e2el", "E2E"), ("queue", "queue")]
    {
        let Some(n) = source.folder.number(&format!("num_{name}")) else { continue };
        let keys =
            ["mean", "p50", "p90", "p95", "p99", "max"].map(|statistic| format!("{statistic}_{name}_ms"));
        let values = keys.each_ref().map(|key| significant(source.folder.number(key)));
        table.rows.push([title.to_owned(), whole(n as u64)].into_iter().chain(values).collect());
        let intervals = keys.each_ref().map(|key| interval(source.folder, key));
        // A row of their own: beside the values they would be wider than a page.
        if let Some(confidence) = intervals.iter().flatten().map(|interval| interval.confidence).next() {
            let ends =
                intervals.map(|interval| interval.map_or_else(String::new, |interval| interval.ends()));
            let label = format!("\u{2003}{} % interval", significant_share(confidence));
            table.rows.push([label, String::new()].into_iter().chain(ends).collect());
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
