"""Finished blocks: in a folder, where any process finds them, or in the memory of this one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from backlight.core.errors import BacklightError, Failure, FileError, UsageError
from backlight.core.files import write_bytes, write_text
from backlight.core.reading import parse_json, read_json
from backlight.core.schema import Schema, array, record, text, whole
from backlight.core.tensors import read_safetensors
from backlight.sweep.claims import SUFFIX, claimed, read_claim, sweep_claim
from backlight.sweep.task import Block, Part
from backlight.table import Table

LENGTH = 16
NOTED, GIVEN_UP = "backlight", ".failed"
_ANY = record({})
_GIVEN_UP = record({"ids": array(text()), "error": text(), "tries": whole(1)})
_NOTES = record({"failed": array(array(text(), lowest=2)), "tensors": array(text())})
WAIT = 0.2
"""Seconds between two looks at what another process is doing."""


@dataclass(frozen=True)
class GivenUp:
    """A block whose work failed each time that it was tried: its pictures, and the last error.

    >>> GivenUp(("a.png", "b.png"), "RuntimeError: nan", 3).failures[0].error
    'the work on its block failed 3 times: RuntimeError: nan'
    """

    ids: tuple[str, ...]
    error: str
    tries: int

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Name every picture of the block."""
        error = f"the work on its block failed {self.tries} times: {self.error}"
        return tuple(Failure(one, error) for one in self.ids)


class Parts(Protocol):
    """Where the parts of a task's blocks are kept."""

    def has(self, block: Block) -> bool:
        """Whether the part of a block is here."""

    def claim(self, block: Block) -> AbstractContextManager[bool]:
        """Keep other processes off a block; yield whether this one may work on it."""

    def write(self, block: Block, part: Part) -> None:
        """Keep a part."""

    def read(self, block: Block, *, tensors: bool = True) -> Part:
        """Return a part that is here."""


@dataclass(frozen=True, eq=False, repr=False)
class MemoryParts:
    """Keep parts in memory, by the number of their block."""

    kept: dict[int, Part] = field(default_factory=dict)

    def has(self, block: Block) -> bool:
        """Whether the part of a block is here."""
        return block.number in self.kept

    def claim(self, block: Block) -> AbstractContextManager[bool]:
        """Yield True: nobody else is here."""
        return nullcontext(True)

    def write(self, block: Block, part: Part) -> None:
        """Keep a part."""
        self.kept[block.number] = part

    def read(self, block: Block, *, tensors: bool = True) -> Part:
        """Return a part that is here."""
        return self.kept[block.number]


