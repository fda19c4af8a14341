"""The libraries whose attacks look for the nearest success, each behind the same function."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections.abc import Callable

import torch
from attack_peers import Normalized
from torch import Tensor, nn

from backlight.classifier import Classifier

Run = Callable[[nn.Module, Tensor, Tensor, str], Tensor]
_ORDER = {"l0": 0.0, "l1": 1.0, "l2": 2.0, "linf": float("inf")}
_ROUNDS = 9  # of HopSkipJump: about 2,400 queries


class Counted(Normalized):
    """The network with its normalization, which counts the pictures that it is asked about."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self.rows = 0

    def forward(self, images: Tensor) -> Tensor:
        self.rows += len(images)
        return super().forward(images.float())  # one of the libraries gives doubles


def load_libraries() -> None:
    """Import all of them, so that no attack's time holds an import."""
    sys.modules.setdefault("visdom", types.ModuleType("visdom"))  # adv-lib draws curves there if it is asked to
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("adv_lib.attacks", "foolbox", "art.attacks.evasion", "art.estimators.classification"):
            importlib.import_module(name)


def adv_lib(name: str) -> Run:
    """Give an attack of adv-lib at its defaults, FMN with 100 steps instead of 10."""

    def run(model: nn.Module, images: Tensor, labels: Tensor, norm: str) -> Tensor:
        import adv_lib.attacks

        options = {"norm": _ORDER[norm]} if name in ("pdpgd", "fmn") else {}
        options |= {"steps": 100} if name == "fmn" else {}  # as ours and foolbox have it
        return getattr(adv_lib.attacks, name)(model, images, labels, **options)

    return run


def foolbox(name: str) -> Run:
    """Give an attack of foolbox at its defaults, HopSkipJump with fewer rounds."""

    def run(model: nn.Module, images: Tensor, labels: Tensor, norm: str) -> Tensor:
        import foolbox as library

        wrapped = library.PyTorchModel(model, bounds=(0, 1))
        kind = {"fmn": {"l2": "L2FMNAttack", "linf": "LInfFMNAttack"}}.get(name, {}).get(norm, name)
        options = {"steps": _ROUNDS, "constraint": norm} if name == "HopSkipJumpAttack" else {}
        made = getattr(library.attacks, kind)(**options)
        return made(wrapped, images, labels, epsilons=None)[1]

    return run


def art_hop_skip_jump(model: nn.Module, images: Tensor, labels: Tensor, norm: str) -> Tensor:
    """Run HopSkipJump of the Adversarial Robustness Toolbox."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from art.attacks.evasion import HopSkipJump
        from art.estimators.classification import PyTorchClassifier

        shape = tuple(images.shape[1:])
        wrapped = PyTorchClassifier(
            model, nn.CrossEntropyLoss(), input_shape=shape, nb_classes=10, clip_values=(0, 1), device_type="cpu"
        )
        order = "inf" if norm == "linf" else 2
        made = HopSkipJump(wrapped, norm=order, max_iter=_ROUNDS, max_eval=10_000, init_eval=100, verbose=False)
        return torch.from_numpy(made.generate(images.numpy(), labels.numpy()))


PEERS: dict[str, dict[str, Run]] = {
    "sigma-zero": {"adv-lib": adv_lib("sigma_zero")},
    "pdpgd": {"adv-lib": adv_lib("pdpgd")},
    "pdgd": {"adv-lib": adv_lib("pdgd")},
    "ddn": {"adv-lib": adv_lib("ddn"), "foolbox": foolbox("DDNAttack")},
    "fmn": {"adv-lib": adv_lib("fmn"), "foolbox": foolbox("fmn")},
    "hopskipjump": {"ART": art_hop_skip_jump, "foolbox": foolbox("HopSkipJumpAttack")},
}
