"""Adversarial pictures as files: rounded to 8 bits, written, read back and judged again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from backlight.attack.adversarial import AttackResult
from backlight.core.errors import InputError
from backlight.images import open_picture, round_to_8bit, to_tensor, write_png
from backlight.pixels.geometry import length


@dataclass(frozen=True, eq=False)
class SavedAttack:
    """One adversarial PNG and what the file does, judged after reading it back.

    `label_before` and `label_after` are predicted classes, `distance` is in the threat model's norm or other measure;
    `l2` and `linf` are in pixel units whatever that is. `changed_pixels` counts those of which any channel changed,
    `margin` is in logits (below 0 where fooled).

    >>> found = {"success": True, "distance": 0.03, "changed_pixels": 9, "margin": -1.2, "steps": 7}
    >>> SavedAttack(Path("1.png"), 3, 5, target=None, l2=0.4, linf=0.03, **found).label_after
    5
    """

    path: Path
    label_before: int
    label_after: int
    target: int | None
    success: bool
    distance: float
    l2: float
    linf: float
    changed_pixels: int
    margin: float
    steps: int


def save_adversarial(result: AttackResult, paths: Sequence[str | os.PathLike[str]]) -> list[SavedAttack]:
    """Write every kept picture of an attack to a PNG, read it from disk and judge that.

    Values are rounded towards the original, so a picture inside the ball stays inside. What comes back is true
    of the files: a success that rounding undid is none.

    Raises InputError when the number of paths is not that of the images, FileError when one cannot be written.

    >>> import tempfile
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> from backlight.attack.adversarial import attack
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> images = torch.randint(0, 256, (1, 3, 2, 2)) / 255
    >>> result = attack(Classifier.from_module(net, size=2), images, lattice=True)
    >>> saved = save_adversarial(result, [Path(tempfile.mkdtemp()) / "adversarial.png"])
    >>> saved[0].distance <= 8 / 255 + 1e-6
    True
    """
    if len(paths) != len(result):
        raise InputError(f"{len(paths)} paths for {len(result)} images", expected="one path per image")
    images = [_write_and_read(Path(path), result, row) for row, path in enumerate(paths)]
    if not images:
        return []
    read = torch.stack(images).to(result.images)
    verdict, changed = result.referee.judge(read), result.threat.changed_pixels(read, result.originals)
    l2, linf = (length(read.double() - result.originals.double(), norm) for norm in ("l2", "linf"))
    targets = [None] * len(result) if result.targets is None else result.targets.tolist()
    return [
        SavedAttack(
            Path(path),
            int(result.label_before[row]),
            int(verdict.prediction[row]),
            targets[row],
            bool(verdict.success[row]),
            float(verdict.distance[row]),
            float(l2[row]),
            float(linf[row]),
            int(changed[row]),
            float(verdict.margin[row]),
            int(result.steps[row]),
        )
        for row, path in enumerate(paths)
    ]


def _write_and_read(path: Path, result: AttackResult, row: int) -> Tensor:
    image = result.images[row]
    write_png(path, round_to_8bit(image, result.originals[row]))
    return to_tensor(open_picture(path), channels=len(image))
