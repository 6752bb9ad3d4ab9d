//! Colours of charts, and how a page takes them over.

use plotters::style::RGBColor;

use crate::escape::escape;

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(51, 51, 52);
/// Text that steps back.
pub(super) const FAINT: RGBColor = RGBColor(110, 110, 111);
pub(super) const GRID: RGBColor = RGBColor(226, 226, 227);
pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
/// A limit that must be kept.
pub(super) const LIMIT: RGBColor = RGBColor(200, 30, 60);

/// Colours that people with any colour vision tell apart: Okabe & Ito, *Color Universal Design*, 2008; a purple darker than
/// all of them; and a grey.
pub(super) const SERIES: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(84, 48, 120),
    RGBColor(128, 128, 129),
];

/// The colour of series number `i`.
pub(super) fn series(i: usize) -> RGBColor {
    SERIES[i % SERIES.len()]
}

/// The SVG with the page's colours, as wide as the page lets it be, and with a name for those who cannot see it.
pub(super) fn follow_page(svg: &str, title: &str, (width, height): (u32, u32)) -> String {
    let hex = |RGBColor(r, g, b): RGBColor| format!("\"#{r:02X}{g:02X}{b:02X}\"");
    let mut svg = svg.replacen(
        &format!("width=\"{width}\" height=\"{height}\" "),
        &format!("role=\"img\" aria-label=\"{}\" ", escape(title)),
        1,
    );
    svg = svg.replace(&hex(INK), "\"currentColor\"");
    for (colour, property) in [(FAINT, "faint"), (GRID, "grid"), (LIMIT, "limit"), (PAPER, "paper")] {
        svg = svg.replace(&hex(colour), &format!("\"var(--{property})\""));
    }
    for (i, colour) in SERIES.into_iter().enumerate() {
        svg = svg.replace(&hex(colour), &format!("\"var(--c{})\"", i + 1));
    }
    svg
}
