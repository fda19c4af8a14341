"""The log of a run: lines of JSON and TensorBoard; written as it goes, cut back to the state when it resumes."""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from backlight.core.errors import FileError
from backlight.core.files import write_text
from backlight.core.reading import read_json_lines
from backlight.core.schema import Fault, choice, number, record, whole

_NUMBERS = (
    "loss",
    "accuracy",
    "top5",
    "val_loss",
    "val_accuracy",
    "val_top5",
    "val_pgd",
    "val_one_step",
    "lr",
    "seconds",
    "images_per_second",
    "mean_images_per_second",
)
_LINE = record(
    {"kind": choice("step", "epoch"), "step": whole()},
    {"epoch": whole(), **{name: number(undefined=True) for name in _NUMBERS}},
)
_EPOCH = record({name: number(undefined=True) for name in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")})


class Log:
    """Append lines to `log.jsonl` and their numbers to TensorBoard.

    Lines have a `kind` (`step` or `epoch`) and `step`, how many steps were finished. Those after `resume_at` belong
    to steps that will be taken again, and are dropped.

    >>> import tempfile
    >>> log = Log(Path(tempfile.mkdtemp()), tensorboard=False)
    >>> log.write({"kind": "step", "step": 10, "loss": 0.5})
    >>> read_log(log.path)[0]["loss"]
    0.5
    """

    def __init__(self, run: Path, *, resume_at: int = 0, tensorboard: bool = True) -> None:
        self.path = run / "log.jsonl"
        kept = [line for line in read_log(self.path) if line["step"] <= resume_at] if self.path.exists() else []
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        self._events = run / "tensorboard"
        with _refused(self._events):
            self._board = _Board(self._events, resume_at) if tensorboard else None

    def write(self, line: dict[str, Any]) -> None:
        """Append a line."""
        with _refused(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._board is None:
            return
        with _refused(self._events):
            self._board.write(line)

    def close(self) -> None:
        """End TensorBoard's file."""
        if self._board is not None:
            with _refused(self._events):
                self._board.close()


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(path, f"cannot be written: {error.strerror}") from error


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """Read the lines of a log; a last line that was cut off in the middle is left out.

    Raises FileError for files that are no log.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log.jsonl"
    >>> _ = path.write_text('{"kind": "step", "step": 9, "loss": 1.5}\\n{"kind": "ep')
    >>> read_log(path)
    [{'kind': 'step', 'step': 9, 'loss': 1.5}]
    """
    return read_json_lines(path, _line, expected="the log.jsonl of a run")


def _line(value: Any) -> Iterator[Fault]:
    """Expect a line of the log; that of an epoch has its losses and accuracies."""
    yield from _LINE(value)
    if isinstance(value, Mapping) and value.get("kind") == "epoch":
        yield from _EPOCH(value)


def peak_memory(device: torch.device) -> int:
    """Return the most memory in bytes that was used so far: the device's, or the process's on a CPU.

    >>> peak_memory(torch.device("cpu")) > 10**6
    True
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class _Board:
    """Write TensorBoard's events where they are asked for: its own writer does so in a thread, whose errors are raw."""

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        # Files are read in the order of their names: that of a run that goes on must come after what it goes on from.
        seconds, fraction = divmod(time.time_ns(), 10**9)
        name = f"events.out.tfevents.{seconds:010}.{fraction:09}.{socket.gethostname()}.{os.getpid()}"
        self._file = (folder / name).open("wb")
        self._events, self._event = RecordWriter(self._file), Event
        self._add(file_version="brain.Event:2")
        # It drops its own step as well as all later ones.
        self._add(step + 1, session_log=SessionLog(status=SessionLog.START))

    def _add(self, step: int = 0, **what: Any) -> None:
        self._events.write(self._event(wall_time=time.time(), step=step, **what).SerializeToString())

    def write(self, line: Mapping[str, Any]) -> None:
        """Write the numbers of a line."""
        from torch.utils.tensorboard.summary import scalar

        for name, value in line.items():
            if isinstance(value, float):
                self._add(line["step"], summary=scalar(f"{line['kind']}/{name}", value))
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()
