"""A section of pictures that were made: each with where it came from, how it came about, and what it reached."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from backlight.images import to_picture
from backlight.page.embed import exact_uri, photograph_uri
from backlight.page.sections import Facts, Section, number, render

_EXACT, _LARGE = 12, 60  # up to so many pictures are shown as they are, up to so many in full size
_SIDE, _SMALL, _FRAME = 384, 128, 112


@dataclass(frozen=True)
class Chance:
    """How probable a class is to the model, before and after; before is None where there was no picture.

    >>> Chance("cat", None, 0.9).after
    0.9
    """

    label: str
    before: float | None
    after: float


@dataclass(frozen=True, eq=False)
class MadePicture:
    """One made picture `[C,H,W]`: its name, what was measured, the picture it came from, and those on the way.

    `amplified` is the difference from `original` made visible; `facts` are names with words, `frames` and `sources`
    (what it was made of) captions with pictures. `verdict` says whether it does what it was made for, `light` is
    `good`, `look` or `bad`. `animation` is a data URI of how it came about.

    >>> import torch
    >>> MadePicture("tabby", torch.zeros(3, 8, 8), (("steps", "10"),)).original is None
    True
    """

    name: str
    image: Tensor
    facts: tuple[tuple[str, str], ...]
    original: Tensor | None = None
    amplified: Tensor | None = None
    frames: tuple[tuple[str, Tensor], ...] = ()
    sources: tuple[tuple[str, Tensor], ...] = ()
    verdict: str = ""
    light: str = ""
    chances: tuple[Chance, ...] = ()
    animation: str = ""


def made_section(shown: Sequence[MadePicture], title: str, about: str = "", *, anchor: str = "pictures") -> Section:
    """Lay pictures out side by side; one with an original also has a handle that wipes between the two.

    Many pictures are shown smaller, so that a page of a thousand classes can still be sent.

    >>> import torch
    >>> section = made_section([MadePicture("<b>", torch.zeros(3, 8, 8), (("steps", "10"),))], "Classes")
    >>> "&lt;b&gt;" in section.html and "<b>" not in section.html
    True
    """
    cells = [_cell(one, f"{anchor}-{row}", len(shown)) for row, one in enumerate(shown)]
    return Section(anchor, title, render("made.html", {"cells": cells, "about": about}))


def _cell(one: MadePicture, anchor: str, count: int) -> Facts:
    return {
        "id": anchor,
        "name": one.name,
        "size": tuple(one.image.shape[1:]),
        "result": _uri(one.image, count),
        "original": None if one.original is None else _uri(one.original, count),
        "amplified": None if one.amplified is None else _uri(one.amplified, count),
        "frames": [(caption, photograph_uri(to_picture(frame.clamp(0, 1)), _FRAME)) for caption, frame in one.frames],
        "sources": [
            (caption, photograph_uri(to_picture(source.clamp(0, 1)), _SIDE)) for caption, source in one.sources
        ],
        "told": one,
        "facts": [readable(*fact) for fact in one.facts],
    }


_LAYER = re.compile(r"(\w+)\('([^']*)'\)")
_FACTOR = re.compile(r"(?<![\w.:])\d+(?:\.\d+)?(?:e[-+]?\d+)? \* ")


def readable(name: str, words: str) -> tuple[str, str]:
    """Write a formula as people do: layers behind "at", factors with three digits, what has a minus as lowered.

    >>> readable("raised", "-(1.0 * content('blocks.5') + 1.3563368055555555e-05 * total_variation('l2'))")
    ('lowered', 'content at blocks.5 + 1.36e-05 * total variation (l2)')
    >>> readable("steps", "10")
    ('steps', '10')
    """
    if name != "raised":
        return _layers(name), words
    if words.startswith("-(") and _whole(words[1:]):
        name, words = "lowered", words[2:-1]
    return name, _layers(_FACTOR.sub(lambda found: _factor(float(found[0][:-3])), words))


def _whole(words: str) -> bool:
    """Say whether the first bracket is closed by the last one."""
    depth = 0
    for place, letter in enumerate(words):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return place == len(words) - 1
    return False


def _factor(value: float) -> str:
    return "" if value == 1 else f"{number(value)} * "


def _layers(words: str) -> str:
    def said(found: re.Match[str]) -> str:
        what = found[1].replace("_", " ")
        return f"{what} ({found[2]})" if found[1] == "total_variation" else f"{what} at {found[2]}"

    return _LAYER.sub(said, words)


def _captioned(pictures: Sequence[tuple[str, Tensor]], longest: int) -> list[tuple[str, str]]:
    return [(caption, photograph_uri(to_picture(one.clamp(0, 1)), longest)) for caption, one in pictures]


def _uri(image: Tensor, count: int) -> str:
    image = image.detach().cpu().clamp(0, 1)
    if count <= _EXACT and max(image.shape[1:]) <= _SIDE:
        return exact_uri(image)
    return photograph_uri(to_picture(image), _SIDE if count <= _LARGE else _SMALL)
