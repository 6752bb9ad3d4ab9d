//! Plots as SVG: a figure against a varied key, with the interval of each point.

mod legend;
mod scatter;
mod style;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use thiserror::Error;

pub use scatter::{Scatter, ScatterPoints};

/// A point of a plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlotPoint {
    /// Place on the horizontal axis.
    pub x: f64,
    /// Mean.
    pub y: f64,
    /// Half-width of its interval, if it has one.
    pub half_width: Option<f64>,
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What tells it from the others; empty if it is the only one.
    pub label: String,
    /// In order of `x`.
    pub points: Vec<PlotPoint>,
}

/// One figure against one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// Above the plot.
    pub title: String,
    /// Along the horizontal axis.
    pub x_label: String,
    /// Along the vertical axis.
    pub y_label: String,
    /// Names of the places 0, 1, 2, ... on the horizontal axis, where its values are no numbers.
    pub names: Option<Vec<String>>,
    /// What is shown.
    pub series: Vec<Series>,
}

/// A plot could not be drawn.
#[derive(Debug, Error)]
#[error("cannot draw the plot of {title}: {reason}")]
pub struct PlotError {
    title: String,
    reason: String,
}

impl Plot {
    /// The plot as the text of an SVG file.
    ///
    /// # Errors
    /// If the drawing library fails.
    pub fn to_svg(&self) -> Result<String, PlotError> {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, style::SIZE).into_drawing_area();
        self.draw(&area)
            .map_err(|error| PlotError { title: self.title.clone(), reason: error.to_string() })?;
        drop(area);
        Ok(svg)
    }

    fn draw<'s>(
        &self,
        area: &DrawingArea<SVGBackend<'s>, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'s> as DrawingBackend>::ErrorType>> {
        area.fill(&WHITE)?;
        let left_out = self.series.len().saturating_sub(style::MAX_SERIES);
        let title = match left_out {
            0 => self.title.clone(),
            n => format!("{} ({n} further series left out)", self.title),
        };
        let legend = legend::place(self);
        let mut chart = ChartBuilder::on(area)
            .caption(
                &title,
                (style::FONT, style::fitting(&title, style::TITLE_SIZE)).into_font().color(&style::INK),
            )
            .margin(style::MARGIN)
            .x_label_area_size(style::X_LABELS)
            .y_label_area_size(style::Y_LABELS)
            .build_cartesian_2d(self.x_range(), legend.y_range.clone())?;
        let label = (style::FONT, style::LABEL_SIZE).into_font().color(&style::INK);
        let x_text = |x: &f64| self.x_text(*x);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(style::GRID)
            .axis_style(style::INK)
            .label_style(label.clone())
            .axis_desc_style(label.clone())
            .x_label_formatter(&x_text)
            .y_label_formatter(&|y| short(*y))
            .x_labels(self.names.as_ref().map_or(10, |names| 2 * names.len() + 1))
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .draw()?;
        for (i, series) in self.series.iter().take(style::MAX_SERIES).enumerate() {
            let colour = style::colour(i);
            let line = series.points.iter().map(|point| (point.x, point.y));
            let drawn = chart.draw_series(LineSeries::new(line, colour.stroke_width(style::LINE_WIDTH)))?;
            if !series.label.is_empty() {
                drawn.label(shortened(&series.label, style::LEGEND_CHARS)).legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(style::LINE_WIDTH))
                });
            }
            let dots = series.points.iter();
            chart.draw_series(
                dots.map(|point| Circle::new((point.x, point.y), style::POINT_RADIUS, colour.filled())),
            )?;
            chart.draw_series(series.points.iter().filter_map(|point| {
                let half_width = point.half_width?;
                let (low, high) = (point.y - half_width, point.y + half_width);
                Some(ErrorBar::new_vertical(point.x, low, point.y, high, colour.filled(), style::WHISKER))
            }))?;
        }
        if self.series.iter().any(|series| !series.label.is_empty()) {
            chart
                .configure_series_labels()
                .label_font(label)
                .background_style(WHITE.mix(0.8))
                .position(legend.corner)
                .draw()?;
        }
        area.present()
    }

    fn points(&self) -> impl Iterator<Item = &PlotPoint> {
        self.series.iter().flat_map(|series| &series.points)
    }

    fn x_range(&self) -> Range<f64> {
        if let Some(names) = &self.names {
            // Each place has room for its name.
            return -0.5..names.len() as f64 - 0.5;
        }
        padded(self.points().map(|point| point.x))
    }

    /// From 0 where that costs less than half of the height.
    fn y_range(&self) -> Range<f64> {
        let ends = self.points().flat_map(|point| {
            let half_width = point.half_width.unwrap_or_default();
            [point.y - half_width, point.y + half_width]
        });
        let Range { start, end } = padded(ends);
        if start > 0.0 && start < end / 2.0 { 0.0..end } else { start..end }
    }

    fn x_text(&self, x: f64) -> String {
        let Some(names) = &self.names else { return short(x) };
        let place = libm::round(x);
        if (x - place).abs() > 1e-9 || place < 0.0 {
            return String::new();
        }
        let room = style::WIDTH_CHARS / names.len().max(1);
        names.get(place as usize).map(|name| shortened(name, room.max(4))).unwrap_or_default()
    }
}

