"""Common corruptions and small shifts of pictures, and how a classifier fares under them.

corrupting   `corrupt`: one kind at one severity, keyed by picture; severities: the published constants
registry     every kind by name: noise, blurs, weather, spatter, colors, digital; filters: what they share
shifts       small changes that people hardly see, for stability
augmenting   corruptions in training (augmix)
evaluating   `evaluate_corruptions`: a `request` in, a `study` of `results` out; alexnet: by what errors are weighed
comparing    two models under the same corruptions
published    `read_stored`: CIFAR-10-C, ImageNet-C and the like as data; layouts: where they keep what
converted    a data set that is corrupted as it is read, to be written as files
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from backlight.corrupt.corrupting import corrupt
from backlight.corrupt.registry import CORRUPTIONS, CorruptionCard

if TYPE_CHECKING:
    from backlight.corrupt.comparing import compare_studies
    from backlight.corrupt.evaluating import evaluate_corruptions
    from backlight.corrupt.published import read_stored
    from backlight.corrupt.request import CorruptionRequest
    from backlight.corrupt.study import CorruptionStudy

# Imported when they are asked for: training corrupts pictures and evaluates nothing.
_HOMES = {
    "CorruptionRequest": "backlight.corrupt.request",
    "CorruptionStudy": "backlight.corrupt.study",
    "compare_studies": "backlight.corrupt.comparing",
    "evaluate_corruptions": "backlight.corrupt.evaluating",
    "read_stored": "backlight.corrupt.published",
}

__all__ = [
    "CORRUPTIONS",
    "CorruptionCard",
    "CorruptionRequest",
    "CorruptionStudy",
    "compare_studies",
    "corrupt",
    "evaluate_corruptions",
    "read_stored",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'backlight.corrupt' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
