"""A section of the page: how sure the classifier is, where it is right and where it is wrong."""

from __future__ import annotations

from backlight.page.sections import Facts, TableSection
from backlight.table import Table


def sureness(table: Table, labels: tuple[str, ...]) -> Facts:
    """Return, per class, the mean confidence where the classifier is right and where it is wrong."""
    right = table["prediction"] == table["label"]
    rows = []
    for index, name in enumerate(labels):
        mine = table["label"] == index
        means = [table["confidence"][mine & part].mean() if (mine & part).any() else None for part in (right, ~right)]
        rows.append((name, *means))
    return {"rows": rows}


SECTION = TableSection(
    "sureness",
    "How sure it is, right or wrong",
    frozenset({"label", "prediction", "confidence"}),
    "sureness.html",
    sureness,
    package="backlight_gratings",
)
