"""The small classifier and pictures that proofs run on, and what all of them compare."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.random import Random
from backlight.testing.unchanged import CALLERS, caller, small_net, unchanged

SIDE, COUNT = 16, 4
TOLERANCE = 1e-7  # of float64 results in batches of other shapes
IDS = ("ash", "birch", "cedar", "dogwood")


def small_classifier() -> Classifier:
    """Return a classifier of four classes at 16 px, in double precision, whose module is in train mode.

    >>> small_classifier().size
    (16, 16)
    """
    names = ["circle", "square", "triangle", "star"]
    return Classifier.from_module(small_net().double(), size=SIDE, labels=names)


def small_pictures() -> Tensor:
    """Return four pictures `[4,3,16,16]` in double precision on the 8-bit lattice, none of them flat.

    >>> small_pictures().shape
    torch.Size([4, 3, 16, 16])
    """
    drawn = Random(7, IDS).uniform(3, SIDE, SIDE, dtype=torch.float64)
    return (drawn * 255).round() / 255


def require(holds: bool, name: str, what: str) -> None:
    """Raise AssertionError that names the thing and what does not hold of it.

    >>> require(1 > 0, "mine", "is positive")
    """
    if not holds:
        raise AssertionError(f"{name}: {what}")


def require_same(first: Tensor, second: Tensor, name: str, what: str, tolerance: float = 0.0) -> None:
    """Raise AssertionError unless two tensors agree: bit by bit, or within a tolerance relative to the largest value.

    >>> require_same(torch.ones(2), torch.ones(2), "mine", "gives the same twice")
    """
    require(first.shape == second.shape, name, f"{what}: shapes {list(first.shape)} and {list(second.shape)}")
    first, second = first.double(), second.double()
    alike = torch.equal(first.nan_to_num(7.25), second.nan_to_num(7.25))
    if not alike and tolerance:
        scale = float(first.nan_to_num(0, 0, 0).abs().max()) or 1.0
        alike = bool(((first - second).abs() <= tolerance * scale).all())
    require(alike, name, what)


def from_everywhere(classifier: Classifier, name: str, call: Callable[[], Any]) -> None:
    """Call from wherever people call, and raise AssertionError where the model does not stay as it was.

    >>> from_everywhere(small_classifier(), "nothing", lambda: None)
    """
    grads = [parameter.requires_grad for parameter in classifier.module.parameters()]
    for state in CALLERS:
        try:
            with caller(classifier.module, state), unchanged(classifier.module):
                call()
        except AssertionError as error:
            raise AssertionError(f"{name}: called {state}, {error}") from error
    for parameter, wanted in zip(classifier.module.parameters(), grads, strict=True):
        parameter.requires_grad_(wanted)


@contextmanager
def global_seed(seed: int) -> Any:
    """Seed torch's global generator for a while: what a proof runs must not depend on it.

    >>> with global_seed(3):
    ...     bool(torch.rand(1) < 1)
    True
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
