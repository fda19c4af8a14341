"""How the figures of the gallery look: one style, the same colors for the same things."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

BLUE, ORANGE, GREEN, RED, GRAY, INK = "#33689c", "#dd7a2b", "#3f8f62", "#b8393f", "#9a9a9a", "#22262e"
CYCLE = (BLUE, ORANGE, GREEN, RED, "#7a5c99", GRAY)

STYLE = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRAY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "image.interpolation": "nearest",
    "axes.prop_cycle": plt.cycler(color=CYCLE),
}


def start(columns: int = 1, rows: int = 1, width: float = 3.4, height: float = 2.6) -> tuple[Any, Any]:
    """Begin a figure of `rows` times `columns` axes, each `width` times `height` inches."""
    plt.rcParams.update(STYLE)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False)
    return figure, axes[0, 0] if rows * columns == 1 else (axes[0] if rows == 1 else axes)


def pictures(
    rows: Sequence[Sequence[Tensor | None]],
    titles: Sequence[Sequence[str]] = (),
    names: Sequence[str] = (),
    size: float = 1.7,
) -> Any:
    """Show pictures [3,H,W] or [H,W] in rows, None for an empty place; `titles` above each, `names` left of rows."""
    columns = max(len(row) for row in rows)
    lines = sum(max((title.count("\n") + 1 for title in row if title), default=0) for row in titles)
    figure, _ = start(columns, len(rows), size, size + 0.05 + 0.16 * lines / len(rows))
    for place, axis in enumerate(figure.axes):
        row, column = divmod(place, columns)
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
        shown = rows[row][column] if column < len(rows[row]) else None
        if shown is not None:
            image = shown.detach().float().cpu().clamp(0, 1)
            axis.imshow(image.movedim(0, -1) if image.ndim == 3 else image, cmap="gray", vmin=0, vmax=1)
        if row < len(titles) and column < len(titles[row]):
            axis.set_title(titles[row][column], fontsize=8)
        if column == 0 and row < len(names):
            axis.set_ylabel(names[row], fontsize=8)
    return figure


def curves(
    axis: Any, values: Mapping[str, Sequence[float]], dashed: Mapping[str, Sequence[float]] | None = None
) -> None:
    """Draw one line per name over the epochs 1, 2, ...; `dashed` ones in the same colors."""
    for color, (name, line) in zip(CYCLE, values.items()):
        places = range(1, len(line) + 1)
        axis.plot(places, line, "o-", color=color, markersize=3, label=name)
        if dashed is not None:
            axis.plot(places, dashed[name], "--", color=color, linewidth=1.2)
    axis.set_xlabel("epoch")
    axis.xaxis.get_major_locator().set_params(integer=True)


def matrix(axis: Any, cells: Tensor, title: str = "", digits: int = 0, reach: float = 0.0) -> None:
    """Show a matrix with its numbers in the cells; the darkest color is `reach`, by default the largest value."""
    reach = reach or float(cells.abs().max()) or 1.0
    low = -reach if bool((cells < 0).any()) else 0.0
    axis.imshow(cells, cmap="RdBu_r" if low else "Blues", vmin=low, vmax=reach * (1 if low else 1.6))
    for row, values in enumerate(cells.tolist()):
        for column, value in enumerate(values):
            axis.text(column, row, f"{value:.{digits}f}", ha="center", va="center", fontsize=8, color=INK)
    axis.set(xticks=[], yticks=[], title=title)
    axis.grid(False)


def interval(values: Tensor) -> tuple[float, float]:
    """Give the mean and the half-width of its 95% interval (normal approximation)."""
    values = values.double()
    return float(values.mean()), 1.96 * float(values.std() / torch.tensor(len(values)).sqrt())
