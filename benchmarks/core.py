"""The core against its peers: PGD-20 on a small CNN, the fast copy against eager, start-up of the command line.

python benchmarks/core.py [--quick] [--only NAME]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from attack_peers import Normalized
from cifar_nets import load_net, test_images
from measure import Figure, arguments, at_most, data_folder, faster, in_turn, seconds, show
from torch import Tensor

from backlight.attack import attack
from backlight.classifier import Classifier

EPS, STEP, STEPS = 8 / 255, 2 / 255, 20


def bare_pgd(classifier: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    """Write PGD out as a plain loop over frozen parameters, all images to the end."""
    network = classifier.module.eval().requires_grad_(False)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (classifier.mean, classifier.std))
    current = (images + (2 * torch.rand_like(images) - 1) * EPS).clamp(0, 1)
    for _ in range(STEPS):
        current.requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(network((current - mean) / std), labels, reduction="sum")
        gradient = torch.autograd.grad(loss, current)[0]
        moved = current.detach() + STEP * gradient.sign()
        current = torch.min(torch.max(moved, images - EPS), images + EPS).clamp(0, 1)
    return current.detach()


def accuracy(classifier: Classifier, images: Tensor, labels: Tensor) -> float:
    """Share of images that the untouched classifier still gets right."""
    with torch.no_grad():
        rows = [classifier.logits(part).argmax(1) for part in images.split(500)]
    return float((torch.cat(rows) == labels).float().mean())


def pgd_against_peers(count: int, runs: int) -> Iterator[Figure]:
    """Run PGD-20 linf 8/255 on an undefended network by ours, a bare loop, torchattacks and foolbox."""
    import foolbox
    import torchattacks

    classifier = load_net("plain")
    images, labels = test_images(count)
    batches = list(zip(images.split(256), labels.split(256), strict=True))
    peer = Normalized(classifier).eval()
    found: dict[str, Tensor] = {}

    def ours() -> None:
        found["ours"] = attack(classifier, images, labels, method="pgd", eps=EPS, steps=STEPS, step_size=STEP).images

    def bare() -> None:
        found["bare loop"] = torch.cat(
            [bare_pgd(classifier, *part) for part in zip(images.split(256), labels.split(256))]
        )

    def by_torchattacks() -> None:
        pgd = torchattacks.PGD(peer, eps=EPS, alpha=STEP, steps=STEPS)
        found["torchattacks"] = torch.cat([pgd(*part) for part in batches])

    def by_foolbox() -> None:
        model = foolbox.PyTorchModel(peer, bounds=(0, 1))
        pgd = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=STEPS)
        parts = [pgd(model, *part, epsilons=EPS)[1] for part in batches]
        found["foolbox"] = torch.cat(parts)

    works = {"ours": ours, "bare loop": bare, "torchattacks": by_torchattacks, "foolbox": by_foolbox}
    times = in_turn(works, runs, warm=False)
    robust = {name: accuracy(classifier, adversarial, labels) for name, adversarial in found.items()}
    for name in ("bare loop", "torchattacks", "foolbox"):
        note = f"robust accuracy ours {robust['ours']:.1%}, {name} {robust[name]:.1%}"
        figure = faster("pgd-20", times["ours"], times[name], name, goal=None, n=count, note=note)
        yield figure if robust["ours"] <= robust[name] + 1e-9 else Figure(**(vars(figure) | {"ok": False}))


def fast_against_eager(runs: int) -> Iterator[Figure]:
    """Compare the input gradient of the fast copy with the eager module's, as the user has it."""
    for name, size, count in (("resnet18", 64, 64), ("tf_efficientnet_lite0", 224, 8), ("mobilenetv2_100", 96, 32)):
        yield _fast_against_eager(name, size, count, runs)


def _fast_against_eager(name: str, size: int, count: int, runs: int) -> Figure:
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = timm.create_model(name, pretrained=False).eval()
    fast = Classifier.from_module(module, mean=0.5, std=(0.5, 0.5, 0.5), size=size).fast()
    images = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))

    def quickly() -> Tensor:
        pixels = images.clone().requires_grad_(True)
        return torch.autograd.grad(fast.logits(pixels)[:, 0].sum(), pixels)[0]

    def eagerly() -> Tensor:
        pixels = images.clone().requires_grad_(True)
        return torch.autograd.grad(module((pixels - 0.5) / 0.5)[:, 0].sum(), pixels)[0]

    apart = (quickly() - eagerly()).norm() / eagerly().norm()
    times = in_turn({"fast": quickly, "eager": eagerly}, runs)
    assert fast.probe is not None
    note = f"{fast.probe.describe()}; gradients differ by {apart:.0e} of their norm"
    return faster(f"fast {name}", times["fast"], times["eager"], "eager", goal=1.0, n=count, note=note)


def start_up(runs: int) -> Iterator[Figure]:
    """Time `--help` and a prediction of one picture as whole processes."""
    import numpy as np
    from skimage import data

    from backlight.images import write_png

    command = [sys.executable, "-m", "backlight"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chelsea.png"
        write_png(path, torch.from_numpy(np.asarray(data.chelsea())).permute(2, 0, 1) / 255)

        def run(*words: str) -> None:
            subprocess.run([*command, *words], check=True, capture_output=True)

        helps = sorted(seconds(lambda: run("--help")) for _ in range(2 * runs + 1))
        yield at_most("--help", helps[runs], 0.5, unit="s", n=len(helps), note="median of whole processes")
        predicts = sorted(seconds(lambda: run("predict", str(path), "--json")) for _ in range(runs))
        middle = predicts[len(predicts) // 2]
        yield at_most(
            "predict one picture", middle, 10.0, unit="s", n=runs, note="process start to JSON, embedded model"
        )


def figures(quick: bool, only: str) -> Iterator[Figure]:
    """Yield the figures whose group's name contains `only`."""
    runs = 1 if quick else 3
    if only in "pgd-20":
        if data_folder() is None:
            print("pgd-20 skipped: no CIFAR-10 at BACKLIGHT_DATA", file=sys.stderr)
        else:
            yield from pgd_against_peers(100 if quick else 1000, runs)
    if only in "fast":
        yield from fast_against_eager(2 * runs + 1)
    if only in "start-up":
        yield from start_up(runs)


if __name__ == "__main__":
    options = arguments(__doc__ or "")
    show(figures(options.quick, options.only))
