"""The section of one or several runs: how loss and accuracy went, which epoch was chosen, and what that tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from backlight.core.grammar import duration
from backlight.page.charts import line_chart
from backlight.page.plot import Line
from backlight.page.sections import Section, percent
from backlight.report.fill import fill
from backlight.report.robust_epochs import overfitting_words, robust_chart
from backlight.runs.history import History

_MOST = 3  # as many lines as the page has colors for
_LARGE, _SMALL = 0.10, 0.03


class _Run(NamedTuple):
    """One run: its numbers at the chosen epoch, in words what they mean, and how it was trained."""

    name: str
    color: int
    chosen: dict[str, Any]
    last: int
    end: str
    gap: str
    facts: list[tuple[str, str]]
    recipe: list[tuple[str, str]]
    epochs: list[dict[str, Any]]
    robust: Markup
    overfitting: str


def training_section(histories: Sequence[History]) -> Section:
    """Write the section of a run, or of at most three runs with their curves over one another.

    >>> line = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.4}
    >>> "still improving" in training_section([History("<b>", {}, (line,))]).html
    True
    """
    kept = list(histories)[:_MOST]
    runs = [_run(history, color) for color, history in enumerate(kept)]
    facts = {
        "runs": runs,
        "loss": _curves(kept, "loss"),
        "accuracy": _curves(kept, "accuracy"),
        "left": len(histories) - len(kept),
    }
    return Section("training", "How it was trained", fill("training.html", facts))


def end_words(history: History) -> str:
    """Whether the run was over when it ended.

    >>> line = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.4}
    >>> end_words(History("run", {}, (line, {**line, "epoch": 2, "val_loss": 1.5})))
    'After epoch 1 it got no better: what came later was not used.'
    """
    chosen, last = int(history.chosen["epoch"]), int(history.epochs[-1]["epoch"])
    planned, patience = history.recipe.get("epochs"), history.recipe.get("patience")
    if history.stopped:
        return f"{history.stopped}. It was stopped there; the weights of epoch {chosen} are kept."
    if history.improving:
        words = "The last epoch is the best: it was still improving, and more epochs would probably help."
    else:
        words = f"After epoch {chosen} it got no better: what came later was not used."
    if isinstance(planned, int) and last < planned:
        stopped = f"It stopped early, after {last} of {planned} epochs, having got no better for {patience}."
        words += " " + (stopped if patience else f"So far {last} of {planned} epochs are done.")
    return words


def gap_words(train: float, val: float) -> str:
    """Describe what the difference between accuracy on training and on validation pictures means.

    >>> gap_words(0.95, 0.70).split(":")[0]
    'It is 25 points better on the pictures that it learned from than on new ones'
    """
    points = f"{100 * abs(train - val):.0f} points"
    if train - val > _LARGE:
        return (
            f"It is {points} better on the pictures that it learned from than on new ones: it has begun to learn them "
            "by heart. More pictures, stronger augmentation or weight decay may help."
        )
    if train - val > _SMALL:
        return f"It is {points} better on the pictures that it learned from than on new ones, which is usual."
    if train - val >= -_SMALL:
        return (
            "It is about as good on new pictures as on those that it learned from: nothing is learned by heart, and a "
            "larger network or more epochs may do better."
        )
    return (
        f"It is {points} better on new pictures than while it learned: those it learns from are changed to be harder, "
        "and are counted while it still learns. Nothing is learned by heart."
    )


def _run(history: History, color: int) -> _Run:
    chosen = dict(history.chosen)
    return _Run(
        history.name,
        color,
        chosen,
        int(history.epochs[-1]["epoch"]),
        end_words(history),
        gap_words(chosen["accuracy"], chosen["val_accuracy"]),
        _facts(history),
        [(name, _plain(value)) for name, value in sorted(history.recipe.items())],
        [dict(line) for line in history.epochs],
        robust_chart(history),
        overfitting_words(history),
    )


def _curves(histories: Sequence[History], quantity: str) -> Markup:
    lines = []
    for color, history in enumerate(histories):
        for name, dashed in ((quantity, True), (f"val_{quantity}", False)):
            points = tuple((float(line["epoch"]), float(line[name])) for line in history.epochs)
            # A loss that is no number has no place in a drawing; the table below still names it.
            finite = tuple(point for point in points if abs(point[1]) < float("inf"))
            shown = history.name if len(histories) > 1 and not dashed else ""
            lines += [Line(finite, shown, dashed=dashed, color=color)] if finite else []
    only = histories[0] if len(histories) == 1 else None
    return line_chart(
        lines,
        alt=f"{quantity.capitalize()} over epochs: training dashed, validation solid",
        x_label="epoch",
        x_text=lambda value: f"{value:.0f}",
        y_text=(lambda value: f"{value:.2f}") if quantity == "loss" else percent,
        high=None if quantity == "loss" else 1.0,
        chosen=(float(only.chosen["epoch"]), "chosen") if only else None,
    )


def _facts(history: History) -> list[tuple[str, str]]:
    info, recipe, last = history.info, history.recipe, history.epochs[-1]
    stored = info.get("data")
    data = stored if isinstance(stored, dict) else {}
    found = {
        "network": info.get("model"),
        # The last part only: the page may be sent to people whom the sender's folders do not concern.
        "data": str(data.get("name", "")).rstrip("/").rsplit("/", 1)[-1],
        "pictures": _pictures(data),
        "optimizer": " ".join(_plain(recipe[name]) for name in ("optimizer", "schedule") if name in recipe),
        "learning rate": recipe.get("lr"),
        "batch": recipe.get("batch_size"),
        "attacked while it learned": recipe.get("adversary"),
        "seed": info.get("seed"),
        "time": duration(last["seconds"]) if isinstance(last.get("seconds"), int | float) else "",
        "speed": _speed(last),
    }
    return [(name, _plain(value)) for name, value in found.items() if value not in (None, "")]


def _speed(last: Mapping[str, Any]) -> str:
    """Write the mean speed of all steps, as the verb `train` tells it; logs before 0.2 have that of an epoch only."""
    speed = last.get("mean_images_per_second", last.get("images_per_second"))
    return f"{speed:,.0f} pictures a second" if isinstance(speed, int | float) else ""


def _pictures(data: dict[str, Any]) -> str:
    counts = [(data.get(f"{part}_pictures"), words) for part, words in (("train", "to learn"), ("val", "to validate"))]
    return ", ".join(f"{count:,} {words}" for count, words in counts if isinstance(count, int))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list):
        return " to ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
