"""Small charts as SVG inside the page: bars, lines, histograms, in the page's colors, light or dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from markupsafe import Markup

from backlight.page.plot import EMPTY, HEIGHT, LEFT, RIGHT, WIDTH, Line, Plot, coordinate, legend
from backlight.page.sections import number, percent

_ROW = 38


def sensible(low: float, high: float, most: int = 5) -> list[float]:
    """List at most so many numbers from `low` to `high` that people count by: steps of 1, 2 or 5 times a power of ten.

    >>> sensible(0.0, 2.21), sensible(0.1285, 0.1302, 3)
    ([0.0, 0.5, 1.0, 1.5, 2.0], [0.129, 0.13])
    """
    if not math.isfinite(high - low) or high <= low:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 5, 10, 20, 50):
        first, last = math.ceil(low / (factor * step) - 1e-9), math.floor(high / (factor * step) + 1e-9)
        if last - first < most:
            digits = max(0, -math.floor(math.log10(factor * step) + 1e-9))
            return [round(place * factor * step, digits) + 0.0 for place in range(first, last + 1)]
    raise AssertionError("fifty steps are more than the range")


def bar_chart(bars: Sequence[tuple[str, float]], *, alt: str, text: Callable[[float], str] = percent) -> Markup:
    """Draw bars below one another, each with its name and value, on the scale from 0 to 1 or to the largest value.

    >>> "<svg" in bar_chart([("before", 0.9), ("after", 0.2)], alt="Accuracy")
    True
    """
    largest = max(1.0, *(value for _, value in bars)) if bars else 1.0
    row = Markup(
        '<text x="0" y="{}">{}</text><text x="{}" y="{}" class="end">{}</text>'
        '<rect x="0" y="{}" width="{}" height="12" class="ground"/><rect x="0" y="{}" width="{}" height="12"/>'
    )
    drawn = EMPTY
    for place, (name, value) in enumerate(bars):
        top = place * _ROW
        length = coordinate(WIDTH * max(value, 0.0) / largest)
        drawn += row.format(top + 15, name, WIDTH, top + 15, text(value), top + 20, WIDTH, top + 20, length)
    return _svg(alt, len(bars) * _ROW, drawn)


def line_chart(
    lines: Sequence[Line],
    *,
    alt: str,
    x_label: str,
    x_text: Callable[[float], str] = number,
    y_text: Callable[[float], str] = percent,
    high: float | None = 1.0,
    marks: Sequence[float] | None = None,
    chosen: tuple[float, str] | None = None,
) -> Markup:
    """Draw lines over a common scale; y goes from 0 to `high`, or to the largest value where it is None.

    `marks` are the values of x that are written, all points' own if left out; `chosen` is a place on x that is marked
    by an upright line with its name.

    >>> "polyline" in line_chart([Line(((0.0, 0.9), (0.1, 0.3)))], alt="Accuracy over eps", x_label="eps")
    True
    """
    points = [point for line in lines for point in line.points]
    if not points:
        return EMPTY
    right = max(x for x, _ in points)
    top = max(max(y for _, y in points), 1e-12) if high is None else high
    plot = Plot(min(x for x, _ in points), right, top)
    heights = None if high is not None else [one for one in sensible(0.0, top) if one <= top]
    drawn = plot.axes(x_label, sorted({x for x, _ in points}) if marks is None else marks, x_text, y_text, heights)
    if chosen is not None:
        drawn += plot.upright(*chosen)
    for order, line in enumerate(lines):
        place = order if line.color is None else line.color
        if line.band:
            drawn += plot.area(line, place)
        drawn += plot.bars(line, place)
        path = " ".join(f"{coordinate(plot.x(x))},{coordinate(plot.y(y))}" for x, y in line.points)
        style = f"line line-{place}{' dashed' if line.dashed else ''}"
        drawn += Markup('<polyline class="{}" points="{}"/>').format(style, path)
        if not line.dashed:
            notes = line.notes or ("",) * len(line.points)
            titles = (f"{x_text(x)}: {y_text(y)}{note and f', {note}'}" for (x, y), note in zip(line.points, notes))
            dots = ((coordinate(plot.x(x)), coordinate(plot.y(y)), title) for (x, y), title in zip(line.points, titles))
            dot = Markup('<circle class="dot-{}" cx="{}" cy="{}" r="3.5"><title>{}</title></circle>')
            drawn += EMPTY.join(dot.format(place, *one) for one in dots) + plot.notes(line)
    names, room = legend(lines)
    return _svg(alt, HEIGHT, names + drawn, above=room)


def histogram(
    values: Iterable[float],
    *,
    alt: str,
    x_label: str,
    x_text: Callable[[float], str] = number,
    bins: int = 20,
    unit: float = 1.0,
) -> Markup:
    """Draw how often values fall into ranges of equal width from 0 to the largest; values must be finite, from 0.

    What is written below are sensible numbers of `unit`.

    >>> "<rect" in histogram([0.1, 0.2, 0.2], alt="Distances", x_label="distance")
    True
    """
    found = np.asarray(list(values), dtype=np.float64)
    if not len(found):
        return EMPTY
    # A value on an edge that differs from it by rounding only belongs to the range that it closes.
    right = float(found.max()) * (1 + 1e-9) or 1.0
    counts, edges = np.histogram(found, bins=bins, range=(0.0, right))
    plot = Plot(0.0, right, float(counts.max()))
    drawn = plot.axes(
        x_label,
        [mark * unit for mark in sensible(0.0, right / unit)],
        x_text,
        lambda count: f"{count:.0f}",
        [mark for mark in sensible(0.0, float(counts.max())) if mark == int(mark)],
    )
    bar = Markup('<rect x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>')
    for count, low, high in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist()):
        if count:
            title = f"{count} from {x_text(low)} to {x_text(high)}"
            width = coordinate(plot.x(high) - plot.x(low) - 1)
            drawn += bar.format(
                coordinate(plot.x(low)), coordinate(plot.y(count)), width, coordinate(plot.y(0) - plot.y(count)), title
            )
    return _svg(alt, HEIGHT, drawn)


def interval_chart(
    rows: Sequence[tuple[str, float, float, float, bool]], *, alt: str, text: Callable[[float], str] = number
) -> Markup:
    """Draw values with their intervals below one another, on a common scale from the lowest to the highest bound.

    Each row is a name, the value, its lower and upper bound, and whether it is a control, which is drawn dashed. Who
    cannot see it is told `alt` and every value.

    >>> "<circle" in interval_chart([("gradcam", 0.4, 0.3, 0.5, False)], alt="Deletion")
    True
    """
    known = [row for row in rows if all(map(math.isfinite, row[1:4]))]
    if not known:
        return EMPTY
    plot = Plot(min(row[2] for row in known), max(row[3] for row in known), 1.0)
    marks = sensible(plot.left, plot.right, 4)
    text, mark_text = (_telling(plot.left, plot.right), "{:.6g}".format) if text is number else (text, text)
    row = Markup(
        '<text x="0" y="{}">{}</text><text x="{}" y="{}" class="end">{}</text>'
        '<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<line class="line line-0{}" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<circle class="{}" cx="{}" cy="{}" r="4.5"><title>{}</title></circle>'
    )
    drawn = EMPTY
    for place, (name, value, low, high, control) in enumerate(known):
        top = place * _ROW + 15
        y, left, right = top + 12, coordinate(plot.x(low)), coordinate(plot.x(high))
        title = f"{name}: {text(value)}, plausibly {text(low)} to {text(high)}"
        ends = (LEFT, WIDTH - RIGHT, y, y)
        line, dot = (" dashed control", "control") if control else ("", "dot-0")
        drawn += row.format(
            top, name, WIDTH, top, text(value), *ends, line, left, right, y, y, dot, coordinate(plot.x(value)), y, title
        )
    bottom = len(known) * _ROW + 14
    words = Markup('<line class="axis" x1="{}" x2="{}" y1="0" y2="{}"/><text x="{}" y="{}" class="middle">{}</text>')
    for mark in plot.apart(marks, mark_text):
        x = coordinate(plot.x(mark))
        drawn = words.format(x, x, bottom - 12, x, bottom, mark_text(mark)) + drawn
    return _svg(alt, bottom + 6, drawn, ", ".join(f"{name} {text(value)}" for name, value, *_ in known))


def _telling(low: float, high: float) -> Callable[[float], str]:
    """Return how values between two are written so that they can be told apart: with three digits or more."""
    largest, width = max(abs(low), abs(high)), high - low
    digits = max(3, 2 + math.ceil(math.log10(largest / width))) if width > 0 and largest > 0 else 3
    return lambda value: f"{value + 0.0:.{min(digits, 9)}g}"


def _svg(alt: str, height: float, drawn: Markup, told: str = "", above: float = 0) -> Markup:
    form = Markup('<svg class="chart" data-title="{}" viewBox="0 {} {} {}" role="img" aria-label="{}">{}</svg>')
    whole = coordinate(height + above)
    return form.format(alt, coordinate(-above), WIDTH, whole, f"{alt}: {told}" if told else alt, drawn)
