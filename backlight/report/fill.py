"""The templates of this room's sections, filled."""

from __future__ import annotations

from markupsafe import Markup

from backlight.page.sections import Facts, render


def fill(template: str, facts: Facts) -> Markup:
    """Fill a template of this room; every value is escaped unless it is Markup.

    >>> "&lt;b&gt;" in fill("skipped.html", {"failed": [("<b>", "not a picture")]})
    True
    """
    return render(template, facts, "backlight.report")
