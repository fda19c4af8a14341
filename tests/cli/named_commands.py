"""A command of every verb whose files, folders, classes, layers and columns have names that break programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backlight import load
from backlight.data.load import load_data
from tests.cli.hostile_names import CLASSES, NAMES, write_classes, write_pictures

LAYER = CLASSES["markup"] + CLASSES["color"].replace(".", "") + CLASSES["right to left"] + CLASSES["newline"]
"""A layer's name may hold anything but a dot."""

FACTORY = f"""
import torch
from torch import nn
from backlight import Classifier

def small(labels=()):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
        net.add_module({LAYER!r}, nn.Conv2d(8, 8, 3))
        for name, layer in (("on", nn.ReLU()), ("pool", nn.AdaptiveAvgPool2d(2)), ("flat", nn.Flatten())):
            net.add_module(name, layer)
        net.add_module("head", nn.Linear(32, {len(CLASSES)}))
    return Classifier.from_module(net, size=32, mean=(0.5,) * 3, std=(0.2,) * 3)
"""
SCRIPT = "two\nlines \u202e.py"
ARCHITECTURE = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}
GATE = '[[gate]]\nmetric = "accuracy"\nmin = 0.0\nby = "class"\n'
Words = tuple[object, ...]


@dataclass(frozen=True)
class Named:
    """Everything a command can name, below a folder whose own name is no UTF-8 and has several lines."""

    folder: Path

    @property
    def model(self) -> str:
        """Return the model: a file with a factory."""
        return f"{self.folder / CLASSES['quotes'] / SCRIPT}:small"

    @property
    def data(self) -> Path:
        """Return class folders."""
        return self.folder / CLASSES["newline"]

    @property
    def pictures(self) -> Path:
        """Return a folder of pictures."""
        return self.folder / CLASSES["no UTF-8"]

    @property
    def each(self) -> list[Path]:
        """Return the pictures one by one."""
        return sorted(self.pictures.iterdir())

    @property
    def frost(self) -> Path:
        """Return a folder of photographs of frost."""
        return self.folder / CLASSES["return"]

    def file(self, kind: str, suffix: str) -> Path:
        """Return the path of a document."""
        return self.folder / (CLASSES[kind][: 250 - len(suffix)] + suffix)

    @property
    def listed(self) -> Path:
        """Return a list of the pictures in the class folders."""
        return self.file("isolate", ".csv")

    @property
    def slices(self) -> str:
        """Return a column of a list."""
        return f"{self.file('color', '.csv')}:{CLASSES['quotes']}"

    @property
    def with_weights(self) -> Words:
        """Return the options that name the model, with its weights and labels in files."""
        weights, labels = self.file("dashes", ".pt"), self.file("template", ".json")
        return ("--model", self.model, "--weights", weights, "--labels", labels)


def write_named(folder: Path) -> Named:
    """Write all of it."""
    at = Named(folder / CLASSES["no UTF-8"] / CLASSES["isolate"])
    write_pictures(at.pictures)
    write_classes(at.data)
    write_pictures(at.frost, {kind: NAMES[kind] for kind in ("tab", "no UTF-8")}, size=64)
    script = Path(at.model.rpartition(":")[0])
    script.parent.mkdir()
    script.write_text(FACTORY)
    torch.save(load(at.model).module.state_dict(), at.file("dashes", ".pt"))
    names = load_data(str(at.data), split="all").label_names or ()
    # One name a line: those of two lines are given as JSON.
    at.file("template", ".json").write_text(json.dumps(names))
    at.file("quotes", ".toml").write_text(GATE)
    at.file("markup", ".json").write_text(json.dumps(ARCHITECTURE))
    plain = [name for name in CLASSES.values() if name.isprintable()]
    at.file("tab", ".txt").write_text("\n".join(plain))
    at.file("return", ".txt").write_text("a \u202e photo of a {}\n")
    at.file("spaces", ".json").write_text(json.dumps({"epochs": 1, "batch_size": 8}))
    # A semicolon in a list stands between labels.
    paths = sorted(one for path in at.data.rglob("*.png") if ";" not in str((one := path.relative_to(at.data)).parent))
    _write_rows(at.file("isolate", ".csv"), ("path", "label"), ((at.data.name / one, one.parent) for one in paths))
    ids = load_data(str(at.data), split="all").ids
    _write_rows(at.file("color", ".csv"), ("path", CLASSES["quotes"]), ((one, NAMES["color"]) for one in ids))
    return at


def _write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _pictures(at: Named, out: Path) -> list[Words]:
    asked: tuple[Words, ...] = (
        ("explain", at.pictures, "--methods", "saliency,gradcam", "--layer", LAYER),
        ("attack", at.pictures, "--method", "fgsm"),
        ("fool", at.pictures, "--target", "index:1", "--steps", 2),
        ("report", at.pictures, "--no-pictures", "--methods", "saliency"),
        ("visualize", "feature", f"{LAYER}:0", f"{LAYER}:1", "--steps", 1, "--frames", 1),
        ("visualize", "invert", at.pictures, "--layer", LAYER, "--steps", 1),
        ("visualize", "dream", at.pictures, "--layer", LAYER, "--steps", 1, "--longest", 32),
        ("style", *at.each, "--longest", 32, "--steps", 1),
    )
    return [(*words, "--model", at.model, "--out", out / CLASSES["quotes"] / str(n)) for n, words in enumerate(asked)]


