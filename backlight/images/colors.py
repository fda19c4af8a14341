"""Color tables of 256 entries, computed from a few anchors at even steps of perceived difference."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from backlight.core.errors import InputError, did_you_mean

_ENTRIES = 256
_SEQUENTIAL = {
    "gray": ("#000000", "#ffffff"),
    "reds": ("#ffffff", "#fbb394", "#e8402f", "#5c0512"),
    "heat": ("#000000", "#8c1005", "#f06a00", "#ffd84a", "#ffffff"),
    "sequential": ("#1c0f3d", "#3c3f8f", "#17788f", "#46b268", "#fbe83c"),
}
_DIVERGING = {"signed": (("#0b2a63", "#3f86c9", "#ffffff"), ("#ffffff", "#d9553f", "#67060f"))}
COLOR_TABLES = (*_SEQUENTIAL, *_DIVERGING)

# sRGB to XYZ (IEC 61966-2-1), each row scaled to 1 for white, and CIE 1976 L*a*b*.
_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_TO_XYZ /= _TO_XYZ.sum(axis=1, keepdims=True)
_TO_LAB = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
_BLACK = np.array([16.0, 0.0, 0.0])
_DARK = 6 / 29  # below it the cube root gives way to a line


def color_table(name: str) -> Tensor:
    """Return a color table, float32 [256,3] RGB in [0,1], from the lowest value to the highest.

    `gray`, `reds` (white to dark red), `heat` (black, red, yellow, white) and `sequential` (indigo to yellow)
    change lightness in one direction only; `signed` is blue, white in the middle, red.

    Raises InputError for other names.

    >>> color_table("gray")[[0, 255]]
    tensor([[0., 0., 0.],
            [1., 1., 1.]])
    """
    if name not in COLOR_TABLES:
        raise InputError(f"unknown color table {name!r}", hint=did_you_mean(name, COLOR_TABLES))
    return torch.from_numpy(_entries(name).copy())


def colorize(values: Tensor, table: str = "heat") -> Tensor:
    """Color values [..., H,W] in [0,1] by a table: [..., 3,H,W] in [0,1], on the same device.

    Values outside of [0,1] take the color of the nearer end; for `signed` 0.5 is white.

    Raises InputError for unknown tables and for values that are not finite (`normalize_map` mends those).

    >>> colorize(torch.tensor([[0.0, 1.0]]), "reds")[:, 0, 0]
    tensor([1., 1., 1.])
    """
    if not bool(torch.isfinite(values).all()):
        raise InputError("the map has values that are not finite", hint="normalize_map first")
    places = (values.detach().clamp(0, 1) * (_ENTRIES - 1)).round().long()
    return color_table(table).to(values.device)[places].movedim(-1, -3)


@cache
def _entries(name: str) -> np.ndarray:
    if name in _SEQUENTIAL:
        lab = _even_steps(_SEQUENTIAL[name], _ENTRIES)
    else:
        lab = np.concatenate([_even_steps(half, _ENTRIES // 2) for half in _DIVERGING[name]])
    return _lab_to_rgb(lab).astype(np.float32)


def _even_steps(anchors: tuple[str, ...], count: int) -> np.ndarray:
    """Interpolate anchors in CIELAB so that each of `count` steps is the same perceived difference.

    >>> _even_steps(("#000000", "#ffffff"), 3)[:, 0].round(1)
    array([  0.,  50., 100.])
    """
    lab = _rgb_to_lab(np.array([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in anchors]))
    lengths = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    stations = np.concatenate([[0.0], np.cumsum(lengths)])
    steps = np.linspace(0, stations[-1], count)
    return np.stack([np.interp(steps, stations, lab[:, axis]) for axis in range(3)], axis=1)


def _rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T
    return np.where(xyz > _DARK**3, np.cbrt(xyz), xyz / (3 * _DARK**2) + 4 / 29) @ _TO_LAB.T - _BLACK


def _lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    root = (lab + _BLACK) @ np.linalg.inv(_TO_LAB).T
    xyz = np.where(root > _DARK, root**3, 3 * _DARK**2 * (root - 4 / 29))
    linear = (xyz @ np.linalg.inv(_TO_XYZ).T).clip(0, 1)
    rgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb.clip(0, 1).round(6)
