"""Lines with intervals as an SVG: the figure of a study that puts several sweeps into one picture."""

import math

COLOURS = ["#1b6ca8", "#c1440e", "#2e8b57", "#7a4fa3", "#b8860b", "#444444", "#d14b8f", "#008b8b", "#8b5a2b", "#6b8e23",
           "#000080", "#e9967a", "#9acd32"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 70, 170, 34, 50


def ticks(low, high, log):
    """Round values on an axis."""
    if log:
        return [10.0**power for power in range(math.floor(low), math.ceil(high) + 1) if low <= power <= high]
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    first = math.ceil(low / step)
    return [step * i for i in range(first, math.floor(high / step) + 1)]


def lines(path, title, x_name, y_name, series, log=False):
    """Writes `series`, a list of (name, [(x, mean, half width or None)]); `log` is about the vertical axis."""
    scale = math.log10 if log else float
    points = [(x, mean, half or 0.0) for _, line in series for x, mean, half in line]
    xs = [x for x, _, _ in points]
    lows = [mean - half if not log or mean > half else mean for _, mean, half in points]
    highs = [mean + half for _, mean, half in points]
    y_low, y_high = (scale(min(lows)), scale(max(highs))) if log else (0.0, max(highs) * 1.05)

    def at(x, y):
        across = (x - min(xs)) / (max(xs) - min(xs) or 1.0)
        up = (min(max(y, y_low), y_high) - y_low) / (y_high - y_low or 1.0)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{title}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{x_name}</text>',
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 {HEIGHT / 2})">{y_name}</text>',
    ]
    for y in ticks(y_low, y_high, log):
        _, height = at(min(xs), scale(y) if log else y)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}" stroke="#dddddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{y:,g}</text>')
    for x in sorted(set(xs)):
        across, bottom = at(x, y_low)
        out.append(f'<text x="{across:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{x:g}</text>')
    for number, (name, line) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        spots = [at(x, scale(mean)) for x, mean, _ in line]
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="'
                   + " ".join(f"{x:.1f},{y:.1f}" for x, y in spots) + '"/>')
        for (x, mean, half), (across, height) in zip(line, spots, strict=True):
            out.append(f'<circle cx="{across:.1f}" cy="{height:.1f}" r="2.5" fill="{colour}"/>')
            if half:
                top = at(x, scale(mean + half))[1]
                end = at(x, scale(mean - half) if not log or mean > half else y_low)[1]
                out.append(f'<line x1="{across:.1f}" x2="{across:.1f}" y1="{top:.1f}" y2="{end:.1f}" stroke="{colour}"/>')
        height = TOP + 16 * number + 10
        out.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{height - 8}" width="14" height="4" fill="{colour}"/>')
        out.append(f'<text x="{WIDTH - RIGHT + 34}" y="{height}">{name}</text>')
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(out) + "\n</svg>\n")
