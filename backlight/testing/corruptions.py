"""Prove a kind of corruption."""

from __future__ import annotations

from torch import Tensor

from backlight.core.random import Random
from backlight.corrupt import CorruptionCard, corrupt
from backlight.corrupt.registry import Corruption, corruption_of
from backlight.testing.setting import COUNT, IDS, global_seed, require, require_same, small_pictures

_ONE_LEVEL = 1.01 / 255  # in float32 one level may round the other way in a batch of another shape


def check_corruption(kind: str | CorruptionCard | Corruption) -> None:
    """Prove a corruption: 8-bit pictures of the same shape at severities 1 to 5, keyed by picture, originals unchanged.

    `kind` is what `backlight.corrupt.corrupt` takes. Raises AssertionError that says what does not hold.

    >>> check_corruption("gaussian_noise")
    """
    card = corruption_of(kind)
    images = small_pictures().float().repeat_interleave(2, 2).repeat_interleave(2, 3)

    def corrupted(severity: int, rows: slice = slice(None), seed: int = 0) -> Tensor:
        with global_seed(seed):
            return corrupt(images[rows], card, severity, random=Random(0, list(IDS)[rows]))

    before = images.clone()
    for severity in range(1, 6):
        whole = corrupted(severity)
        require_same(images, before, card.name, "changes the pictures that it is given")
        require(whole.shape == images.shape, card.name, f"pictures of shape {list(whole.shape)}")
        good = bool(whole.isfinite().all()) and 0 <= float(whole.min()) <= float(whole.max()) <= 1
        require(good, card.name, f"values outside of [0,1] at severity {severity}")
        again = corrupted(severity, seed=1)
        require_same(whole, again, card.name, "other pictures when called again: draw from the random numbers given")
        for row in range(COUNT):
            alone = corrupted(severity, slice(row, row + 1))
            require_same(whole[row : row + 1], alone, card.name, "another picture alone", _ONE_LEVEL)
