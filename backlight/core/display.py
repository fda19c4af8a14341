"""How a result shows itself at the end of a notebook's cell: as the sections that its page would have.

Results lie below the pages that show them, so the writer of pages is named here and imported when a notebook asks.
"""

from __future__ import annotations

import importlib
import io
from typing import Any

_WRITER = "backlight.report.notebook"


class Displayed:
    """A result that notebooks show as HTML.

    >>> Displayed.__subclasses__()[:0]
    []
    """

    def _repr_html_(self) -> str:
        html: str = importlib.import_module(_WRITER).notebook_html(self)
        return html


def displayed_figure(**options: Any) -> Any:
    """Return a matplotlib figure that notebooks show, without pyplot and its state; options are those of `Figure`.

    >>> displayed_figure(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """
    from matplotlib.figure import Figure

    class DisplayedFigure(Figure):
        def _repr_png_(self) -> bytes:
            png = io.BytesIO()
            self.savefig(png, format="png")
            return png.getvalue()

    return DisplayedFigure(**options)
