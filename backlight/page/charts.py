"""Small charts as SVG inside the page: bars, lines, histograms, in the page's colors, light or dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from backlight.page.sections import number, percent

_WIDTH, _HEIGHT = 400, 220  # of lines and histograms; at 375 px one unit is a little less than a pixel
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 26, 12, 42
_ROW = 38
_EMPTY = Markup("")


@dataclass(frozen=True)
class Line:
    """One line of a chart: its points (x, y), its name where there are several, and whether it is only drawn dashed.

    `color` numbers the page's colors of lines; left out, it is the line's place. `band` is a lower and an upper bound
    at each point, drawn as an area, `bars` the same as upright bars; `notes` are written above the points.

    >>> Line(((0.0, 1.0), (1.0, 0.5))).dashed
    False
    """

    points: tuple[tuple[float, float], ...]
    name: str = ""
    dashed: bool = False
    color: int | None = None
    band: tuple[tuple[float, float], ...] = ()
    bars: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()


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
    drawn = _EMPTY
    for place, (name, value) in enumerate(bars):
        top = place * _ROW
        length = _text(_WIDTH * max(value, 0.0) / largest)
        drawn += row.format(top + 15, name, _WIDTH, top + 15, text(value), top + 20, _WIDTH, top + 20, length)
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
        return _EMPTY
    right = max(x for x, _ in points)
    top = max(max(y for _, y in points), 1e-12) if high is None else high
    plot = _Plot(min(x for x, _ in points), right, top)
    heights = None if high is not None else [one for one in sensible(0.0, top) if one <= top]
    drawn = plot.axes(x_label, sorted({x for x, _ in points}) if marks is None else marks, x_text, y_text, heights)
    if chosen is not None:
        drawn += plot.upright(*chosen)
    names = _EMPTY  # above all lines, or one would run through the name of another
    for order, line in enumerate(lines):
        place = order if line.color is None else line.color
        if line.band:
            drawn += plot.area(line, place)
        drawn += plot.bars(line, place)
        path = " ".join(f"{_text(plot.x(x))},{_text(plot.y(y))}" for x, y in line.points)
        style = f"line line-{place}{' dashed' if line.dashed else ''}"
        drawn += Markup('<polyline class="{}" points="{}"/>').format(style, path)
        if not line.dashed:
            notes = line.notes or ("",) * len(line.points)
            titles = (f"{x_text(x)}: {y_text(y)}{note and f', {note}'}" for (x, y), note in zip(line.points, notes))
            dots = ((_text(plot.x(x)), _text(plot.y(y)), title) for (x, y), title in zip(line.points, titles))
            dot = Markup('<circle class="dot-{}" cx="{}" cy="{}" r="3.5"><title>{}</title></circle>')
            drawn += _EMPTY.join(dot.format(place, *one) for one in dots) + plot.notes(line)
        if line.name:
            name = Markup('<text x="{}" y="{}" class="end name-{}">{}</text>')
            names += name.format(_WIDTH - _RIGHT, _TOP + 14 + 18 * place, place, line.name)
    return _svg(alt, _HEIGHT, drawn + names)


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
        return _EMPTY
    # A value on an edge that differs from it by rounding only belongs to the range that it closes.
    right = float(found.max()) * (1 + 1e-9) or 1.0
    counts, edges = np.histogram(found, bins=bins, range=(0.0, right))
    plot = _Plot(0.0, right, float(counts.max()))
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
            width = _text(plot.x(high) - plot.x(low) - 1)
            drawn += bar.format(
                _text(plot.x(low)), _text(plot.y(count)), width, _text(plot.y(0) - plot.y(count)), title
            )
    return _svg(alt, _HEIGHT, drawn)


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
        return _EMPTY
    plot = _Plot(min(row[2] for row in known), max(row[3] for row in known), 1.0)
    marks = sensible(plot.left, plot.right, 4)
    text, mark_text = (_telling(plot.left, plot.right), "{:.6g}".format) if text is number else (text, text)
    row = Markup(
        '<text x="0" y="{}">{}</text><text x="{}" y="{}" class="end">{}</text>'
        '<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<line class="line line-0{}" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<circle class="{}" cx="{}" cy="{}" r="4.5"><title>{}</title></circle>'
    )
    drawn = _EMPTY
    for place, (name, value, low, high, control) in enumerate(known):
        top = place * _ROW + 15
        y, left, right = top + 12, _text(plot.x(low)), _text(plot.x(high))
        title = f"{name}: {text(value)}, plausibly {text(low)} to {text(high)}"
        ends = (_LEFT, _WIDTH - _RIGHT, y, y)
        line, dot = (" dashed control", "control") if control else ("", "dot-0")
        drawn += row.format(
            top, name, _WIDTH, top, text(value), *ends, line, left, right, y, y, dot, _text(plot.x(value)), y, title
        )
    bottom = len(known) * _ROW + 14
    words = Markup('<line class="axis" x1="{}" x2="{}" y1="0" y2="{}"/><text x="{}" y="{}" class="middle">{}</text>')
    for mark in plot.apart(marks, mark_text):
        x = _text(plot.x(mark))
        drawn = words.format(x, x, bottom - 12, x, bottom, mark_text(mark)) + drawn
    return _svg(alt, bottom + 6, drawn, ", ".join(f"{name} {text(value)}" for name, value, *_ in known))


def _telling(low: float, high: float) -> Callable[[float], str]:
    """Return how values between two are written so that they can be told apart: with three digits or more."""
    largest, width = max(abs(low), abs(high)), high - low
    digits = max(3, 2 + math.ceil(math.log10(largest / width))) if width > 0 and largest > 0 else 3
    return lambda value: f"{value + 0.0:.{min(digits, 9)}g}"


@dataclass(frozen=True)
class _Plot:
    """From values to places in the drawing."""

    left: float
    right: float
    top: float

    def x(self, value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - self.left) / ((self.right - self.left) or 1.0)

    def y(self, value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / self.top)

    def axes(
        self,
        label: str,
        marks: Sequence[float],
        x_text: Callable[[float], str],
        y_text: Callable[[float], str],
        heights: Sequence[float] | None = None,
    ) -> Markup:
        tick = Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" class="end">{}</text>')
        drawn = _EMPTY
        for height in (0.0, self.top / 2, self.top) if heights is None else heights:
            y = self.y(height)
            place = _text(y)
            drawn += tick.format(_LEFT, _WIDTH - _RIGHT, place, place, _LEFT - 6, _text(y + 4), y_text(height))
        words = Markup('<text x="{}" y="{}" class="middle">{}</text>')
        for mark in self.apart(marks, x_text):
            drawn += words.format(_text(self.x(mark)), _HEIGHT - _BOTTOM + 17, x_text(mark))
        return drawn + words.format((_LEFT + _WIDTH - _RIGHT) // 2, _HEIGHT - 6, label)

    def area(self, line: Line, place: int) -> Markup:
        bounds = list(zip((x for x, _ in line.points), line.band))
        around = [(x, high) for x, (_, high) in bounds] + [(x, low) for x, (low, _) in reversed(bounds)]
        path = " ".join(f"{_text(self.x(x))},{_text(self.y(y))}" for x, y in around)
        return Markup('<polygon class="band dot-{}" points="{}"/>').format(place, path)

    def bars(self, line: Line, place: int) -> Markup:
        form = Markup('<line class="line line-{} bound" x1="{}" x2="{}" y1="{}" y2="{}"/>')
        drawn = _EMPTY
        for (x, _), (low, high) in zip(line.points, line.bars):
            drawn += form.format(place, *[_text(self.x(x))] * 2, _text(self.y(low)), _text(self.y(high)))
        return drawn

    def notes(self, line: Line) -> Markup:
        """Write notes above the points, those that would touch one before left out: a dot's own title has them too."""
        form, drawn, end = Markup('<text class="small middle" x="{}" y="{}">{}</text>'), _EMPTY, -math.inf
        for (x, y), note in zip(line.points, line.notes):
            half = 3.5 * len(note)
            if self.x(x) - half > end:
                drawn, end = drawn + form.format(_text(self.x(x)), _text(self.y(y) - 8), note), self.x(x) + half
        return drawn

    def upright(self, value: float, name: str) -> Markup:
        x, bottom = _text(self.x(value)), _HEIGHT - _BOTTOM
        form = Markup(
            '<line class="axis dashed" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" class="middle">{}</text>'
        )
        return form.format(x, x, _TOP, bottom, x, _TOP - 4, name)

    def apart(self, marks: Sequence[float], x_text: Callable[[float], str]) -> list[float]:
        # Names that would touch are left out, from the right, where most of the room is.
        kept: list[float] = []
        for mark in reversed(marks):
            half = 4.0 * len(x_text(mark))
            if not kept or self.x(mark) + half + 8 < self.x(kept[-1]) - 4.0 * len(x_text(kept[-1])):
                kept.append(mark)
        return kept[::-1]


def _svg(alt: str, height: float, drawn: Markup, told: str = "") -> Markup:
    form = Markup('<svg class="chart" data-title="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return form.format(alt, _WIDTH, _text(height), f"{alt}: {told}" if told else alt, drawn)


def _text(value: float) -> str:
    return f"{value if math.isfinite(value) else 0:.1f}".removesuffix(".0")
