"""The run folder: what a run is, how far it has come, and its weights; every file is whole or the one before."""

from __future__ import annotations

import io
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from backlight.core.errors import FileError, UsageError
from backlight.core.escaping import json_text
from backlight.core.files import write_bytes, write_text
from backlight.core.reading import read_json
from backlight.core.schema import record, shown, text
from backlight.core.tensors import read_pickled, read_safetensors

FORMAT = 1
_INFO = record({}, {"versions": record({}, {"backlight": text()})})
_REPLACED = (
    "state.pt",
    "log.jsonl",
    "best.safetensors",
    "last.safetensors",
    "curves.png",
    "report.html",
    "calibration.json",
)


def is_run(spec: str) -> bool:
    """Whether a path is a run folder.

    >>> is_run("no-such-folder")
    False
    """
    return os.path.isfile(os.path.join(spec, "run.json"))


class RunFolder:
    """Read and write `run.json`, `state.pt` and weights of one run.

    >>> import tempfile
    >>> folder = RunFolder(Path(tempfile.mkdtemp()) / "run")
    >>> folder.create({"model": "classic_cnn"}, {"counters": {}, "trainer": {}})
    >>> folder.info["model"]
    'classic_cnn'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def require_new(self, force: bool = False) -> None:
        """Raise UsageError where a run is already, unless `force` replaces it, or where no folder can be."""
        if (self.path / "run.json").exists() and not force:
            raise UsageError(f"{self.path} already holds a run", hint="--resume to go on, or --force to replace it")
        self.require_place()

    def require_place(self) -> None:
        """Raise UsageError where no folder can be."""
        above = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
        if not above.is_dir():
            raise UsageError(f"{above} is a file", expected="the folder of a run")

    def create(self, info: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Write the first state, then `run.json`: what can be opened can be resumed. What an old run left goes."""
        for name in _REPLACED:
            (self.path / name).unlink(missing_ok=True)
        for stale in (*self.path.glob("epoch-*.safetensors"), *self.path.glob("tensorboard/events.*")):
            stale.unlink()
        self.save_state(state)
        self.write_info({"format": FORMAT, **info, "versions": versions()})

    def write_info(self, info: Mapping[str, Any]) -> None:
        """Write `run.json` as it is to be, whole."""
        write_text(self.path / "run.json", json_text(info) + "\n")

    @property
    def info(self) -> dict[str, Any]:
        """Read `run.json`; raises FileError when there is none or it is of another format."""
        path = self.path / "run.json"
        if not os.path.lexists(path):
            raise FileError(self.path, "is no run folder: it has no run.json", hint="backlight train --out")
        info = read_json(path, _INFO, expected="the run.json of a run")
        found = info.get("format")
        if found != FORMAT:
            by = info.get("versions", {}).get("backlight", "unknown")
            raise FileError(
                path,
                f"has format {shown(found)}, written by Backlight {by}",
                expected=f"format {FORMAT}, as Backlight {version('backlight')} writes it",
            )
        return dict(info)

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write `state.pt`, all that resuming needs, in one file: it is whole whenever the power goes."""
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        write_bytes(self.path / "state.pt", buffer.getvalue())

    def load_state(self, device: torch.device | str = "cpu") -> dict[str, Any]:
        """Read `state.pt` without running code."""
        path = self.path / "state.pt"
        if not path.exists():
            raise FileError(path, "does not exist", expected="the state of a run", hint="--force to begin anew")
        state = read_pickled(path, device, expected="the state of a run")
        if not isinstance(state, dict) or not {"counters", "trainer"} <= set(state):
            raise FileError(path, "is not the state of a run", expected="counters and trainer")
        return state

    def save_weights(self, name: str, module: nn.Module) -> None:
        """Write a module's weights as `NAME.safetensors`, under the names that the plain module has."""
        from safetensors.torch import save

        # Copies: names that share their weights would be refused.
        form = torch.contiguous_format
        weights = {key: value.detach().cpu().clone(memory_format=form) for key, value in module.state_dict().items()}
        write_bytes(self.path / f"{name}.safetensors", save(weights, {"format": "pt"}))

    def load_weights(self, name: str, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
        """Read the tensors of `NAME.safetensors`; raises FileError when there are none."""
        path = self.path / f"{name}.safetensors"
        if not os.path.lexists(path):
            raise FileError(path, "does not exist", hint="the run has not finished an epoch yet")
        return read_safetensors(path, device, expected="weights of a run")


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on.

    >>> sorted(versions())
    ['backlight', 'python', 'torch', 'torchvision']
    """
    packages = {name: version(name) for name in ("backlight", "torch", "torchvision")}
    return {**packages, "python": platform.python_version()}
