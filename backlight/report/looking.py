"""What a classifier says of one picture and where it looks, as the facts that a page's templates name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from backlight.classifier import Classifier
from backlight.classifier.predictions import Prediction
from backlight.images import Picture
from backlight.images.picture import Photograph
from backlight.images.render import normalize_map
from backlight.page.embed import LARGEST, exact_uri, layer_uri, photograph_uri
from backlight.page.sections import Facts, percent
from backlight.report.agreement import Agreement
from backlight.report.study import MapStudy

_TINY = 100  # pictures smaller than this are enlarged with their pixels kept apart


@dataclass(frozen=True)
class _Words:
    """How a method is spoken of: its term in the glossary, and what its map shows."""

    term: str
    shows: str


_WORDS = {
    "saliency": _Words("saliency", "Where a tiny change of a pixel would move the score most."),
    "gradcam": _Words("Grad-CAM", "Which regions the last layers count as evidence for this class."),
    "guided_backprop": _Words("guided backpropagation", "Which edges and textures the network responds to."),
    "guided_gradcam": _Words("guided Grad-CAM", "Those edges again, only where Grad-CAM sees evidence."),
}


@dataclass(frozen=True)
class PhotographReader:
    """Decode each file once, for the classifier and for the page.

    >>> from torch import nn
    >>> PhotographReader(Classifier.from_module(nn.Flatten(), size=8)).classifier.size
    (8, 8)
    """

    classifier: Classifier

    def read(self, path: str | os.PathLike[str]) -> Photograph:
        """Read a picture file as its classifier sees it, and whole. Raises FileError where that cannot be done."""
        return self.classifier.read_photograph(path)


class Embed:
    """Embed a picture, or nothing on a page of numbers only.

    >>> Embed(False)(exact_uri, None)
    ''
    """

    def __init__(self, pictures: bool) -> None:
        self.pictures = pictures

    def __call__(self, function: Callable[..., str], *arguments: object) -> str:
        return function(*arguments) if self.pictures else ""


@dataclass(frozen=True)
class Bar:
    """One class with two bars; `start` and `width` are percent of the bar's field, for logits around zero.

    >>> Bar("cat", 0.9, 7.1, 90.0, 0.0, 100.0).label
    'cat'
    """

    label: str
    probability: float
    logit: float
    probability_width: float
    logit_start: float
    logit_width: float


def is_tiny(size: tuple[int, ...]) -> bool:
    """Whether a picture of this height and width is enlarged with its pixels kept apart.

    >>> is_tiny((32, 32)), is_tiny((224, 224))
    (True, False)
    """
    return max(size) < _TINY


def bars(answers: Sequence[Prediction]) -> list[Bar]:
    """Lay out answers as bars: probabilities on the scale 0 to 1, logits on a common one that includes zero.

    >>> found = bars([Prediction("a", 0, 0.9, 3.0), Prediction("b", 1, 0.1, -1.0)])
    >>> [(bar.logit_start, bar.logit_width) for bar in found]
    [(25.0, 75.0), (0.0, 25.0)]
    """
    low = min(0.0, *(one.logit for one in answers))
    high = max(0.0, *(one.logit for one in answers))
    scale = 100 / max(high - low, 1e-12)
    return [
        Bar(
            one.label,
            one.probability,
            one.logit,
            100 * one.probability,
            (min(one.logit, 0.0) - low) * scale,
            abs(one.logit) * scale,
        )
        for one in answers
    ]


def said_facts(
    place: int, name: str, picture: Picture, photograph: Image.Image, answers: Sequence[Prediction], embed: Embed
) -> dict[str, object]:
    """Return what `says.html` names: the photograph with its crop, and the most likely classes.

    `shortly` says that the page's first picture, at `place` 1, has told already what is the same for all.
    """
    sees = tuple(picture.image.shape[-2:])
    return {
        "anchor": f"picture-{place}",
        "shortly": place > 1,
        "name": name,
        "picture": picture,
        "sees": sees,
        "tiny": is_tiny(sees),
        "exact": max(sees) <= LARGEST,
        "photograph": embed(photograph_uri, photograph),
        "crop": embed(exact_uri, picture.image),
        "best": answers[0],
        "bars": bars(answers),
    }


def maps_facts(
    explained: str, maps: Sequence[MapStudy], agreement: Agreement | None, embed: Embed
) -> dict[str, object]:
    """Return what `maps.html` names beside `said_facts`: the class explained, its maps, and how far they agree."""
    return {
        "explained": explained,
        "maps": [_map(one, embed) for one in maps],
        "agreement": agreement_words(agreement),
    }


def _map(one: MapStudy, embed: Embed) -> Facts:
    seen = one.finite and not one.flat
    return {
        "method": one.method,
        "words": _WORDS.get(one.method),
        "layer": one.layer,
        "avoid": one.avoid,
        "finite": one.finite,
        "seen": seen,
        "heat": embed(layer_uri, normalize_map(one.heat).values, "heat") if seen else "",
        "signed": embed(layer_uri, normalize_map(one.signed, signed=True).values, "signed") if seen else "",
        "notes": one.notes,
    }


def agreement_words(agreement: Agreement | None) -> tuple[str, str]:
    """Describe in a sentence whether explanations agree and where, then how that was measured, or nothing.

    >>> from backlight.report.agreement import Pair
    >>> agreement_words(Agreement((Pair("saliency", "gradcam", 0.5, 0.7),), 0.1, "in the middle"))[0]
    'These maps partly agree; what most of them mark lies in the middle.'
    """
    if agreement is None:
        return "There are not two maps here that could agree: the others are flat, or made of one another.", ""
    where = f"what most of them mark lies {agreement.where}" if agreement.where else "no place is marked by most"
    text = (
        f"Of the tenth of the picture that each marks strongest, two of them share {percent(agreement.overlap)} on "
        f"average, where chance would give {percent(agreement.chance)}."
    )
    if len(agreement.pairs) > 1:
        closest, farthest = agreement.closest, agreement.farthest
        text += (
            f" The most alike are {_plain(closest.first)} and {_plain(closest.second)} (rank correlation "
            f"{closest.correlation:.2f}), the least {_plain(farthest.first)} and {_plain(farthest.second)} "
            f"({farthest.correlation:.2f})."
        )
    if agreement.products:
        text += f" Not counted: {_listed(agreement.products)}, made of two of the others."
    if agreement.empty:
        text += f" Not counted: {_listed(agreement.empty)}, the same everywhere."
    return f"These maps {agreement.word} agree; {where}.", text


def _listed(methods: Sequence[str]) -> str:
    return " and ".join(map(_plain, methods))


def _plain(method: str) -> str:
    return _WORDS[method].term if method in _WORDS else method
