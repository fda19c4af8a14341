"""Raw maps as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backlight.core.atomic import atomic
from backlight.core.files import name_part
from backlight.explain.attribution import Attribution
from backlight.images import Picture


def map_file(folder: Path, stem: str, method: str, suffix: str) -> Path:
    """Name the file of one map of one picture.

    >>> map_file(Path("out"), "cat", "rise:samples=8", "png").name
    'cat-rise-samples=8.png'
    """
    return folder / f"{stem}-{name_part(method)}.{suffix}"


def write_raw(path: Path, attribution: Attribution, row: int, picture: Picture) -> None:
    """Write one map to an npz: `raw` [C,h,w], `heat` [H,W], `box` and `full_size` of the photograph."""
    with atomic(path) as temporary:
        np.savez_compressed(
            temporary,
            raw=attribution.attributions[row].cpu().numpy(),
            heat=attribution.heatmap()[row].cpu().numpy(),
            box=np.array(picture.box),
            full_size=np.array(picture.full_size),
        )
