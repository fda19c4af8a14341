"""Occlusion against captum, RISE against the explicit loop and on a linear model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.explain import explain
from backlight.explain.methods.perturbation import draw_masks
from backlight.explain.session import Question, Session
from backlight.testing import unchanged
from tests.explain.nets import distinct_relu_net, images, wrap
from tests.explain.peers import captum


@pytest.mark.parametrize(("size", "window", "stride"), [(16, 6, 3), (16, 5, 5), ((12, 20), 8, 3), (16, 16, 4)])
def test_occlusion_equals_captum(size, window: int, stride: int) -> None:
    net, x = distinct_relu_net(), images(2, size)
    classifier = wrap(net, size=size)
    spec = f"occlusion:window={window},stride={stride},baseline=mean"
    with unchanged(net):
        found = explain(classifier, x, 2, methods=[spec])[spec].attributions
    options = {"target": 2, "sliding_window_shapes": (3, window, window), "strides": (3, stride, stride)}
    expected = captum("Occlusion", net, classifier.normalize(x), **options)
    assert torch.allclose(found.expand_as(expected), expected.double(), atol=1e-6)


def test_occlusion_is_the_same_at_any_chunk() -> None:
    classifier, x = wrap(distinct_relu_net()), images(3)
    spec = "occlusion:window=6,stride=4"
    whole = explain(classifier, x, methods=[spec])[spec]
    assert whole.forwards == 1 + 16
    for chunk in (1, 7):
        assert torch.allclose(
            explain(classifier, x, methods=[spec], chunk=chunk)[spec].attributions, whole.attributions, atol=1e-12
        )


def test_rise_equals_the_explicit_loop_with_masks_of_the_paper() -> None:
    net, x = distinct_relu_net(), images(2)
    classifier = wrap(net)
    spec = "rise:samples=9,cells=3,keep=0.4,baseline=black"
    random = Random(3, [11, 12])
    with unchanged(net):
        found = explain(classifier, x, 1, methods=[spec], quantity="probability", random=random, chunk=4)[
            spec
        ].attributions
    session = Session(classifier, x, Question(1), random=random)
    for row in range(2):
        total = torch.zeros(16, 16, dtype=torch.float64)
        for sample in range(9):
            mask = draw_masks(session, torch.tensor([row]), torch.tensor([sample]), 3, 0.4)[0, 0]
            total += classifier.probabilities(x[row : row + 1] * mask)[0, 1].detach() * mask
        assert torch.allclose(found[row, 0], total / (9 * 0.4), atol=1e-12)


def test_rise_masks_are_soft_keyed_and_shown_as_often_as_asked() -> None:
    x = images(1, 21)
    session = Session(wrap(distinct_relu_net(), size=21), x, Question(0), random=Random(0, [4]))
    masks = draw_masks(session, torch.zeros(600, dtype=torch.long), torch.arange(600), 7, 0.5)
    assert float(masks.min()) >= 0
    assert float(masks.max()) <= 1
    assert float(((masks > 0.1) & (masks < 0.9)).double().mean()) > 0
    shown = masks.mean(0)
    assert float((shown - 0.5).abs().max()) < 5 * 0.5 / 600**0.5
    assert not torch.equal(masks[0], masks[1])


def test_rise_finds_the_one_pixel_block_that_matters() -> None:
    class Corner(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen = x[:, :, 2:8, 20:26].mean((1, 2, 3))
            return torch.stack([seen, 0 * seen], 1)

    x = torch.ones(1, 3, 28, 28)
    spec = "rise:samples=400,baseline=black"
    heat = explain(Classifier.from_module(Corner(), size=28), x, 0, methods=[spec])[spec].heatmap()[0]
    row, column = divmod(int(heat.argmax()), 28)
    assert 1 <= row <= 8
    assert 19 <= column <= 26


def test_black_box_models_are_explained_without_gradients() -> None:
    class Sealed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach().mean((2, 3))

    found = explain(
        Classifier.from_module(Sealed(), size=8), images(1, 8).float(), methods=["occlusion:window=4,stride=2"]
    )
    assert found.backwards == 0


@pytest.mark.parametrize("spec", ["occlusion:window=4,stride=5", "occlusion:window=0", "rise:samples=0", "rise:keep=1"])
def test_options_that_make_no_sense(spec: str) -> None:
    with pytest.raises(UsageError):
        explain(wrap(distinct_relu_net()), images(), methods=[spec])
