"""How far a sweep is that any number of processes work on: its plan, its parts and its claims, read from the folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backlight.core.errors import FileError
from backlight.core.reading import parse_json, read_json
from backlight.core.schema import array, record, text, whole
from backlight.sweep.claims import SUFFIX, read_claim
from backlight.sweep.parts import GIVEN_UP, LENGTH, NOTED, read_given_up

_PLAN = record({"task": text(), "pictures": whole(0), "blocks": whole(0), "size": whole(1)})
_FAILED = record({"failed": array(array(text(), lowest=2))})
_RECENT = 20


@dataclass(frozen=True)
class Running:
    """Who is at work on a block: host, process, and since when, in seconds since 1970."""

    host: str
    process: int
    since: float


@dataclass(frozen=True)
class Jobs:
    """How far the sweeps below a folder are.

    `failed` counts the pictures that could not be read, and those of blocks that were given up. `images_per_second` is
    the pace of the parts that were written last, by all who work; it and `left_s` are None where fewer than two parts
    are there.

    >>> Jobs(("evaluation",), blocks=4, done=3, running=(), failed=0, images_per_second=10.0, left_s=2.0).line
    'evaluation: 3 of 4 blocks, 10.0 pictures a second, about 2 s left, nobody at work'
    """

    tasks: tuple[str, ...]
    blocks: int
    done: int
    running: tuple[Running, ...]
    failed: int
    images_per_second: float | None
    left_s: float | None

    @property
    def line(self) -> str:
        """Say the same to people."""
        words = [f"{', '.join(self.tasks)}: {self.done:,} of {self.blocks:,} blocks"]
        if self.images_per_second is not None:
            words.append(f"{self.images_per_second:,.1f} pictures a second")
        if self.left_s is not None and self.done < self.blocks:
            words.append(f"about {self.left_s:,.0f} s left")
        if self.failed:
            words.append(f"{self.failed:,} pictures failed")
        workers = len({(one.host, one.process) for one in self.running})
        words.append(f"{workers} at work" if workers else "nobody at work")
        return ", ".join(words)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def read_jobs(folder: Path) -> Jobs:
    """Read how far the sweeps are whose blocks lie in `folder`, or in the folders of blocks in it.

    Parts and claims are looked at, not the work itself: any process may ask, on any machine that sees the folder.
    Raises FileError where there is no plan of a sweep.

    >>> read_jobs(Path("no-such-folder"))
    Traceback (most recent call last):
    backlight.core.errors.FileError: no-such-folder: holds no sweep; expected the --out of a verb over a data set
    """
    found = [*_sweeps(folder)]
    if not found:
        raise FileError(folder, "holds no sweep", expected="the --out of a verb over a data set")
    paces = [one.pace for one in found if one.pace is not None]
    pace = sum(paces) / len(paces) if paces else None
    left = sum(one.left for one in found)
    return Jobs(
        tuple(dict.fromkeys(one.plan["task"] for one in found)),
        sum(one.blocks for one in found),
        sum(one.done for one in found),
        tuple(running for one in found for running in _running(one.folder, one.key)),
        sum(one.failed for one in found),
        pace,
        left / pace if pace else None,
    )


def count_blocks(folder: Path) -> tuple[str, int, int]:
    """Return the name of the sweep in a folder of blocks that is under way, how many are finished, and how many are.

    >>> count_blocks(Path("no-such-folder"))
    ('', 0, 0)
    """
    found = [*_sweeps(folder)]
    names = [one.plan["task"] for one in found if one.done < one.blocks] or [one.plan["task"] for one in found[-1:]]
    return ", ".join(names[:1]), sum(one.done for one in found), sum(one.blocks for one in found)


def _sweeps(folder: Path) -> Iterator[_Sweep]:
    for path in sorted([*folder.glob("*-plan-*.json"), *folder.glob("*-blocks/*-plan-*.json")]):
        yield _Sweep.read(path)


@dataclass(frozen=True)
class _Sweep:
    """One plan and the parts that belong to it."""

    folder: Path
    key: str
    plan: dict[str, Any]
    parts: tuple[Path, ...]

    @classmethod
    def read(cls, path: Path) -> _Sweep:
        key = path.name[:LENGTH]
        parts = sorted(path.parent.glob(f"{key}-*.parquet"), key=lambda part: (part.stat().st_mtime, part.name))
        return cls(path.parent, key, dict(read_json(path, _PLAN)), tuple(parts))

    @property
    def _finished(self) -> list[int]:
        """Count the finished blocks of each of the runs that share the plan, told apart by a tag."""
        tags = Counter(path.stem.removeprefix(self.key)[1 + LENGTH :] for path in self.parts)
        return [min(count, int(self.plan["blocks"])) for count in tags.values()] or [0]

    @property
    def blocks(self) -> int:
        """Count all blocks."""
        return int(self.plan["blocks"]) * len(self._finished)

    @property
    def done(self) -> int:
        """Count the blocks that are finished."""
        return sum(self._finished)

    @property
    def left(self) -> int:
        """Count the pictures of the blocks that nobody has finished, at most."""
        runs = len(self._finished)
        return min((self.blocks - self.done) * int(self.plan["size"]), int(self.plan["pictures"]) * runs)

    @property
    def pace(self) -> float | None:
        """Return the pictures a second of the last parts; None before there are two."""
        last = self.parts[-_RECENT:]
        seconds = last[-1].stat().st_mtime - last[0].stat().st_mtime if len(last) > 1 else 0.0
        return (len(last) - 1) * self.plan["size"] / seconds if seconds > 0 else None

    @property
    def failed(self) -> int:
        """Count the pictures that could not be read, and those of blocks on which the work failed."""
        given_up = self.folder.glob(f"{self.key}-*{GIVEN_UP}")
        unread = sum(len(_noted(path)["failed"]) for path in self.parts)
        return unread + sum(len(read_given_up(path).ids) for path in given_up)


def _noted(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:  # of any name: by its path Arrow takes those in UTF-8 only
            metadata = pq.read_schema(file).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise FileError(path, f"is no finished block ({error})", hint="delete it and run again") from None
    return parse_json(metadata.get(NOTED.encode(), json.dumps({"failed": []}).encode()), path, _FAILED)


def _running(folder: Path, key: str) -> Iterator[Running]:
    for path in sorted(folder.glob(f"{key}-*{SUFFIX}")):
        claim = read_claim(path)
        if claim is not None:
            yield Running(claim.host, claim.process, claim.since)
