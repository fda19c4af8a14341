"""Every source of data: how its specification is recognized, and who reads it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from backlight.core.errors import DataError, FileError, UsageError
from backlight.core.files import expanded
from backlight.core.grammar import parse_spec
from backlight.core.options import options_of, read_options
from backlight.core.plugins import Registry
from backlight.data.arrays import read_npz
from backlight.data.cifar import is_cifar, read_cifar
from backlight.data.dataset import Dataset
from backlight.data.drawn import Drawing
from backlight.data.folders import class_folders, read_folder, read_list, read_pictures
from backlight.data.shapes import Shapes

LISTS = (".txt", ".csv", ".tsv", ".lst")
FORMS = "a folder, a list file, .npz, .parquet, .tar, CIFAR batches, s3://..., gs://..., hf:NAME or shapes:..."
_NO_PICTURES = (".pkl", ".pickle", ".npy", ".zip", ".gz", ".tgz")
_LINKS = "follow_links"

Parts = Mapping[str, Dataset]
"""Data sets by part: `train`, `val` and `test`, or `all` where the data are not divided."""


@dataclass(frozen=True)
class DataSource:
    """One source of data.

    `read` makes a `Dataset`, or one for each part, of a specification. It takes what stands behind `NAME:` as one
    argument, or options as keyword-only parameters, written `NAME:key=value`; where `recognize` tells a path by
    looking at it, it takes that path. With a parameter `follow_links` it is told whether links are followed.

    >>> DATA_SOURCES["shapes"].matches("shapes:n=10"), DATA_SOURCES["shapes"].matches("shapes/")
    (True, False)
    """

    name: str
    read: Callable[..., Dataset | Parts]
    form: str = ""
    summary: str = "data of a plug-in"
    recognize: Callable[[Path], bool] | None = None

    def matches(self, spec: str) -> bool:
        """Whether a specification is of this source."""
        if self.recognize is not None:
            return self.recognize(Path(spec))
        return spec == self.name or spec.startswith(f"{self.name}:")

    def load(self, spec: str, *, follow_links: bool = False) -> Parts:
        """Read the data that a specification of this source names; raises DataError where it makes something else."""
        parameters = inspect.signature(self.read).parameters.values()
        options = options_of(self.read, hidden=(_LINKS,))
        given: dict[str, Any] = {_LINKS: follow_links} if any(one.name == _LINKS for one in parameters) else {}
        if self.recognize is not None:
            found = self.read(Path(spec), **given)
        elif any(one.kind is not inspect.Parameter.KEYWORD_ONLY for one in parameters):
            found = self.read(spec.partition(":")[2], **given)
        else:
            found = self.read(**read_options(self.name, parse_spec(spec).options, {}, options), **given)
        parts = {"all": found} if isinstance(found, Dataset) else found
        known = isinstance(parts, Mapping) and all(isinstance(part, Dataset) for part in parts.values())
        if not known or not ({"train", "val", "test"} >= set(parts) or set(parts) == {"all"}) or not parts:
            seen = f"parts {list(parts)}" if known else type(found).__name__
            raise DataError(f"the source {self.name} made {seen}", expected="a Dataset, or train, val, test of them")
        return parts


def read_source(spec: str, *, follow_links: bool = False) -> Parts:
    """Read the data that a specification names, by the first source that recognizes it.

    Raises FileError where there is nothing, and as the sources do.

    >>> list(read_source("shapes:n=10"))
    ['all']
    """
    path = expanded(spec)
    for source in DATA_SOURCES.values():
        if source.matches(spec if source.recognize is None else str(path)):
            return source.load(spec if source.recognize is None else str(path), follow_links=follow_links)
    if not os.path.exists(path):
        raise FileError(spec, "no such file or folder", expected=FORMS)
    if path.suffix.lower() in _NO_PICTURES:
        raise FileError(path, f"data of kind {path.suffix.lower()}", expected=FORMS)
    return read_pictures([path])


def shapes_dataset(shapes: Shapes) -> Dataset:
    """Make drawn shapes a data set, drawn when asked for, with masks "object" and "patch".

    >>> shapes_dataset(Shapes(n=8)).mask("object", [0, 1]).shape
    torch.Size([2, 32, 32])
    """
    rows = torch.arange(shapes.n)
    return Dataset(
        Drawing(shapes),
        tuple(str(row) for row in range(shapes.n)),
        shapes.labels(rows),
        shapes.label_names,
        name="shapes",
        masks={"object": Drawing(shapes, "object"), "patch": Drawing(shapes, "patch")},
    )


_PLAIN = Shapes()


def _shapes(
    *,
    n: int = _PLAIN.n,
    size: int = _PLAIN.size,
    classes: int = _PLAIN.classes,
    shortcut: float = _PLAIN.shortcut,
    seed: int = _PLAIN.seed,
) -> Dataset:
    return shapes_dataset(Shapes(n=n, size=size, classes=classes, shortcut=shortcut, seed=seed))


def _hub(name: str) -> Parts:
    if name.startswith("/"):
        return _remote(name, scheme="hf")
    from backlight.data.hub import read_hub

    return read_hub(name)


def _remote(address: str, scheme: str) -> Parts:
    """Read an address behind its scheme; a `Path` that was made of it has lost one of the strokes."""
    from backlight.data.remote import read_remote

    if not address.startswith("/"):
        raise UsageError(f"{scheme}:{address[:80]}", expected=f"{scheme}://, then where it lies")
    return read_remote(f"{scheme}://{'/' if scheme == 'file' else ''}{address.lstrip('/')}")


def _parquet(path: Path, *, follow_links: bool) -> Parts:
    from backlight.data.parquet import read_parquet

    return read_parquet(_archives(path, ".parquet", follow_links))


def _tars(path: Path, *, follow_links: bool) -> Parts:
    from backlight.data.webdataset import read_tars

    return read_tars(_archives(path, ".tar", follow_links))


def _archives(path: Path, suffix: str, follow_links: bool) -> list[Path]:
    """List the archives of a path; raise DataError where a folder could be read as something else too."""
    if not path.is_dir():
        return [path]
    kinds = [sorted(path.glob(f"*{one}")) for one in (suffix, *({".parquet", ".tar"} - {suffix}))]
    folders = class_folders(path, follow_links=follow_links)
    readings = [files[0].name for files in kinds if files] + [f"the class folder {one.name!r}" for one in folders[:1]]
    if len(readings) > 1:
        raise DataError(
            f"{path} can be read as several data sets: {' and '.join(readings)} lie side by side",
            expected="archives, or class folders",
            hint=f"DATA {kinds[0][0]}, or a folder of its own for each",
        )
    return kinds[0]


def _has_suffix(path: Path, *, suffixes: tuple[str, ...]) -> bool:
    return os.path.exists(path) and not os.path.isdir(path) and path.suffix.lower() in suffixes


def _holds(path: Path, *, suffix: str) -> bool:
    inside = os.path.isdir(path) and any(True for _ in path.glob(f"*{suffix}"))
    return inside or _has_suffix(path, suffixes=(suffix,))


def _is_cifar(path: Path) -> bool:
    return os.path.isdir(path) and is_cifar(path)


_SOURCES = (
    DataSource("shapes", _shapes, "shapes:n=2000,size=32,classes=8", "drawn shapes, with masks"),
    DataSource("hf", _hub, "hf:NAME", "a data set of the Hugging Face hub, or files in it, as hf://..."),
    DataSource("s3", partial(_remote, scheme="s3"), "s3://BUCKET/...", "archives or Parquet in S3"),
    DataSource("gs", partial(_remote, scheme="gs"), "gs://BUCKET/...", "archives or Parquet in Google Cloud"),
    DataSource("file", partial(_remote, scheme="file"), "file:///...", "archives or Parquet, read in pieces"),
    DataSource("memory", partial(_remote, scheme="memory"), "memory://...", "the same in this process's memory"),
    DataSource("cifar", read_cifar, "FOLDER", "binary or Python batches of CIFAR", _is_cifar),
    DataSource("parquet", _parquet, "FILE.parquet", "pictures in Parquet", partial(_holds, suffix=".parquet")),
    DataSource("webdataset", _tars, "FILE.tar", "WebDataset archives", partial(_holds, suffix=".tar")),
    DataSource("npz", read_npz, "FILE.npz", "arrays of NumPy", partial(_has_suffix, suffixes=(".npz",))),
    DataSource("list", read_list, "LIST", "a list of lines 'path label'", partial(_has_suffix, suffixes=LISTS)),
    DataSource("folder", read_folder, "FOLDER", "class folders, or train, val, test of those", os.path.isdir),
)
DATA_SOURCES = Registry("data_sources", "source of data", _SOURCES, DataSource, wrap=DataSource)
