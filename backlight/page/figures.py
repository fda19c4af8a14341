"""The charts of a page as files of their own: SVG that needs no page around it, and figures of matplotlib for PDF."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from backlight.core.display import displayed_figure

_RULES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("text", {"font-family": "Helvetica,Arial,'DejaVu Sans',sans-serif", "font-size": "13px", "fill": "#1b1e24"}),
    (".end", {"text-anchor": "end"}),
    (".middle", {"text-anchor": "middle", "fill": "#565c68"}),
    (".head", {"font-size": "15px"}),
    ("rect,circle,.dot-0,.name-0", {"fill": "#3f7fd6"}),
    (".name-0,.name-1,.name-2", {"paint-order": "stroke", "stroke": "#ffffff", "stroke-width": "4px"}),
    (".paper", {"fill": "#ffffff"}),
    (".ground", {"fill": "#e9ebef"}),
    (".axis", {"stroke": "#d5d9e0"}),
    (".line", {"fill": "none", "stroke": "#3f7fd6", "stroke-width": "2"}),
    (".dashed", {"stroke-dasharray": "5 4"}),
    (".band", {"opacity": "0.18"}),
    (".control", {"stroke": "#565c68", "fill": "#565c68"}),
    (".line-1", {"stroke": "#c8442c"}),
    (".dot-1,.name-1", {"fill": "#c8442c"}),
    (".small", {"font-size": "10px"}),
    (".bound", {"stroke-width": "1.2", "opacity": "0.6"}),
    (".line-2", {"stroke": "#2c7a4b"}),
    (".dot-2,.name-2", {"fill": "#2c7a4b"}),
)
"""The page's light colors, later rules before earlier ones."""
_STYLE = "".join(f"{to}{{{';'.join(f'{name}:{value}' for name, value in how.items())}}}" for to, how in _RULES)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Letters that a page may hold and a file of XML may not."""
_SVG = "{http://www.w3.org/2000/svg}"
_MARGIN, _LINE, _LETTERS = 12, 19, 46
_INCH, _POINTS = 96, 0.75  # of a unit, which is a pixel as browsers count them


def charts_of(html: str) -> list[tuple[str, Markup]]:
    """Find the charts of `page.charts` in a page or a section, in their order, each with its title.

    >>> from backlight.page.charts import bar_chart
    >>> [title for title, _ in charts_of(f"<p>{bar_chart([('before', 0.9)], alt='Accuracy')}</p>")]
    ['Accuracy']
    """
    # No text of a chart holds a tag: what is written into it is escaped.
    found = re.findall(r'<svg class="chart" data-title="([^"]*)".*?</svg>', html, re.DOTALL)
    whole = re.findall(r'<svg class="chart" data-title="[^"]*".*?</svg>', html, re.DOTALL)
    return [(unescape(title), Markup(chart)) for title, chart in zip(found, whole, strict=True)]


def standalone(chart: Markup) -> str:
    """Make a chart a file of its own: with its title above it, on white paper, in the page's light colors.

    >>> from backlight.page.charts import bar_chart
    >>> standalone(bar_chart([("before", 0.9)], alt="Accuracy")).startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    True
    """
    ((title, whole),) = charts_of(chart)
    start, _, rest = whole.partition(">")
    begin, width, height = map(float, re.findall(r'viewBox="0 ([-\d.]+) ([\d.]+) ([\d.]+)"', start)[0])
    lines = textwrap.wrap(title, _LETTERS)
    above = _MARGIN + _LINE * len(lines)
    left, top, wide, tall = -_MARGIN, begin - above, width + 2 * _MARGIN, height + above + _MARGIN
    head = Markup('<text class="head" x="0" y="{}">{}</text>')
    words = Markup("").join(head.format(_LINE * (row + 1) + top, line) for row, line in enumerate(lines))
    form = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{2:g}" height="{3:g}" viewBox="{0:g} {1:g} {2:g} {3:g}" '
        'role="img" aria-label="{4}"><title>{5}</title><style>{6}</style>'
        '<rect class="paper" x="{0:g}" y="{1:g}" width="{2:g}" height="{3:g}"/>{7}{8}\n'
    )
    label = unescape(re.findall(r'aria-label="([^"]*)"', start)[0])
    drawing = form.format(left, top, wide, tall, label, title, Markup(_STYLE), words, Markup(rest))
    return _NOT_XML.sub("\ufffd", drawing)


def to_figure(chart: Markup) -> Any:
    """Draw a chart as a figure of matplotlib, value for value as `standalone` has it: `savefig` writes PDF.

    >>> from backlight.page.charts import bar_chart
    >>> figure = to_figure(bar_chart([("before", 0.9)], alt="Accuracy"))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['Accuracy', 'before', '90%']
    """
    drawing = ElementTree.fromstring(standalone(chart))  # noqa: S314  made above, of escaped text
    left, top, width, height = map(float, drawing.attrib["viewBox"].split())
    figure = displayed_figure(figsize=(width / _INCH, height / _INCH))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, left + width), ylim=(top + height, top))
    axes.axis("off")
    for order, element in enumerate(drawing):
        _draw(axes, element, element.tag.removeprefix(_SVG), order)
    return figure


def _draw(axes: Any, element: ElementTree.Element, kind: str, order: int) -> None:
    if kind in ("title", "style"):
        return
    style = _style(kind, element.get("class", "").split())
    place = {name: float(value) for name, value in element.attrib.items() if name not in ("class", "points")}
    if kind == "text":
        written = _drawable(element.text or "")
        axes.text(place["x"], place["y"], written, zorder=order, **_lettering(style))
    elif kind in ("line", "polyline"):
        points = _points(element) if kind == "polyline" else [(place[f"x{end}"], place[f"y{end}"]) for end in "12"]
        axes.plot(*zip(*points), zorder=order, **_stroke(style))
    else:
        axes.add_patch(_shape(kind, element, place, style)).set_zorder(order)


def _drawable(text: str) -> str:
    """Replace letters that the font lacks, of which matplotlib would warn and draw boxes."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(family="DejaVu Sans")))
    plain = re.sub(r"[\t\n\r]", " ", text)
    return "".join(letter if font.get_char_index(ord(letter)) else "\ufffd" for letter in plain)


