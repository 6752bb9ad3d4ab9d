//! Predicted against measured values on logarithmic axes, with the line on which both are equal.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{PlotError, style};

/// Points that belong together: pairs of a measured and a predicted value, both above 0.
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterPoints {
    /// What tells them from others.
    pub label: String,
    /// (measured, predicted).
    pub points: Vec<(f64, f64)>,
}

/// A scatter plot of positive values.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    /// Above the plot.
    pub title: String,
    /// Unit of both axes.
    pub unit: String,
    /// Lines on which the predicted value is off by this share: 0.1 is 10 %.
    pub band: f64,
    /// What is shown.
    pub series: Vec<ScatterPoints>,
}

impl Scatter {
    /// The plot as the text of an SVG file. Values that are not above 0 are left out.
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
        let range = self.range();
        let label = (style::FONT, style::LABEL_SIZE).into_font().color(&style::INK);
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, (style::FONT, style::TITLE_SIZE).into_font().color(&style::INK))
            .margin(style::MARGIN)
            .x_label_area_size(style::X_LABELS)
            .y_label_area_size(style::Y_LABELS)
            .build_cartesian_2d(range.clone().log_scale(), range.clone().log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(style::GRID)
            .axis_style(style::INK)
            .label_style(label.clone())
            .axis_desc_style(label.clone())
            .x_desc(format!("measured ({})", self.unit))
            .y_desc(format!("predicted ({})", self.unit))
            .draw()?;
        for (factor, width) in [(1.0, style::LINE_WIDTH), (1.0 + self.band, 1), (1.0 - self.band, 1)] {
            let ends = [range.start, range.end].map(|x| (x, x * factor));
            chart.draw_series(LineSeries::new(ends, style::INK.mix(0.5).stroke_width(width)))?;
        }
        for (i, series) in self.series.iter().take(style::MAX_SERIES).enumerate() {
            let colour = style::colour(i);
            let dots = series.points.iter().copied().filter(|point| is_shown(*point));
            chart
                .draw_series(dots.map(|at| Circle::new(at, style::POINT_RADIUS, colour.mix(0.6).filled())))?
                .label(&series.label)
                .legend(move |at| Circle::new(at, style::POINT_RADIUS, colour.filled()));
        }
        chart
            .configure_series_labels()
            .label_font(label)
            .background_style(WHITE.mix(0.8))
            .position(SeriesLabelPosition::UpperLeft)
            .draw()?;
        area.present()
    }

    /// All values with room around them, the same on both axes.
    fn range(&self) -> Range<f64> {
        const ROOM: f64 = 1.3;
        let shown = self.series.iter().flat_map(|series| &series.points).filter(|point| is_shown(**point));
        let (low, high) = shown
            .fold((f64::INFINITY, 0.0_f64), |(low, high), (x, y)| (low.min(x.min(*y)), high.max(x.max(*y))));
        if low > high { 0.1..10.0 } else { low / ROOM..high * ROOM }
    }
}

fn is_shown((measured, predicted): (f64, f64)) -> bool {
    [measured, predicted].iter().all(|value| value.is_finite() && *value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_positive_pair_is_a_dot() {
        let points = vec![(0.01, 0.011), (2.0, 1.8), (0.0, 1.0), (f64::NAN, 1.0)];
        let series = vec![ScatterPoints { label: "mean TTFT".into(), points }];
        let plot = Scatter { title: "errors".into(), unit: "s".into(), band: 0.1, series };
        let svg = plot.to_svg().expect("a plot");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(svg.matches("<circle").count(), 2 + 1, "two pairs and the legend's dot");
        assert!(svg.contains("mean TTFT") && svg.contains("measured (s)"));
        let range = plot.range();
        assert!(range.start < 0.01 && range.end > 2.0);
    }

    #[test]
    fn nothing_to_show_is_an_empty_plot() {
        let plot = Scatter { title: "none".into(), unit: "s".into(), band: 0.1, series: Vec::new() };
        assert!(plot.to_svg().expect("a plot").contains("none"));
    }
}
