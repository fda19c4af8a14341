"""Made pictures laid out: contact sheets, sheets of a picture on its way, and what a page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor

from backlight.images.sheets import grid
from backlight.visualize.fooling import Fooling
from backlight.visualize.pictures import Pictures

if TYPE_CHECKING:
    from backlight.page.made import MadePicture

_WIDEST = 6


def contact_sheet(pictures: Pictures, columns: int | None = None) -> Image.Image:
    """Lay all pictures on one page, each with its name; fooling images beside originals and differences.

    Raises InputError for no pictures, and for numbers of channels other than 1 and 3.

    >>> import torch
    >>> from torch import nn
    >>> from backlight.classifier import Classifier
    >>> from backlight.visualize.classes import class_image
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(768, 3)), size=16)
    >>> contact_sheet(class_image(classifier, [0, 1, 2], steps=1)).mode
    'RGB'
    """
    if isinstance(pictures, Fooling):
        return _fooling_sheet(pictures)
    names = [name.split(",")[0] for name in pictures.names]
    return grid(list(pictures.images.cpu()), columns or _columns(len(pictures)), names)


def frame_sheet(pictures: Pictures, row: int = 0) -> Image.Image:
    """Lay out how one picture came about: its frames, captioned "iteration t / T".

    Raises InputError where no frames were kept.

    >>> import torch
    >>> from backlight.visualize.pictures import Frame
    >>> frames = (Frame(5, 10, torch.zeros(1, 3, 32, 32)), Frame(10, 10, torch.zeros(1, 3, 32, 32)))
    >>> nothing = torch.zeros(1)
    >>> made = Pictures(torch.zeros(1, 3, 32, 32), ("a",), "f", nothing, nothing, nothing, ("steps",), (), frames)
    >>> frame_sheet(made).size[0] > 64
    True
    """
    shown = [frame.images[row].cpu() for frame in pictures.frames]
    return grid(shown, _columns(len(shown)), [frame.label for frame in pictures.frames])


def shown_pictures(pictures: Pictures) -> list[MadePicture]:
    """Return the pictures as a page shows them: with what was reached, how, and from what.

    >>> import torch
    >>> nothing = torch.zeros(1)
    >>> made = Pictures(torch.zeros(1, 3, 8, 8), ("cat",), "logit(3)", nothing, nothing, nothing.int(), ("steps",))
    >>> shown_pictures(made)[0].name
    'cat'
    """
    from backlight.page.made import MadePicture

    fooling = pictures if isinstance(pictures, Fooling) else None
    return [
        MadePicture(
            name,
            pictures.images[row].cpu(),
            tuple(_facts(pictures, row)),
            None if fooling is None else fooling.originals[row].cpu(),
            None if fooling is None else fooling.amplified[row].cpu(),
            tuple((frame.label, frame.images[row].cpu()) for frame in pictures.frames),
        )
        for row, name in enumerate(pictures.names)
    ]


def _facts(pictures: Pictures, row: int) -> Iterator[tuple[str, str]]:
    start, objective = float(pictures.start[row]), float(pictures.objective[row])
    # The batch's numbers say nothing about one picture of it.
    yield "raised", re.sub(r"tensor\[[^]]*\]", "its class", pictures.formula)
    yield "from, to", f"{start:.4g} to {objective:.4g} in {int(pictures.steps[row])} steps ({pictures.stopped[row]})"
    if isinstance(pictures, Fooling):
        yield "the target is the answer", "yes" if pictures.success[row] else "no"
        yield "l2 length of the change", f"{float(pictures.distance[row]):.3g} in [0,1] pixels"
    for term in pictures.terms:
        yield term.name, f"{float(term.before[row]):.4g} to {float(term.after[row]):.4g}"


def _columns(count: int) -> int:
    """Return the number of columns of a nearly square sheet, six at most."""
    return max(1, min(_WIDEST, round(count**0.5 + 0.49)))


def _fooling_sheet(made: Fooling) -> Image.Image:
    cells: list[Tensor] = []
    names = []
    plain = (made.difference / 2 + 0.5).clamp(0, 1)
    for row, name in enumerate(made.names):
        verdict = f"taken for {name.split(',')[0]}" if made.success[row] else f"not yet {name.split(',')[0]}"
        cells += [made.originals[row], made.images[row], plain[row], made.amplified[row]]
        names += ["original", verdict, f"difference (l2 {float(made.distance[row]):.2f})", "difference x10"]
    return grid([cell.cpu() for cell in cells], 4, names)
