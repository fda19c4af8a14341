"""The section of one picture: what the classifier says, where it looks, how it is fooled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backlight.classifier.predictions import Prediction
from backlight.explain import method
from backlight.images.render import amplify, normalize_map
from backlight.page.embed import LARGEST, exact_uri, layer_uri, photograph_uri
from backlight.page.sections import Facts, Section, percent
from backlight.report.agreement import Agreement
from backlight.report.attacks import PGD_STEPS, Attempt, Change, Tried
from backlight.report.fill import fill
from backlight.report.study import MapStudy, PictureStudy

AMPLIFICATION = 10
_THUMBNAIL = 96
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
class Summary:
    """One picture in the table at the top of the page.

    >>> Summary("picture-1", "cat.jpg", "", Prediction("cat", 3, 0.9, 7.1), None, None).name
    'cat.jpg'
    """

    anchor: str
    name: str
    thumbnail: str
    answer: Prediction
    fooled: Change | None
    smallest: Tried | None


def picture_section(study: PictureStudy, place: int, name: str, *, pictures: bool = True) -> tuple[Section, Summary]:
    """Write the section of one picture, the `place`-th of the page; without `pictures` numbers only."""
    anchor, embed, sees = f"picture-{place}", Embed(pictures), tuple(study.image.shape[-2:])
    facts = {
        "anchor": anchor,
        "name": name,
        "study": study,
        "sees": sees,
        "tiny": is_tiny(sees),
        "exact": max(sees) <= LARGEST,
        "photograph": embed(photograph_uri, study.photograph),
        "crop": embed(exact_uri, study.image),
        "bars": bars(study.answers),
        "maps": [_map(one, embed) for one in study.maps],
        "agreement": agreement_sentence(study.agreement),
        "attacks": [fooling_facts(one, embed, noise=one.target is None) for one in study.attacks.shown],
        "pgd_steps": PGD_STEPS,
        "amplification": AMPLIFICATION,
    }
    section = Section(anchor, name, fill("picture.html", facts))
    thumbnail = embed(photograph_uri, study.photograph, _THUMBNAIL)
    many = study.attacks.many_steps
    fooled = many.now if many.success else None
    return section, Summary(anchor, name, thumbnail, study.best, fooled, study.attacks.smallest)


def is_tiny(size: tuple[int, ...]) -> bool:
    """Whether a picture of this height and width is enlarged with its pixels kept apart.

    >>> is_tiny((32, 32)), is_tiny((224, 224))
    (True, False)
    """
    return max(size) < _TINY


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


def _map(one: MapStudy, embed: Embed) -> Facts:
    seen = one.finite and not one.flat
    return {
        "method": one.method,
        "words": _WORDS.get(one.method),
        "layer": one.layer,
        "avoid": method(one.method).card.avoid,
        "finite": one.finite,
        "seen": seen,
        "heat": embed(layer_uri, normalize_map(one.heat).values, "heat") if seen else "",
        "signed": embed(layer_uri, normalize_map(one.signed, signed=True).values, "signed") if seen else "",
        "notes": one.notes,
    }


def fooling_facts(one: Attempt, embed: Embed, *, noise: bool) -> Facts:
    """Embed the pictures of an attack: the result, what was added, and with `noise` that before it was made small.

    >>> import torch
    >>> before, after = Change("cat", 0, 0.9, 0.1), Change("dog", 1, 0.1, 0.9)
    >>> image = torch.zeros(3, 4, 4)
    >>> one = Attempt("pgd", image, image + 1 / 255, "linf", 0.01, 0.004, 3, True, before, after)
    >>> fooling_facts(one, Embed(False), noise=True)["levels"]
    1
    """
    return {
        "one": one,
        "noise": embed(exact_uri, (one.noise + 1) / 2) if noise else "",
        "amplified": embed(exact_uri, amplify(one.perturbation, AMPLIFICATION)),
        "result": embed(exact_uri, one.image),
        "changed": float((one.perturbation != 0).float().mean()),
        "levels": round(float(one.perturbation.abs().max()) * 255),
    }


def agreement_sentence(agreement: Agreement | None) -> str:
    """Describe in a sentence where explanations agree, and how that was measured.

    >>> from backlight.report.agreement import Pair
    >>> agreement_sentence(Agreement((Pair("saliency", "gradcam", 0.5, 0.7),), 0.1, "in the middle"))
    'These maps partly agree: ...'
    """
    if agreement is None:
        return "There are not two maps here that could agree: the others are flat, or made of one another."
    closest, farthest = agreement.closest, agreement.farthest
    text = (
        f"These maps {agreement.word} agree: of the tenth of the picture that each marks strongest, two of them share "
        f"{percent(agreement.overlap)} on average, where chance would give {percent(agreement.chance)}"
    )
    text += f"; what most of them mark lies {agreement.where}." if agreement.where else "; no place is marked by most."
    if len(agreement.pairs) > 1:
        text += (
            f" The most alike are {_plain(closest.first)} and {_plain(closest.second)} (rank correlation "
            f"{closest.correlation:.2f}), the least {_plain(farthest.first)} and {_plain(farthest.second)} "
            f"({farthest.correlation:.2f})."
        )
    if agreement.products:
        text += f" Not counted: {_listed(agreement.products)}, made of two of the others."
    if agreement.empty:
        text += f" Not counted: {_listed(agreement.empty)}, the same everywhere."
    return text


def _listed(methods: Sequence[str]) -> str:
    return " and ".join(map(_plain, methods))


def _plain(method: str) -> str:
    return _WORDS[method].term if method in _WORDS else method
