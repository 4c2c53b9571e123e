# SPDX-License-Identifier: Apache-2.0
"""Line plots as SVG, without anything that needs to be installed."""
import html
import math

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 86, 190, 44, 58
COLOURS = ("#0b62a4", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#555555")


def short(value):
    """1200000 as 1.2M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


class LogAxis:
    """Maps values to pixels, between powers of ten."""

    def __init__(self, values, begin, end):
        self.low = math.floor(math.log10(min(values)))
        self.high = math.ceil(math.log10(max(values)))
        if self.high == self.low:
            self.high += 1
        self.begin, self.end = begin, end

    def at(self, value):
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + part * (self.end - self.begin)

    def ticks(self):
        return [10.0 ** power for power in range(self.low, self.high + 1)]


class LinearAxis:
    """Maps values to pixels, from zero, so that lengths can be compared."""

    def __init__(self, values, begin, end):
        power = 10.0 ** math.floor(math.log10(max(values)))
        self.step = next(power * part for part in (0.1, 0.2, 0.5, 1, 2)
                         if max(values) / (power * part) <= 8)
        self.count = math.ceil(max(values) / self.step)
        self.begin, self.end = begin, end

    def at(self, value):
        return self.begin + value / (self.step * self.count) * (self.end - self.begin)

    def ticks(self):
        return [self.step * i for i in range(self.count + 1)]


def line(x1, y1, x2, y2, colour, width=1.0, dash=""):
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"{dashes}/>')


def text(x, y, words, anchor="middle", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>'
            f"{html.escape(words)}</text>")


def frame(x_axis, y_axis, x_name, y_name):
    parts = []
    for tick in x_axis.ticks():
        at = x_axis.at(tick)
        parts += [line(at, TOP, at, HEIGHT - BOTTOM, "#dddddd"),
                  text(at, HEIGHT - BOTTOM + 18, short(tick))]
    for tick in y_axis.ticks():
        at = y_axis.at(tick)
        parts += [line(LEFT, at, WIDTH - RIGHT, at, "#dddddd"),
                  text(LEFT - 8, at + 4, short(tick), "end")]
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    parts += [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, x_name),
              text(18, middle, y_name, more=f' transform="rotate(-90 18 {middle:.1f})"')]
    return parts


def curve(points, x_axis, y_axis, colour, dash):
    places = [(x_axis.at(x), y_axis.at(y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>']
    if not dash:
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    return parts


def write(path, title, x_name, y_name, curves, from_zero=False):
    """curves: (name, [(x, y), ...], dashes) in the order of the legend; empty ones are left out."""
    curves = [c for c in curves if c[1]]
    x_axis = LogAxis([x for _, points, _ in curves for x, _ in points], LEFT, WIDTH - RIGHT)
    y_values = [y for _, points, _ in curves for _, y in points]
    y_axis = (LinearAxis if from_zero else LogAxis)(y_values, HEIGHT - BOTTOM, TOP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
             f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             text(LEFT, 24, title, "start", ' font-size="15"')]
    parts += frame(x_axis, y_axis, x_name, y_name)
    for i, (name, points, dash) in enumerate(curves):
        colour = COLOURS[i % len(COLOURS)]
        parts += curve(points, x_axis, y_axis, colour, dash)
        at = TOP + 12 + 20 * i
        parts += [line(WIDTH - RIGHT + 14, at, WIDTH - RIGHT + 40, at, colour, 2.0, dash),
                  text(WIDTH - RIGHT + 46, at + 4, name, "start")]
    path.write_text("\n".join([*parts, "</svg>", ""]))
