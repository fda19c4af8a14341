"""The verbs `models` and `methods`: what can be named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backlight.core.progress import Progress
from backlight.models.listing import ModelEntry, list_models
from backlight.tasks.cards import Entry, bibtex_entries, list_methods, list_origins
from backlight.tasks.outcome import Outcome, plain_json

_TITLES = {"needs": "needs", "norms": "norm", "cost": "cost", "reference": "source", "avoid": "avoid"}


@dataclass(frozen=True)
class ModelsRequest:
    """Which models are listed: all, or those whose name contains `search`.

    >>> ModelsRequest().search
    ''
    """

    search: str = ""


def models(request: ModelsRequest, *, progress: Progress | None = None) -> Outcome:
    """List the models that can be loaded by name, and what each needs.

    >>> models(ModelsRequest("classic_cnn")).document[0]["spec"]
    'classic_cnn'
    """
    found = list_models(request.search)
    return Outcome(plain_json([model.to_json() for model in found]), tuple(_model_lines(found)), result=found)


def _model_lines(found: Sequence[ModelEntry]) -> Iterator[str]:
    width = max((len(model.spec) for model in found), default=0)
    for model in found:
        here = "" if model.offline is None else "works offline" if model.offline else "not here"
        yield f"{model.spec:<{width}}  {here:<13}  {model.summary}; needs {model.needs}"


@dataclass(frozen=True)
class MethodsRequest:
    """How methods are listed: for people, with `bibtex` their references, with `plugins` where all things come from.

    >>> MethodsRequest().bibtex
    False
    """

    bibtex: bool = False
    plugins: bool = False


def methods(request: MethodsRequest, *, progress: Progress | None = None) -> Outcome:
    """List every method and attack: what it needs, its cost, its reference, when not to use it.

    With `plugins` every card of every registry is listed, with the package that it comes from.

    >>> {"saliency", "pgd"} <= {entry["name"] for entry in methods(MethodsRequest()).document}
    True
    """
    if request.plugins:
        origins = list_origins()
        lines = [f"{one.kind:<20} {one.name:<24} {one.origin}" for one in origins]
        return Outcome(plain_json([one.to_json() for one in origins]), tuple(lines), result=origins)
    entries = list_methods()
    lines = "\n\n".join(bibtex_entries(entries)).splitlines() if request.bibtex else list(_method_lines(entries))
    return Outcome(plain_json([entry.to_json() for entry in entries]), tuple(lines), result=entries)


def _method_lines(entries: Sequence[Entry]) -> Iterator[str]:
    for kind in dict.fromkeys(entry.kind for entry in entries):
        yield from ("", kind.upper())
        for entry in entries:
            if entry.kind == kind:
                yield entry.name
                told = {title: getattr(entry, name) for name, title in _TITLES.items()}
                yield from (f"  {title:<6}  {words}" for title, words in told.items() if words)
