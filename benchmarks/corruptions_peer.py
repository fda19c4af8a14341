"""imagecorruptions, whose release of 2020 needs what scipy, scikit-image and setuptools have removed since."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage import filters

NAMES = {"elastic": "elastic_transform", "jpeg": "jpeg_compression"}
"""What the peer calls kinds that have another name here."""


def load_peer() -> Callable[..., np.ndarray]:
    """Return its `corrupt(image, severity, corruption_name)`, with stand-ins for the names that are gone."""
    resources = types.ModuleType("pkg_resources")
    resources.resource_filename = lambda package, name: str(folder() / name)  # type: ignore[attr-defined]
    interpolation = types.ModuleType("scipy.ndimage.interpolation")
    interpolation.map_coordinates = ndimage.map_coordinates  # type: ignore[attr-defined]
    sys.modules.setdefault("pkg_resources", resources)
    sys.modules.setdefault("scipy.ndimage.interpolation", interpolation)
    from imagecorruptions import corrupt, corruptions

    def gaussian(image: np.ndarray, sigma: float, multichannel: bool = False, **others: object) -> np.ndarray:
        return filters.gaussian(image, sigma=sigma, channel_axis=-1 if multichannel else None, **others)

    class OldNumpy:
        float_ = np.float64

        def __getattr__(self, name: str) -> object:
            return getattr(np, name)

    corruptions.gaussian, corruptions.np = gaussian, OldNumpy()
    return corrupt


def folder() -> Path:
    """Return where the peer lies, and its photographs of frost in `frost/`."""
    spec = find_spec("imagecorruptions")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
