"""Made pictures laid out: contact sheets, and sheets of a picture on its way."""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from backlight.images.sheets import grid
from backlight.visualize.fooling import Fooling
from backlight.visualize.pictures import Pictures

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
