"""The section of one picture: what the classifier says, where it looks, how it is fooled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backlight.evaluate.predict import Prediction
from backlight.explain import CATALOG
from backlight.render import amplify, normalize_map
from backlight.report.agreement import Agreement, Pair
from backlight.report.attacks import PGD_STEPS, Change, Fooling, Tried
from backlight.report.embed import exact_uri, layer_uri, photograph_uri
from backlight.report.sections import Facts, Section, percent, render, shown_path
from backlight.report.study import MapStudy, PictureStudy

AMPLIFICATION = 10
_TERMS = {
    "saliency": "saliency",
    "gradcam": "Grad-CAM",
    "guided_backprop": "guided backpropagation",
    "guided_gradcam": "guided Grad-CAM",
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


def picture_section(study: PictureStudy, place: int, *, pictures: bool = True) -> tuple[Section, Summary]:
    """Write the section of one picture, the `place`-th of the page; without `pictures` numbers only."""
    anchor, name = f"picture-{place}", shown_path(study.picture.path.name)
    embed = _Embed(pictures)
    facts = {
        "anchor": anchor,
        "place": place,
        "name": name,
        "path": shown_path(study.picture.path),
        "study": study,
        "sees": tuple(study.image.shape[-2:]),
        "photograph": embed(photograph_uri, study.photograph),
        "crop": embed(exact_uri, study.image),
        "bars": bars(study.answers),
        "maps": [_map(one, embed) for one in study.maps],
        "agreement": agreement_sentence(study.agreement),
        "attacks": [_fooling(one, embed) for one in (study.attacks.one_step, study.attacks.many_steps)],
        "targeted": _fooling(study.attacks.targeted, embed),
        "pgd_steps": PGD_STEPS,
        "amplification": AMPLIFICATION,
    }
    section = Section(anchor, name, render("picture.html", facts))
    many = study.attacks.many_steps
    thumbnail = embed(lambda photograph: photograph_uri(photograph, 96), study.photograph)
    return section, Summary(
        anchor, name, thumbnail, study.best, many.now if many.success else None, study.attacks.smallest
    )


class _Embed:
    """Embed a picture, or nothing on a page of numbers only."""

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

    >>> [(bar.logit_start, bar.logit_width) for bar in bars([Prediction("a", 0, 0.9, 3.0), Prediction("b", 1, 0.1, -1.0)])]
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


def _map(one: MapStudy, embed: _Embed) -> Facts:
    name = one.method.partition(":")[0]
    seen = one.finite and not one.flat
    heat = normalize_map(one.heat).values
    signed = normalize_map(one.signed, signed=True).values
    return {
        "method": one.method,
        "term": _TERMS.get(one.method),
        "layer": one.layer,
        "avoid": CATALOG[name].avoid,
        "seen": seen,
        "finite": one.finite,
        "heat": embed(layer_uri, heat, "heat") if seen else "",
        "signed": embed(layer_uri, signed, "signed") if seen else "",
        "notes": one.notes,
    }


def _fooling(one: Fooling, embed: _Embed) -> Facts:
    return {
        "one": one,
        "term": {"fgsm": "FGSM", "pgd": "PGD"}.get(one.method, "targeted attack"),
        "noise": embed(exact_uri, (one.noise + 1) / 2),
        "amplified": embed(exact_uri, amplify(one.perturbation, AMPLIFICATION)),
        "result": embed(exact_uri, one.image),
        "changed": float((one.perturbation != 0).float().mean()),
        "levels": round(float(one.perturbation.abs().max()) * 255),
    }


def agreement_sentence(agreement: Agreement | None) -> str:
    """Say in a sentence where explanations agree, and how that was measured.

    >>> agreement_sentence(Agreement((Pair("saliency", "gradcam", 0.5, 0.7),), 0.1, "in the middle", ()))
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
    if agreement.left_out:
        names = ", ".join(map(_plain, agreement.left_out))
        text += f" Not counted: {names}, which {'is' if len(agreement.left_out) == 1 else 'are'} made of the others."
    return text


def _plain(method: str) -> str:
    return _TERMS.get(method, method)
