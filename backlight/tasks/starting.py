"""What training starts from, and how a run that is resumed was started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from backlight.classifier import Classifier
from backlight.core.errors import FileError, UsageError
from backlight.core.grammar import parse_per_channel, parse_size
from backlight.data import Dataset
from backlight.layers import replace_conv
from backlight.runs.folder import RunFolder, is_run
from backlight.tasks.loading import ModelRequest
from backlight.train import start_classifier

_DEFAULT = "classic_cnn"
_CONVOLUTIONS = ("torch", "unfold")
_KNOWN = {"model", "pretrained", "conv", "size", "limit"}  # what runs of every version say


@dataclass(frozen=True)
class Start:
    """The network, its weights, its input size and how many pictures; what a resumed run leaves out is as it was.

    `model` is classic_cnn if left out, `size` (as text, 32 or 32x24) the pictures' own, `conv` torch or unfold. A run
    folder is gone on from; so is a model with a file of `weights`, which was trained with `mean` and `std` (as text,
    one number or one per channel).

    >>> Start("speed_cnn").pretrained
    False
    """

    model: str | None = None
    pretrained: bool = False
    conv: str | None = None
    size: str | None = None
    limit: int | None = None
    weights: str | None = None
    mean: str | None = None
    std: str | None = None

    @property
    def origin(self) -> ModelRequest | None:
        """Return the trained model that is gone on from; None where training begins with a new network."""
        if self.weights is None and not self.pretrained and not is_run(self.model or ""):
            return None
        return ModelRequest(
            self.model or _DEFAULT,
            weights=None if self.weights is None else Path(self.weights),
            mean=parse_per_channel("--mean", self.mean),
            std=parse_per_channel("--std", self.std),
            size=None if self.size is None else parse_size(self.size),
        )

    def resumed(self, run: Path, seed: int) -> Start:
        """Return what the run was started from, as it stands in its folder.

        Raises FileError where it does not say so, UsageError where something else is asked for.
        """
        info = RunFolder(run).info
        stored = Start.read(info)
        if stored is None or "seed" not in info:
            raise FileError(run / "run.json", "does not say what it was started from", expected="a run of `train`")
        for name, value in {**vars(self), "seed": seed}.items():
            before = {**vars(stored), "seed": info["seed"]}[name]
            if value and value != before:
                raise UsageError(f"--{name} {value}", expected=f"{before}, as the run was started with")
        return stored

    @staticmethod
    def read(info: Mapping[str, Any]) -> Start | None:
        """Return what a run was started from by its `run.json`, None where that does not say so.

        >>> Start.read({"start": {"model": "vit"}})
        """
        stored = info.get("start")
        if not isinstance(stored, dict) or not _KNOWN <= set(stored) <= {one.name for one in fields(Start)}:
            return None
        return Start(**stored)

    def build(self, data: Dataset, seed: int, device: torch.device) -> Classifier:
        """Build the classifier for the classes of a data set; raises as `start_classifier` does."""
        if self.conv not in (None, *_CONVOLUTIONS):
            raise UsageError(f"--conv {self.conv!r}", expected=" or ".join(_CONVOLUTIONS))
        start = start_classifier(
            self.model or _DEFAULT,
            data,
            pretrained=self.pretrained,
            weights=self.weights,
            mean=parse_per_channel("--mean", self.mean),
            std=parse_per_channel("--std", self.std),
            seed=seed,
            size=None if self.size is None else parse_size(self.size),
            device=device,
        )
        return start.replace(module=replace_conv(start.module)) if self.conv == "unfold" else start
