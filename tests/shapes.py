"""Shapes drawn once: many tests look at the same drawn pictures, and drawing them takes longer than a small network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import pytest
import torch
from torch import Tensor

from backlight.data.shapes import Drawn, Shapes

LARGEST = 2**19  # pixels: more are not kept
_draw = Shapes.draw


@lru_cache(512)
def _drawn(shapes: Shapes, rows: tuple[int, ...]) -> Drawn:
    return _draw(shapes, torch.tensor(rows, dtype=torch.int64))


def _draw_once(shapes: Shapes, rows: Tensor) -> Drawn:
    if len(rows) * shapes.size**2 > LARGEST:
        return _draw(shapes, rows)
    return Drawn(*(one.clone() for one in _drawn(shapes, tuple(rows.tolist()))))


@contextmanager
def shapes_drawn_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shapes, "draw", _draw_once)
        yield


@contextmanager
def shapes_drawn_anew() -> Iterator[None]:
    """Draw as the program does, for the tests of drawing itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shapes, "draw", _draw)
        yield
