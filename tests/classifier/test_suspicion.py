"""What makes numbers doubtful is seen on any pass: answers that are not steady, values that are hardly logits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.testing import small_net, unchanged

SHADES = torch.linspace(0, 1, 6).view(6, 1, 1, 1)
IMAGES = torch.linspace(0, 1, 6 * 3 * 8 * 8).view(6, 3, 8, 8).roll(1, 3) * SHADES


OFFSET = small_net().eval()(IMAGES).mean(0).detach()[:4]


class Then(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor], net: nn.Module | None = None) -> None:
        super().__init__()
        self.net, self.function, self.passes = net or small_net(), function, 0
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        self.seen += 1
        return self.function((self.net(images) - OFFSET[: self.net[-1].out_features]) * 100)


class Drifting(Then):
    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            self.net[-1].weight.mul_(0.9)
        return super().forward(images)


def by_batch() -> nn.Module:
    net = small_net()
    net[1] = nn.BatchNorm2d(8, track_running_stats=False)
    return net


def plain(z: Tensor) -> Tensor:
    return z


UNSTEADY: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "noise": (lambda: Then(lambda z: z + 0.01 * torch.rand_like(z)), "two passes on the same pictures differ"),
    "dropout": (lambda: Then(lambda z: F.dropout(z.repeat(1, 50), 0.5, training=True)), "two passes"),
    "weights": (lambda: Drifting(plain), "two passes"),
    "counter": (lambda: Counting(), "two passes"),
    "batch statistics": (by_batch, "changes with the other pictures of its batch"),
    "mean of the batch": (lambda: Then(lambda z: z - z.mean(0)), "changes with the other pictures"),
    "softmax over the batch": (lambda: Then(lambda z: z.softmax(0) * 30 - 7), "changes with the other pictures"),
}


class Counting(Then):
    def __init__(self) -> None:
        super().__init__(lambda z: z + 0.1 * self.passes)


@pytest.mark.parametrize("size", [8, None])
@pytest.mark.parametrize("fault", UNSTEADY)
def test_answers_that_are_not_steady_are_doubted(fault: str, size: int | None) -> None:
    make, message = UNSTEADY[fault]
    classifier = Classifier.from_module(make(), size=size)
    classifier.logits(IMAGES[:1])
    classifier.logits(IMAGES)
    (doubt,) = classifier.doubts
    assert message in doubt
    assert classifier.replace(labels=tuple("abcd")).doubts == (doubt,)


@pytest.mark.parametrize("size", [8, None])
@pytest.mark.parametrize(
    "change",
    [
        plain,
        lambda z: z * 1e30,
        lambda z: z * 1e-30,
        lambda z: z.half(),
        lambda z: z.bfloat16(),
        lambda z: z.double(),
        lambda z: torch.where(torch.arange(4) == 1, -torch.inf, z),
        lambda z: torch.where(torch.arange(4) == 1, torch.nan, z),
        lambda z: z.round(),
    ],
)
def test_steady_answers_are_not(change: Callable[[Tensor], Tensor], size: int | None) -> None:
    net = Then(change)
    with unchanged(net.net):
        classifier = Classifier.from_module(net, size=size)
        classifier.logits(IMAGES)
    assert classifier.doubts == ()


def test_a_model_that_looks_at_nothing_is_doubted_where_it_was_trained() -> None:
    for change in (lambda z: z * 0, lambda z: z * 0 + torch.arange(4) - 1.5):
        classifier = Classifier.from_module(Then(change), size=8)
        classifier.logits(IMAGES)
        assert "pictures get the same outputs" in classifier.doubts[0]
    classifier.trained = False
    assert classifier.doubts == ()


HARDLY_LOGITS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "sigmoid by hand": (lambda z: 1 / (1 + (-z).exp()), "between 0 and 1"),
    "sigmoid by tanh": (lambda z: 0.5 * (1 + (z / 2).tanh()), "between 0 and 1"),
    "shares of five classes": (lambda z: z.exp() / (1 + z.exp().sum(1, keepdim=True)), "between 0 and 1"),
    "one-hot": (lambda z: F.one_hot(z.argmax(1), 4).float(), "between 0 and 1"),
    "rounded": (lambda z: (z.softmax(1) * 20).round() / 20 * 1.0001, "between 0 and 1"),
    "percent": (lambda z: 100 * z.softmax(1), "sum to 100"),
    "counts of votes": (lambda z: (z.softmax(1) * 10_000).round(), "and sum to"),
}


@pytest.mark.parametrize("size", [8, None])
@pytest.mark.parametrize("fault", HARDLY_LOGITS)
def test_values_that_are_hardly_logits_are_doubted(fault: str, size: int | None) -> None:
    change, message = HARDLY_LOGITS[fault]
    classifier = Classifier.from_module(Then(change), size=size)
    classifier.logits(IMAGES)
    (doubt,) = classifier.doubts
    assert message in doubt
    assert "--outputs" in doubt


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_a_sigmoid_by_hand_before_a_declared_sigmoid_is_doubted(kind: str) -> None:
    net = small_net(1 if kind == "binary" else 4)
    by_hand = Then(lambda z: 1 / (1 + (-z / 100).exp()), net)
    classifier = Classifier.from_module(by_hand, size=8, outputs=kind)
    classifier.logits(IMAGES)
    assert "torch.sigmoid" in classifier.doubts[0]
    seen = Classifier.from_module(Then(torch.sigmoid, net), size=8, outputs=kind)
    seen.logits(IMAGES)
    assert seen.doubts == ()


def test_one_value_outside_ends_the_doubt_in_copies_too() -> None:
    classifier = Classifier.from_module(Then(lambda z: (z / 40 + 0.5).clamp(0, 1)))
    classifier.logits(IMAGES)
    copy = classifier.replace(labels=tuple("abcd"))
    assert len(copy.doubts) == 1
    copy.module.function = plain
    copy.logits(IMAGES)
    assert copy.doubts == classifier.doubts == ()
