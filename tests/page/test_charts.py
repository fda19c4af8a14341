"""Charts: every value is where the scale puts it, names are escaped, nothing leaves the drawing."""

from __future__ import annotations

import math
import re

import pytest

from backlight.page.charts import bar_chart, histogram, interval_chart, line_chart, sensible
from backlight.page.plot import Line
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


@pytest.mark.parametrize("low", [0.0, -3.7, 0.1285, 1e-7, 12345.0])
@pytest.mark.parametrize("width", [1e-6, 0.0017, 0.3, 2.21, 99.0, 4e5])
@pytest.mark.parametrize("most", [3, 4, 5])
def test_ticks_are_few_round_and_inside(low: float, width: float, most: int) -> None:
    found = sensible(low, low + width, most)
    assert 1 <= len(found) <= most
    assert all(low - 1e-6 * width <= one <= low + width * (1 + 1e-6) for one in found)
    if len(found) > 1:
        step = found[1] - found[0]
        mantissa = step / 10 ** math.floor(math.log10(step * (1 + 1e-6)))
        assert min(abs(mantissa - one) for one in (1, 2, 5, 10)) < 1e-3
        assert all(after - before == pytest.approx(step, rel=1e-3) for before, after in zip(found, found[1:]))
        assert (found[-1] - found[0]) / width > 0.3, "they span the drawing"


def test_ticks_of_no_range_are_where_it_is() -> None:
    assert sensible(2.0, 2.0) == [2.0]
    assert sensible(0.0, math.inf) == [0.0]


def test_sizes_in_levels_have_whole_levels_below_them() -> None:
    values = [2.21 / 255 * share for share in (0.1, 0.5, 1.0)]
    drawn = histogram(values, alt="", x_label="size", x_text=lambda size: f"{255 * size:.3g}/255", unit=1 / 255)
    assert re.findall(r'y="195" class="middle">([^<]*)<', drawn) == ["0/255", "0.5/255", "1/255", "1.5/255", "2/255"]


def test_an_axis_of_counts_has_whole_numbers() -> None:
    drawn = histogram([0.1] * 3 + [0.9], alt="", x_label="", bins=2)
    ticks = re.findall(r'class="end">([^<]*)<', drawn)
    assert ticks == ["0", "1", "2", "3"]


def test_points_have_their_notes_and_bars() -> None:
    line = Line(
        ((0.2, 0.5), (0.21, 0.5), (0.9, 0.75)), bars=((0.25, 0.75), (0.4, 0.6), (0.5, 1.0)), notes=("12", "<7", "30")
    )
    drawn = line_chart([line], alt="", x_label="")
    document = Document(str(drawn))
    bars = [one for one in document.all("line") if "bound" in one["class"]]
    circles = document.all("circle")
    assert len(bars) == len(circles) == 3
    for bar, circle in zip(bars, circles):
        assert bar["x1"] == bar["x2"] == circle["cx"]
        assert float(bar["y2"]) <= float(circle["cy"]) <= float(bar["y1"])
    assert re.findall(r'class="small middle"[^>]*>([^<]*)<', drawn) == ["12", "30"], "notes that touch are left out"
    assert "&lt;7</title>" in drawn


def test_intervals_have_a_scale_that_tells_them_apart() -> None:
    rows = [("a", 0.1287, 0.1285, 0.129, False), ("b", 0.1295, 0.129, 0.1302, True)]
    drawn = interval_chart(rows, alt="")
    marks = re.findall(r'class="middle">([^<]*)<', drawn)
    assert len(marks) == len(set(marks)) >= 2
    assert {"0.1287", "0.1295"} <= set(re.findall(r'class="end">([^<]*)<', drawn))
