"""Certificates: how often smoothing is wrong, what bounds prove beside what attacks leave, what training for it gave.

    python benchmarks/certify.py [--quick] [--only coverage|bounds|steps|runs]

`coverage` draws the same two-class model, whose probabilities under noise are known, many times over; `bounds` trains
`strided_cnn` on some CIFAR-10 pictures by IBP and certifies val pictures at 2/255; `steps` times training steps of IBP
against a bare loop of the same passes; `runs` reads what `benchmarks/runs/long.py ibp crown-ibp noise` came to.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import torch
from measure import Figure, arguments, at_least, at_most, data_folder, faster, in_turn, show
from torch import Tensor, nn
from torch.nn import functional as F

from backlight.certify import CertifyRequest, certify_by_smoothing, evaluate_certificates
from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.data.load import load_splits
from backlight.models.networks import build
from backlight.table.statistics import exact_interval
from backlight.train import fit, read_recipe
from backlight.train.batches import TrainingBatch
from backlight.train.recipe import Recipe
from backlight.train.runtime import Runtime
from backlight.train.start import start_classifier
from backlight.train.trainer import Trainer

RESULTS = Path(__file__).parent / "results"
ALPHA, SIGMA, EPS = 0.05, 0.25, "2/255"
PIXELS = 12


def coverage(repeats: int, n: int) -> Iterator[Figure]:
    """Certify a linear model again and again: no certificate may reach beyond its plane in more than alpha of them."""
    weight = torch.linspace(-1, 1, PIXELS).view(1, -1)
    layer = nn.Linear(PIXELS, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.cat([weight, -weight]))
        layer.bias.zero_()
    classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), layer), size=2)
    for probability in (0.6, 0.8, 0.95):
        distance = SIGMA * NormalDist().inv_cdf(probability)
        unit = weight / weight.norm()
        # Centered where the weights, which add to 0, see nothing: so far from the plane, and inside of [0,1].
        image = (0.5 + distance * unit).view(1, 3, 2, 2)
        wrong = abstained = 0
        for first in range(0, repeats, 500):
            ids = list(range(first, min(first + 500, repeats)))
            images = image.expand(len(ids), -1, -1, -1)
            found = certify_by_smoothing(classifier, images, sigma=SIGMA, n=n, alpha=ALPHA, seed="coverage", ids=ids)
            said = found.prediction >= 0
            wrong += int((said & ((found.prediction != 0) | (found.radius > distance))).sum())
            abstained += int((~said).sum())
        least = exact_interval(wrong, repeats, 0.95)[0]
        note = f"{wrong} of {repeats} wrong, {abstained} abstained, n={n}; the goal is compared with the lower 95% end"
        figure = at_most(f"coverage at p={probability}", wrong / repeats, ALPHA, unit="", n=repeats, note=note)
        yield replace(figure, ok=least <= ALPHA)


def bounds(parts: dict[str, Dataset], pictures: int, epochs: int, certified: int) -> Iterator[Figure]:
    """Train by IBP for a short while, and compare what is proved with what PGD leaves."""
    train, val = parts["train"].take(torch.arange(pictures)), parts["val"].take(torch.arange(certified))
    recipe = read_recipe("default", [f"epochs={epochs}", f"adversary=ibp:eps={EPS},ramp=0.5", *_BOUNDED])
    with tempfile.TemporaryDirectory() as folder:
        started = start_classifier("strided_cnn", train)
        trained = fit(started, train, val, Path(folder) / "run", recipe=recipe, runtime=Runtime(tensorboard=False))
    ibp, crown = (
        evaluate_certificates(trained.classifier, val, CertifyRequest(name, EPS)).shares[0] for name in ("ibp", "crown")
    )
    assert crown.attacked is not None
    shares = f"ibp {ibp.share:.1%}, crown {crown.share:.1%}, PGD-20 leaves {crown.attacked:.1%}"
    note = f"{shares}, clean {trained.val_accuracy:.1%}, at {EPS}, val"
    yield at_least("crown minus ibp", crown.share - ibp.share, 0.0, unit="", n=certified, note=note)
    yield at_least("PGD's survivors minus crown", crown.attacked - crown.share, 0.0, unit="", n=certified, note=note)


_BOUNDED = ("lr=0.002", "label_smoothing=0", "weight_decay=0")


def steps(runs: int) -> Iterator[Figure]:
    """Take a step of IBP and the same three passes written out in turn."""
    recipe = replace(Recipe(adversary=f"ibp:eps={EPS},ramp=0", label_smoothing=0.0), optimizer="sgd", momentum=0.0)
    classifier = Classifier.from_module(build("strided_cnn"), size=32, mean=(0.5,) * 3, std=(0.5,) * 3)
    plain, rows = build("strided_cnn"), torch.arange(128)
    images, labels = torch.rand(128, 3, 32, 32), rows % 10
    trainer = Trainer(classifier, recipe, seed=0)
    batch = TrainingBatch(images, labels, rows, rows, 128)
    optimizer = torch.optim.SGD(plain.parameters(), 0.001, weight_decay=recipe.weight_decay)

    def ours() -> None:
        trainer.step(batch, 0, 0.001)

    def bare() -> None:
        optimizer.zero_grad()
        logits = plain((images - 0.5) / 0.5), _worst(plain, images, labels)
        (sum(F.cross_entropy(one, labels) for one in logits) / 2).backward()
        optimizer.step()

    taken = in_turn({"ours": ours, "bare": bare}, runs)
    note = "medians of single steps, strided_cnn, batch 128"
    yield faster("a step of ibp", taken["ours"], taken["bare"], "a bare loop", goal=0.95, n=runs, note=note)


def _worst(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Carry center and radius through the four layers by hand."""
    eps = 2 / 255
    low, high = (((images + sign * eps).clamp(0, 1) - 0.5) / 0.5 for sign in (-1, 1))
    for name in ("conv1", "conv2", "hidden"):
        layer = net.get_submodule(name)
        center, radius = (low + high) / 2, (high - low) / 2
        if name == "hidden":
            center, radius = layer(center.flatten(1)), F.linear(radius.flatten(1), layer.weight.abs())
        else:
            center, radius = layer(center), F.conv2d(radius, layer.weight.abs(), None, layer.stride, layer.padding)
        low, high = (center - radius).relu(), (center + radius).relu()
    head = net.get_submodule("head")
    gap = head.weight[None] - head.weight[labels][:, None]
    shift = head.bias[None] - head.bias[labels][:, None]
    center, radius = (low + high)[:, :, None] / 2, (high - low)[:, :, None] / 2
    return (gap @ center + gap.abs() @ radius)[:, :, 0] + shift


