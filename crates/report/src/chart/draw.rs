//! The drawing of a chart, in pixels.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Fitted;
use super::{Chart, Colours, Direction, HEIGHT, Layer, Mark, Shape, WIDTH, palette};

type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type Drawn<'s> = Result<(), DrawingAreaErrorKind<<SVGBackend<'s> as DrawingBackend>::ErrorType>>;

/// Pixels; plotters writes 1/1.24 of it, so that this is about 12.
const FONT_SIZE: i32 = 15;
/// Width of two characters of that size, on the safe side.
const TWO_CHARACTERS: i32 = 15;
const LINE: i32 = 16;
const RIGHT: i32 = 12;
const GAP: i32 = 5;
/// Lines of a title: more would leave no room for the chart.
const MOST_TITLE_LINES: usize = 3;

/// Where things are.
struct Frame<'c> {
    x: Fitted<'c>,
    y: Fitted<'c>,
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Frame<'_> {
    fn at(&self, x: f64, y: f64) -> (i32, i32) {
        (self.at_x(x), self.at_y(y))
    }

    fn at_x(&self, x: f64) -> i32 {
        self.left + libm::round(self.x.place(x) * f64::from(self.right - self.left)) as i32
    }

    fn at_y(&self, y: f64) -> i32 {
        self.bottom - libm::round(self.y.place(y) * f64::from(self.bottom - self.top)) as i32
    }
}

fn width(text: &str) -> i32 {
    // Labels are short; one that is not is cut by the edge all the same.
    i32::try_from(text.chars().count()).unwrap_or(WIDTH).min(WIDTH) * TWO_CHARACTERS / 2
}

/// The beginning of a text that has no room.
fn cut(text: &str, room: i32) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let most = (room * 2 / TWO_CHARACTERS - 1).max(1);
    text.chars().take(most.unsigned_abs() as usize).chain(['\u{2026}']).collect()
}

/// A text in lines that have room; words that are too long are cut.
fn wrap(text: &str, room: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace().map(|word| cut(word, room)) {
        match lines.last_mut() {
            Some(line) if width(line) + width(&word) + TWO_CHARACTERS / 2 <= room => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

fn style(colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    ("sans-serif", FONT_SIZE).into_font().color(&colour).pos(Pos::new(h, v))
}

fn text<'s>(area: &Area<'s>, words: &str, at: (i32, i32), style: TextStyle<'static>) -> Drawn<'s> {
    area.draw(&Text::new(words.to_owned(), at, style))
}

pub(super) fn draw<'s>(chart: &Chart, area: &Area<'s>, colours: Colours) -> Drawn<'s> {
    if colours == Colours::Fixed {
        area.fill(&palette::PAPER)?;
    }
    // A page has the title above the chart.
    let lines = if colours == Colours::Fixed { wrap(&chart.title, WIDTH - 4) } else { Vec::new() };
    let mut title = 0;
    for line in lines.iter().take(MOST_TITLE_LINES) {
        text(area, line, (2, title + 4), style(palette::INK, HPos::Left, VPos::Top))?;
        title += LINE;
    }
    title += if title > 0 { GAP } else { 0 };
    if chart.is_empty() {
        let middle = (WIDTH / 2, HEIGHT / 2);
        return text(area, "no data", middle, style(palette::FAINT, HPos::Center, VPos::Center));
    }
    let words = cut(&chart.y.words(), WIDTH - 4);
    text(area, &words, (2, title + 4), style(palette::FAINT, HPos::Left, VPos::Top))?;
    let below_legend = legend(chart, area, title + 4)?;
    let vertical: Vec<&Mark> =
        chart.marks.iter().filter(|mark| mark.direction == Direction::Vertical).collect();
    let frame = frame(chart, below_legend, &vertical);
    grid(&frame, area)?;
    for layer in &chart.layers {
        draw_layer(layer, &frame, area)?;
    }
    vertical_marks(&vertical, &frame, area)?;
    // Last: their names stand on paper, over vertical lines too.
    let mut horizontal = chart.marks.iter().filter(|mark| mark.direction == Direction::Horizontal);
    horizontal.try_for_each(|mark| horizontal_mark(mark, &frame, area))
}

/// The names of layers beside the label of the vertical axis, or in lines below it. Returns the height below.
fn legend<'s>(
    chart: &Chart,
    area: &Area<'s>,
    top: i32,
) -> Result<i32, DrawingAreaErrorKind<<SVGBackend<'s> as DrawingBackend>::ErrorType>> {
    const SWATCH: i32 = 16;
    let (mut x, mut y) = (width(&chart.y.words()) + 24, top);
    for layer in chart.layers.iter().filter(|layer| !layer.label.is_empty()) {
        let label = cut(&layer.label, WIDTH - RIGHT - SWATCH - 16);
        let room = SWATCH + width(&label) + 14;
        if x + room > WIDTH - RIGHT && x > 2 {
            (x, y) = (2, y + LINE);
        }
        let middle = y + LINE / 2 - 1;
        let line = [(x, middle), (x + SWATCH - 4, middle)];
        area.draw(&PathElement::new(line, palette::series(layer.colour).stroke_width(3)))?;
        text(area, &label, (x + SWATCH, y), style(palette::INK, HPos::Left, VPos::Top))?;
        x += room;
    }
    Ok(y + LINE + GAP)
}

