"""The photographs that Admix mixes in: a few, the same for everybody, cut to the pictures' size."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from backlight.images import Resize, read_image
from backlight.images.samples import sample_pictures

_LARGER = 1.5  # than the cuts are the photographs that they are cut out of


@lru_cache(maxsize=4)
def photographs(shape: tuple[int, int, int]) -> Tensor:
    """Return photographs of a shape (channels, height, width) in [0,1]: the corners of a few, two of each mirrored.

    Where channels are not three, each is the photograph's brightness.

    >>> photographs((3, 20, 30)).shape
    torch.Size([16, 3, 20, 30])
    """
    channels, height, width = shape
    frame = (int(_LARGER * height) + 1, int(_LARGER * width) + 1)
    rule = Resize(None, frame, "bilinear")
    cuts = []
    for path in sample_pictures():
        whole = read_image(path, rule, channels=3 if channels == 3 else 1).image.expand(channels, -1, -1)
        tops, lefts = (0, frame[0] - height), (0, frame[1] - width)
        corners = [whole[:, top : top + height, left : left + width] for top in tops for left in lefts]
        cuts += [one.flip(2) if number in (1, 2) else one for number, one in enumerate(corners)]
    return torch.stack(cuts)
