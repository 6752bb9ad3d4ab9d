"""Lines with intervals as an SVG: the figure of a study that puts several sweeps into one picture."""

import math
import textwrap
from xml.sax.saxutils import escape

# Colours that people with any colour vision tell apart (Okabe & Ito, Color Universal Design, 2008), then darker ones.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#543078", "#808081", "#7a2a00", "#00543d",
           "#b3152f", "#000000"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 220, 34, 50
# Lines that are nowhere further apart than so many pixels cannot be told apart: they share a name in the legend.
SAME = 3.0
# Characters of a line of the legend.
LEGEND_CHARS = 28


def ticks(low, high, log):
    """Round values on an axis; `low` and `high` are logarithms on a logarithmic one."""
    if log:
        steps = (1, 2, 5) if high - low < 3 else (1,)
        powers = range(math.floor(low), math.ceil(high) + 1)
        values = [step * 10.0**power for power in powers for step in steps]
        return [value for value in values if low - 1e-9 <= math.log10(value) <= high + 1e-9]
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    first = math.ceil(low / step)
    return [step * i for i in range(first, math.floor(high / step) + 1)]


def label(value):
    """A number at a tick."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def wrapped(names):
    """Names in lines of the legend."""
    lines = []
    for i, name in enumerate(names):
        word = name + ("," if i + 1 < len(names) else "")
        if lines and len(lines[-1]) + len(word) < LEGEND_CHARS:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def lines(path, title, x_name, y_name, series, log=False, log_x=False):
    """Writes `series`, a list of (name, [(x, mean, half width or None)]); `log` is about the vertical axis."""
    series = [(name, line) for name, line in series if line]
    scale, scale_x = (math.log10 if log else float), (math.log10 if log_x else float)
    points = [(x, mean, half or 0.0) for _, line in series for x, mean, half in line]
    xs = [scale_x(x) for x, _, _ in points]
    lows = [mean - half if not log or mean > half else mean for _, mean, half in points]
    highs = [mean + half for _, mean, half in points]
    y_low, y_high = (scale(min(lows)) - 0.05, scale(max(highs)) + 0.05) if log else (0.0, max(highs) * 1.05)

    def at(x, y):
        across = (scale_x(x) - min(xs)) / (max(xs) - min(xs) or 1.0)
        up = (min(max(y, y_low), y_high) - y_low) / (y_high - y_low or 1.0)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_name)}</text>',
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 {HEIGHT / 2})">{escape(y_name)}</text>',
    ]
    first_x = min(x for x, _, _ in points)
    for y in ticks(y_low, y_high, log):
        _, height = at(first_x, scale(y))
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}" stroke="#dddddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{label(y)}</text>')
    last = -math.inf
    for x in sorted({x for x, _, _ in points}):
        across, bottom = at(x, y_low)
        # Numbers that would touch are left out.
        if across - last >= 4 + 7 * len(f"{x:g}"):
            out.append(f'<text x="{across:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{x:g}</text>')
            last = across
    height = TOP + 10
    for number, (names, line) in enumerate(grouped(series, lambda x, mean: at(x, scale(mean)))):
        colour = COLOURS[number % len(COLOURS)]
        spots = [at(x, scale(mean)) for x, mean, _ in line]
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="'
                   + " ".join(f"{x:.1f},{y:.1f}" for x, y in spots) + '"/>')
        for (x, mean, half), (across, level) in zip(line, spots, strict=True):
            out.append(f'<circle cx="{across:.1f}" cy="{level:.1f}" r="2.5" fill="{colour}"/>')
            if half:
                top = at(x, scale(mean + half))[1]
                end = at(x, scale(mean - half) if not log or mean > half else y_low)[1]
                out.append(f'<line x1="{across:.1f}" x2="{across:.1f}" y1="{top:.1f}" y2="{end:.1f}" stroke="{colour}"/>')
        out.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{height - 8}" width="14" height="4" fill="{colour}"/>')
        for text in wrapped(names):
            out.append(f'<text x="{WIDTH - RIGHT + 34}" y="{height}">{escape(text)}</text>')
            height += 15
        height += 4
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(out) + "\n</svg>\n")


def grouped(series, place):
    """Lines that lie on each other under one line, with the names of all."""
    groups = []
    for name, line in series:
        spots = {x: place(x, mean)[1] for x, mean, _ in line}
        for names, first, known in groups:
            if spots.keys() == known.keys() and all(abs(spots[x] - known[x]) <= SAME for x in spots):
                names.append(name)
                break
        else:
            groups.append(([name], line, spots))
    return [(names, line) for names, line, _ in groups]


def ranges(path, title, y_name, names, series, log=False, band=None):
    """Writes vertical ranges over named places: `series` is a list of (name, [(low, middle or None, high) or None]), one for each of
    `names`; `band` is (low, high, what) across all places."""
    scale = math.log10 if log else float
    ends = [end for _, marks in series for mark in marks if mark for end in (mark[0], mark[2])] + list(band[:2] if band else ())
    y_low, y_high = (scale(min(ends)) - 0.1, scale(max(ends)) + 0.1) if log else (0.0, max(ends) * 1.08)
    slot = (WIDTH - LEFT - RIGHT) / len(names)

    def height_of(y):
        return HEIGHT - BOTTOM - (scale(y) - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 {HEIGHT / 2})">{escape(y_name)}</text>',
    ]
    for y in ticks(y_low, y_high, log):
        level = height_of(y)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" y2="{level:.1f}" stroke="#dddddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{level + 4:.1f}" text-anchor="end">{label(y)}</text>')
    height = TOP + 10
    if band:
        top, end = height_of(band[1]), height_of(band[0])
        out.append(f'<rect x="{LEFT}" width="{WIDTH - LEFT - RIGHT}" y="{top:.1f}" height="{end - top:.1f}" fill="#009e73" opacity="0.3"/>')
        out.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{height - 9}" width="14" height="8" fill="#009e73" opacity="0.3"/>')
        for text in textwrap.wrap(band[2], LEGEND_CHARS):
            out.append(f'<text x="{WIDTH - RIGHT + 34}" y="{height}">{escape(text)}</text>')
            height += 15
        height += 4
    for place, name in enumerate(names):
        middle = LEFT + slot * (place + 0.5)
        for row, text in enumerate(name.split("\n")):
            out.append(f'<text x="{middle:.1f}" y="{HEIGHT - BOTTOM + 16 + 14 * row}" text-anchor="middle">{escape(text)}</text>')
    for number, (name, marks) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        for place, mark in enumerate(marks):
            if not mark:
                continue
            across = LEFT + slot * (place + (number + 1) / (len(series) + 1))
            top, end = height_of(mark[2]), height_of(mark[0])
            out.append(f'<line x1="{across:.1f}" x2="{across:.1f}" y1="{top:.1f}" y2="{max(end, top + 1):.1f}" stroke="{colour}" '
                       'stroke-width="7" stroke-linecap="butt"/>')
            if mark[1] is not None:
                out.append(f'<circle cx="{across:.1f}" cy="{height_of(mark[1]):.1f}" r="5" fill="white" stroke="{colour}" stroke-width="2"/>')
        if name:
            out.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{height - 9}" width="14" height="8" fill="{colour}"/>')
            out.append(f'<text x="{WIDTH - RIGHT + 34}" y="{height}">{escape(name)}</text>')
            height += 19
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(out) + "\n</svg>\n")