fn frame<'c>(chart: &'c Chart, top: i32, vertical: &[&Mark]) -> Frame<'c> {
    let points = || chart.layers.iter().flat_map(|layer| layer.shape.points());
    let marks =
        |direction| chart.marks.iter().filter(move |mark| mark.direction == direction).map(|mark| mark.at);
    let x = Fitted::new(&chart.x, points().map(|(x, _)| x).chain(marks(Direction::Vertical)));
    let y = Fitted::new(&chart.y, points().map(|(_, y)| y).chain(marks(Direction::Horizontal)));
    let widest = y.ticks(5).into_iter().map(|tick| width(&chart.y.tick_text(tick))).max().unwrap_or(0);
    let mut frame = Frame {
        x,
        y,
        left: (widest + 2 * GAP).max(28),
        right: WIDTH - RIGHT,
        top,
        bottom: HEIGHT - 2 * LINE - 2 * GAP,
    };
    // Names that do not stand beside each other stand in two lines.
    if frame.x.has_names() && names_lines(&frame) > 1 {
        frame.bottom -= LINE;
    }
    let levels = levels(vertical, &frame).into_iter().max().map_or(0, |level| level + 1);
    frame.top += levels * LINE;
    frame
}

fn grid<'s>(frame: &Frame<'_>, area: &Area<'s>) -> Drawn<'s> {
    for tick in frame.y.ticks(5) {
        let y = frame.at_y(tick);
        area.draw(&PathElement::new([(frame.left, y), (frame.right, y)], palette::GRID))?;
        let number = frame.y.axis.tick_text(tick);
        text(area, &number, (frame.left - GAP, y), style(palette::FAINT, HPos::Right, VPos::Center))?;
    }
    if frame.x.has_names() {
        names(frame, area)?;
    } else {
        numbers(frame, area)?;
    }
    area.draw(&PathElement::new([(frame.left, frame.bottom), (frame.right, frame.bottom)], palette::FAINT))?;
    let middle = i32::midpoint(frame.left, frame.right);
    text(
        area,
        &cut(&frame.x.axis.words(), 2 * (WIDTH - middle).min(middle)),
        (middle, HEIGHT - LINE - 2),
        style(palette::FAINT, HPos::Center, VPos::Top),
    )
}

/// Pixels between two names below the chart.
fn names_room(frame: &Frame<'_>) -> i32 {
    let places: Vec<i32> = frame.x.ticks(0).into_iter().map(|tick| frame.at_x(tick)).collect();
    places.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(frame.right - frame.left)
}

/// In how many lines the names below the chart stand.
fn names_lines(frame: &Frame<'_>) -> i32 {
    let widest =
        frame.x.ticks(0).into_iter().map(|tick| width(&frame.x.axis.tick_text(tick))).max().unwrap_or(0);
    if widest + GAP > names_room(frame) { 2 } else { 1 }
}

/// Names below the chart, in lines by turns where there is no room for them side by side.
fn names<'s>(frame: &Frame<'_>, area: &Area<'s>) -> Drawn<'s> {
    let lines = names_lines(frame);
    let room = names_room(frame) * lines - GAP;
    for (line, tick) in (0..lines).cycle().zip(frame.x.ticks(0)) {
        let x = frame.at_x(tick);
        let below = frame.bottom + 4 + line * LINE;
        area.draw(&PathElement::new([(x, frame.bottom), (x, below)], palette::FAINT))?;
        let name = cut(&frame.x.axis.tick_text(tick), room);
        let half = width(&name) / 2;
        let at = (x.clamp(half, WIDTH - half), below + 2);
        text(area, &name, at, style(palette::FAINT, HPos::Center, VPos::Top))?;
    }
    Ok(())
}

/// As many ticks as have room between their numbers.
fn numbers<'s>(frame: &Frame<'_>, area: &Area<'s>) -> Drawn<'s> {
    let room = frame.right - frame.left;
    let ticks = (2..=7).rev().map(|most| frame.x.ticks(most)).find(|ticks| {
        let widest = ticks.iter().map(|&tick| width(&frame.x.axis.tick_text(tick))).max().unwrap_or(0);
        let closest =
            ticks.windows(2).map(|pair| frame.at_x(pair[1]) - frame.at_x(pair[0])).min().unwrap_or(room);
        closest > widest + 2 * GAP
    });
    for tick in ticks.unwrap_or_default() {
        let x = frame.at_x(tick);
        area.draw(&PathElement::new([(x, frame.bottom), (x, frame.bottom + 4)], palette::FAINT))?;
        let number = frame.x.axis.tick_text(tick);
        let half = width(&number) / 2;
        let x = x.clamp(half, WIDTH - half);
        text(area, &number, (x, frame.bottom + 6), style(palette::FAINT, HPos::Center, VPos::Top))?;
    }
    Ok(())
}

