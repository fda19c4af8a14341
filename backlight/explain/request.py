"""What an explanation is asked for: which methods, for which class, at which layer, of which quantity."""

from __future__ import annotations

from dataclasses import dataclass

from backlight.classifier.targets import Target
from backlight.explain.choosing import AnyMethod


@dataclass(frozen=True)
class Request:
    """What is explained and how.

    >>> Request(("gradcam",)).quantity
    'logit'
    """

    methods: tuple[AnyMethod, ...]
    target: Target = None
    layer: tuple[str, ...] | None = None
    quantity: str = "logit"
    seed: int = 0
