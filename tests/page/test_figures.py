"""Charts as files: the SVG stands alone and holds what the page shows, the PDF is drawn of the same shapes."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup

from backlight.page.charts import bar_chart, histogram, interval_chart, line_chart
from backlight.page.figures import charts_of, standalone, to_figure
from backlight.page.plot import Line

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("1")</script> & $x^2$ ]]> 猫'


def drawn(name: str = "gradcam") -> dict[str, Markup]:
    line = Line(((0.0, 0.9), (0.5, 0.6), (1.0, 0.3)), name, band=((0.8, 1.0), (0.5, 0.7), (0.2, 0.4)))
    marked = Line(((0.0, 0.5), (1.0, 0.25)), bars=((0.4, 0.6), (0.2, 0.3)), notes=("12", "3"), dashed=False, color=1)
    return {
        "bars": bar_chart([(name, 0.9), ("after", 0.25)], alt=f"Bars of {name}"),
        "lines": line_chart([line, marked], alt=f"Lines of {name}", x_label="eps", chosen=(0.5, "chosen")),
        "dashed": line_chart([Line(((0.0, 1.0), (1.0, 0.0)), dashed=True)], alt=f"Dashed {name}", x_label="x"),
        "counts": histogram([0.1, 0.2, 0.2], alt=f"Counts of {name}", x_label="distance"),
        "intervals": interval_chart([(name, 0.4, 0.3, 0.5, False), ("random", 0.6, 0.5, 0.7, True)], alt=f"Of {name}"),
    }


KINDS = tuple(drawn())


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["gradcam", HOSTILE])
def test_the_file_holds_every_word_and_shape_of_the_page(kind: str, name: str) -> None:
    chart = drawn(name)[kind]
    page, file = ElementTree.fromstring(chart), ElementTree.fromstring(standalone(chart))
    words = [one.text for one in page.iter("text")]
    assert words
    assert texts(standalone(chart))[-len(words) :] == words
    for shape in ("line", "polyline", "polygon", "circle"):
        own, theirs = ([one.attrib for one in root.iter(tag)] for root, tag in ((page, shape), (file, SVG + shape)))
        assert own == theirs
    assert len(list(file.iter(f"{SVG}rect"))) == len(list(page.iter("rect"))) + 1
    assert not list(file.iter(f"{SVG}script"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_title_stands_above_and_everything_inside_of_the_paper(kind: str) -> None:
    file = standalone(drawn("a method with a name so long that its title takes more than one line of the paper")[kind])
    root = ElementTree.fromstring(file)
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    assert (root.attrib["width"], root.attrib["height"]) == (f"{width:g}", f"{height:g}")
    paper = next(root.iter(f"{SVG}rect"))
    assert [float(paper.attrib[one]) for one in ("x", "y", "width", "height")] == [left, top, width, height]
    head = [one for one in root.iter(f"{SVG}text") if one.get("class") == "head"]
    assert len(head) > 1
    assert " ".join(one.text or "" for one in head) == root.findtext(f"{SVG}title")
    for text in root.iter(f"{SVG}text"):
        assert left <= float(text.attrib["x"]) <= left + width
        assert top < float(text.attrib["y"]) - 8 < top + height
    for line in root.iter(f"{SVG}line"):
        assert top <= float(line.attrib["y1"]) <= top + height


def test_every_shape_has_a_color_of_its_own() -> None:
    for chart in drawn().values():
        file = standalone(chart)
        style = ElementTree.fromstring(file).findtext(f"{SVG}style")
        assert style is not None
        for one in ElementTree.fromstring(file).iter():
            names = {one.tag.removeprefix(SVG), *(f".{name}" for name in one.get("class", "").split())}
            if names & {"text", "rect", "circle", "polygon", "line", "polyline"}:
                rules = [rule for rule in re.findall(r"([^{}]+)\{([^}]*)\}", style) if names & set(rule[0].split(","))]
                wanted = "stroke:#" if names & {"line", "polyline"} else "fill:#"
                assert any(wanted in how for _, how in rules), (one.tag, one.attrib)
    assert "var(" not in "".join(map(standalone, drawn().values()))


def test_lines_of_the_figure_are_those_of_the_page() -> None:
    figure = to_figure(drawn()["lines"])
    page = ElementTree.fromstring(drawn()["lines"])
    wanted = [
        [tuple(map(float, at.split(","))) for at in one.attrib["points"].split()] for one in page.iter("polyline")
    ]
    found = [[tuple(at) for at in np.asarray(one.get_xydata()).tolist()] for one in figure.axes[0].lines]
    assert all(one in found for one in wanted)
    assert {text.get_text() for text in figure.axes[0].texts} >= {"eps", "chosen", "gradcam", "12", "Lines of gradcam"}
    circles = [one for one in page.iter("circle")]
    assert sum(type(one).__name__ == "Circle" for one in figure.axes[0].patches) == len(circles) == 5


def test_names_in_the_figure_are_no_formulas() -> None:
    for chart in drawn(HOSTILE).values():
        figure = to_figure(chart)
        figure.savefig(io.BytesIO(), format="pdf")
        whole = " ".join(text.get_text() for text in figure.axes[0].texts)
        assert "$x^2$" in whole


@pytest.mark.parametrize("letter", ["\x00", "\x0b", "\ud800", "\ufffe", "\uffff", "\x85", "\u202e", "\U0001ffff"])
def test_letters_that_no_file_of_xml_holds_do_no_harm(letter: str) -> None:
    chart = bar_chart([(f"cat{letter}", 0.5)], alt=f"Bars{letter}")
    ElementTree.fromstring(standalone(chart).encode("utf-8"))
    assert "cat" in " ".join(text.get_text() for text in to_figure(chart).axes[0].texts)


def test_charts_are_found_in_a_page_with_their_titles() -> None:
    charts = drawn(HOSTILE)
    page = "<svg class='shot'></svg><p>x</p>".join(map(str, charts.values()))
    found = charts_of(page)
    assert [chart for _, chart in found] == list(charts.values())
    assert found[0][0] == f"Bars of {HOSTILE}"


def test_a_chart_of_intervals_tells_its_values_to_who_cannot_see_it() -> None:
    label = ElementTree.fromstring(standalone(drawn()["intervals"])).attrib["aria-label"]
    assert label == "Of gradcam: gradcam 0.4, random 0.6"