fn draw_layer<'s>(layer: &Layer, frame: &Frame<'_>, area: &Area<'s>) -> Drawn<'s> {
    let colour = palette::series(layer.colour);
    let path = |points: &[(f64, f64)]| points.iter().map(|&(x, y)| frame.at(x, y)).collect::<Vec<_>>();
    match &layer.shape {
        Shape::Line(points) => area.draw(&PathElement::new(path(points), colour.stroke_width(2))),
        Shape::Area(points) => {
            let line = path(points);
            if let (Some(first), Some(last)) = (line.first(), line.last()) {
                let mut outline = line.clone();
                outline.extend([(last.0, frame.bottom), (first.0, frame.bottom)]);
                area.draw(&Polygon::new(outline, colour.mix(0.18).filled()))?;
            }
            area.draw(&PathElement::new(line, colour.stroke_width(2)))
        }
        Shape::Dots(points) => {
            dots(points, frame, colour, area)?;
            let line: Vec<_> = points.iter().map(|&(x, y, _)| frame.at(x, y)).collect();
            area.draw(&PathElement::new(line, colour.stroke_width(2)))
        }
        Shape::Points(points) => dots(points, frame, colour, area),
        Shape::Intervals(bars) => bars.iter().try_for_each(|&(y, left, right)| {
            whisker(frame.at(left, y), frame.at(right, y), (0, 4), colour, area)
        }),
    }
}

/// Dots with their intervals.
fn dots<'s>(
    points: &[(f64, f64, Option<f64>)],
    frame: &Frame<'_>,
    colour: RGBColor,
    area: &Area<'s>,
) -> Drawn<'s> {
    // So many hide each other.
    let radius = if points.len() > 60 { 2 } else { 3 };
    for &(x, y, half_width) in points {
        area.draw(&Circle::new(frame.at(x, y), radius, colour.filled()))?;
        if let Some(half_width) = half_width {
            whisker(frame.at(x, y - half_width), frame.at(x, y + half_width), (4, 0), colour, area)?;
        }
    }
    Ok(())
}

/// A line with bars across both ends, which reach `(dx, dy)` to both sides.
fn whisker<'s>(
    from: (i32, i32),
    to: (i32, i32),
    (dx, dy): (i32, i32),
    colour: RGBColor,
    area: &Area<'s>,
) -> Drawn<'s> {
    let pen = colour.stroke_width(2);
    area.draw(&PathElement::new([from, to], pen))?;
    for (x, y) in [from, to] {
        area.draw(&PathElement::new([(x - dx, y - dy), (x + dx, y + dy)], pen))?;
    }
    Ok(())
}

fn mark_colour(mark: &Mark) -> RGBColor {
    if mark.is_limit { palette::LIMIT } else { palette::FAINT }
}

fn horizontal_mark<'s>(mark: &Mark, frame: &Frame<'_>, area: &Area<'s>) -> Drawn<'s> {
    let (y, colour) = (frame.at_y(mark.at), mark_colour(mark));
    area.draw(&PathElement::new([(frame.left, y), (frame.right, y)], colour.stroke_width(1)))?;
    let (top, bottom) = if y - LINE > frame.top { (y - LINE, y - 2) } else { (y + 2, y + LINE) };
    // The label stands on paper, so that no line runs through it.
    let paper = [(frame.right - width(&mark.label) - 2, top), (frame.right, bottom)];
    area.draw(&Rectangle::new(paper, palette::PAPER.filled()))?;
    text(area, &mark.label, (frame.right, top), style(colour, HPos::Right, VPos::Top))
}

/// Lines of text above the frame, from 0, so that the names of close marks do not touch.
fn levels(marks: &[&Mark], frame: &Frame<'_>) -> Vec<i32> {
    let mut taken: Vec<(i32, i32, i32)> = Vec::new();
    marks
        .iter()
        .map(|mark| {
            let (left, right) = label_ends(mark, frame);
            let free =
                |level: i32| taken.iter().all(|&(l, a, b)| l != level || right + GAP < a || left > b + GAP);
            // One of so many lines is free: each name is in one only.
            let level = (0..).take(taken.len() + 1).find(|&level| free(level)).unwrap_or(0);
            taken.push((level, left, right));
            level
        })
        .collect()
}

fn label_ends(mark: &Mark, frame: &Frame<'_>) -> (i32, i32) {
    let half = width(&mark.label) / 2 + 1;
    // Not over the numbers of the vertical axis.
    let middle = frame.at_x(mark.at).clamp(frame.left + half, WIDTH - half);
    (middle - half, middle + half)
}

fn vertical_marks<'s>(marks: &[&Mark], frame: &Frame<'_>, area: &Area<'s>) -> Drawn<'s> {
    for (mark, level) in marks.iter().zip(levels(marks, frame)) {
        let (x, colour) = (frame.at_x(mark.at), mark_colour(mark));
        let top = frame.top - level * LINE;
        area.draw(&PathElement::new([(x, top), (x, frame.bottom)], colour.stroke_width(1)))?;
        let (left, right) = label_ends(mark, frame);
        text(
            area,
            &mark.label,
            (i32::midpoint(left, right), top - LINE + 2),
            style(colour, HPos::Center, VPos::Top),
        )?;
    }
    Ok(())
}