/// The beginning of a text that is too long.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A number without trailing zeros.
fn short(x: f64) -> String {
    let text = format!("{x:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The range of these values with a twentieth of its length on both sides.
fn padded(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let padding = if low < high { (high - low) / 20.0 } else { (low.abs() / 20.0).max(0.5) };
    low - padding..high + padding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let point = |x, y| PlotPoint { x, y, half_width: Some(1.0) };
        Plot {
            title: "mean_ttft_ms".into(),
            x_label: "rate_per_s".into(),
            y_label: "mean_ttft_ms (ms)".into(),
            names: None,
            series: vec![Series { label: String::new(), points: vec![point(1.0, 40.0), point(2.0, 80.0)] }],
        }
    }

    #[test]
    fn an_svg_is_whole_and_shows_what_it_should() {
        let svg = plot().to_svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 4, "two points, and the middle of two intervals");
        for text in ["mean_ttft_ms (ms)", "rate_per_s", "1.2"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg, plot().to_svg().unwrap());
    }

    #[test]
    fn places_on_the_axis_can_have_names() {
        let mut plot = plot();
        plot.names = Some(vec!["fcfs".into(), "priority".into()]);
        for (x, point) in plot.series[0].points.iter_mut().enumerate() {
            point.x = x as f64;
        }
        let svg = plot.to_svg().unwrap();
        assert_eq!((svg.matches("fcfs").count(), svg.matches("priority").count()), (1, 1));
    }

    #[test]
    fn long_names_are_cut_and_series_left_out_are_counted() {
        let mut plot = plot();
        let name = |i: usize| format!("{i}{}", "long".repeat(20));
        plot.names = Some((0..8).map(name).collect());
        plot.series = (0..11).map(|i| Series { label: name(i), ..plot.series[0].clone() }).collect();
        let svg = plot.to_svg().unwrap();
        assert!(
            svg.contains("3 further series left out") && svg.contains('…') && !svg.contains(&name(1)),
            "{svg}"
        );
        assert_eq!(shortened("abc", 3), "abc");
    }

    #[test]
    fn ranges_hold_every_interval() {
        let plot = plot();
        let (x, y) = (plot.x_range(), plot.y_range());
        assert!(x.start < 1.0 && x.end > 2.0 && y.start <= 39.0 && y.end >= 81.0);
        assert_eq!(padded(std::iter::empty()), 0.0..1.0);
        assert!(padded([3.0].into_iter()).contains(&3.0));
    }
}