def _shape(kind: str, element: ElementTree.Element, place: Mapping[str, float], style: Mapping[str, str]) -> Any:
    from matplotlib.patches import Circle, Polygon, Rectangle

    look: dict[str, Any] = {"facecolor": style["fill"], "alpha": float(style.get("opacity", 1)), "linewidth": 0}
    if kind == "rect":
        return Rectangle((place["x"], place["y"]), place["width"], place["height"], **look)
    if kind == "circle":
        return Circle((place["cx"], place["cy"]), place["r"], **look)
    assert kind == "polygon", f"charts have no <{kind}>"
    return Polygon(_points(element), **look)


def _points(element: ElementTree.Element) -> list[tuple[float, float]]:
    pairs: Iterable[list[str]] = (pair.split(",") for pair in element.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def _lettering(style: Mapping[str, str]) -> dict[str, Any]:
    return {
        "color": style["fill"],
        "fontsize": float(style["font-size"].removesuffix("px")) * _POINTS,
        "ha": {"end": "right", "middle": "center"}.get(style.get("text-anchor", ""), "left"),
        "va": "baseline",
        "parse_math": False,  # a name may hold "$"
        "bbox": {"facecolor": style["stroke"], "linewidth": 0, "pad": 1} if "stroke" in style else None,
    }


def _stroke(style: Mapping[str, str]) -> dict[str, Any]:
    width = float(style.get("stroke-width", 1))
    dashes = [float(one) / width for one in style.get("stroke-dasharray", "").split()]
    return {
        "color": style["stroke"],
        "linewidth": width * _POINTS,
        "linestyle": (0, dashes) if dashes else "solid",
        "alpha": float(style.get("opacity", 1)),
        "solid_capstyle": "butt",
        "dash_capstyle": "butt",
    }


def _style(kind: str, classes: Iterable[str]) -> dict[str, str]:
    names = {kind, *(f".{one}" for one in classes)}
    style: dict[str, str] = {}
    for to, how in _RULES:
        if names & set(to.split(",")):
            style |= how
    return style
