"""The passport: how pictures reach a model and what its outputs mean, each value with the source it comes from.

A wrong mean, a wrong crop or another order of classes makes every number wrong without an error, so nothing that had
to be assumed stays unsaid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from backlight.core.fingerprint import fingerprint

if TYPE_CHECKING:
    from backlight.images import Resize

Source = Literal["given", "passport", "run", "library", "assumed"]
SOURCES: tuple[Source, ...] = ("given", "passport", "run", "library", "assumed")
GEOMETRY = ("size", "resize", "crop", "interpolation")
FIELDS = ("mean", "std", *GEOMETRY, "labels", "outputs")

_SAID: dict[Source, str] = {
    "given": "given",
    "passport": "from model.json",
    "run": "from the run",
    "library": "from the library's configuration",
    "assumed": "ASSUMED",
}
_WEIGHTS_LENGTH = 16


def crop_of(resize: Resize | None) -> str | None:
    """Name how a resize rule reaches the input size: `center` cuts the borders off, `squash` changes proportions.

    >>> crop_of(None) is None
    True
    """
    if resize is None:
        return None
    return "squash" if resize.squash else "center"


@dataclass(frozen=True)
class Passport:
    """The normalization, geometry, labels and outputs of a classifier, and where each of them comes from.

    `sources` holds one of `given`, `passport` (a `model.json`), `run`, `library` and `assumed` for every name in
    `FIELDS`. `trained` is False for random weights, with which no normalization can be wrong.

    >>> passport = Passport("net", nn.Flatten(), (0.5,), (0.5,), None, (), "logits", {"mean": "given"})
    >>> passport.source("mean"), passport.source("std")
    ('given', 'assumed')
    """

    name: str
    module: nn.Module = field(repr=False, compare=False)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: Resize | None
    labels: tuple[str, ...]
    outputs: str
    sources: Mapping[str, Source]
    trained: bool = True

    def source(self, name: str) -> Source:
        """Return where the value of one of `FIELDS` comes from."""
        return self.sources.get(name, "assumed")

    @cached_property
    def weights(self) -> str | None:
        """Return the fingerprint of the weights, None for a module that holds none."""
        if hasattr(self.module, "fingerprint_parts"):
            return fingerprint(self.module)[:_WEIGHTS_LENGTH]
        state = self.module.state_dict()
        return fingerprint(state)[:_WEIGHTS_LENGTH] if state else None

    @property
    def assumed_normalization(self) -> bool:
        """Whether trained weights are fed with a mean or a deviation that nobody stated."""
        return self.trained and "assumed" in (self.source("mean"), self.source("std"))

    def to_json(self) -> dict[str, Any]:
        """Return the `"model"` of every JSON document, which is also what `model.json` holds.

        >>> net = nn.Linear(2, 2)
        >>> list(Passport("net", net, (0.5,), (0.5,), None, ("a", "b"), "logits", {}).to_json())[:4]
        ['name', 'weights', 'mean', 'std']
        """
        rule = self.resize
        return {
            "name": self.name,
            "weights": self.weights,
            "mean": list(self.mean),
            "std": list(self.std),
            "size": list(rule.size) if rule else None,
            "resize": rule.shorter_side if rule else None,
            "crop": crop_of(rule),
            "interpolation": rule.interpolation if rule else None,
            "labels": list(self.labels),
            "outputs": self.outputs,
            "sources": {name: self.source(name) for name in FIELDS},
        }

    def describe(self) -> str:
        """Return one line: the normalization, the geometry, the labels and the outputs, each with its source.

        A source that several of these share is named once, at the end.

        >>> print(Passport("net", nn.Flatten(), (0.5,), (0.25,), None, (), "logits", {"mean": "run"}).describe())
        normalization mean 0.5 (from the run), std 0.25 (ASSUMED); any size; no labels; logits (ASSUMED)
        >>> run = dict.fromkeys(FIELDS, "run")
        >>> print(Passport("net", nn.Flatten(), (0.5,), (0.25,), None, ("a", "b"), "logits", run).describe())
        normalization mean 0.5, std 0.25; any size; 2 labels; logits; all from the run
        """
        normalization = {"mean": f"mean {_listed(self.mean)}", "std": f"std {_listed(self.std)}"}
        geometry = self._geometry() if self.resize else {}
        labels = {"labels": f"{len(self.labels)} labels"} if self.labels else {}
        groups = (normalization, geometry, labels, {"outputs": self.outputs})
        shared = self._shared(groups)
        words = [self._sourced(group, shared) for group in groups]
        words[1:3] = words[1] or "any size", words[2] or "no labels"
        if shared is not None:
            whole = all({self.source(name) for name in group} <= {shared} for group in groups)
            words.append(f"{'all' if whole else 'the rest'} {_SAID[shared]}")
        return "normalization " + "; ".join(words)

    def warnings(self) -> tuple[str, ...]:
        """Return what has to be said aloud: the normalization of a trained model that had to be assumed.

        >>> len(Passport("net", nn.Flatten(), (0.0,), (1.0,), None, (), "logits", {}).warnings())
        1
        """
        if not self.assumed_normalization:
            return ()
        found = f"the normalization of {self.name} is ASSUMED: mean {_listed(self.mean)}, std {_listed(self.std)}"
        hint = "if it was trained with another one, every number is wrong; state it with --mean and --std"
        return (f"{found}; {hint}, or in a model.json beside its weights",)

    def _geometry(self) -> dict[str, str]:
        assert self.resize is not None
        height, width = self.resize.size
        crop = {
            "squash": "both sides scaled",
            "center": "center crop",
        }[crop_of(self.resize) or "center"]
        shorter = self.resize.shorter_side
        return {
            "size": f"{height}x{width} px",
            "resize": f"shorter side {shorter}" if shorter else "scaled to cover it",
            "crop": crop,
            "interpolation": self.resize.interpolation,
        }

    def _shared(self, groups: Sequence[Mapping[str, str]]) -> Source | None:
        """Return the source that most groups have as a whole, if several do; some that are assumed are said so each."""
        sources = [{self.source(name) for name in group} for group in groups if group]
        if len(set[Source]().union(*sources)) == 1:
            return sources[0].pop()
        counts = Counter(next(iter(found)) for found in sources if len(found) == 1 and found != {"assumed"})
        (source, count), *_ = (*counts.most_common(1), (None, 0))
        return source if count > 1 else None

    def _sourced(self, said: Mapping[str, str], shared: Source | None) -> str:
        """Name the source once where all of a group have it, and not at all where many groups share it."""
        sources = {self.source(name) for name in said}
        if len(sources) > 1:
            return ", ".join(f"{text} ({_SAID[self.source(name)]})" for name, text in said.items())
        told = "" if sources <= {shared} else f" ({_SAID[sources.pop()]})"
        return f"{', '.join(said.values())}{told}"


def _listed(values: tuple[float, ...]) -> str:
    shown = values[:1] if len(set(values)) == 1 else values
    return ",".join(f"{value:.4g}" for value in shown)
