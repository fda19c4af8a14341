"""Classifiers by name: published, embedded, our own, or a user's.

Imported lazily: the names of our networks must be listed without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backlight.core.faces import lazy_names

if TYPE_CHECKING:
    from backlight.models.inspect import compare_random, inspect_model
    from backlight.models.listing import list_models
    from backlight.models.loader import load

_HOMES = {
    "compare_random": "backlight.models.inspect",
    "inspect_model": "backlight.models.inspect",
    "list_models": "backlight.models.listing",
    "load": "backlight.models.loader",
}

__all__ = ["compare_random", "inspect_model", "list_models", "load"]


__getattr__ = lazy_names(__name__, _HOMES)
