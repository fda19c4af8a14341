"""Where stored corruptions lie, as published: the folders of ImageNet-C, the arrays of CIFAR-10-C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backlight.core.errors import DataError, FileError
from backlight.core.reading import open_regular
from backlight.corrupt.registry import CORRUPTIONS, PUBLISHED_NAMES
from backlight.corrupt.severities import SEVERITIES
from backlight.data.arrays import labels_by_name
from backlight.data.dataset import Dataset
from backlight.data.folders import FOLLOW, read_folder
from backlight.images.search import refusal

LABELS = "labels.npy"
_ARRAYS = f"KIND.npy, uint8 [5 N,H,W,C] by severity, beside {LABELS}"
_FOLDERS = "KIND/SEVERITY/class/picture.jpg"
_OURS = {published: name for name, published in PUBLISHED_NAMES.items()}


def is_stored(root: Path) -> bool:
    """Whether a folder holds corruptions as published: some kind's array beside its labels, or folder of severities.

    >>> is_stored(Path(__file__).parent)
    False
    """
    return root.is_dir() and not {"frost", *CORRUPTIONS.built_in}.isdisjoint(find_kinds(root))


def find_kinds(root: Path) -> dict[str, Path]:
    """Return where each kind is stored, its array or its folder of severities, by the name that it has here.

    Folders of kinds may lie in folders of their groups.

    >>> find_kinds(Path(__file__).parent)
    {}
    """
    if (root / LABELS).exists():
        found = [path for path in root.glob("*.npy") if path.name != LABELS]
    else:
        beside = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        inside = [path for folder in beside if not _is_kind(folder) for path in folder.iterdir() if path.is_dir()]
        found = [path for path in (*beside, *inside) if _is_kind(path)]
    return {_OURS.get(path.stem, path.stem): path for path in sorted(found)}


def _is_kind(folder: Path) -> bool:
    names = {path.name for path in folder.iterdir() if path.is_dir()}
    return bool(names) and names <= set(map(str, SEVERITIES))


def read_kind(root: Path, path: Path, severities: Sequence[int], *, follow_links: bool = False) -> dict[int, Dataset]:
    """Read one kind at some severities from its array or its folder.

    Raises DataError for a severity that is not there and for links that lead out of `root`, FileError for an array
    that is none.
    """
    why = refusal(path, root.resolve(), follow_links) if path.is_dir() else ""
    if why or not (follow_links or path.resolve().is_relative_to(root.resolve())):
        raise DataError(f"{path} is {why or 'a link that leads out of the folder'}", hint=FOLLOW)
    if not path.is_dir():
        return _read_array(root, path, severities)
    lacking = [one for one in severities if not (path / str(one)).is_dir()]
    if lacking:
        there = ",".join(str(one) for one in SEVERITIES if (path / str(one)).is_dir())
        raise DataError(f"{path} has no severity {lacking[0]}", expected=_FOLDERS, hint=f"--severities {there}")
    return {one: _read_severity(path / str(one), follow_links) for one in severities}


def _read_severity(folder: Path, follow_links: bool) -> Dataset:
    parts: Mapping[str, Dataset] = read_folder(folder, follow_links=follow_links)
    if set(parts) != {"all"} or not parts["all"].labeled:
        raise DataError(f"{folder} has no class folders", expected=_FOLDERS)
    return parts["all"]


def _read_array(root: Path, path: Path, severities: Sequence[int]) -> dict[int, Dataset]:
    pixels, labels = _mapped(path), _mapped(root / LABELS)
    count = len(pixels) // len(SEVERITIES)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or len(pixels) != 5 * count:
        raise FileError(path, f"an array {pixels.dtype} {list(pixels.shape)}", expected=_ARRAYS)
    if labels.ndim != 1 or len(labels) not in (count, 5 * count):
        found = f"{len(labels)} labels for {len(pixels)} pictures"
        raise FileError(root / LABELS, found, expected="one for each row, or for each picture before corruption")
    rounds = np.asarray(labels).reshape(-1, count)
    if (rounds != rounds[0]).any():
        raise FileError(root / LABELS, "other labels at other severities", expected="the same pictures at each")
    names, numbers = labels_by_name({"all": rounds[0]}, None, str(root / LABELS))
    ids = tuple(map(str, range(count)))
    return {
        one: Dataset(_Rows(pixels, (one - 1) * count, count), ids, numbers["all"], names, name=str(root))
        for one in severities
    }


def _mapped(path: Path) -> np.ndarray:
    """Map an array into memory: pictures are read when they are looked at, and no object is ever made of a file."""
    open_regular(path, expected=_ARRAYS).close()
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, SyntaxError) as error:
        raise FileError(
            path, f"not a usable .npy file ({' '.join(str(error).split())[:200]})", expected=_ARRAYS
        ) from None


@dataclass(frozen=True, eq=False, repr=False)
class _Rows:
    """Give consecutive rows of an array uint8 [N,H,W,C] as pictures."""

    pixels: np.ndarray
    start: int
    count: int

    def __len__(self) -> int:
        return self.count

    def one(self, row: int) -> Tensor:
        """Return one picture, uint8 [C,H,W]."""
        return self.read([row])[0]

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return some pictures, uint8 [A,C,H,W]."""
        wanted = np.asarray(rows, dtype=np.int64) + self.start
        return torch.from_numpy(self.pixels[wanted]).permute(0, 3, 1, 2).contiguous()
