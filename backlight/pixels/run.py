"""A run between two turns, as plain data: save it, load it, go on."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backlight.core.errors import FileError
from backlight.core.files import write_bytes
from backlight.core.tensors import check_tensors, read_pickled
from backlight.pixels.result import Result
from backlight.pixels.rule import State

_FORMAT = "backlight run 1"


@dataclass(eq=False)
class Run:
    """Hold everything that changes from turn to turn; the loop updates it in place.

    `fingerprint` gives the hash of the problem that the run belongs to. It is a function because only saving
    and going on need it, and hashing all images takes time.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from backlight.pixels import SGD, Pixels, distance, turns
    >>> images = torch.rand(2, 3, 4, 4)
    >>> problem = (None, distance(images, squared=True), Pixels(images), SGD(0.1))
    >>> path = Path(tempfile.mkdtemp()) / "run.pt"
    >>> next(turns(*problem, steps=3)).save(path)
    >>> [run.t for run in turns(*problem, steps=3, run=Run.load(path))]
    [0, 1, 2, 3, 3]
    """

    t: int
    """The turn that comes next."""
    rows: Tensor
    """The places `[A]` in the batch of the images still here."""
    params: Tensor
    """Where they look next `[A,...]`."""
    state: State
    result: Result
    fingerprint: Callable[[], str]

    def __repr__(self) -> str:
        return f"Run(turn {self.t}, {len(self.rows)} of {len(self.result)} images, {self.result})"

    def leave(self, gone: Tensor, why: Tensor) -> None:
        """Let images go: `gone` bool `[A]`, and why, a number of `Stopped` each `[A]`."""
        if not bool(gone.any()):
            return
        here = ~gone
        self.result.stopped[self.rows[gone]] = why[gone]
        self.rows, self.params = self.rows[here], self.params[here]
        self.state = {name: values[here] for name, values in self.state.items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run to a file, atomically; the file is smaller the more images have left.

        Raises FileError when the file cannot be written.
        """
        data = {
            "format": _FORMAT,
            "fingerprint": self.fingerprint(),
            "t": self.t,
            "rows": self.rows,
            "params": self.params,
            "state": dict(self.state),
            "result": {name: getattr(self.result, name) for name in Result.__dataclass_fields__},
        }
        # Where the disk is full, torch's own writer fails with a message about its inside.
        buffer = io.BytesIO()
        torch.save(data, buffer)
        write_bytes(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: torch.device | str = "cpu") -> Run:
        """Read a run from a file; no code in the file is ever executed.

        Raises FileError when the file is missing, broken, or not a run.
        """
        data = read_pickled(path, device, expected="a file written by Run.save")
        try:
            found = cls._from_data(data)
        except Exception as error:  # what a foreign file holds decides which one it is
            raise FileError(path, "is not a saved run", expected="a file written by Run.save") from error
        check_tensors(path, found._tensors(), os.path.getsize(path))
        return found

    def _tensors(self) -> dict[str, Tensor]:
        result = {name: getattr(self.result, name) for name in Result.__dataclass_fields__}
        return {**result, "rows": self.rows, "params": self.params, **self.state}

    @classmethod
    def _from_data(cls, data: Any) -> Run:
        if not isinstance(data, dict) or data["format"] != _FORMAT:
            raise ValueError("another format")
        stored = str(data["fingerprint"])
        result = Result(**data["result"])
        run = cls(data["t"], data["rows"], data["params"], data["state"], result, lambda: stored)
        if not _consistent(run):
            raise ValueError("the parts do not fit together")
        return run


def _consistent(run: Run) -> bool:
    """Check what a hostile or foreign file could get wrong before the loop indexes with it."""
    columns = [getattr(run.result, name) for name in Result.__dataclass_fields__]
    here = [run.rows, run.params, *run.state.values()]
    if not isinstance(run.t, int) or not all(isinstance(one, Tensor) and one.ndim for one in (*columns, *here)):
        return False
    batch, rows = len(run.result.images), run.rows
    return (
        run.t >= 0
        and all(len(one) == batch for one in columns)
        and all(len(one) == len(rows) for one in here)
        and rows.dtype == torch.int64
        and bool(((rows >= 0) & (rows < batch)).all())
        and len(rows.unique()) == len(rows)
    )