@dataclass(frozen=True)
class FolderParts:
    """Keep parts in a folder, under names that say all that decides about them: a stale part is never read.

    A part is a Parquet table, and safetensors beside it where there are tensors. `key` stands for everything but the
    pictures, `tag` (plain text) tells parts apart that one run may read of another.

    >>> import tempfile, torch
    >>> from backlight.data.dataset import Dataset
    >>> block = Block(0, Dataset.of(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)))
    >>> parts = FolderParts(Path(tempfile.mkdtemp()), "key")
    >>> parts.write(block, Part(Table.of(id=["0"], x=[1]), {"image": torch.zeros(1, 2)}))
    >>> parts.has(block), parts.read(block).table["x"].tolist(), FolderParts(parts.folder, "other").has(block)
    (True, [1], False)
    """

    folder: Path
    key: str
    tag: str = ""

    def has(self, block: Block) -> bool:
        """Whether the part of a block is here; a claim that its process was killed with then goes."""
        path = self.path(block)
        found = path.is_file()
        if found:
            sweep_claim(path.with_suffix(SUFFIX))
        return found

    def count(self) -> int:
        """Count the parts that are here, without a look at any picture: those of other pictures are among them."""
        start = f"{self.key[:LENGTH]}-"
        names = (path.stem.removeprefix(start) for path in self.folder.glob(f"{start}*.parquet"))
        return sum(name[LENGTH:].removeprefix("-") == self.tag for name in names)

    def claim(self, block: Block) -> AbstractContextManager[bool]:
        """Keep other processes off a block; yield whether this one may work on it."""
        return claimed(self.path(block).with_suffix(SUFFIX))

    def write(self, block: Block, part: Part) -> None:
        """Keep a part: its tensors first, then the table that says that it is finished."""
        path = self.path(block)
        if part.tensors:
            _save(path.with_suffix(".safetensors"), part.tensors)
        noted = {"failed": part.failed, "tensors": sorted(part.tensors)}
        Table(part.table.arrow.replace_schema_metadata({NOTED: json.dumps(noted)})).write(path)
        self.try_again(block)

    def give_up(self, block: Block, error: Exception, tries: int) -> GivenUp:
        """Note that the work on a block failed so many times; a part of it, once there is one, counts more."""
        note = GivenUp(block.ids, f"{type(error).__name__}: {error}", tries)
        write_text(self._note(block), json.dumps(vars(note)) + "\n")
        return note

    def given_up(self, block: Block) -> GivenUp | None:
        """Return what was noted of a block whose work failed."""
        return read_given_up(path) if (path := self._note(block)).is_file() else None

    def try_again(self, block: Block) -> None:
        """Forget that the work on a block failed."""
        self._note(block).unlink(missing_ok=True)

    def _note(self, block: Block) -> Path:
        return self.path(block).with_suffix(GIVEN_UP)

    def read(self, block: Block, *, tensors: bool = True) -> Part:
        """Return a part that is here; raises FileError for files that are no part, and for one of other pictures."""
        part = read_part(self.path(block), tensors=tensors)
        if not set(part.table.ids) <= set(block.ids):
            raise FileError(self.path(block), "is of other pictures", hint="delete it and run again")
        return part

    def path(self, block: Block) -> Path:
        """Return the path of a block's table."""
        return self.folder / f"{self.key[:LENGTH]}-{block.content[:LENGTH]}{self.tag and '-'}{self.tag}.parquet"

    def settle(self, name: str, choose: Callable[[], dict[str, Any]], schema: Schema = _ANY) -> dict[str, Any]:
        """Return the document that the first of all processes and runs chose, which is kept beside the parts.

        Raises FileError for one that does not fit the schema.

        >>> import tempfile
        >>> parts = FolderParts(Path(tempfile.mkdtemp()), "key")
        >>> parts.settle("plan", lambda: {"size": 20}), parts.settle("plan", lambda: {"size": 30})
        ({'size': 20}, {'size': 20})
        """
        path = self.folder / f"{self.key[:LENGTH]}-{name}.json"
        while not path.is_file():
            with claimed(path.with_suffix(SUFFIX)) as mine:
                if not mine:
                    time.sleep(WAIT)
                elif not path.is_file():
                    write_text(path, json.dumps(choose(), indent=2) + "\n")
        sweep_claim(path.with_suffix(SUFFIX))
        try:
            return dict(read_json(path, schema, expected="the choice of an earlier run"))
        except FileError as error:
            raise error.trying("delete it") from None


def read_part(path: Path, *, tensors: bool = True) -> Part:
    """Read a part by the path of its table; raises FileError for files that are none."""
    try:
        table = Table.read(path)
        noted = parse_json((table.arrow.schema.metadata or {}).get(NOTED.encode(), b"null"), path, _NOTES)
        loaded = read_safetensors(path.with_suffix(".safetensors")) if tensors and noted["tensors"] else {}
    except BacklightError as error:
        raise FileError(path, f"is no finished block ({error})", hint="delete it and run again") from None
    return Part(table, loaded, tuple(Failure(*one[:2]) for one in noted["failed"]))


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save

    write_bytes(path, save({name: one.detach().cpu().contiguous() for name, one in tensors.items()}))


def read_given_up(path: Path) -> GivenUp:
    """Read what was noted of a block whose work failed."""
    noted = read_json(path, _GIVEN_UP, expected="the note of a block that failed")
    return GivenUp(tuple(noted["ids"]), noted["error"], noted["tries"])


def try_all_again(folder: Path) -> None:
    """Forget of all blocks that the work on them failed: who goes on tries them again.

    >>> try_all_again(Path("no-such-folder"))
    """
    for path in folder.glob(f"*{GIVEN_UP}"):
        path.unlink(missing_ok=True)


def holds_parts(folder: Path) -> bool:
    """Whether a folder holds a finished block: else there is nothing to go on with.

    >>> holds_parts(Path("no-such-folder"))
    False
    """
    return any(True for _ in folder.glob("*.parquet"))


def forget(folder: Path) -> None:
    """Delete finished blocks, arrays that were made of them and what was settled for them, and nothing else.

    Raises UsageError where a living process is at work on one of them.

    >>> import tempfile
    >>> forget(Path(tempfile.mkdtemp()))
    """
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        claim = read_claim(path)
        if claim is not None:
            raise UsageError(
                f"process {claim.process} on {claim.host} is at work in {folder}",
                expected="nobody, to begin anew",
                hint="--resume to share the work, another --out, or wait",
            )
    for kind in ("*.parquet", "*.safetensors", "*.json", "*.npy", f"*{SUFFIX}", f"*{GIVEN_UP}"):
        for path in folder.glob(kind):
            path.unlink(missing_ok=True)
