"""Small valid files that the program itself leaves: recipes, runs, blocks, results, gates, maps, loops."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import torch

from backlight.data.load import load_data
from backlight.pixels import SGD, Pixels, distance, turns
from backlight.sweep.claims import Claim
from backlight.sweep.parts import FolderParts
from backlight.sweep.task import Block, Part
from backlight.table import Table
from backlight.tasks.starting import Start
from backlight.tasks.training import TrainRequest, train
from backlight.train import Runtime
from tools.fuzz.inputs import Files, read_in, written
from tools.fuzz.model_seeds import MODEL

DATA = "shapes:n=60,size=8,classes=3"
PLAN = "keykeykeykeykeyk-plan.json"
RUNTIME = Runtime(precision="float32", memory_format="contiguous", save_every=0.0, tensorboard=False)


def recipes() -> list[Files]:
    """Return recipes."""
    documents = (
        {
            "epochs": 3,
            "lr": 0.1,
            "augment": {"flip": "random", "scale": [0.9, 1.1], "torchvision": ["RandomAutocontrast"]},
        },
        {
            "loss": "focal:gamma=2",
            "adversary": "pgd:eps=8/255,steps=2",
            "augment": {"corruption": "gaussian:sigma=0.1"},
        },
    )
    return [{"recipe.json": json.dumps(one).encode()} for one in documents]


@cache
def runs() -> tuple[Files, ...]:
    """Return a run that is finished, with a temperature, and one that was interrupted."""
    from backlight.evaluate.temperature import write_calibration

    made = []
    for stop in (None, 4):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            request = TrainRequest(
                DATA,
                run,
                Start(MODEL, size="16x16"),
                settings=("epochs=2", "batch_size=16"),
                runtime=RUNTIME,
                device="cpu",
            )
            with suppress(KeyboardInterrupt):  # `_Stop`: a run that can be resumed
                train(request, progress=_Stop(stop) if stop else None)
                write_calibration(run, {"temperature": 1.5})
            kept = ("run.json", "state.pt", "log.jsonl", "best.safetensors", "calibration.json")
            made.append({f"run/{name}": data for name, data in read_in(run).items() if name in kept})
    return tuple(made)


def parts() -> list[Files]:
    """Return finished blocks of a sweep, and the plan beside them."""
    with tempfile.TemporaryDirectory() as folder:
        kept = FolderParts(Path(folder), "key" * 8)
        block = Block(0, load_data("shapes:n=4,size=8,classes=2"))
        table = Table.of(id=["0", "1"], broken_by=["pgd", "none"], margin=[0.5, -0.5], logits=[[0.1, 0.2], [0.3, 0.4]])
        kept.write(block, Part(table, {"images": torch.rand(2, 3, 4, 4)}))
        kept.settle("plan", lambda: {"size": 20})
        files = read_in(Path(folder))
    return [{f"part{Path(name).suffix}" if "plan" not in name else name: data for name, data in files.items()}]


def claims() -> list[Files]:
    """Return the claim of a process that is at work."""
    return [{"block.json": json.dumps(vars(Claim.own())).encode()}]


def results() -> list[Files]:
    """Return the document of a verb over a data set."""
    document = {"n": 4, "clean_accuracy": 0.5, "request": {"model": "vit", "seed": 0}}
    return [{"robustness.json": json.dumps(document).encode()}]


def gates() -> list[Files]:
    """Return gate files with the result, the table and the baseline that they are held against."""
    one = {"n": 4, "accuracy": 0.5, "interval": [0.15, 0.85]}
    document = {
        **{"n": 4, "accuracy": 0.5, "accuracy_interval": [0.15, 0.85], "top5": 1.0, "ece": 0.1},
        **{"per_class": {"a": one, "b": one}, "labels": ["a", "b"], "confusion": [[1, 1], [1, 1]]},
        **{"slices": {"light": {"day": one}}, "table": "evaluate.parquet", "model": {"name": "vit"}},
    }
    audit = {"schema": 1, "findings": [{"name": "ece", "value": 0.1, "interval": [0, 1], "n": 4, "judgement": "look"}]}
    gate = b"""[[gate]]\nmetric = "accuracy"\nmin = 0.4\nconfidence = "lower"\nby = "class"\n
[[gate]]\nmetric = "accuracy"\nmax_drop = 0.1\nagainst = "baseline"\n[[gate]]\nmetric = "ece"\nmax = 0.2\n"""
    rows = {"label": [0, 1, 0, 1], "prediction": [0, 1, 1, 0], "confidence": [0.5] * 4, "loss": [0.7] * 4}
    with tempfile.TemporaryDirectory() as folder:
        Table.of(id=list("abcd"), **rows).write(Path(folder) / "evaluate.parquet")
        table = read_in(Path(folder))
    judged = b'[[gate]]\nmetric = "findings"\njudgement = "look"\n'
    pairs = [(json.dumps(one).encode(), rows) for one, rows in ((document, gate), (audit, judged))]
    return [{"evaluate.json": one, "before.json": one, "gate.toml": asked, **table} for one, asked in pairs]


def maps() -> list[Files]:
    """Return a raw map of a picture."""
    kept = {"raw": np.zeros((3, 8, 8), np.float32), "heat": np.zeros((8, 8), np.float32), "box": np.array([0, 0, 8, 8])}
    return [{"data.npz": written(lambda file: np.savez_compressed(file, **kept))}]


def loops() -> list[Files]:
    """Return the state of a loop over pixels."""
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.pt"
        next(turns(None, distance(images, squared=True), Pixels(images), SGD(0.1), steps=3)).save(path)
        return [read_in(Path(folder))]


class _Stop:
    """Interrupt training after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def start(self, total: int, description: str) -> None:
        """Begin."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count a step."""
        self.left -= count
        if self.left < 0:
            raise KeyboardInterrupt

    def announce(self, text: str) -> None:
        """Say nothing."""

    def done(self) -> None:
        """End."""
