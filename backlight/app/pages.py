"""What the page knows before anything is asked: the models, what can be chosen, and the limits."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from backlight.app.choices import Choices
from backlight.app.session import Loaded
from backlight.app.shelf import Shelf
from backlight.app.uploads import MOST_BYTES, MOST_PIXELS
from backlight.report import sample_pictures
from backlight.tasks.entries import Entry, fitting_methods
from backlight.tasks.outcome import plain_json

_QUICK = "1 forward, "
_LONG = ("fullgrad",)  # its passes are few, each of them many times as long
_PARTS = ("work", "bars", "repeat", "tabs", "picture", "classes", "wipe")
_TOOLS = ("explain", "attack", "cover", "imagine", "denoise", "compare", "confusion", "browse")
SCRIPTS = ("dom", "live", *_PARTS, *_TOOLS, "main")


def asset(name: str) -> bytes:
    """Return a file of the page; the style that reports share comes from their room.

    Raises FileNotFoundError for anything else.

    >>> asset("page.css")[:5]
    b':root'
    """
    if name == "page.css":
        return files("backlight.page").joinpath("templates", "style.css").read_bytes()
    static = files("backlight.app").joinpath("static")
    found = {one.name: one for one in static.iterdir()}
    if name not in found:
        raise FileNotFoundError(name)
    return found[name].read_bytes()


def page_html(scripts: Sequence[str] = SCRIPTS, base: str = "/static/") -> str:
    """Return the page with its scripts, in order.

    >>> page_html(["dom"]).count("<script")
    1
    """
    tags = "\n".join(f'<script src="{base}{name}.js" defer></script>' for name in scripts)
    return asset("index.html").decode().replace("{{scripts}}", tags).replace("{{base}}", base)


def about_models(models: Sequence[Loaded], choices: Choices) -> list[dict[str, Any]]:
    """Describe each model: its name, its classes, how pictures reach it, which methods fit it."""
    return plain_json(
        [
            {
                "title": one.classifier.title,
                "spec": one.request.model,
                "labels": [one.classifier.label(index) for index in range(one.classifier.classes)],
                "size": list(one.classifier.size or ()),
                "passport": one.classifier.passport.describe(),
                "multilabel": one.classifier.multilabel,
                "methods": [
                    _method(entry)
                    for entry in fitting_methods(one.classifier)
                    if choices.methods is None or entry.name in choices.methods
                ],
            }
            for one in models
        ]
    )


def state(models: Sequence[Loaded], choices: Choices, data: Shelf | None = None) -> dict[str, Any]:
    """Return all of it; without a data set there is nothing to look through."""
    return {
        "models": about_models(models, choices),
        "choices": choices.to_json(),
        "samples": [path.name for path in sample_pictures()],
        "data": None if data is None else data.describe(),
        "limits": {"bytes": MOST_BYTES, "pixels": MOST_PIXELS},
    }


def _method(entry: Entry) -> dict[str, Any]:
    quick = entry.cost.startswith(_QUICK) and "for each" not in entry.cost and entry.name not in _LONG
    return {"name": entry.name, "quick": quick, "cost": entry.cost, "avoid": entry.avoid, "source": entry.reference}
