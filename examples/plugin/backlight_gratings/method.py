"""A method of explanation: the gradient where the picture differs from its surroundings."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from backlight.explain import Card
from backlight.explain.session import Session


def local_contrast(session: Session, *, width: int = 5) -> Tensor:
    """Multiply the gradient by the difference to the mean of `width` x `width` pixels: a signed map `[B,C,H,W]`."""
    around = F.avg_pool2d(session.images, width, stride=1, padding=width // 2, count_include_pad=False)
    return session.gradient() * (session.images - around)


CARD = Card(
    "local_contrast",
    local_contrast,
    needs=frozenset({"gradient"}),
    passes="1 forward, 1 backward",
    reference="the example package of Backlight's documentation",
    avoid="large even areas: they get nothing, whatever they mean to the network",
)