def runs() -> Iterator[Figure]:
    """State what the long runs came to, those that are finished."""
    for name in ("ibp", "crown-ibp", "noise"):
        path = RESULTS / f"{name}.json"
        found = json.loads(path.read_text()).get("certified") if path.exists() else None
        if not found:
            print(f"{name} waits for: python benchmarks/runs/long.py {name}")
        elif name == "noise":
            proved = found["certified_accuracy"]
            curve = ", ".join(f"{100 * one['share']:.1f}% at {radius}" for radius, one in proved.items())
            share = proved["0.25"]["share"]
            yield replace(
                at_least("noise: certified at 0.25", share, 0.0, unit="", n=found["n"], note=curve), goal=None
            )
        else:
            note = f"ibp {found['ibp']:.1%}, PGD-20 leaves {found['attacked']:.1%}, at {EPS}, test"
            yield at_least(f"{name}: certified", found["crown"], 0.35, unit="", n=found["n"], note=note)


def main() -> None:
    given = arguments(__doc__ or "")
    folder = data_folder()

    def figures() -> Iterator[Figure]:
        wanted = lambda name: given.only in name  # noqa: E731
        if wanted("coverage"):
            yield from coverage(500 if given.quick else 4000, 100 if given.quick else 400)
        if wanted("bounds") and folder is not None:
            sizes = (1000, 2, 30) if given.quick else (10000, 8, 500)
            yield from bounds(dict(load_splits(folder / "cifar10_jpeg.npz").parts), *sizes)
        if wanted("steps"):
            yield from steps(5 if given.quick else 60)
        if wanted("runs"):
            yield from runs()

    show(figures())
    if folder is None:
        print("bounds needs CIFAR-10 below BACKLIGHT_DATA")


if __name__ == "__main__":
    main()
