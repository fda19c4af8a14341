"""Backlight: train, measure, explain, attack and harden image classifiers.

The names below are imported when they are first used, so `import backlight` costs nothing. Each room keeps its
verbs: `from backlight.explain import explain`, `from backlight.attack import attack`.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "BacklightError": "backlight.errors",
    "Classifier": "backlight.classifier",
    "Random": "backlight.random",
    "Resize": "backlight.images",
    "Table": "backlight.table",
    "load": "backlight.models",
    "load_data": "backlight.data",
    "optimize": "backlight.pixels",
}

__all__ = [
    "BacklightError",
    "Classifier",
    "Random",
    "Resize",
    "Table",
    "load",
    "load_data",
    "optimize",
]

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'backlight' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
