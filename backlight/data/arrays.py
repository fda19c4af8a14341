"""Data sets in .npz files: arrays of pixels, or JPEG bytes end to end with offsets."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backlight.core.errors import DataError, FileError
from backlight.core.reading import open_regular, unpack_limit
from backlight.data.dataset import Dataset
from backlight.data.decoded import from_encoded
from backlight.data.pictures import Memory, PictureSource
from backlight.data.splits import NAMES, number_labels

SIZE_LIMIT = 16 * 2**30
EXPECTED = "a file of numpy.savez"
Arrays = Mapping[str, np.ndarray]


def read_npz(path: Path) -> dict[str, Dataset]:
    """Read `X`, `y`, `label_names`; or `X_train`, `y_train`, ...; or `train_jpeg`, `train_offsets`, `train_y`.

    X is uint8 or float in [0,1], [N,H,W,C], [N,C,H,W] or [N,H,W] with 1, 3 or 4 channels (alpha over white); y
    holds numbers or names; `ids` (`ids_train`) may name the rows, which are numbered otherwise. Raises
    `FileError` or `DataError` for anything else; pickled objects are never loaded.
    """
    arrays = load_arrays(path)
    parts = _parts(arrays)
    if not parts:
        raise FileError(path, f"holds {sorted(arrays)[:8]}", expected="X and y, or X_train and y_train, ...")
    label_names = _texts(path, "label_names", arrays["label_names"]) if "label_names" in arrays else None
    names, labels = _labels(path, {name: part[1] for name, part in parts.items()}, label_names)
    made = {}
    for name, (pictures, _, ids) in parts.items():
        prefix = "" if name == "all" else f"{name}/"
        keys = [f"{prefix}{row}" for row in range(len(pictures))] if ids is None else _texts(path, "ids", ids)
        made[name] = Dataset(pictures, tuple(keys), labels[name], names)
    return made


def load_arrays(path: Path, limit: int | None = None) -> dict[str, np.ndarray]:
    """Load the arrays of an .npz file, never its pickles, at most `limit` bytes of them.

    Shapes and types are read and checked before anything is unpacked; without `limit` it follows from the size of the
    file (see `backlight.core.reading.unpack_limit`). Raises `FileError`.
    """
    with open_regular(path, expected=EXPECTED) as stream:
        stored = stream.seek(0, 2)
        most = min(unpack_limit(stored), SIZE_LIMIT) if limit is None else limit
        try:
            with zipfile.ZipFile(stream) as archive:
                total = sum(_checked_size(path, archive, member) for member in archive.infolist())
            if total > most:
                raise FileError(
                    path,
                    f"unpacks to {total:,} bytes",
                    expected=f"at most {most:,}",
                    hint="numpy.savez, which does not compress, for arrays that are nearly empty",
                )
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                return dict(archive)
        except FileError:
            raise
        except Exception as error:  # a damaged archive decides in which of a dozen ways zipfile and numpy fail
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise FileError(path, f"not a usable .npz file ({reason})", expected=EXPECTED) from None


def _checked_size(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        header = stream.tell()
    if dtype.hasobject:
        raise FileError(
            path,
            f"{member.filename} holds pickled objects, which are never loaded",
            expected="numbers or text",
            hint="save it again with numpy.array(values) of one type",
        )
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size != member.file_size - header:
        raise FileError(path, f"{member.filename} does not have the size that its header says")
    return size


def pixels_to_bytes(values: np.ndarray, source: str) -> Tensor:
    """Make an array of pictures a tensor uint8 [N,3,H,W]; raises `DataError` for what is no picture.

    >>> pixels_to_bytes(np.full((2, 4, 4), 0.5, dtype=np.float32), "X").unique()
    tensor([128], dtype=torch.uint8)
    """
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4 or not (values.shape[3] in (1, 3, 4) or values.shape[1] in (1, 3, 4)):
        raise DataError(f"{source} of shape {values.shape}", expected="[N,H,W], [N,H,W,C] or [N,C,H,W]")
    if values.shape[3] in (1, 3, 4):
        values = values.transpose(0, 3, 1, 2)
    pixels = torch.from_numpy(np.ascontiguousarray(_levels(values, source)))
    if pixels.shape[1] == 4:
        alpha = pixels[:, 3:].float() / 255
        pixels = (pixels[:, :3] * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
    return pixels if pixels.shape[1] == 3 else pixels.expand(-1, 3, -1, -1).contiguous()


def _levels(values: np.ndarray, source: str) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    if values.size == 0 or not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{source} of type {values.dtype}", expected="uint8, or float in [0,1]")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise DataError(f"{source} with values {low:.3g}..{high:.3g}", expected="uint8, or float in [0,1]")
    return np.rint(values * 255).astype(np.uint8)


def _parts(arrays: Arrays) -> dict[str, tuple[PictureSource, np.ndarray | None, np.ndarray | None]]:
    found: dict[str, tuple[PictureSource, np.ndarray | None, np.ndarray | None]] = {}
    for name in ("all", *NAMES):
        before, behind = ("", "") if name == "all" else (f"{name}_", f"_{name}")
        pixels, encoded = arrays.get(f"X{behind}"), arrays.get(f"{before}jpeg")
        labels = arrays.get(f"y{behind}", arrays.get(f"{before}y"))
        if pixels is not None:
            found[name] = (Memory(pixels_to_bytes(pixels, f"X{behind}")), labels, arrays.get(f"ids{behind}"))
        elif encoded is not None:
            pictures = _encoded(encoded, arrays.get(f"{before}offsets"), f"{before}jpeg")
            found[name] = (pictures, labels, arrays.get(f"ids{behind}"))
    if "all" in found and len(found) > 1:
        raise DataError(f"X beside parts {sorted(set(found) - {'all'})}", expected="either X or X_train, ...")
    return found


def _encoded(data: np.ndarray, offsets: np.ndarray | None, source: str) -> PictureSource:
    if data.dtype != np.uint8 or data.ndim != 1 or offsets is None or offsets.ndim != 1:
        raise DataError(f"{source} without its offsets", expected="uint8 bytes and int64 offsets [n+1]")
    if not np.issubdtype(offsets.dtype, np.integer) or len(offsets) < 1:
        raise DataError(f"offsets of type {offsets.dtype}", expected="int64 [n+1]")
    edges = offsets.astype(np.int64)
    if edges[0] < 0 or edges[-1] > len(data) or (np.diff(edges) < 0).any():
        raise DataError(f"offsets that leave {source}", expected=f"rising from 0 to {len(data)}")
    return from_encoded(
        len(edges) - 1, lambda row: data[edges[row] : edges[row + 1]].tobytes(), lambda row: f"{source}[{row}]"
    )


def _labels(
    path: Path, values: Mapping[str, np.ndarray | None], names: list[str] | None
) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    present = {name: np.asarray(value) for name, value in values.items() if value is not None}
    if not present:
        raise DataError(f"{path}: pictures without labels", expected="y beside X")
    if len(present) < len(values):
        raise DataError(f"{path}: labels for {sorted(present)} only", expected="labels for every part")
    return labels_by_name(present, names, str(path))


def labels_by_name(
    values: Mapping[str, np.ndarray], names: list[str] | None, source: str
) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    """Turn the label columns of all parts, numbers or names, into one numbering.

    With `names`, numbers are places in that list and it is kept; else the labels themselves are the names.
    Raises `DataError` for floats, one-hot rows, and numbers that have no name.
    """
    flat = {}
    for part, column in values.items():
        column = column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column
        if column.ndim != 1:
            raise DataError(f"{source}: labels of shape {column.shape}", expected="[N]", hint="y.argmax(1)")
        if column.dtype.kind not in "iubUS":
            hint = "y.astype('int64')" if column.dtype.kind == "f" else ""
            raise DataError(f"{source}: labels of type {column.dtype}", expected="whole numbers or names", hint=hint)
        flat[part] = column
    if any(column.dtype.kind in "US" for column in flat.values()):
        texts = {part: _texts(source, "y", column) for part, column in flat.items()}
        if names is None:
            return number_labels(texts, source)
        unknown = sorted({text for column in texts.values() for text in column} - set(names))
        if unknown:
            raise DataError(f"{source}: labels {unknown[:5]}", expected=f"one of the {len(names)} label names")
        place = {name: number for number, name in enumerate(names)}
        return tuple(names), {part: torch.tensor([place[t] for t in column]) for part, column in texts.items()}
    for part, column in flat.items():
        _check_range(column, names, source if part == "all" else f"{source}: {part}")
    numbers = {part: torch.from_numpy(column.astype(np.int64)) for part, column in flat.items()}
    if names is not None:
        return tuple(names), numbers
    return number_labels({part: [str(n) for n in labels.tolist()] for part, labels in numbers.items()}, source)


def _check_range(labels: np.ndarray, names: list[str] | None, source: str) -> None:
    if not labels.size:
        return
    # Before they become int64, in which the upper half of uint64 is negative.
    low, high = int(labels.min()), int(labels.max())
    top = np.iinfo(np.int64).max if names is None else len(names) - 1
    if low < 0 or high > top:
        places = "whole numbers from 0" if names is None else f"places 0..{top} in the {len(names)} label names"
        shifted = low == 1 and high == top + 1
        raise DataError(
            f"{source}: labels {low}..{high}", expected=places, hint="y - 1: they begin with 0" if shifted else ""
        )


def _texts(source: Any, name: str, values: np.ndarray) -> list[str]:
    if values.ndim != 1 or values.dtype.kind not in "USiu":
        raise DataError(f"{source}: {name} of type {values.dtype}", expected="a list of texts")
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in values.tolist()]
