"""What training starts from, and how a run that is resumed was started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from backlight.classifier import Classifier
from backlight.core.errors import FileError, UsageError
from backlight.core.grammar import parse_size
from backlight.data import Dataset
from backlight.layers import replace_conv
from backlight.runs.folder import RunFolder
from backlight.train import start_classifier

_CONVOLUTIONS = ("torch", "unfold")


@dataclass(frozen=True)
class Start:
    """The network, its weights, its input size and how many pictures; what a resumed run leaves out is as it was.

    `model` is classic_cnn if left out, `size` (as text, 32 or 32x24) the pictures' own, `conv` torch or unfold.

    >>> Start("speed_cnn").pretrained
    False
    """

    model: str | None = None
    pretrained: bool = False
    conv: str | None = None
    size: str | None = None
    limit: int | None = None

    def resumed(self, run: Path, seed: int) -> Start:
        """Return what the run was started from, as it stands in its folder.

        Raises FileError where it does not say so, UsageError where something else is asked for.
        """
        info = RunFolder(run).info
        stored = info.get("start")
        if not isinstance(stored, dict) or set(stored) != set(vars(self)) or "seed" not in info:
            raise FileError(run / "run.json", "does not say what it was started from", expected="a run of `train`")
        for name, value in {**vars(self), "seed": seed}.items():
            before = {**stored, "seed": info["seed"]}[name]
            if value and value != before:
                raise UsageError(f"--{name} {value}", expected=f"{before}, as the run was started with")
        return Start(**stored)

    def build(self, data: Dataset, seed: int, device: torch.device) -> Classifier:
        """Build the classifier for the classes of a data set; raises as `start_classifier` does."""
        if self.conv not in (None, *_CONVOLUTIONS):
            raise UsageError(f"--conv {self.conv!r}", expected=" or ".join(_CONVOLUTIONS))
        start = start_classifier(
            self.model or "classic_cnn",
            data,
            pretrained=self.pretrained,
            seed=seed,
            size=None if self.size is None else parse_size(self.size),
            device=device,
        )
        return start.replace(module=replace_conv(start.module)) if self.conv == "unfold" else start
