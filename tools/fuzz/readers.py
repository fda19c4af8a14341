"""How each loader is called on a folder of files, to the end: every picture decoded, every number used."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from backlight.classifier import Classifier
from backlight.data import Dataset, load_data, load_splits
from backlight.data.inspect import inspect_data
from backlight.data.trained import trained_on
from backlight.evaluate.slices import read_slices
from backlight.evaluate.temperature import read_temperature
from backlight.explain.averages import ClassAverages
from backlight.explain.request import Request
from backlight.explain.saved import map_file
from backlight.explain.study import MAPS, DataExplanations, stem_of
from backlight.images import Resize, open_picture
from backlight.images.picture import read_image
from backlight.models import load
from backlight.models.blueprint import ModelShape
from backlight.models.labels import read_labels
from backlight.models.sources.programs import find_exported, find_torchscript
from backlight.pixels.run import Run
from backlight.report.training import training_section
from backlight.runs.history import read_history
from backlight.runs.log import read_log
from backlight.sweep.claims import read_claim
from backlight.sweep.parts import FolderParts, read_part
from backlight.table import Table
from backlight.tasks.checking import CheckRequest, check
from backlight.tasks.gating import GateRequest
from backlight.tasks.result_folder import ResultFolder
from backlight.tasks.starting import Start
from backlight.train import fit
from backlight.train.recipe import find_recipe
from tools.fuzz import browsing, grammars, model_seeds, work_seeds


def picture(folder: Path) -> None:
    """Open a picture, and read it as a model wants it."""
    path = _only(folder)
    open_picture(path)
    read_image(path, Resize(8, (8, 8)))


def data(folder: Path) -> None:
    """Load the data set that a folder is, look at all of it, and read its pictures in batches."""
    _look_through(str(folder))


def data_file(folder: Path) -> None:
    """Load the data set in the only file of a folder, and look at all of it."""
    _look_through(str(_only(folder)))


def list_file(folder: Path) -> None:
    """Load the data set that a list names."""
    _look_through(str(folder / "list.csv"))


def slices(folder: Path) -> None:
    """Read properties of pictures."""
    read_slices(f"{_only(folder)}:light")


def labels(folder: Path) -> None:
    """Read names of classes, and give them to a network."""
    found = read_labels(_only(folder))
    load(model_seeds.MODEL, random=True, size=model_seeds.SIZE, labels=found[:3], device="cpu")


def recipe(folder: Path) -> None:
    """Read a recipe."""
    find_recipe(_only(folder))


def weights(folder: Path) -> None:
    """Load weights into a network, and look once."""
    _look(load(model_seeds.MODEL, weights=_only(folder), size=model_seeds.SIZE, device="cpu"))


def passport(folder: Path) -> None:
    """Load the model that a folder with a passport is, and look once."""
    _look(load(str(folder), device="cpu"))


def run(folder: Path) -> None:
    """Load a run as a model, and what it was trained on."""
    trained_on(str(folder / "run"))
    _look(load(str(folder / "run"), device="cpu"))


def history(folder: Path) -> None:
    """Read the log of a run, and write its section of a page."""
    read_log(folder / "run" / "log.jsonl")
    training_section([read_history(folder / "run")])


def temperature(folder: Path) -> None:
    """Read the temperature of a run."""
    read_temperature(folder / "run")


def resumed(folder: Path) -> None:
    """Go on with a run."""
    parts, path = load_splits(work_seeds.DATA).parts, folder / "run"
    start = Start().resumed(path, 0)
    classifier = start.build(parts["train"], 0, torch.device("cpu"))
    # A recipe may ask for more epochs than anybody waits for: a training that goes on has read all that it reads.
    with suppress(_Enough):
        fit(classifier, parts["train"], parts["val"], path, resume=True, runtime=work_seeds.RUNTIME, progress=_Few())


class _Enough(Exception):  # noqa: N818
    """Ends a training that has gone on for some steps."""


class _Few:
    """A progress that ends the work after some steps."""

    def __init__(self) -> None:
        self.left = 20

    def start(self, total: int, description: str) -> None:
        """Begin."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count down."""
        self.left -= 1
        if self.left < 0:
            raise _Enough

    def announce(self, text: str) -> None:
        """Say nothing."""

    def done(self) -> None:
        """End."""


def part(folder: Path) -> None:
    """Read a finished block, and its table alone."""
    table = read_part(folder / "part.parquet").table
    for name in table.names:
        table[name]
    Table.read(folder / "part.parquet").rows()


def plan(folder: Path) -> None:
    """Read what an earlier sweep settled."""
    FolderParts(folder, "key" * 8).settle("plan", lambda: {"size": 20})


def claim(folder: Path) -> None:
    """Read who is at work."""
    read_claim(_only(folder))


def result(folder: Path) -> None:
    """Compare what a verb left with what is asked for now."""
    ResultFolder(folder, "robustness").check({"model": "vit", "seed": 0}, resume=True, force=False)


def raw_map(folder: Path) -> None:
    """Read a map of a picture back."""
    where = map_file(folder / MAPS, stem_of("a"), "rise", "npz")
    where.parent.mkdir()
    _only(folder).rename(where)
    empty = Dataset.of(torch.zeros(0, 3, 8, 8, dtype=torch.uint8))
    table, averages = Table.of(id=["a"]), ClassAverages(("rise",))
    found = DataExplanations(table, ("rise",), Request("rise"), averages, ("x",), grammars.classifier(), empty, folder)
    found.heatmap("a", "rise")


def saved_loop(folder: Path) -> None:
    """Read the state of a loop over pixels."""
    Run.load(_only(folder))


def gates(folder: Path) -> None:
    """Hold the result of a verb against a gate file and a baseline."""
    gates = GateRequest(folder / "gate.toml", folder / "before.json")
    check(CheckRequest(folder / "evaluate.json", gates))


def transformers_folder(folder: Path) -> None:
    """Load a folder of transformers as a model, and look once."""
    _look(load(f"hf:{folder}", device="cpu"))


def architecture(folder: Path) -> None:
    """Load an architecture of open_clip, and look once."""
    _look(load(f"clip:{_only(folder)}", random=True, classes=["cat", "dog"], device="cpu"))


def onnx(folder: Path) -> None:
    """Load a network of onnxruntime, and look once."""
    _look(load(f"onnx:{folder / 'net.onnx'}", device="cpu"))


def torchscript(folder: Path) -> None:
    """Read a TorchScript program, without running it."""
    find_torchscript(str(_only(folder)), 0).build(ModelShape())


def exported(folder: Path) -> None:
    """Read a program of torch.export, without running it."""
    find_exported(str(_only(folder)), 0).build(ModelShape())


def request(folder: Path) -> None:
    """Send what a browser may send to the app."""
    path = _only(folder)
    if path.is_file() and not path.is_symlink():
        browsing.ask(path.read_bytes(), folder)


def text(folder: Path, read: Callable[[str], object]) -> None:
    """Give the text in a file to a grammar."""
    path = folder / "text.txt"
    if path.is_file() and not path.is_symlink():
        read(path.read_bytes().decode("utf-8", "surrogateescape"))


def _look_through(spec: str) -> None:
    inspect_data(load_splits(spec)).warnings()
    for batch in load_data(spec, split="all", resize=Resize(8, (8, 8))).batches(4):
        assert len(batch.images) == len(batch.ids)


def _look(classifier: Classifier) -> None:
    height, width = classifier.size or (8, 8)
    if height * width <= 2**16:
        classifier.probabilities(torch.zeros(1, classifier.channels, height, width))


def _only(folder: Path) -> Path:
    return next(iter(sorted(folder.iterdir())))
