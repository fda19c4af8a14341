"""Where attacks by decisions begin: a picture that fools, however far it is, and its way back to the boundary."""

from __future__ import annotations

from collections.abc import Callable, Generator

from torch import Tensor, nn

from backlight.attack.black_box.queries import Answers, Place
from backlight.pixels.geometry import length

TRIES = 100
_BITS = 16

Step = Generator[Tensor, Answers, Tensor]
"""A part of a walk that ends with a picture `[C,H,W]`."""


def begin(
    place: Place, *, shape: Callable[[Tensor], Tensor] = lambda picture: picture
) -> Generator[Tensor, Answers, Tensor | None]:
    """Ask about random pictures, each once through `shape`, until one fools; None after 100 that did not.

    The first is noise of single pixels; others are noise of larger and larger squares, up to one color, and every other
    one knows black and white only: a model that takes fine noise for the picture's own class may not take all of them.
    """
    for number in range(TRIES):
        answers = yield shape(noise(place, number))[None]
        if bool(answers.fooled[0]):
            return answers.images[0]
    return None


def noise(place: Place, number: int) -> Tensor:
    """Draw picture number so-and-so `[C,H,W]`, over squares of a side that depends on the number.

    Values are uniform in [0,1] for even numbers, 0 or 1 for odd ones.

    >>> import torch
    >>> place = Place(torch.zeros(3, 4, 4), "l2", 1.0, torch.tensor(-1.0), 9, (0, "mine"), torch.tensor([7]))
    >>> [len(noise(place, number).unique()) for number in (0, 1, 2, 4)]
    [48, 2, 3, 12]
    """
    channels, height, width = place.original.shape
    whole = max(height, width)
    sides = [1, whole, *(2**power for power in range(1, whole.bit_length()) if 2**power < whole)]
    side = sides[number // 2 % len(sides)]
    coarse = (channels, -(-height // side), -(-width // side))
    drawn = place.random(number).uniform(*coarse, stream="begin", dtype=place.original.dtype)
    drawn = drawn.round() if number % 2 else drawn
    return nn.functional.interpolate(drawn, scale_factor=side, mode="nearest")[0, :, :height, :width]


def return_to_boundary(place: Place, far: Tensor, *, tolerance: float) -> Step:
    """Halve the way from the original to a picture that fools, and return the nearest one found that does.

    In l2 the way is the straight line, its whole length counting as 1; in linf it is the change cut at a smaller and
    smaller bound, and `tolerance` is in the norm's own units.
    """
    change = far - place.original
    bound = float(length(change[None], "linf")[0]) if place.norm == "linf" else 1.0
    low, high, kept = 0.0, bound, far
    while high - low > tolerance:
        middle = (low + high) / 2
        cut = change.clamp(-middle, middle) if place.norm == "linf" else middle * change
        answers = yield (place.original + cut)[None]
        if bool(answers.fooled[0]):
            high, kept = middle, answers.images[0]
        else:
            low = middle
    return kept


def bells(place: Place, count: int, *, turn: int, part: int = 0) -> Tensor:
    """Draw `count` directions `[n,C,H,W]` that are close to normal: sums of three uniform numbers of variance 1.

    An eighth of what normal numbers cost, and no direction is preferred.

    >>> import torch
    >>> place = Place(torch.zeros(3, 8, 8), "l2", 1.0, torch.tensor(-1.0), 9, (0, "mine"), torch.tensor([7]))
    >>> float(bells(place, 50, turn=0).std().round(decimals=1))
    1.0
    """
    words = place.random(turn).words(3, count, *place.original.shape, stream=("bells", part))
    return words[0].sum(0, dtype=place.original.dtype) * (2 / 2**_BITS)
