"""Audits of networks of every kind of head: what is at hand decides what is checked, and nothing fails."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight.audit import audit
from backlight.classifier import Classifier
from backlight.data.shapes import Shapes
from tests.audit.nets import shapes_data

SHAPES = Shapes(n=60, size=16, classes=3)


def body() -> list[nn.Module]:
    return [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU()]


def pooled() -> list[nn.Module]:
    return [*body(), nn.AdaptiveAvgPool2d(1)]


class Wrapped(nn.Module):
    """A network that returns a dictionary, as those of other libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(*pooled(), nn.Flatten(), nn.Linear(8, 3))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"logits": self.inner(images)}


class Buffers(nn.Module):
    """A network without a single parameter, through which gradients go all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(3, 3))

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) @ self.weight


class Queries(nn.Module):
    """A network that answers only: it has parameters, and nothing leads back to the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(*pooled(), nn.Flatten(), nn.Linear(8, 3))

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.from_numpy(self.inner(images.detach()).numpy())


def traced() -> nn.Module:
    net = nn.Sequential(*pooled(), nn.Flatten(), nn.Linear(8, 3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its scripts outdated; people bring them
        return torch.jit.trace(net, torch.rand(2, 3, 16, 16))  # type: ignore[no-untyped-call,no-any-return]


HEADS: dict[str, tuple[Callable[[], nn.Module], set[str], int]] = {
    "linear": (lambda: nn.Sequential(*pooled(), nn.Flatten(), nn.Linear(8, 3)), {"gradients", "features", "head"}, 8),
    "convolution of 1": (
        lambda: nn.Sequential(*pooled(), nn.Conv2d(8, 3, 1), nn.Flatten()), {"gradients", "features", "head"}, 8
    ),
    "convolution, then pooling": (
        lambda: nn.Sequential(*body(), nn.Conv2d(8, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        {"gradients", "features"},
        8,
    ),
    "two layers": (
        lambda: nn.Sequential(*pooled(), nn.Flatten(), nn.Linear(8, 5), nn.GELU(), nn.Linear(5, 3)),
        {"gradients", "features", "head"},
        5,
    ),
    "wrapped": (Wrapped, {"gradients", "features", "head"}, 8),
    "script": (traced, {"gradients"}, 0),
    "buffers": (Buffers, {"gradients"}, 0),
    "queries": (Queries, {"features", "head"}, 8),
}  # fmt: skip


def heads() -> list[object]:
    """List one head of each kind of what is at hand; those that have the same as another are slow."""
    daily = {"linear", "convolution, then pooling", "script", "queries"}
    return [pytest.param(name, marks=[] if name in daily else [pytest.mark.slow], id=name) for name in HEADS]


@pytest.mark.parametrize("name", heads())
def test_whatever_the_head_the_audit_says_what_it_could_not_look_at(name: str) -> None:
    build, wanted, width = HEADS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = Classifier.from_module(build(), size=16, labels=list(SHAPES.label_names))
    found = audit(classifier, shapes_data(SHAPES.draw(torch.arange(60)), SHAPES), depth="normal")
    examined = found.examined
    assert examined.has & {"gradients", "features", "head"} == wanted
    assert examined.kept.features.shape[1] == width
    if "head" in wanted:
        head = examined.kept.head
        assert head is not None
        apart = head.logits(examined.kept.features) - examined.kept.logits
        np.testing.assert_allclose(apart - apart.mean(1, keepdims=True), 0, atol=5e-3)
    names = {one.name for one in found.findings}
    why = {one.name: one.why for one in found.not_checked}
    assert ("attribution_in_frame" in names) == ("gradients" in wanted)
    assert ("smallest_change" in names) == ("gradients" in wanted)
    assert ("label_errors" in names) == ("features" in wanted)
    assert {"accuracy", "calibration_error", "frame_alone", "corruption_accuracy", "unknown_inputs"} <= names
    assert "gradients" in wanted or "gradients go" in why["smallest_change"]
