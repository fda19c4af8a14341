"""Corrupt pictures: one kind at one severity, batched, each picture by its own random numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.core.random import Random
from backlight.corrupt.blurs import to_levels
from backlight.corrupt.colors import luminance
from backlight.corrupt.registry import Corruption, CorruptionCard, corruption_of
from backlight.corrupt.severities import Constants, check_severity, constants_of, table_for

Kind = str | CorruptionCard | Corruption


def corrupt(
    images: Tensor, kind: Kind, severity: int, *, random: Random | None = None, table: str | None = None
) -> Tensor:
    """Corrupt pictures `[A,C,H,W]` in [0,1], C 1 or 3, by a kind at a severity 1 to 5; the result has 8 bits.

    The constants are those published for photographs or for small pictures, by size, unless `table` names one. Each
    picture's noise is keyed by (seed, kind, severity, id) of `random`; without one, pictures are numbered from 0.
    A function (images, (severity,), random) is taken for a kind too.

    Raises InputError for other images and for a kind that returns no finite pictures of that size, UsageError for
    unknown kinds, severities and tables.

    >>> import torch
    >>> noisy = corrupt(torch.full((2, 3, 32, 32), 0.5), "gaussian_noise", 5)
    >>> noisy.std().round(decimals=1)
    tensor(0.1000)
    """
    card = corruption_of(kind)
    check_severity(severity)
    _check(images)
    if not len(images):
        return images
    constants: Constants = (float(severity),)
    if card.constants:
        constants = constants_of(card.constants, severity, table or table_for(*images.shape[2:]))
    random = random or Random(0, list(range(len(images))))
    random = random.fork(("corrupt", card.name, severity))
    most = max(1, _VALUES // images[0].numel())
    corrupted = torch.empty_like(images)
    for start in range(0, len(images), most):
        part = slice(start, start + most)
        corrupted[part] = _corrupt(images[part], card, constants, random.take(part))
    return corrupted


_VALUES = 2**19  # so many at once stay in the processor's cache


def _corrupt(images: Tensor, card: CorruptionCard, constants: Constants, random: Random) -> Tensor:
    pictures = images.detach().clamp(0, 1).mul_(255).round_().float().cpu().div_(255)
    if card.colored and images.shape[1] == 1:
        pictures = pictures.expand(-1, 3, -1, -1)
    corrupted = card.function(pictures, constants, random)
    if not isinstance(corrupted, Tensor):
        raise InputError(f"{card.name} returned {type(corrupted).__name__}", expected=f"pictures {list(images.shape)}")
    if images.shape[1] == 1 and corrupted.shape[1:2] == (3,):
        corrupted = luminance(corrupted)
    if corrupted.shape != images.shape:
        raise InputError(f"{card.name} returned pictures {list(corrupted.shape)}", expected=f"{list(images.shape)}")
    if not card.constants and not bool(corrupted.isfinite().all()):  # the published kinds need no look at every value
        raise InputError(f"{card.name} returned values that are not finite", expected="pictures in [0,1]")
    return to_levels(corrupted).to(images)


def _check(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        found = f"images are {images.dtype} of shape {list(images.shape)}"
        raise InputError(found, expected="floats in [0,1], [A,1,H,W] or [A,3,H,W]")
