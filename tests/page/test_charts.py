"""Charts: every value is where the scale puts it, names are escaped, nothing leaves the drawing."""

from __future__ import annotations

import re

import pytest

from backlight.page.charts import Line, bar_chart, histogram, line_chart
from tests.report.reading import Document


def test_bars_are_as_long_as_their_values() -> None:
    drawn = Document(str(bar_chart([("<before>", 0.8), ("after", 0.2), ("none", 0.0)], alt="a & b")))
    bars = [float(one["width"]) for one in drawn.all("rect") if one.get("class") != "ground"]
    assert bars == [320.0, 80.0, 0.0]
    assert "<before>" in drawn.text
    assert drawn.all("svg")[0]["aria-label"] == "a & b"


def test_lines_go_down_where_values_do() -> None:
    drawn = Document(str(line_chart([Line(((0.0, 1.0), (1.0, 0.5), (2.0, 0.0)))], alt="", x_label="eps")))
    points = [tuple(map(float, one.split(","))) for one in drawn.all("polyline")[0]["points"].split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
    assert 0 < x0 < x2 < 400
    assert 0 < y0 < y2 < 220
    assert "eps" in drawn.text


def test_a_histogram_counts_every_value_once() -> None:
    values = [0.0, 0.1, 0.1, 0.25, 0.5, 0.5]
    drawn = histogram(values, alt="", x_label="distance", bins=4)
    counts = [int(found) for found in re.findall(r"<title>(\d+) from", drawn)]
    assert sum(counts) == len(values)
    assert counts[-1] == 2
    document = Document(str(drawn))
    heights = [float(one["height"]) for one in document.all("rect")]
    assert max(heights) == heights[counts.index(max(counts))]


def test_nothing_to_draw_is_nothing_and_one_value_is_something() -> None:
    assert histogram([], alt="", x_label="") == ""
    assert line_chart([], alt="", x_label="") == ""
    assert "nan" not in histogram([0.0], alt="", x_label="")
    assert "nan" not in line_chart([Line(((0.0, 0.0),))], alt="", x_label="", high=None)


def test_names_of_marks_do_not_touch() -> None:
    points = tuple((x / 255, 1.0) for x in (0, 0.1, 0.2, 8, 8.1, 16))
    drawn = line_chart([Line(points)], alt="", x_label="eps")
    places = [float(x) for x in re.findall(r'<text x="([\d.]+)" y="195" class="middle"', drawn)]
    assert len(places) >= 2
    assert all(after - before > 25 for before, after in zip(places, places[1:]))
