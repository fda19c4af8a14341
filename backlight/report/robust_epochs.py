"""Robust accuracy over the epochs of a run: whether it was lost again, and which epoch to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from backlight.page.charts import line_chart
from backlight.page.plot import Line
from backlight.page.sections import percent
from backlight.runs.history import History
from backlight.table.statistics import unpaired_interval

ROBUST = "val_pgd"
_WATCHED = 256  # pictures that are attacked after each epoch, where a recipe does not say it


def robust_chart(history: History) -> Markup:
    """Draw validation accuracy and what of it PGD left over the epochs; nothing where no epoch was attacked.

    >>> line = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.4, "val_pgd": 0.2}
    >>> "under PGD" in robust_chart(History("run", {}, (line, {**line, "epoch": 2})))
    True
    """
    found = _attacked(history)
    if not found:
        return Markup("")
    names = (("val_accuracy", "as they are"), (ROBUST, "under PGD"))
    lines = [
        Line(tuple((float(line["epoch"]), float(line[key])) for line in found), name, color=place)
        for place, (key, name) in enumerate(names)
    ]
    best = float(_best(found)["epoch"])
    return line_chart(
        lines,
        alt="Share of the validation pictures named right over epochs, as they are and under PGD",
        x_label="epoch",
        x_text=lambda value: f"{value:.0f}",
        chosen=(best, "most robust"),
    )


def overfitting_words(history: History) -> str:
    """Describe whether robust accuracy was lost again, and which epoch to take; nothing where no epoch was attacked.

    A fall is more than chance where the 95% interval of the difference, as of separate pictures, leaves zero out: the
    same pictures are attacked each time, so that this says too little rather than too much.

    >>> line = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.4, "val_pgd": 0.4}
    >>> overfitting_words(History("run", {}, (line, {**line, "epoch": 2, "val_pgd": 0.2})))[:20]
    'Robust overfitting: '
    """
    found = _attacked(history)
    if not found:
        return ""
    best, last = _best(found), found[-1]
    peak, end = float(best[ROBUST]), float(last[ROBUST])
    epoch = int(best["epoch"])
    if best["epoch"] == last["epoch"]:
        return f"Most pictures withstand PGD after the last epoch, {epoch}: {percent(peak)}. Nothing was lost again."
    told = f"{percent(peak)} withstand PGD after epoch {epoch} and {percent(end)} after the last, {last['epoch']}"
    count = _watched(history)
    low, high = unpaired_interval((round(end * count), count), (round(peak * count), count))
    if low <= 0 <= high:
        return f"{told}; of {count} pictures that may be chance: there is no sign of robust overfitting."
    clean = float(last["val_accuracy"]) - float(best["val_accuracy"])
    meanwhile = f", while {100 * clean:+.0f} points were gained without attack" if clean > 0 else ""
    take = f"Take epoch {epoch}, epoch-{epoch:02}.safetensors in the run's folder"
    chosen = int(history.chosen["epoch"])
    same = ", which best.safetensors is" if chosen == epoch else f"; best.safetensors is epoch {chosen}"
    return f"Robust overfitting: {told}{meanwhile}. {take}{same}."


def _attacked(history: History) -> Sequence[Mapping[str, Any]]:
    return [line for line in history.epochs if isinstance(line.get(ROBUST), int | float) and 0 <= line[ROBUST] <= 1]


def _watched(history: History) -> int:
    """Count the pictures that were attacked after each epoch: as many as the recipe says and validation has."""
    data = history.info.get("data")
    held = data.get("val_pictures") if isinstance(data, Mapping) else None
    stated = [history.recipe.get("watched", _WATCHED), held]
    return min((one for one in stated if isinstance(one, int) and one > 0), default=_WATCHED)


def _best(lines: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return max(lines, key=lambda line: float(line[ROBUST]))
