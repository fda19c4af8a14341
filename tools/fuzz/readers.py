"""How each loader is called on a folder of files, to the end: every picture decoded, every number used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import torch

from backlight.attack.choosing import choose_attack
from backlight.classifier import Classifier
from backlight.classifier.targets import resolve_targets
from backlight.core import grammar
from backlight.corrupt import CorruptionRequest
from backlight.corrupt.augmenting import read_augmenter
from backlight.corrupt.converted import parse_corruption
from backlight.data import Dataset, load_data, load_splits
from backlight.data.inspect import inspect_data
from backlight.data.trained import trained_on
from backlight.evaluate.slices import read_slices
from backlight.evaluate.temperature import read_temperature
from backlight.explain.averages import ClassAverages
from backlight.explain.choosing import choose_methods
from backlight.explain.request import Request
from backlight.explain.saved import map_file
from backlight.explain.scores.metrics import choose_metrics
from backlight.explain.study import MAPS, DataExplanations, stem_of
from backlight.images import Resize, open_picture
from backlight.images.picture import read_image
from backlight.models import load
from backlight.models.labels import read_labels
from backlight.models.registry import find_blueprint
from backlight.pixels.features import read_objective
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
from backlight.train.adversary import Adversary
from backlight.train.losses import read_loss
from backlight.train.recipe import find_recipe, read_recipe
from tools.fuzz import model_seeds, seeds


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
    parts, path = load_splits(seeds.DATA).parts, folder / "run"
    start = Start().resumed(path, 0)
    classifier = start.build(parts["train"], 0, torch.device("cpu"))
    fit(classifier, parts["train"], parts["val"], path, resume=True, runtime=seeds.RUNTIME)


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
    found = DataExplanations(table, ("rise",), Request("rise"), averages, ("x",), _classifier(), empty, folder)
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


@cache
def _classifier() -> Classifier:
    return load(model_seeds.MODEL, random=True, size=model_seeds.SIZE, labels=["cat", "dog, hound", "7"], device="cpu")


def _numbers(text: str) -> None:
    for read in (
        grammar.parse_number,
        grammar.parse_epsilon,
        grammar.parse_numbers,
        grammar.parse_duration,
        grammar.parse_size,
    ):
        try:
            read(text)
        except grammar.UsageError:
            continue


def _spec(text: str) -> None:
    for one in grammar.split_specs(text):
        spec = grammar.parse_spec(one)
        assert grammar.parse_spec(str(spec)) == spec
        spec.integer("steps", 1), spec.number("alpha", 1.0), spec.epsilon("eps", 0.1)


def _data(text: str) -> None:
    found = load_data(text, split="all")
    assert len(found) == len(found.ids)


def _target(text: str) -> None:
    resolve_targets(_classifier(), torch.zeros(2, 3), text, random=None)


def _setting(text: str) -> None:
    read_recipe("default", [text])


GRAMMARS: Mapping[str, tuple[Callable[[str], object], tuple[str, ...]]] = {
    "NAME:key=value": (_spec, ("pgd:steps=20,eps=8/255", "saliency,smoothgrad:samples=25,alpha=1/3,gradcam", "a.py:f")),
    "numbers": (_numbers, ("8/255", "0.5,0.5,0.5", "224x192", "1.5h", "90", "1e-3")),
    "data": (_data, ("shapes:n=20,size=8,classes=2@train=0:10,test=10:", "shapes:n=20,size=16", "~/photos", "hf:a/b")),
    "model": (find_blueprint, ("vit:depth=2,patch=4", "timm:resnet18", "hf:nobody/none", "onnx:net.onnx", "a.py:f")),
    "target": (_target, ("dog", "index:1", "label:top", "7", "hound", "top")),
    "attack": (choose_attack, ("pgd:eps=8/255,steps=3,norm=l2", "targeted-l2", "autoattack", "square:steps=10")),
    "methods": (lambda text: choose_methods(grammar.split_specs(text)), ("saliency,rise:samples=8", "captum:Saliency")),
    "metrics": (lambda text: choose_metrics(text.split(",")), ("deletion,pointing-game",)),
    "objective": (lambda text: read_objective(_classifier(), text), ("blocks.0:3", "blocks.0:3:1,2")),
    "adversary": (Adversary.read, ("pgd:eps=8/255,steps=3,target=random,share=0.5", "fgsm:eps=8/255")),
    "recipe setting": (_setting, ("lr=0.1", "scale=0.8:1.2", "augment=augmix:severity=3")),
    "loss": (read_loss, ("focal:gamma=2", "cross-entropy")),
    "augmentation": (read_augmenter, ("corruptions:kinds=noise+fog,severity=3,share=0.5", "gaussian:sigma=0.25")),
    "corruptions": (CorruptionRequest.of, ("noise,fog", "published", "all")),
    "corruption": (parse_corruption, ("fog:severity=3",)),
    "severities": (lambda text: CorruptionRequest.of("fog", severities=text), ("1-5", "1,3-4")),
}  # fmt: skip
