"""An attack by gratings: black-and-white waves over the picture, tried one after the other, without gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backlight.attack import AttackCard, Challenge
from backlight.core.random import Random


def gratings(challenge: Challenge, *, tries: int = 16) -> Tensor:
    """Return pictures `[B,C,H,W]`: for each the first of `tries` gratings that fools, else the last one."""
    originals, size = challenge.images, challenge.threat.size
    height, width = originals.shape[2:]
    rows = torch.arange(height, dtype=torch.float64)[:, None]
    columns = torch.arange(width, dtype=torch.float64)[None, :]
    random = Random((challenge.seed, "gratings"), challenge.ids)
    found, fooled = originals.clone(), torch.zeros(len(originals), dtype=torch.bool, device=originals.device)
    for number in range(tries):
        # One wave per picture, keyed by its id: the same in any batch.
        drawn = random.fork(number).uniform(3, dtype=torch.float64)[:, :, None, None]
        angle, cycles, phase = (drawn[:, one] for one in range(3))
        along = torch.cos(math.pi * angle) * rows / height + torch.sin(math.pi * angle) * columns / width
        wave = torch.sin(2 * math.pi * ((1 + 7 * cycles) * along + phase)).sign()[:, None]
        pictures = (originals + size * wave.to(originals)).clamp(0, 1)
        found = torch.where(fooled[:, None, None, None], found, pictures)
        fooled = challenge.referee.judge(found).success
        if bool(fooled.all()):
            break
    return found


CARD = AttackCard(
    "gratings",
    gratings,
    norms=("linf",),
    passes="at most `tries` (16) forwards",
    reference="the example package of Backlight's documentation",
    avoid="measuring robustness: pgd finds far more",
)
