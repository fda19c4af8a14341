"""The libraries that the attack benchmarks compare with, each behind the same few functions."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from backlight.classifier import Classifier

_BATCH = 250


class Normalized(nn.Module):
    """The network with its normalization in front, as the peers want it."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network = classifier.module
        for name, values in (("mean", classifier.mean), ("std", classifier.std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std)


def _in_batches(work: Callable[[Tensor, Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
    return torch.cat([work(*part) for part in zip(images.split(_BATCH), labels.split(_BATCH))])


def torchattacks_pgd(model: nn.Module, images: Tensor, labels: Tensor, eps: float, step: float, steps: int) -> Tensor:
    """Run torchattacks' PGD."""
    import torchattacks

    return _in_batches(torchattacks.PGD(model, eps=eps, alpha=step, steps=steps), images, labels)


def foolbox_pgd(model: nn.Module, images: Tensor, labels: Tensor, eps: float, step: float, steps: int) -> Tensor:
    """Run foolbox's LinfPGD."""
    import foolbox

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    attack = foolbox.attacks.LinfPGD(abs_stepsize=step, steps=steps)
    return _in_batches(lambda x, y: attack(wrapped, x, y, epsilons=eps)[1], images, labels)


def art_pgd(model: nn.Module, images: Tensor, labels: Tensor, eps: float, step: float, steps: int) -> Tensor:
    """Run the PGD of the Adversarial Robustness Toolbox."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from art.attacks.evasion import ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier

        wrapped = PyTorchClassifier(
            model, nn.CrossEntropyLoss(), input_shape=(3, 32, 32), nb_classes=10, clip_values=(0, 1), device_type="cpu"
        )
        attack = ProjectedGradientDescentPyTorch(
            wrapped, eps=eps, eps_step=step, max_iter=steps, num_random_init=1, batch_size=_BATCH, verbose=False
        )
        return torch.from_numpy(attack.generate(images.numpy(), labels.numpy()))


@dataclass(frozen=True)
class Peer:
    """One attack of a peer: its name for the tables, and a function that returns adversarial images."""

    name: str
    attack: Callable[..., Tensor]


def _checkout() -> Path | None:
    folder = os.environ.get("BACKLIGHT_AUTOATTACK")
    if folder is None:
        return None
    if not Path(folder, "autoattack").is_dir():
        sys.exit(f"BACKLIGHT_AUTOATTACK={folder} holds no folder autoattack")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return Path(folder)


def peer_apgd() -> Peer:
    """Give APGD-CE with 100 steps: the authors' where there is a checkout, else torchattacks'."""
    if _checkout() is None:
        import torchattacks

        def by_torchattacks(model: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
            return _in_batches(torchattacks.APGD(model, eps=eps, steps=100), images, labels)

        return Peer("torchattacks", by_torchattacks)

    def by_authors(model: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
        from autoattack.autopgd_base import APGDAttack

        attack = APGDAttack(model, n_iter=100, norm="Linf", eps=eps, loss="ce", device="cpu")
        return _in_batches(lambda x, y: attack.perturb(x, y), images, labels)

    return Peer("authors' code", by_authors)


def autoattack_peer() -> Peer:
    """Give AutoAttack standard: the authors' where there is a checkout, else torchattacks' four attacks."""
    if _checkout() is None:
        return Peer("torchattacks", _four_attacks)

    def by_authors(model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        from autoattack import AutoAttack

        attack = AutoAttack(model, norm="Linf", eps=eps, version="standard", device="cpu", verbose=False, seed=seed)
        # Its check of the model's code installs a tracer, which would slow down everything after it.
        tracer = sys.gettrace()
        try:
            return attack.run_standard_evaluation(images, labels, bs=_BATCH)
        finally:
            sys.settrace(tracer)

    return Peer("authors' code", by_authors)


def _four_attacks(model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
    import torchattacks

    attacks = [
        torchattacks.APGD(model, eps=eps, steps=100, seed=seed),
        torchattacks.APGDT(model, eps=eps, steps=100, n_classes=10, seed=seed),
        torchattacks.FAB(model, eps=eps, steps=100, n_classes=10, multi_targeted=True, seed=seed),
        torchattacks.Square(model, eps=eps, n_queries=5000, resc_schedule=False, seed=seed),
    ]
    return _in_batches(torchattacks.MultiAttack(attacks), images, labels)
