"""One command for every kind of page, on files, labels and commands whose names are hostile or plain."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from backlight import Classifier, tasks
from backlight.attack import (
    Challenge,
    PatchRequest,
    PerturbationRequest,
    RobustnessRequest,
    TransferRequest,
    UniversalRequest,
)
from backlight.certify import CertifyRequest
from backlight.explain.request import Request
from backlight.images import write_png

WORD = (
    '"><script>alert(1)</script><svg/onload=alert(2)> \' onmouseover=\'alert(3) " autofocus onfocus="alert(4) '
    "javascript:alert(5) {{7*7}} {% raw %} ${7*7} </style></script></title></textarea></svg><!-- --> ]]> "
    "&lt;b&gt; &#x3c; \u202egnp \u2067 \x1b[31m two\nlines"
)
FILE = "\"><img src=x onerror=alert(1)> ' onmouseover='alert(2) javascript:alert(3) {{7*7}} <!-- &lt;b&gt; {%"


@dataclass(frozen=True)
class Names:
    """What files, folders, labels and commands are called: hostile, or as long and plain."""

    hostile: bool

    def word(self, place: int = 0) -> str:
        return f"{place} {WORD if self.hostile else 'x' * len(WORD)}"

    def file(self, place: int = 0) -> str:
        return f"{place} {FILE if self.hostile else 'x' * len(FILE)}"


@dataclass(frozen=True)
class Setting:
    """A folder of pictures in class folders, one of them broken, one twice, and a classifier with their names."""

    folder: Path
    names: Names
    data: Path
    pictures: tuple[Path, ...]
    classifier: Classifier

    def out(self, name: str) -> Path:
        return self.folder / name

    @property
    def asked(self) -> tasks.DataRequest:
        return tasks.DataRequest(str(self.data))

    def words(self, classifier: Classifier) -> Classifier:
        return classifier.replace(labels=tuple(map(self.names.word, range(3))))


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3),
        )  # fmt: skip


def images(count: int) -> Tensor:
    return torch.rand(count, 3, 20, 20, generator=torch.Generator().manual_seed(0))


def setting(folder: Path, *, hostile: bool) -> Setting:
    names = Names(hostile)
    data = folder / names.file(9)
    shown = images(18)
    for place, image in enumerate(shown):
        where = data / names.file(place % 3)
        where.mkdir(parents=True, exist_ok=True)
        write_png(where / f"{names.file(place)}.png", image)
    write_png(data / names.file(1) / f"{names.file(90)}.png", shown[0])
    (data / names.file(2) / f"{names.file(91)}.png").write_text("no picture")
    labels = tuple(map(names.file, range(3)))
    classifier = Classifier.from_module(network(), size=16, labels=labels, name=names.word(7))
    pictures = tuple(sorted((data / names.file(0)).iterdir()))[:2]
    broken = (data / names.file(2) / f"{names.file(91)}.png",)
    return Setting(folder, names, data, (*pictures, *broken), classifier)


def report(at: Setting) -> tasks.Outcome:
    request = tasks.ReportRequest(
        at.pictures, at.classifier, at.asked, ("saliency",), out=at.out("report"), command=at.names.word()
    )
    return tasks.report(request)


def slices(at: Setting) -> str:
    """Write a list with a column of values, and name the column."""
    column = at.names.word(5).replace(":", "")
    table = at.out("slices.csv")
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", column])
        paths = sorted(one.relative_to(at.data).as_posix() for one in at.data.rglob("*.png"))
        rows.writerows((path, at.names.word(place % 2)) for place, path in enumerate(paths))
    return f"{table}:{column}"


def evaluate(at: Setting) -> tasks.Outcome:
    request = tasks.EvaluateRequest(
        at.asked, (at.classifier,), slice=slices(at), out=at.out("evaluate"), command=at.names.word()
    )
    return tasks.evaluate(request)


def audit(at: Setting) -> tasks.Outcome:
    second = at.classifier.replace(module=network(1), name=at.names.word(8))
    request = tasks.AuditRequest(
        at.asked,
        at.classifier,
        second=second,
        depth="quick",
        slices=(slices(at),),
        out=at.out("audit"),
        command=at.names.word(),
    )
    return tasks.audit(request)


def archive(at: Setting, name: str = "data.npz", **more: object) -> Path:
    path = at.out(name)
    if not path.exists():
        shown = (images(12).permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
        labels = np.array([at.names.word(place) for place in range(3)])
        np.savez(path, **({"X": shown, "y": np.arange(12) % 3, "label_names": labels} | more))
    return path


def evaluate_pair(at: Setting) -> tasks.Outcome:
    """Compare two models on an archive, whose labels may hold any sign."""
    second = at.words(Classifier.from_module(network(1), size=16, name=at.names.word(8)))
    request = tasks.EvaluateRequest(
        tasks.DataRequest(str(archive(at))),
        (at.words(at.classifier), second),
        out=at.out("pair"),
        command=at.names.word(),
    )
    return tasks.evaluate(request)


def evaluate_several(at: Setting) -> tasks.Outcome:
    many = Classifier.from_module(
        network(), size=16, labels=tuple(map(at.names.file, range(3))), name=at.names.word(7), outputs="multilabel"
    )
    table = at.data / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", *many.labels])
        paths = sorted(one.relative_to(at.data).as_posix() for one in at.data.rglob("*.png"))
        rows.writerows((path, place % 2, 1 - place % 2, 1) for place, path in enumerate(paths))
    request = tasks.EvaluateRequest(
        tasks.DataRequest(str(table)), (many,), out=at.out("several"), command=at.names.word()
    )
    try:
        return tasks.evaluate(request)
    finally:
        table.unlink()


def robustness(at: Setting) -> tasks.Outcome:
    def own(challenge: Challenge) -> Tensor:
        return (challenge.images + 0.03).clamp(0, 1)

    own.__name__ = at.names.word(6)
    request = tasks.RobustnessOfDataRequest(
        at.asked, at.classifier, RobustnessRequest(own, eps="8/255"), out=at.out("robust"), command=at.names.word()
    )
    return tasks.robustness(request)


def attack(at: Setting) -> tasks.Outcome:
    request = tasks.AttackRequest(at.pictures, at.classifier, "fgsm", out=at.out("attack"), command=at.names.word())
    return tasks.attack(request)


def explain(at: Setting) -> tasks.Outcome:
    methods = ("saliency", "gradcam")
    request = tasks.ExplainRequest(at.pictures, at.classifier, methods, out=at.out("maps"), command=at.names.word())
    return tasks.explain(request)


def explain_data(at: Setting) -> tasks.Outcome:
    request = tasks.ExplainDataRequest(
        at.asked, at.classifier, Request(("saliency",)), ("deletion",), out=at.out("explain"), command=at.names.word()
    )
    return tasks.explain_data(request)


def corruptions(at: Setting) -> tasks.Outcome:
    second = at.classifier.replace(module=network(1), name=at.names.word(8))
    request = tasks.CorruptionsRequest(
        at.asked,
        at.classifier,
        second,
        kinds="fog",
        severities="1,5",
        stability=True,
        out=at.out("corrupt"),
        command=at.names.word(),
    )
    return tasks.corruptions(request)


def transfer(at: Setting) -> tasks.Outcome:
    second = at.classifier.replace(module=network(1), name=at.names.word(8))
    models = (at.classifier, second)
    asked = TransferRequest.of("mi:steps=1")
    request = tasks.TransferOfDataRequest(at.asked, models, asked, out=at.out("transfer"), command=at.names.word())
    return tasks.transfer(request)


def universal(asked: UniversalRequest, name: str) -> Callable[[Setting], tasks.Outcome]:
    def ask(at: Setting) -> tasks.Outcome:
        request = tasks.UniversalOfDataRequest(
            at.asked, at.classifier, asked, at.asked, out=at.out(name), command=at.names.word()
        )
        return tasks.universal(request)

    return ask


def certify(at: Setting) -> tasks.Outcome:
    asked = CertifyRequest("smoothing:n=20,n0=5")
    request = tasks.CertifyDataRequest(at.asked, at.classifier, asked, out=at.out("certify"), command=at.names.word())
    return tasks.certify(request)


def train(at: Setting) -> tasks.Outcome:
    request = tasks.TrainRequest(
        str(archive(at)), at.out(at.names.file(4)), settings=("epochs=1",), command=at.names.word()
    )
    return tasks.train(request)


def evaluate_run(at: Setting) -> tasks.Outcome:
    """Evaluate a run whose description was written by somebody else."""
    run = at.out(at.names.file(4))
    info = json.loads((run / "run.json").read_text("utf-8"))
    info["data"]["name"] = at.names.word(3)
    info["versions"] = dict.fromkeys(info["versions"], at.names.word(4))
    info["recipe"] |= {"adversary": at.names.word(5), "optimizer": at.names.word(6)}
    (run / "run.json").write_text(json.dumps(info), "utf-8")
    request = tasks.EvaluateRequest(
        tasks.DataRequest(str(archive(at)), "val"), (str(run),), out=at.out("run"), command=at.names.word()
    )
    return tasks.evaluate(request)


def visualize_class(at: Setting) -> tasks.Outcome:
    classifier = at.words(at.classifier)
    wanted = tuple(classifier.labels)
    return tasks.visualize(tasks.VisualizeRequest("class", wanted, classifier, steps=1, frames=1, out=at.out("class")))


def dream(at: Setting) -> tasks.Outcome:
    files = tuple(map(str, at.pictures[:2]))
    request = tasks.VisualizeRequest("dream", files, at.classifier, layer="2", steps=1, longest=24, out=at.out("dream"))
    return tasks.visualize(request)


def fool(at: Setting) -> tasks.Outcome:
    return tasks.fool(tasks.FoolRequest(at.pictures[:2], "second", at.classifier, steps=1, out=at.out("fool")))


def style(at: Setting) -> tasks.Outcome:
    request = tasks.StyleRequest(
        at.pictures[0], at.pictures[1:2], at.classifier, blend=(1.0,), longest=24, steps=1, out=at.out("style")
    )
    return tasks.style(request)


def denoise(at: Setting) -> tasks.Outcome:
    return tasks.denoise(tasks.DenoiseRequest(at.pictures[:2], alpha=1.0, steps=1, out=at.out("denoise")))


def inspect_data(at: Setting) -> tasks.Outcome:
    return tasks.inspect_data(tasks.InspectDataRequest(str(at.data), at.out("inspect")))


def index(at: Setting) -> tasks.Outcome:
    return tasks.index(tasks.IndexRequest(at.out("audit").parent, command=at.names.word()))


# What each task that writes a page is called with; the order counts where one goes on from another.
PAGES: dict[str, tuple[str, Callable[[Setting], tasks.Outcome]]] = {
    "report": ("reporting", report),
    "evaluate": ("evaluation_page", evaluate),
    "evaluate two": ("evaluation_page", evaluate_pair),
    "evaluate several labels": ("evaluation_page", evaluate_several),
    "robustness": ("attacking_data", robustness),
    "attack": ("joint_page", attack),
    "explain": ("joint_page", explain),
    "explain --data": ("explaining_data", explain_data),
    "corruptions": ("corrupting", corruptions),
    "transfer": ("transferring", transfer),
    "universal": ("fooling_many", universal(PerturbationRequest(epochs=1), "universal")),
    "universal patch": ("fooling_many", universal(PatchRequest(steps=2), "patch")),
    "certify": ("certifying", certify),
    "train": ("training", train),
    "evaluate a run": ("evaluation_page", evaluate_run),
    "visualize class": ("made", visualize_class),
    "visualize dream": ("made", dream),
    "fool": ("made", fool),
    "style": ("made", style),
    "denoise": ("denoising", denoise),
    "data inspect": ("data_sets", inspect_data),
    "audit": ("auditing", audit),
    "index": ("indexing", index),
}
