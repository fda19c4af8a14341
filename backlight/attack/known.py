"""Adversarial pictures that are known from evaluations at smaller eps: one with a larger eps begins with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backlight.attack.blocks import NOT_BROKEN, Block
from backlight.sweep.parts import LENGTH, read_part
from backlight.table import Table


@dataclass(frozen=True, eq=False, repr=False)
class Known:
    """Find the part in a folder that holds the adversarial picture of an id.

    >>> import tempfile
    >>> Known.of(Path(tempfile.mkdtemp()), ["key"], 0.1).block(["a"]) is None
    True
    """

    places: Mapping[str, Path]

    @classmethod
    def of(cls, folder: Path, keys: Sequence[str], eps: float) -> Known:
        """Look through the parts of these keys; of several eps the largest below `eps` counts."""
        written = float(eps_tag(eps))  # as names have it: an evaluation must not begin with its own parts
        found = [(size, path) for key in keys for size, path in _sized(folder, key) if size < written]
        places: dict[str, Path] = {}
        for _, path in sorted(found):
            table = read_part(path, tensors=False).table
            if len(table):
                places |= dict.fromkeys(table.where(_broken(table)).ids, path)
        return cls(places)

    def block(self, ids: Sequence[str]) -> Block | None:
        """Return the known pictures of some images; None where nothing is known."""
        rows: dict[str, tuple[dict[str, Any], Tensor]] = {}
        for path in sorted({self.places[name] for name in ids if name in self.places}):
            part = read_part(path)
            for row, entry in enumerate(part.table.rows()):
                if self.places.get(entry["id"]) == path and entry["id"] in ids:
                    rows[entry["id"]] = (entry, part.tensors["images"][row])
        if not rows:
            return None
        names = [name for name in ids if name in rows]
        told = {"id": names, "broken_by": [rows[name][0]["broken_by"] for name in names]}
        return Block(Table.of(told), torch.stack([rows[name][1] for name in names]))


def eps_tag(eps: float) -> str:
    """Write an eps into the names of parts.

    >>> eps_tag(0.1)
    '0.100000000000'
    """
    return f"{eps:.12f}"


def _sized(folder: Path, key: str) -> Iterator[tuple[float, Path]]:
    for path in folder.glob(f"{key[:LENGTH]}-*.parquet"):
        try:
            yield float(path.stem.rpartition("-")[2]), path
        except ValueError:
            continue  # somebody else's file


def _broken(table: Table) -> np.ndarray:
    return ~np.isin(table["broken_by"].astype(str), NOT_BROKEN)
