//! Where the legend covers nothing: the corner with the least in it, and some more height if no corner is free.

use std::ops::Range;

use plotters::chart::SeriesLabelPosition;

use super::style::{self, LEGEND_CHARS, LEGEND_LINE, MAX_SERIES};
use super::{Plot, shortened};

/// Places on a line between two points that are looked at.
const STEPS: u32 = 24;

/// A corner, and the vertical range in which the legend covers nothing there.
pub(super) struct Place {
    pub corner: SeriesLabelPosition,
    pub y_range: Range<f64>,
}

/// Finds it.
pub(super) fn place(plot: &Plot) -> Place {
    let range = plot.y_range();
    let [width, height] = size(plot);
    let drawn = drawn(plot, &range);
    // Left, top; shares of the plot from its left and its upper end.
    let corners = [
        (SeriesLabelPosition::UpperLeft, 0.0, 0.0),
        (SeriesLabelPosition::UpperRight, 1.0 - width, 0.0),
        (SeriesLabelPosition::LowerRight, 1.0 - width, 1.0 - height),
        (SeriesLabelPosition::LowerLeft, 0.0, 1.0 - height),
    ];
    let covered = |&(_, left, top): &(SeriesLabelPosition, f64, f64)| {
        let inside =
            |&(x, y): &(f64, f64)| (left..=left + width).contains(&x) && (top..=top + height).contains(&y);
        drawn.iter().filter(|point| inside(point)).count()
    };
    let [upper_left, ..] = &corners;
    let best = corners.iter().min_by_key(|corner| covered(corner)).unwrap_or(upper_left);
    if covered(best) == 0 || height >= 0.9 {
        return Place { corner: best.0.clone(), y_range: range };
    }
    // Above everything.
    let end = range.start + (range.end - range.start) / (1.0 - height);
    Place { corner: SeriesLabelPosition::UpperLeft, y_range: range.start..end }
}

/// Width and height of the legend as shares of the plot; nothing without labels.
fn size(plot: &Plot) -> [f64; 2] {
    let labels: Vec<String> = plot
        .series
        .iter()
        .take(MAX_SERIES)
        .filter(|series| !series.label.is_empty())
        .map(|series| shortened(&series.label, LEGEND_CHARS))
        .collect();
    if labels.is_empty() {
        return [0.0, 0.0];
    }
    let longest = labels.iter().map(|label| style::label_width(label)).fold(0.0, f64::max);
    let (width, height) = style::SIZE;
    let plot_width = f64::from(width - style::Y_LABELS - 2 * style::MARGIN);
    let plot_height = f64::from(height - style::X_LABELS - 2 * style::MARGIN - 2 * style::TITLE_SIZE);
    [(longest + 60.0) / plot_width, (LEGEND_LINE * labels.len() as f64 + 30.0) / plot_height]
}

/// Points on all lines and intervals, as shares of the plot from its left and its upper end.
fn drawn(plot: &Plot, y: &Range<f64>) -> Vec<(f64, f64)> {
    let x = plot.x_range();
    let share = |(at, value): (f64, f64)| {
        ((at - x.start) / (x.end - x.start), 1.0 - (value - y.start) / (y.end - y.start))
    };
    let between = |from: (f64, f64), to: (f64, f64)| {
        (0..=STEPS).map(move |step| {
            let part = f64::from(step) / f64::from(STEPS);
            (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1))
        })
    };
    let mut places = Vec::new();
    for series in plot.series.iter().take(MAX_SERIES) {
        for pair in series.points.windows(2) {
            places.extend(between((pair[0].x, pair[0].y), (pair[1].x, pair[1].y)));
        }
        for point in &series.points {
            let half_width = point.half_width.unwrap_or_default();
            places.extend(between((point.x, point.y - half_width), (point.x, point.y + half_width)));
        }
    }
    places.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{PlotPoint, Series};
    use super::*;

    fn plot(lines: &[[f64; 3]]) -> Plot {
        let points = |line: &[f64; 3]| {
            (0_u32..).zip(line).map(|(x, &y)| PlotPoint { x: f64::from(x), y, half_width: None }).collect()
        };
        Plot {
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            names: None,
            series: lines
                .iter()
                .map(|line| Series { label: "max_num_seqs = 16".into(), points: points(line) })
                .collect(),
        }
    }

    #[test]
    fn a_free_corner_is_taken_and_else_the_plot_grows() {
        let rising = place(&plot(&[[0.0, 50.0, 100.0]]));
        assert!(matches!(rising.corner, SeriesLabelPosition::UpperLeft));
        let falling = place(&plot(&[[100.0, 90.0, 0.0], [100.0, 95.0, 90.0]]));
        assert!(matches!(falling.corner, SeriesLabelPosition::LowerLeft));
        let full = plot(&[[0.0, 0.0, 0.0], [100.0, 100.0, 100.0]]);
        let grown = place(&full);
        assert!(grown.y_range.end > full.y_range().end * 1.1, "{:?}", grown.y_range);
    }
}
