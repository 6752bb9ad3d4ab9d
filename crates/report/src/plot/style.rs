//! How plots look: one place for sizes, colours and the grid.

use plotters::style::RGBColor;

/// Width and height in pixels.
pub(super) const SIZE: (u32, u32) = (720, 440);
pub(super) const MARGIN: u32 = 14;
pub(super) const X_LABELS: u32 = 44;
pub(super) const Y_LABELS: u32 = 70;
/// The viewer's own font: an SVG that embeds none stays small and sharp.
pub(super) const FONT: &str = "sans-serif";
pub(super) const TITLE_SIZE: u32 = 17;
pub(super) const LABEL_SIZE: u32 = 13;
/// Characters of labels that fit side by side below the plot.
pub(super) const WIDTH_CHARS: usize = 84;
/// Longest label in a legend.
pub(super) const LEGEND_CHARS: usize = 44;
/// Height of a line of the legend in pixels.
pub(super) const LEGEND_LINE: f64 = 17.0;
/// Mean width of a character, as a share of the size of its font.
const CHARACTER: f64 = 0.56;
pub(super) const POINT_RADIUS: i32 = 3;
pub(super) const LINE_WIDTH: u32 = 2;
/// Width of the bar across the end of an interval, in pixels.
pub(super) const WHISKER: u32 = 8;
pub(super) const INK: RGBColor = RGBColor(60, 60, 60);
pub(super) const GRID: RGBColor = RGBColor(228, 228, 228);

/// Colours that people with any colour vision tell apart: Okabe & Ito, *Color Universal Design*, 2008.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(148, 148, 148),
];

/// Series that one plot can show.
pub(super) const MAX_SERIES: usize = COLOURS.len();

/// The size of a font at which the text fits the width of the plot, `largest` at most.
pub(super) fn fitting(text: &str, largest: u32) -> u32 {
    let room = f64::from(SIZE.0 - 2 * MARGIN) / (CHARACTER * text.chars().count().max(1) as f64);
    largest.min(room as u32).max(8)
}

/// Width of a text in a label, in pixels.
pub(super) fn label_width(text: &str) -> f64 {
    CHARACTER * f64::from(LABEL_SIZE) * text.chars().count() as f64
}

/// The colour of series number `i`.
pub(super) fn colour(i: usize) -> RGBColor {
    COLOURS[i % COLOURS.len()]
}
