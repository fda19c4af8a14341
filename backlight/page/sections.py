"""What a page is made of, and how data become it: a template, filled with facts.

A section is `Section(anchor, title, html)`. There are three kinds of makers: `picture.picture_section` (a function of
a `PictureStudy`), `model.model_section` (of the classifier), and `TableSection`s: functions of a table with one row
per image. To add one of the last kind, write a function from (table, label names) to the facts that its template
names, and list it in `tables.TABLE_SECTIONS` with the columns that it needs: it then appears on every page
whose table has these columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from backlight.core.errors import UsageError, did_you_mean
from backlight.core.escaping import visible
from backlight.core.grammar import duration
from backlight.page.glossary import GLOSSARY
from backlight.table import Table

Facts = Mapping[str, object]


@dataclass(frozen=True)
class Section:
    """A part of the page: the name that links use, the title in the table of contents, and the markup.

    >>> Section("model", "The model", Markup("<p>small</p>")).anchor
    'model'
    """

    anchor: str
    title: str
    html: Markup


@dataclass(frozen=True)
class TableSection:
    """A section that is a function of a table: `facts(table, labels)` fills `template` where `needs` are columns.

    The template lies in the folder `templates` of `package`; it is handed the facts and `data`, which data they are of.

    >>> TableSection("n", "Count", frozenset({"label"}), "n.html", lambda table, labels: {"n": len(table)}).title
    'Count'
    """

    name: str
    title: str
    needs: frozenset[str]
    template: str
    facts: Callable[[Table, tuple[str, ...]], Facts]
    package: str = "backlight.report"

    def write(self, table: Table, labels: tuple[str, ...], data: str) -> Section:
        """Write the section of a table; `data` says which data it is of."""
        return Section(
            self.name, self.title, render(self.template, {**self.facts(table, labels), "data": data}, self.package)
        )


def render(template: str, facts: Facts, package: str = "backlight.page") -> Markup:
    """Fill a template of `package`, or of this one; every value is escaped unless it is Markup, and `visible`.

    >>> "&lt;script&gt;" in render("skipped.html", {"failed": [("<script>", "not a picture")]})
    True
    """
    # Templates of installed packages only, escaped by jinja2 itself: its result is markup.
    return Markup(visible(_environment(package).get_template(template).render(facts)))


@cache
def _environment(package: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(one) for one in dict.fromkeys((package, "backlight.page"))]),
        autoescape=True,
        undefined=StrictUndefined,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "count": count, "duration": duration}
    environment.globals |= {"term": term, "glossary": GLOSSARY}
    return environment


def term(name: str, shown: str = "") -> Markup:
    """Write a term with its explanation, which appears where the term is pointed at or focused.

    Raises UsageError for a term that the glossary does not have.

    >>> "tabindex" in term("logit", "logits")
    True
    """
    if name not in GLOSSARY:
        raise UsageError(f"no term {name!r}", hint=did_you_mean(name, GLOSSARY))
    form = '<span class="term" data-term="{}" tabindex="0">{}<span class="tip" role="tooltip">{}</span></span>'
    return Markup(form).format(name, shown or name, GLOSSARY[name])


def percent(share: float) -> str:
    """Write a share as people read it, without ever rounding to none or to all.

    >>> percent(0.6234), percent(0.0312), percent(0.99996), percent(1e-9), percent(0.0)
    ('62%', '3.1%', '>99.9%', '<0.1%', '0%')
    """
    if not math.isfinite(share):
        return "not a number"
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 0.001 or share > 0.999:
        return "<0.1%" if share < 0.5 else ">99.9%"
    digits = 0 if 0.0995 <= share <= 0.9895 else 1
    return f"{100 * share:.{digits}f}%"


def number(value: float) -> str:
    """Write a measured number with three digits.

    >>> number(0.0070001), number(17.2345), number(-0.0)
    ('0.007', '17.2', '0')
    """
    return f"{value + 0.0:.3g}"


def count(value: int) -> str:
    """Write a large whole number so that its size can be seen.

    >>> count(385187552), count(950)
    ('385 million', '950')
    """
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if value >= size:
            return f"{value / size:.3g} {word}"
    return f"{value:,}"
