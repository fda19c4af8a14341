"""The field that lines and bars are drawn in: from values to places, with axes, areas and notes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 400, 220  # of lines and histograms; at 375 px one unit is a little less than a pixel
LEFT, RIGHT, TOP, BOTTOM = 50, 26, 12, 42
EMPTY = Markup("")
_ROW, _LETTER, _GAP = 20, 8.5, 16  # of a legend: its rows, and what a name takes across


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


@dataclass(frozen=True)
class Plot:
    """From values, x between `left` and `right` and y between 0 and `top`, to places in the drawing.

    >>> Plot(0.0, 1.0, 1.0).x(0.0)
    50.0
    """

    left: float
    right: float
    top: float

    def x(self, value: float) -> float:
        """Return how far to the right a value lies."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - self.left) / ((self.right - self.left) or 1.0)

    def y(self, value: float) -> float:
        """Return how far down a value lies."""
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / self.top)

    def axes(
        self,
        label: str,
        marks: Sequence[float],
        x_text: Callable[[float], str],
        y_text: Callable[[float], str],
        heights: Sequence[float] | None = None,
    ) -> Markup:
        """Draw lines at some heights, a half and the whole if left out, and write the marks and the label below."""
        tick = Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" class="end">{}</text>')
        drawn = EMPTY
        for height in (0.0, self.top / 2, self.top) if heights is None else heights:
            y = self.y(height)
            place = coordinate(y)
            drawn += tick.format(LEFT, WIDTH - RIGHT, place, place, LEFT - 6, coordinate(y + 4), y_text(height))
        words = Markup('<text x="{}" y="{}" class="middle">{}</text>')
        for mark in self.apart(marks, x_text):
            drawn += words.format(coordinate(self.x(mark)), HEIGHT - BOTTOM + 17, x_text(mark))
        return drawn + words.format((LEFT + WIDTH - RIGHT) // 2, HEIGHT - 6, label)

    def area(self, line: Line, place: int) -> Markup:
        """Fill the band of a line."""
        bounds = list(zip((x for x, _ in line.points), line.band))
        around = [(x, high) for x, (_, high) in bounds] + [(x, low) for x, (low, _) in reversed(bounds)]
        path = " ".join(f"{coordinate(self.x(x))},{coordinate(self.y(y))}" for x, y in around)
        return Markup('<polygon class="band dot-{}" points="{}"/>').format(place, path)

    def bars(self, line: Line, place: int) -> Markup:
        """Draw the upright bars of a line."""
        form = Markup('<line class="line line-{} bound" x1="{}" x2="{}" y1="{}" y2="{}"/>')
        drawn = EMPTY
        for (x, _), (low, high) in zip(line.points, line.bars):
            drawn += form.format(place, *[coordinate(self.x(x))] * 2, coordinate(self.y(low)), coordinate(self.y(high)))
        return drawn

    def notes(self, line: Line) -> Markup:
        """Write notes above the points, those that would touch one before left out: a dot's own title has them too."""
        form, drawn, end = Markup('<text class="small middle" x="{}" y="{}">{}</text>'), EMPTY, -math.inf
        for (x, y), note in zip(line.points, line.notes):
            half = 3.5 * len(note)
            if self.x(x) - half > end:
                drawn += form.format(coordinate(self.x(x)), coordinate(self.y(y) - 8), note)
                end = self.x(x) + half
        return drawn

    def upright(self, value: float, name: str) -> Markup:
        """Mark a place on x by an upright line with its name."""
        x, bottom = coordinate(self.x(value)), HEIGHT - BOTTOM
        form = Markup(
            '<line class="axis dashed" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" class="middle">{}</text>'
        )
        return form.format(x, x, TOP, bottom, x, TOP - 4, name)

    def apart(self, marks: Sequence[float], x_text: Callable[[float], str]) -> list[float]:
        """Leave out marks whose names would touch, from the right, where most of the room is."""
        kept: list[float] = []
        for mark in reversed(marks):
            half = 4.0 * len(x_text(mark))
            if not kept or self.x(mark) + half + 8 < self.x(kept[-1]) - 4.0 * len(x_text(kept[-1])):
                kept.append(mark)
        return kept[::-1]


def legend(lines: Sequence[Line]) -> tuple[Markup, int]:
    """Write the names of lines in their colors above the field, where no line runs through them; and the room it takes.

    It lies above 0, from where the field goes down.

    >>> legend([Line((), "clean"), Line((), "attacked")])[1], legend([Line(())])[1]
    (20, 0)
    """
    named = [(order if line.color is None else line.color, line.name) for order, line in enumerate(lines) if line.name]
    rows: list[list[tuple[float, int, str]]] = []
    x = math.inf
    for color, name in named:
        room = _LETTER * len(name)
        if x + room > WIDTH:
            x = LEFT
            rows.append([])
        rows[-1].append((x, color, name))
        x += room + _GAP
    form, drawn = Markup('<text x="{}" y="{}" class="name-{}">{}</text>'), EMPTY
    for number, row in enumerate(rows):
        y = _ROW * (number + 1 - len(rows)) - 4
        drawn += EMPTY.join(form.format(coordinate(x), y, color, name) for x, color, name in row)
    return drawn, _ROW * len(rows)


def coordinate(value: float) -> str:
    """Write a place in the drawing, in tenths of a unit.

    >>> coordinate(3.04)
    '3'
    """
    return f"{value if math.isfinite(value) else 0:.1f}".removesuffix(".0")
