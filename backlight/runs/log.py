"""The log of a run: lines of JSON and TensorBoard; written as it goes, cut back to the state when it resumes."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from backlight.core.errors import FileError
from backlight.core.files import write_text
from backlight.core.reading import read_json_lines
from backlight.core.schema import Fault, choice, number, record, whole

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_NUMBERS = (
    "loss",
    "accuracy",
    "top5",
    "val_loss",
    "val_accuracy",
    "val_top5",
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
        self._board = _board(run / "tensorboard", resume_at) if tensorboard else None

    def write(self, line: dict[str, Any]) -> None:
        """Append a line."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise FileError(self.path, f"cannot be written: {error.strerror}") from error
        if self._board is not None:
            for name, value in line.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{line['kind']}/{name}", value, line["step"])
            self._board.flush()

    def close(self) -> None:
        """End TensorBoard's file."""
        if self._board is not None:
            self._board.close()


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


def _board(folder: Path, step: int) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter

    # It drops its own step as well as all later ones.
    return SummaryWriter(str(folder), purge_step=step + 1)
