"""Packages that only some sources of models need."""

from __future__ import annotations

import importlib.util

from backlight.core.errors import ModelError


def require_package(package: str, extra: str) -> None:
    """Raise ModelError that names the extra where a package is not installed.

    >>> require_package("torch", "none")
    """
    if importlib.util.find_spec(package) is None:
        raise ModelError(f"the package {package} is not installed", hint=f"pip install 'backlight[{extra}]'")
