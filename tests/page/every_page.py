"""One page of every kind that the verbs write, of a small net and small pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from backlight import Classifier, load, tasks
from backlight.attack import PatchRequest, PerturbationRequest, RobustnessRequest, TransferRequest, UniversalRequest
from backlight.audit import HardeningRequest
from backlight.certify import CertifyRequest
from backlight.data import load_data
from backlight.explain.request import Request
from backlight.images import write_png
from backlight.tasks.explaining_data import scored

SIDE, CLASSES = 32, 8
DATA = f"shapes:n=160,size={SIDE},classes={CLASSES}"
COMMAND = "backlight --model 'a run' --data a-folder-with-quite-a-long-name/and-another-one-in-it --force"


@dataclass(frozen=True)
class World:
    """Where pages are made, and what they are made of: a trained net, a second one, pictures and noisy ones."""

    folder: Path
    run: Path
    model: Classifier
    other: Classifier
    pictures: tuple[Path, ...]
    noisy: Path

    @property
    def data(self) -> tasks.DataRequest:
        return tasks.DataRequest(DATA, "test")


def make_world(folder: Path) -> World:
    run = folder / "run"
    settings = ("epochs=2", "batch_size=16")
    tasks.train(tasks.TrainRequest(DATA, run, tasks.Start("classic_cnn"), settings=settings, command=COMMAND))
    model = load(str(run))
    other = load("simple_net", random=True, size=(SIDE, SIDE), seed=1)
    other = replace(other, labels=model.labels) if other.classes == CLASSES else model.replace(name="the same again")
    data = load_data(DATA, split="test")
    paths = []
    for row in range(3):
        paths.append(folder / f"<b>picture {row}.png")
        write_png(paths[-1], data[row][0][0])
    noisy = folder / "noisy.png"
    clean = data[0][0][0]
    write_png(noisy, (clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1))
    return World(folder, run, model, other, tuple(paths), noisy)


def _html(outcome: tasks.Outcome) -> Path:
    return next(path for path in outcome.files if path.suffix == ".html")


def _report(world: World, out: Path) -> tasks.Outcome:
    return tasks.report(tasks.ReportRequest(world.pictures[:2], world.model, out=out, command=COMMAND))


def _report_data(world: World, out: Path) -> tasks.Outcome:
    return tasks.report(tasks.ReportRequest((), world.model, world.data, out=out, command=COMMAND))


def _evaluate(world: World, out: Path) -> tasks.Outcome:
    return tasks.evaluate(tasks.EvaluateRequest(world.data, (str(world.run),), out=out, command=COMMAND))


def _pair(world: World, out: Path) -> tasks.Outcome:
    return tasks.evaluate(tasks.EvaluateRequest(world.data, (world.model, world.other), out=out, command=COMMAND))


def _hardened(world: World, out: Path) -> tasks.Outcome:
    models, asked = (world.model, world.other), HardeningRequest(("fgsm", "pgd:steps=2"), "2/255")
    return tasks.evaluate(tasks.EvaluateRequest(world.data, models, out=out, command=COMMAND, hardened=asked))


def _robustness(world: World, out: Path) -> tasks.Outcome:
    asked = RobustnessRequest("pgd", eps="2/255", options={"steps": 4}, curve=True)
    request = tasks.RobustnessOfDataRequest(world.data, world.model, asked, (1, 2, 4), out=out, command=COMMAND)
    return tasks.robustness(request)


def _explain_data(world: World, out: Path) -> tasks.Outcome:
    asked = Request(("saliency", "gradcam", "guided_backprop"), "top")
    data = replace(world.data, limit=8)
    request = tasks.ExplainDataRequest(data, world.model, asked, scored(True), out=out, command=COMMAND)
    return tasks.explain_data(request)


def _corruptions(world: World, out: Path) -> tasks.Outcome:
    kinds, levels = "gaussian_noise,fog,jpeg_compression", "1,3,5"
    request = tasks.CorruptionsRequest(world.data, world.model, world.other, kinds, levels, True, out=out)
    return tasks.corruptions(request)


def _transfer(world: World, out: Path) -> tasks.Outcome:
    asked = TransferRequest.of("i-fgsm:steps=3,mi+dim:steps=3", eps="8/255")
    request = tasks.TransferOfDataRequest(world.data, (world.model, world.other), asked, out=out, command=COMMAND)
    return tasks.transfer(request)


def _universal(asked: UniversalRequest) -> Callable[[World, Path], tasks.Outcome]:
    def make(world: World, out: Path) -> tasks.Outcome:
        data = replace(world.data, split="all")
        return tasks.universal(tasks.UniversalOfDataRequest(data, world.model, asked, out=out, command=COMMAND))

    return make


def _certify(world: World, out: Path) -> tasks.Outcome:
    asked = CertifyRequest("smoothing:n=30,n0=10")
    return tasks.certify(tasks.CertifyDataRequest(world.data, world.model, asked, out=out, command=COMMAND))


def _audit(world: World, out: Path) -> tasks.Outcome:
    request = tasks.AuditRequest(world.data, world.model, tasks.DataRequest(DATA, "train"), out=out, command=COMMAND)
    return tasks.audit(request)


def _attack(world: World, out: Path) -> tasks.Outcome:
    return tasks.attack(tasks.AttackRequest(world.pictures, world.model, eps="8/255", out=out, command=COMMAND))


def _explain(world: World, out: Path) -> tasks.Outcome:
    methods = ("saliency", "gradcam", "occlusion")
    return tasks.explain(tasks.ExplainRequest(world.pictures, world.model, methods=methods, out=out, command=COMMAND))


def _fool(world: World, out: Path) -> tasks.Outcome:
    request = tasks.FoolRequest(world.pictures[:1], "second", world.model, steps=5, out=out, command=COMMAND)
    return tasks.fool(request)


def _visualize(*asked: object, **more: object) -> Callable[[World, Path], tasks.Outcome]:
    def make(world: World, out: Path) -> tasks.Outcome:
        what, *subjects = asked
        named = tuple(str(one) for one in subjects or world.pictures[:1])
        request = tasks.VisualizeRequest(str(what), named, world.model, steps=4, out=out, command=COMMAND)
        return tasks.visualize(replace(request, **more))  # type: ignore[arg-type]

    return make


def _style(world: World, out: Path) -> tasks.Outcome:
    request = tasks.StyleRequest(world.pictures[0], world.pictures[1:], world.model, longest=SIDE, steps=2, out=out)
    return tasks.style(replace(request, frames=1, command=COMMAND))


def _denoise(world: World, out: Path) -> tasks.Outcome:
    request = tasks.DenoiseRequest((world.noisy,), reference=world.pictures[0], out=out, command=COMMAND)
    return tasks.denoise(request)


def _inspect_data(world: World, out: Path) -> tasks.Outcome:
    return tasks.inspect_data(tasks.InspectDataRequest(DATA, out))


MAKERS: dict[str, Callable[[World, Path], tasks.Outcome]] = {
    "report": _report,
    "report of data": _report_data,
    "evaluate": _evaluate,
    "evaluate two": _pair,
    "evaluate hardened": _hardened,
    "robustness": _robustness,
    "explain data": _explain_data,
    "corruptions": _corruptions,
    "transfer": _transfer,
    "universal perturbation": _universal(PerturbationRequest(epochs=3)),
    "universal patch": _universal(PatchRequest(steps=20)),
    "certify": _certify,
    "audit": _audit,
    "attack": _attack,
    "explain": _explain,
    "fool": _fool,
    "class": _visualize("class", 0, 1, frames=2),
    "feature": _visualize("feature", "conv1:1"),
    "invert": _visualize("invert", layer="conv2"),
    "dream": _visualize("dream", layer="conv2", longest=64),
    "style": _style,
    "denoise": _denoise,
    "data": _inspect_data,
}


def make_pages(folder: Path) -> dict[str, Path]:
    """Make one page of every kind, each in a folder of its own."""
    world = make_world(folder)
    pages = {"train": world.run / "report.html"}
    for kind, make in MAKERS.items():
        pages[kind] = _html(make(world, folder / kind.replace(" ", "-")))
    return pages
