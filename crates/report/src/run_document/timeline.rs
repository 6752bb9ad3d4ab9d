//! The run over time: queue, batch, KV cache, preemptions, latencies by time of arrival.

use crate::chart::{Axis, Chart, Direction, Layer, Mark, Shape, Unit};
use crate::document::{Block, Figure, Section};
use crate::folder::Columns;
use crate::number::{significant, whole};

use super::Source;

/// Windows of the latencies over time.
const WINDOWS: usize = 60;

pub(super) fn section(source: &Source<'_>) -> Option<Section> {
    let folder = source.folder;
    let mut figures = Vec::new();
    if let Some(timeline) = &folder.timeline {
        figures.extend(states(source, timeline));
    }
    if let Some(latencies) = folder.latencies.as_ref().filter(|latencies| !latencies.ttft.is_empty()) {
        figures.push(over_time(source, &latencies.ttft));
    }
    if figures.is_empty() {
        return None;
    }
    let lead = "A server that keeps up looks the same at the end as at the beginning; a queue that grows throughout is overloaded, \
                whatever its percentiles say.";
    Some(Section {
        id: "over-time",
        heading: "Over time".into(),
        lead: lead.into(),
        blocks: vec![Block::Figures(figures)],
    })
}

fn line(label: &str, colour: usize, points: Vec<(f64, f64)>) -> Layer {
    Layer { label: label.to_owned(), colour, shape: Shape::Line(points) }
}

fn area(label: &str, colour: usize, points: Vec<(f64, f64)>) -> Layer {
    Layer { label: label.to_owned(), colour, shape: Shape::Area(points) }
}

fn states(source: &Source<'_>, timeline: &Columns) -> Vec<Figure> {
    let (starts, ends) = (timeline.get("start_s"), timeline.get("end_s"));
    let middles: Vec<f64> =
        starts.iter().zip(&ends).map(|(&start, &end)| f64::midpoint(start, end)).collect();
    let column = |name: &str| middles.iter().copied().zip(timeline.get(name)).collect::<Vec<_>>();
    let width = starts.first().zip(ends.first()).map_or(0.0, |(start, end)| end - start);
    let of = format!(
        "Means over {} s and over replicas; the line is the most on any replica.",
        significant(Some(width))
    );
    let time = || Axis::linear("simulated time", Unit::Seconds);
    let figure = |id: &str, title: &str, y: Axis, layers, marks, caption: &str| Figure {
        id: id.to_owned(),
        chart: Chart { title: title.to_owned(), x: time(), y, layers, marks },
        caption: caption.to_owned(),
    };
    let seats = source.scenario.as_ref().and_then(|scenario| scenario.server.max_num_seqs).map(f64::from);
    let most = timeline.get("max_running").into_iter().fold(0.0, f64::max);
    // A limit far above the data would flatten them.
    let seats = seats.filter(|&seats| seats < 3.0 * most).map(|at| Mark {
        at,
        label: format!("max_num_seqs {at}"),
        direction: Direction::Horizontal,
        is_limit: true,
    });
    let number = |label: &str| Axis::linear(label, Unit::Number);
    let mut figures = vec![
        figure(
            "queue",
            "Waiting requests",
            number("requests waiting"),
            vec![area("mean", 0, column("waiting")), line("most", 1, column("max_waiting"))],
            Vec::new(),
            &of,
        ),
        figure(
            "batch",
            "Running requests",
            number("requests running"),
            vec![area("mean", 0, column("running")), line("most", 1, column("max_running"))],
            seats.into_iter().collect(),
            &of,
        ),
        figure(
            "kv-cache",
            "KV cache in use",
            Axis { to: None, ..Axis::share("blocks in use") },
            vec![area("mean", 0, column("kv_cache_usage")), line("most", 1, column("max_kv_cache_usage"))],
            Vec::new(),
            &of,
        ),
        figure(
            "fragmentation",
            "Internal fragmentation",
            Axis { to: None, ..Axis::share("slots of held blocks without a token") },
            vec![area("", 2, column("internal_fragmentation"))],
            Vec::new(),
            "The last block of each request is partly empty; short requests waste more.",
        ),
    ];
    let preemptions = timeline.get("preemptions");
    let total: f64 = preemptions.iter().sum();
    if total > 0.0 {
        let rates =
            starts.iter().zip(&ends).zip(&preemptions).map(|((start, end), count)| count / (end - start));
        figures.push(figure(
            "preemptions",
            "Preemptions",
            number("preemptions per second"),
            vec![area("", 1, middles.iter().copied().zip(rates).collect())],
            Vec::new(),
            &format!("{} in all. Each takes the blocks of the request that came last and makes it compute its tokens again.", whole(total as u64)),
        ));
    }
    figures
}

/// Median and p95 of latencies in windows of equal length, by time of arrival.
fn over_time(source: &Source<'_>, values: &[(f64, f64)]) -> Figure {
    let last = values.iter().map(|&(sent, _)| sent).fold(0.0, f64::max);
    let width = (last / WINDOWS as f64).max(1e-9);
    let mut windows: Vec<Vec<f64>> = vec![Vec::new(); WINDOWS];
    for &(sent, ms) in values {
        windows[((sent / width) as usize).min(WINDOWS - 1)].push(ms);
    }
    let (mut medians, mut tails) = (Vec::new(), Vec::new());
    for (i, window) in windows.iter_mut().enumerate().filter(|(_, window)| !window.is_empty()) {
        window.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| window[((window.len() - 1) as f64 * share) as usize];
        let middle = (i as f64 + 0.5) * width;
        medians.push((middle, at(0.5)));
        tails.push((middle, at(0.95)));
    }
    let fewest = windows.iter().map(Vec::len).min().unwrap_or(0);
    let limit = source.limits.ttft_ms.filter(|&limit| tails.iter().any(|&(_, tail)| tail > limit / 3.0));
    let marks = limit.map(|at| Mark {
        at,
        label: format!("limit {} ms", significant(Some(at))),
        direction: Direction::Horizontal,
        is_limit: true,
    });
    Figure {
        id: "ttft-over-time".into(),
        chart: Chart {
            title: "Time to first token, by time of arrival".into(),
            x: Axis::linear("time of arrival", Unit::Seconds),
            y: Axis::linear("TTFT", Unit::Milliseconds),
            layers: vec![line("p95", 1, tails), line("median", 0, medians)],
            marks: marks.into_iter().collect(),
        },
        caption: format!(
            "In {WINDOWS} windows of {} s with {} requests at least.",
            significant(Some(width)),
            whole(fewest as u64)
        ),
    }
}
