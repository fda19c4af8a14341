"""imagecorruptions, whose release of 2020 needs what scipy, scikit-image and setuptools have removed since."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
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


def published_elastic(image: np.ndarray, severity: int) -> np.ndarray:
    """Deform a picture uint8 [H,W,3] by the code of ImageNet-C: the peer has made its own, without bending corners."""
    import cv2

    lengths = [(2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)]
    alpha, sigma, jitter = (244 * one for one in lengths[severity - 1])
    height, width, drawn = *image.shape[:2], np.random.default_rng()
    center, square = np.float32([height, width]) // 2, min(height, width) // 3
    corners = np.float32([center + square, [center[0] + square, center[1] - square], center - square])
    moved = corners + drawn.uniform(-jitter, jitter, corners.shape).astype(np.float32)
    bent = cv2.warpAffine(
        image / 255.0, cv2.getAffineTransform(corners, moved), (width, height), borderMode=cv2.BORDER_REFLECT_101
    )
    down, across = (
        filters.gaussian(drawn.uniform(-1, 1, (height, width)), sigma, mode="reflect", truncate=3) * alpha
        for _ in range(2)
    )
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    places = [rows + down, columns + across]
    found = [ndimage.map_coordinates(bent[:, :, one], places, order=1, mode="reflect") for one in range(3)]
    return np.uint8(np.clip(np.stack(found, 2), 0, 1) * 255)


def published_frost(image: np.ndarray, severity: int) -> np.ndarray:
    """Mix a picture uint8 [H,W,3] with a part of a photograph of frost as ImageNet-C does.

    The peer has made its own: it enlarges the photographs by a tenth, which smooths them.
    """
    own, share = [(1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)][severity - 1]
    height, width = image.shape[:2]
    drawn = np.random.default_rng()
    photograph = _photographs()[drawn.integers(5)]  # five of the six: a mistake that the published pictures have
    top, left = (drawn.integers(whole - part) for whole, part in zip(photograph.shape, (height, width)))
    part = photograph[top : top + height, left : left + width]
    return np.uint8(np.clip(own * image + share * part, 0, 255))


@cache
def _photographs() -> list[np.ndarray]:
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted((folder() / "frost").iterdir())]


PUBLISHED = {"elastic": published_elastic, "frost": published_frost}
"""Kinds that the peer has defined anew, by the code of ImageNet-C."""


def folder() -> Path:
    """Return where the peer lies, and its photographs of frost in `frost/`."""
    spec = find_spec("imagecorruptions")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
