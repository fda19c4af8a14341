"""Loss and accuracy over the epochs as a picture; several runs over one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backlight.core.atomic import atomic
from backlight.core.errors import InputError


def draw_curves(logs: Mapping[str, Sequence[Mapping[str, Any]]], path: str | Path) -> None:
    """Draw the logs of runs, by name, as the suffix of `path` says (.png, .svg): training dashed, validation solid.

    The log of a run is what `backlight.runs.log.read_log` gives. Raises InputError without runs.

    >>> import tempfile
    >>> line = {"kind": "epoch", "step": 10, "epoch": 1, "loss": 1.2, "accuracy": 0.5}
    >>> target = Path(tempfile.mkdtemp()) / "curves.png"
    >>> draw_curves({"run": [{**line, "val_loss": 1.3, "val_accuracy": 0.4, "val_top5": 0.9}]}, target)
    >>> target.stat().st_size > 1000
    True
    """
    from matplotlib.figure import Figure

    if not logs:
        raise InputError("no run to draw", expected="at least one")
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for number, (name, lines) in enumerate(logs.items()):
        epochs = [line for line in lines if line["kind"] == "epoch"]
        places, color = [line["epoch"] for line in epochs], f"C{number}"
        for axis, train, val in zip(axes, ("loss", "accuracy", "top5"), ("val_loss", "val_accuracy", "val_top5")):
            # Names are shown as they are: "$" would start a formula, "_" in front would hide the entry.
            label = name.replace("$", r"\$").lstrip("_")
            if all(val in line for line in epochs):
                axis.plot(places, [line[val] for line in epochs], "o-", color=color, label=label, markersize=3)
            if all(train in line for line in epochs):
                axis.plot(places, [line[train] for line in epochs], "--", color=color, linewidth=1)
    for axis, title in zip(axes, ("loss", "accuracy", "top-5 accuracy")):
        axis.set_title(f"{title} (solid: validation, dashed: training)", fontsize=8)
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].legend(fontsize=8)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)
