"""The verbs that are killed, each with commands that take a second or two on inputs made here."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES, PICTURES, SIZE = ("bird", "cat", "dog"), 16, 32
FACTORY = """
import torch
from torch import nn
from backlight import Classifier

def net(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 3),
        )

def first():
    return Classifier.from_module(net(), size=32, mean=(0.5,) * 3, std=(0.2,) * 3, labels=["bird", "cat", "dog"])

def second():
    return first().replace(module=net(1))
"""


@dataclass(frozen=True)
class Verb:
    """A verb and the commands of it that are tried in turn; `{inputs}` stands for the folder that `make_inputs` fills.

    `finished` are patterns of files that hold finished work: where one matches, there is something to go on with.
    """

    name: str
    commands: tuple[str, ...]
    finished: tuple[str, ...] = ()

    def words(self, number: int, inputs: Path) -> list[str]:
        """Return the words of the command that a trial with this number runs."""
        command = self.commands[number % len(self.commands)]
        return [word.replace("{inputs}", str(inputs)) for word in command.split()]


_MODEL, _DATA = "--model {inputs}/nets.py:first", "--data {inputs}/pictures"
VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "train",
            (
                "train --data shapes:n=240,size=16,classes=3 --model simple_net_bn --out run --epochs 2 --batch-size 4"
                " --save-every 0.1s --json",
            ),
            ("run/run.json",),
        ),
        Verb(
            "robustness",
            (
                f"robustness {_DATA} {_MODEL} --limit 16 --attack autoattack --eps 1/255 --out out --json",
                f"robustness {_DATA} {_MODEL} --attack pgd --steps 1,5 --eps 8/255 --curve --out out --json",
            ),
            ("out/robustness-blocks/*.parquet",),
        ),
        Verb(
            "explain",
            (
                f"explain {_DATA} {_MODEL} --limit 16 --methods saliency,gradcam,integrated_gradients"
                " --metrics deletion,road --out out --json",
            ),
            ("out/explain-blocks/*.parquet",),
        ),
        Verb(
            "evaluate",
            (f"evaluate {_DATA} {_MODEL} --model {{inputs}}/nets.py:second --tta --table --out out --json",),
            ("out/evaluate-blocks/*.parquet",),
        ),
        Verb(
            "audit",
            (f"audit {_DATA} {_MODEL} --train {{inputs}}/pictures --depth quick --out out --json",),
            ("out/audit-blocks/*.parquet",),
        ),
        Verb(
            "corruptions",
            (f"corruptions {_DATA} {_MODEL} --kinds fog,jpeg --severities 1,5 --stability --out out --json",),
            ("out/corruptions-blocks/*.parquet",),
        ),
        Verb(
            "transfer",
            (f"transfer {_DATA} {_MODEL} --model {{inputs}}/nets.py:second --attack mi,mi+dim --out out --json",),
            ("out/transfer-blocks/*.parquet",),
        ),
        Verb(
            "report",
            (
                f"report {{inputs}}/pictures/cat {_DATA} {_MODEL} --limit 6 --out page.html --json",
                f"report {_DATA} {_MODEL} --out out --json",
            ),
        ),
        Verb(
            "convert",
            (
                "data convert {inputs}/pictures folder --size 24 --json",
                "data convert {inputs}/pictures pictures.npz --json",
                "data convert {inputs}/pictures pictures.parquet --corrupt fog:severity=3 --json",
            ),
        ),
    )
}


def make_inputs(folder: Path) -> None:
    """Write the models and a folder of class folders with pictures."""
    folder.mkdir(parents=True)
    (folder / "nets.py").write_text(FACTORY, encoding="utf-8")
    random = np.random.default_rng(0)
    for place, name in enumerate(CLASSES):
        (folder / "pictures" / name).mkdir(parents=True)
        tone = colorsys.hsv_to_rgb(place / len(CLASSES), 0.6, 0.9)
        for number in range(PICTURES):
            picture = _picture(tone, random)
            picture.save(folder / "pictures" / name / f"{number:02}.png")


def _picture(tone: Sequence[float], random: np.random.Generator) -> Image.Image:
    noise = random.normal(0, 0.2, (SIZE, SIZE, 3))
    return Image.fromarray((np.clip(np.array(tone) * 0.7 + noise, 0, 1) * 255).astype(np.uint8))
