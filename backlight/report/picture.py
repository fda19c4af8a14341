"""The section of one picture: what the classifier says, where it looks, how it is fooled."""

from __future__ import annotations

from dataclasses import dataclass

from backlight.classifier.predictions import Prediction
from backlight.images.render import amplify
from backlight.page.embed import exact_uri, photograph_uri
from backlight.page.sections import Facts, Section
from backlight.report.attacks import PGD_STEPS, Attempt, Change, Tried
from backlight.report.fill import fill
from backlight.report.looking import Embed, maps_facts, said_facts
from backlight.report.study import PictureStudy

AMPLIFICATION = 10
_STRONG = {"flow": 1, "color": 5}  # what bounds no value changes some of them by a lot
_THUMBNAIL = 96


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
    anchor, embed = f"picture-{place}", Embed(pictures)
    facts = {
        **said_facts(place, name, study.picture, study.photograph, study.answers, embed),
        **maps_facts(study.best.label, study.maps, study.agreement, embed),
        "study": study,
        "attacks": [fooling_facts(one, embed, noise=one.target is None) for one in study.attacks.shown],
        "pgd_steps": PGD_STEPS,
    }
    section = Section(anchor, name, fill("picture.html", facts))
    thumbnail = embed(photograph_uri, study.photograph, _THUMBNAIL)
    many = study.attacks.many_steps
    fooled = many.now if many.success else None
    return section, Summary(anchor, name, thumbnail, study.best, fooled, study.attacks.smallest)


def amplification_of(norm: str) -> int:
    """Return how many times stronger a change within a norm, or another measure, is shown.

    >>> amplification_of("linf"), amplification_of("flow")
    (10, 1)
    """
    return _STRONG.get(norm, AMPLIFICATION)


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
        "amplification": amplification_of(one.norm),
        "noise": embed(exact_uri, (one.noise + 1) / 2) if noise else "",
        "amplified": embed(exact_uri, amplify(one.perturbation, amplification_of(one.norm))),
        "result": embed(exact_uri, one.image),
        "changed": float((one.perturbation != 0).float().mean()),
        "levels": round(float(one.perturbation.abs().max()) * 255),
    }
