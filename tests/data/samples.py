"""Small data sets on disk for the tests of the sources."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DATA = Path(os.environ.get("BACKLIGHT_DATA") or (Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="real data (BACKLIGHT_DATA) is absent")


def pixels(count: int, size: int = 8, seed: int = 0) -> np.ndarray:
    """Draw random pictures, uint8 [N,H,W,3]."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def write_folder(root: Path, counts: dict[str, int], size: int = 8) -> dict[str, np.ndarray]:
    """Write class folders of PNG files; return the pixels by relative path."""
    written = {}
    for place, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(pixels(count, size, seed=place)):
            Image.fromarray(image).save(root / name / f"{number}.png")
            written[f"{name}/{number}.png"] = image
    return written
