//! Charts of a report: lines, areas and marked limits, as SVG that follows the page's colours.
//!
//! plotters draws; axes, ticks and labels are placed here, because every label must be readable at 390 pixels and none
//! may touch another.

mod axis;
mod draw;
mod palette;

use plotters::prelude::*;
use thiserror::Error;

pub use axis::{Axis, Scale, Unit};

/// Layers that have a colour of their own.
pub const MOST_LAYERS: usize = palette::SERIES.len();
/// The colour that steps back behind the others: for lines to compare with.
pub const GREY: usize = MOST_LAYERS - 1;

/// Width of a chart in pixels. It is drawn for a telephone and grows with the page.
const WIDTH: i32 = 460;
const HEIGHT: i32 = 290;
const SIZE: (u32, u32) = (WIDTH.cast_unsigned(), HEIGHT.cast_unsigned());

/// One chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What it shows, in a few words; above the chart.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// What is drawn, from back to front.
    pub layers: Vec<Layer>,
    /// Limits and percentiles.
    pub marks: Vec<Mark>,
}

/// Something that is drawn in the axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// What tells it from the others; empty if it is the only one.
    pub label: String,
    /// Number of its colour.
    pub colour: usize,
    /// How it looks.
    pub shape: Shape,
}

/// How a layer looks.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A line through points.
    Line(Vec<(f64, f64)>),
    /// A line with the space to the axis filled.
    Area(Vec<(f64, f64)>),
    /// A line with dots, each with the half-width of its interval if it has one.
    Dots(Vec<(f64, f64, Option<f64>)>),
    /// Dots without a line, likewise.
    Points(Vec<(f64, f64, Option<f64>)>),
    /// Horizontal intervals: height, left and right end.
    Intervals(Vec<(f64, f64, f64)>),
}

/// A line across the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Where.
    pub at: f64,
    /// What it is.
    pub label: String,
    /// Across which axis.
    pub direction: Direction,
    /// Whether it is a limit that must be kept, and stands out.
    pub is_limit: bool,
}

/// Across which axis a mark lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// At a place on the horizontal axis.
    Vertical,
    /// At a height.
    Horizontal,
}

/// Where colours come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// Written into the file, on white: for files by themselves.
    Fixed,
    /// The page's CSS custom properties, with the fixed ones where there are none.
    OfPage,
}

/// A chart could not be drawn.
#[derive(Debug, Error)]
#[error("cannot draw the chart {title}: {reason}")]
pub struct ChartError {
    title: String,
    reason: String,
}

impl Chart {
    /// The chart as SVG.
    ///
    /// # Errors
    /// If the drawing library fails.
    pub fn to_svg(&self, colours: Colours) -> Result<String, ChartError> {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw::draw(self, &area, colours)
            .and_then(|()| area.present())
            .map_err(|error| ChartError { title: self.title.clone(), reason: error.to_string() })?;
        drop(area);
        Ok(match colours {
            Colours::Fixed => svg,
            Colours::OfPage => palette::follow_page(&svg, &self.title, SIZE),
        })
    }

    /// Whether there is anything to see.
    pub fn is_empty(&self) -> bool {
        self.layers.iter().all(|layer| layer.shape.points().next().is_none())
    }
}

impl Shape {
    /// Every place that must lie within the axes.
    pub(crate) fn points(&self) -> Box<dyn Iterator<Item = (f64, f64)> + '_> {
        match self {
            Self::Line(points) | Self::Area(points) => Box::new(points.iter().copied()),
            Self::Dots(points) | Self::Points(points) => {
                Box::new(points.iter().flat_map(|&(x, y, half_width)| {
                    let half_width = half_width.filter(|width| width.is_finite()).into_iter();
                    std::iter::once((x, y))
                        .chain(half_width.flat_map(move |width| [(x, y - width), (x, y + width)]))
                }))
            }
            Self::Intervals(bars) => {
                Box::new(bars.iter().flat_map(|&(y, left, right)| [(left, y), (right, y)]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        Chart {
            title: "a <b> & c".into(),
            x: Axis::linear("time", Unit::Seconds),
            y: Axis::linear("requests", Unit::Number),
            layers: vec![
                Layer { label: "run".into(), colour: 0, shape: Shape::Area(vec![(0.0, 1.0), (10.0, 8.0)]) },
                Layer { label: "wait".into(), colour: 1, shape: Shape::Line(vec![(0.0, 0.0), (10.0, 3.0)]) },
            ],
            marks: vec![Mark {
                at: 5.0,
                label: "SLO".into(),
                direction: Direction::Vertical,
                is_limit: true,
            }],
        }
    }

    #[test]
    fn colours_are_the_pages_or_fixed() {
        let fixed = chart().to_svg(Colours::Fixed).unwrap();
        assert!(fixed.contains("#FFFFFF") && !fixed.contains("var("), "{fixed}");
        let of_page = chart().to_svg(Colours::OfPage).unwrap();
        assert!(of_page.contains("var(--c1)") && of_page.contains("currentColor"), "{of_page}");
        assert!(!of_page.contains("#FFFFFF"), "no white paper on a dark page");
        assert!(!of_page.contains(" width=\"460\" height"), "it is as wide as the page lets it be");
    }

    #[test]
    fn dots_without_a_line_are_dots_only() {
        let mut chart = chart();
        chart.marks.clear();
        chart.layers = vec![Layer {
            label: String::new(),
            colour: 0,
            shape: Shape::Points(vec![(1.0, 2.0, Some(0.5)), (3.0, 1.0, None)]),
        }];
        let lines = |chart: &Chart| {
            let svg = chart.to_svg(Colours::Fixed).unwrap();
            (svg.matches("<circle").count(), svg.matches("<polyline").count())
        };
        let (dots, without) = lines(&chart);
        if let Shape::Points(points) = chart.layers[0].shape.clone() {
            chart.layers[0].shape = Shape::Dots(points);
        }
        assert_eq!(lines(&chart), (dots, without + 1));
        assert_eq!(dots, 2);
    }

    /// A title and names longer than the chart are wrapped or cut: no letter lies outside.
    #[test]
    fn long_words_stay_inside() {
        let mut chart = chart();
        chart.title = "a long title with many words ".repeat(6);
        chart.layers[0].label = "a".repeat(200);
        let svg = chart.to_svg(Colours::Fixed).unwrap();
        assert!(!svg.contains(&"a".repeat(100)) && svg.contains('\u{2026}'), "{svg}");
        assert!(svg.matches("many words").count() >= 2 && !svg.contains(&chart.title), "{svg}");
    }

    #[test]
    fn text_is_escaped() {
        let svg = chart().to_svg(Colours::OfPage).unwrap();
        assert!(svg.contains("a &lt;b&gt; &amp; c") && !svg.contains("<b>"), "{svg}");
    }

    #[test]
    fn an_empty_chart_is_drawn_all_the_same() {
        let mut chart = chart();
        chart.layers.clear();
        assert!(chart.is_empty());
        assert!(chart.to_svg(Colours::Fixed).unwrap().contains("no data"));
    }
}
