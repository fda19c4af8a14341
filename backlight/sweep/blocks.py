"""Finished blocks of long work over a data set, kept in a folder, so that an interrupted run goes on.

A block is a table of some images and the tensors that belong to it. Its name says everything that decides about
its content: a changed model, option or picture gives another name, and nothing stale is ever read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from backlight.errors import FileError
from backlight.files import atomic
from backlight.fingerprint import fingerprint
from backlight.table import Table

_KEY_LENGTH = 16


@dataclass(frozen=True, eq=False, repr=False)
class Finished:
    """A block that was read back: the table, and the tensors by name."""

    table: Table
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class BlockFolder:
    """Keep finished blocks in a folder, by a `key` that stands for everything but the images.

    >>> import tempfile
    >>> folder = BlockFolder(Path(tempfile.mkdtemp()), "key")
    >>> folder.write(["a"], Table.of(id=["a"], x=[1]), {})
    >>> folder.read(["a"]).table["x"].tolist(), folder.read(["b"]) is None
    ([1], True)
    """

    folder: Path
    key: str

    @classmethod
    def of(cls, folder: Path, *things: object) -> BlockFolder:
        """Key a folder by a hash of things with all that they hold: models, options, seeds."""
        return cls(folder, fingerprint(fingerprint(*things)))

    def read(self, ids: Sequence[str], tag: str = "") -> Finished | None:
        """Read the finished block of these images; None where there is none.

        Raises FileError for a file that is no block.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self._path(ids, tag)
        beside = path.with_suffix(".safetensors")
        if not (path.is_file() and beside.is_file()):
            return None
        try:
            tensors = load_file(beside)
        except SafetensorError as error:
            raise FileError(beside, f"is no block ({error})", hint="delete it and run again") from error
        return Finished(Table.read(path), tensors)

    def write(self, ids: Sequence[str], table: Table, tensors: Mapping[str, Tensor], tag: str = "") -> None:
        """Write a finished block: tensors first, then the table that says it is finished."""
        from safetensors.torch import save_file

        path = self._path(ids, tag)
        with atomic(path.with_suffix(".safetensors")) as temporary:
            save_file({name: one.detach().cpu().contiguous() for name, one in tensors.items()}, temporary)
        table.write(path)

    def tags(self, ids: Sequence[str]) -> list[str]:
        """List the tags under which blocks of these images are finished."""
        start = f"{self._stem(ids)}-"
        return sorted(path.stem.removeprefix(start) for path in self.folder.glob(f"{start}*.parquet"))

    def _stem(self, ids: Sequence[str]) -> str:
        return f"{self.key[:_KEY_LENGTH]}-{fingerprint(json.dumps(list(ids)))[:_KEY_LENGTH]}"

    def _path(self, ids: Sequence[str], tag: str) -> Path:
        name = self._stem(ids) + (f"-{tag}" if tag else "")
        return self.folder / f"{name}.parquet"