def _styled(at: Named, out: Path) -> list[Words]:
    few = ("--longest", 32, "--steps", 1, "--model", at.model)
    return [
        ("style", one, at.each[place - 1], *few, "--out", out / CLASSES["quotes"] / str(place))
        for place, one in enumerate(at.each)
    ]


def _described(at: Named, out: Path) -> list[Words]:
    clip, classes, templates = at.file("markup", ".json"), at.file("tab", ".txt"), at.file("return", ".txt")
    return [
        ("predict", *at.each, *at.with_weights),
        ("predict", at.pictures, *at.with_weights, "--out", out / "predicted"),
        ("predict", at.pictures, "--model", f"clip:{clip}", "--random", "--classes", classes, "--templates", templates),
        *(("inspect", one, "--model", at.model) for one in at.each),
        ("visualize", "class", "all", "--steps", 1, *at.with_weights, "--out", out / "class"),
        ("denoise", at.pictures, "--reference", at.each[0], "--out", out / "denoised"),
        ("export", *at.with_weights[1:], "--format", "state-dict", "--out", out / CLASSES["tab"]),
    ]


def _data(at: Named, out: Path) -> list[Words]:
    asked: tuple[Words, ...] = (
        ("evaluate", "--data", at.data, "--table", "--slice", at.slices),
        ("explain", "--data", at.data, "--methods", "saliency", "--metrics", "deletion"),
        ("robustness", "--data", at.data, "--attack", "fgsm", "--card", out / f"{CLASSES['markup']}.json"),
        ("corruptions", "--data", at.data, "--kinds", "frost", "--severities", "1", "--frost", at.frost),
        ("transfer", "--data", at.data, "--attack", "mi:steps=1", *at.with_weights),
        ("universal", "--data", at.data, "--patch", "circle", "--steps", 1, "--on", at.data),
        ("certify", "--data", at.data, "--method", "smoothing:n=20,n0=5", *at.with_weights),
        ("report", "--data", at.data),
    )
    return [(*words, *at.with_weights, "--out", out / CLASSES["no UTF-8"] / str(n)) for n, words in enumerate(asked)]


def _lists(at: Named, out: Path) -> list[Words]:
    model = at.with_weights
    return [
        ("evaluate", "--data", at.listed, *model, "--out", out / "evaluate"),
        ("explain", "--data", at.listed, "--methods", "saliency", "--metrics", "deletion", *model, "--out", out / "a"),
        ("data", "inspect", at.listed, "--out", out / "inspect"),
        ("data", "convert", at.listed, out / CLASSES["color"] / f"{CLASSES['markup']}.npz"),
    ]


def _audited(at: Named, out: Path) -> list[Words]:
    gate, junit, markdown = at.file("quotes", ".toml"), out / f"{CLASSES['tab']}.xml", out / f"{CLASSES['return']}.md"
    data = ("--data", at.data, "--train", at.data, "--against", at.listed, "--depth", "quick", "--slice", at.slices)
    result = out / CLASSES["newline"] / "audit.json"
    written = ("--junit", junit, "--markdown", markdown, "--annotations")
    return [
        ("audit", *data, "--gate", gate, *at.with_weights, "--out", result.parent),
        ("check", result, "--gate", gate, "--baseline", result, *written),
        ("export", *at.with_weights[1:], "--format", "state-dict", "--result", result, "--out", out / CLASSES["tab"]),
        ("report", "--index", out),
    ]


def _trained(at: Named, out: Path) -> list[Words]:
    run, recipe = out / CLASSES["right to left"], at.file("spaces", ".json")
    model = ("--model", "simple_net", "--recipe", recipe)
    return [
        ("train", "--data", at.data, "--out", run, *model),
        ("evaluate", "--model", run, "--data", at.data, "--out", out / CLASSES["no UTF-8"]),
        ("jobs", out / CLASSES["no UTF-8"]),
        ("calibrate", run, "--data", at.data),
        ("export", run, "--out", out / CLASSES["color"]),
        ("inspect", at.each[0], "--compare-random", "--model", run, "--write-passport"),
        ("models",),
        ("methods",),
    ]


def _converted(at: Named, out: Path) -> list[Words]:
    commands: list[Words] = []
    for place, suffix in enumerate(("", ".npz", ".parquet")):
        target = out / str(place) / (CLASSES["isolate"] + suffix)
        commands += [
            ("data", "convert", at.data, target),
            ("data", "inspect", target, "--out", out / f"{place} {CLASSES['dashes']}"),
        ]
    return commands


COMMANDS: dict[str, Callable[[Named, Path], list[Words]]] = {
    "pictures": _pictures,
    "styles": _styled,
    "models": _described,
    "data sets": _data,
    "lists": _lists,
    "audits": _audited,
    "runs": _trained,
    "conversions": _converted,
}
