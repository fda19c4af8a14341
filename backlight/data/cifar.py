"""CIFAR-10 and CIFAR-100 as released: binary batches, and python batches read without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backlight.core.errors import DataError, FileError
from backlight.core.reading import read_bytes, read_text
from backlight.data.arrays import labels_by_name
from backlight.data.dataset import Dataset
from backlight.data.pickled import EXPECTED, SIZE_LIMIT, read_pickled
from backlight.data.pictures import Memory

PIXELS = 3 * 32 * 32
TEN = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
HUNDRED = {"train": ["train"], "test": ["test"]}


def is_cifar(root: Path) -> bool:
    """Whether a folder holds batches of CIFAR."""
    return any(path.is_file() for path in (root / "data_batch_1", root / "data_batch_1.bin", root / "train.bin")) or (
        (root / "train").is_file() and (root / "meta").is_file()
    )


def read_cifar(root: Path) -> dict[str, Dataset]:
    """Read a folder of CIFAR batches; ids are `train/ROW` and `test/ROW` in the order of the batches.

    CIFAR-100 has its fine labels. Raises `FileError` for a file of the wrong size or content.
    """
    binary = any(root.glob("*.bin"))
    ten = (root / "data_batch_1").is_file() or (root / "data_batch_1.bin").is_file()
    images, labels = {}, {}
    for part, names in (TEN if ten else HUNDRED).items():
        paths = [root / (name + ".bin" if binary else name) for name in names]
        present = [path for path in paths if path.is_file()]
        if present:
            read = [_read_binary(path, 1 if ten else 2) if binary else _read_python(path) for path in present]
            images[part] = np.concatenate([pixels for pixels, _ in read])
            labels[part] = np.concatenate([numbers for _, numbers in read])
    label_names, numbers = labels_by_name(labels, _label_names(root, ten, binary), str(root))
    return {
        part: Dataset(
            Memory(torch.from_numpy(pixels.reshape(-1, 3, 32, 32))),
            tuple(f"{part}/{row}" for row in range(len(pixels))),
            numbers[part],
            label_names,
        )
        for part, pixels in images.items()
    }


def _read_binary(path: Path, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    data, record = read_bytes(path, limit=SIZE_LIMIT, expected=EXPECTED), label_bytes + PIXELS
    if not data or len(data) % record:
        raise FileError(path, f"{len(data)} bytes", expected=f"a multiple of {record}")
    rows = np.frombuffer(bytearray(data), dtype=np.uint8).reshape(-1, record)
    return rows[:, label_bytes:], rows[:, label_bytes - 1].astype(np.int64)


def _read_python(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = read_pickled(path)
    pixels, labels = content.get("data"), content.get("labels", content.get("fine_labels"))
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != PIXELS:
        raise FileError(path, "no array 'data' of pictures", expected=f"uint8 [N,{PIXELS}]")
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 2**31 for label in labels):
        raise FileError(path, "labels that are not whole numbers", expected="a list of int, from 0")
    if len(labels) != len(pixels):
        raise FileError(path, f"{len(pixels)} pictures and {len(labels)} labels", expected="equal numbers")
    return pixels, np.array(labels, dtype=np.int64)


def _label_names(root: Path, ten: bool, binary: bool) -> list[str] | None:
    path = root / ("batches.meta" if ten else "meta")
    if binary:
        path = root / ("batches.meta.txt" if ten else "fine_label_names.txt")
        return read_text(path).split() if path.is_file() else None
    if not path.is_file():
        return None
    content = read_pickled(path)
    names: Sequence[Any] | None = content.get("label_names", content.get("fine_label_names"))
    if not isinstance(names, list):
        raise DataError(f"{path}: no list of label names", expected="label_names or fine_label_names")
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names]
