"""The log of a run: lines of JSON and TensorBoard; written as it goes, cut back to the state when it resumes."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from backlight.core.errors import FileError
from backlight.core.files import write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


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
    >>> _ = path.write_text('{"kind": "epoch", "step": 9, "loss": 1.5}\\n{"kind": "ep')
    >>> read_log(path)
    [{'kind': 'epoch', 'step': 9, 'loss': 1.5}]
    """
    try:
        texts = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise FileError(path, f"cannot be read ({error})", expected="the log.jsonl of a run") from None
    lines = []
    for number, text in enumerate(texts):
        try:
            line = json.loads(text)
        except ValueError:
            if number == len(texts) - 1:
                break
            raise FileError(path, f"line {number + 1} is no JSON", expected="the log.jsonl of a run") from None
        if not (isinstance(line, dict) and isinstance(line.get("step"), int) and "kind" in line):
            raise FileError(path, f"line {number + 1} has no kind and step", expected="the log.jsonl of a run")
        lines.append(line)
    return lines


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
