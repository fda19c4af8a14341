"""Bounds: the published vector, exactness for linear models, and no picture of the box below a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight import Classifier, attack
from backlight.bounds import Interval, lower_bounds, margins_of, propagate, steps_of
from backlight.certify import certify_by_bounds
from backlight.certify.bounds import METHODS
from backlight.core.errors import InputError, LayerError, ModelError, UsageError
from backlight.core.random import Random


class Residual(nn.Module):
    """Every kind of step: convolution, BatchNorm, a sum, both poolings, flattening as people write it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.pool, self.average, self.drop = nn.MaxPool2d(3, stride=2, padding=1), nn.AvgPool2d(2), nn.Dropout()
        self.last = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.relu(self.norm(self.first(images)))
        hidden = self.average(self.pool(hidden + self.second(hidden).relu()))
        return self.last(self.drop(hidden.view(hidden.size(0), -1)))  # type: ignore[no-any-return]


def network(seed: int) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Residual()
        net.norm.running_mean.uniform_(-0.5, 0.5)
        net.norm.running_var.uniform_(0.2, 2)
        nn.init.uniform_(net.norm.weight, -1, 1)  # a negative scale turns an interval around
    return Classifier.from_module(net, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), size=4)


def pictures(count: int, size: int = 4) -> Tensor:
    return Random("certify", list(range(count))).uniform(3, size, size)


def test_the_published_vector() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    net = nn.Sequential(first, nn.ReLU(), second).double().requires_grad_(False)
    first.weight.copy_(torch.tensor([[1.0, -1], [2, 1]]))
    first.bias.copy_(torch.tensor([0.0, -1]))
    second.weight.copy_(torch.tensor([[1.0, -1], [-1, 1]]))
    second.bias.zero_()
    center = torch.tensor([[0.6, 0.4]], dtype=torch.float64)
    steps = steps_of(net)
    found = propagate(steps, Interval(center - 0.1, center + 0.1))
    entering = torch.cat([found[1].lower, found[1].upper]).flatten().tolist()
    assert entering == pytest.approx([0, 0.3, 0.4, 0.9], abs=1e-7)
    assert torch.cat([found[3].center, found[3].radius]).flatten().tolist() == pytest.approx([-0.4, 0.4, 0.5, 0.5])

    def ends(*, linear: bool) -> tuple[float, float]:
        low, high = (margins_of(steps, found, torch.tensor([label]), linear=linear)[0] for label in (1, 0))
        return float(low[0]), -float(high[1])

    assert ends(linear=False) == pytest.approx((-0.2, 1.8))
    assert ends(linear=True) == pytest.approx((0.2, 1.4))


@pytest.mark.parametrize(
    ("ends", "least", "most"),
    [((-1.0, 0.5), 0.0, 0.5), ((-0.5, 1.0), -0.5, 1.0), ((0.2, 0.7), 0.2, 0.7), ((-0.7, -0.2), 0.0, 0.0)],
)
def test_the_lines_below_and_above_a_rectifier(ends: tuple[float, float], least: float, most: float) -> None:
    steps = steps_of(nn.Sequential(nn.ReLU()))
    found = propagate(steps, Interval(*(torch.tensor([[end]]) for end in ends)))
    rows = torch.tensor([[[1.0], [-1.0]]])
    assert lower_bounds(steps, found, rows, 1)[0].tolist() == pytest.approx([least, -most])


def test_linear_bounds_of_a_single_picture_are_its_margins() -> None:
    classifier, images = network(3), pictures(3)
    steps = steps_of(classifier.module)
    point = classifier.normalize(images)
    found = propagate(steps, Interval(point, point))
    logits, labels = classifier.logits(images), torch.tensor([0, 1, 2])
    expected = logits.gather(1, labels[:, None]) - logits
    bounds = margins_of(steps, found, labels, linear=True).detach()
    others = ~nn.functional.one_hot(labels, 3).bool()
    assert torch.allclose(bounds[others], expected[others], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_of_a_linear_model_the_bound_is_the_least_margin_in_the_box(method: str) -> None:
    layer = nn.Linear(12, 3)
    classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), layer), mean=(0.3,) * 3, std=(0.5,) * 3, size=2)
    images, labels, eps = pictures(5, 2), torch.tensor([0, 1, 2, 0, 1]), 0.2
    found = certify_by_bounds(classifier, images, labels, eps=eps, method=method).margin
    weight, logits = layer.weight.detach().double() / 0.5, classifier.logits(images).double()
    flat = images.flatten(1).double()
    for row, label in enumerate(labels.tolist()):
        margins = []
        for other in {0, 1, 2} - {label}:
            gap = weight[label] - weight[other]
            room = torch.where(gap > 0, flat[row], 1 - flat[row]).clamp(max=eps)
            margins.append(float(logits[row, label] - logits[row, other] - (gap.abs() * room).sum()))
        assert float(found[row]) == pytest.approx(min(margins), abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("eps", [0.0, 0.02, 0.2])
def test_no_picture_of_the_box_lies_below_a_bound_and_crown_is_never_looser(seed: int, eps: float) -> None:
    classifier, images = network(seed), pictures(3)
    labels = classifier.logits(images).argmax(1)
    interval, linear = (
        certify_by_bounds(classifier, images, labels, eps=eps, method=method).margin for method in METHODS
    )
    assert (linear >= interval).all()
    drawn = Random("inside", list(range(400))).uniform(3, 3, 4, 4) * 2 - 1
    drawn[200:] = drawn[200:].sign()  # corners are where the worst of a box is
    near = (images + eps * drawn).clamp(0, 1)
    logits = torch.stack([classifier.logits(one) for one in near]).double()
    own = nn.functional.one_hot(labels, 3).bool().expand_as(logits)
    margin = logits[own].view(400, 3) - logits.masked_fill(own, -torch.inf).amax(2)
    assert (margin.amin(0) >= linear - 1e-4).all()
    if eps == 0:
        assert torch.allclose(linear, margin[0], atol=1e-4)


def test_what_is_certified_no_attack_fools() -> None:
    classifier, images = network(1), pictures(40)
    labels = classifier.logits(images).argmax(1)
    for eps in (0.01, 0.03):
        proved = certify_by_bounds(classifier, images, labels, eps=eps).certified
        fooled = attack(classifier, images, labels, method="pgd:restarts=2", eps=eps, steps=10).success
        assert not (proved & fooled).any()
        assert proved.any()


def test_bounds_are_the_same_alone_and_together() -> None:
    classifier, images = network(2), pictures(4)
    labels = torch.tensor([0, 1, 2, 0])
    whole = certify_by_bounds(classifier, images, labels, eps="4/255").margin
    alone = [certify_by_bounds(classifier, images[[row]], labels[[row]], eps="4/255").margin for row in range(4)]
    assert torch.allclose(whole, torch.cat(alone), atol=1e-12)


class Net(nn.Module):
    """A convolution, whatever is asked for between, and a linear layer over 4 channels of 2 x 2."""

    def __init__(self, between: Callable[[Net, Tensor], Tensor]) -> None:
        super().__init__()
        self.between = between
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.conv, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(16, 3)
        self.relu, self.pool = nn.ReLU(inplace=True), nn.AvgPool2d(2, divisor_override=-3)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.between(self, self.conv(images)).flatten(1))  # type: ignore[no-any-return]


def doubled(net: Net, values: Tensor) -> Tensor:
    values += values.relu()
    return values


RIGHT: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "in place, never read again": lambda net, values: net.relu(values),
    "in place, by a function": lambda net, values: F.relu(values, True),
    "a sum in place": doubled,
    "by the number of pictures": lambda net, values: values.relu().view(values.size(0), 4, -1),
    "by a tuple": lambda net, values: values.relu().view((values.size(0), -1)),
    "by a shape": lambda net, values: values.relu().reshape(values.shape[0], -1),
    "by a size of a shape": lambda net, values: values.relu().reshape([values.size()[0], -1]),
    "by a keyword": lambda net, values: F.relu(input=values, inplace=True),
    "dropout in evaluation": lambda net, values: F.dropout(values.relu(), 0.5, training=net.training),
    "a mean that is added": lambda net, values: values.relu() + values.mean((2, 3), keepdim=True),
}
WRONG: dict[str, tuple[Callable[[Net, Tensor], Tensor], str]] = {
    "a rectifier in place": (lambda net, values: net.relu(values) + values, "relu overwrites what add still reads"),
    "in place, through a view": (
        lambda net, values: values.view(-1, 4, 2, 2) + net.relu(values) + values.flatten(1).view(-1, 4, 2, 2),
        "overwrites what .* still reads",
    ),
    "a method in place": (lambda net, values: values.relu_().add(values), "overwrites what add still reads"),
    "a mean over pictures": (lambda net, values: values + values.mean(0), "mean over the pictures of a batch"),
    "a mean over everything": (lambda net, values: values + values.mean(), "mean over the pictures of a batch"),
    "a mean counted from the end": (
        lambda net, values: values + values.mean(-4),
        "depends on the others of the batch",
    ),
    "a shape across pictures": (
        lambda net, values: values.view(-1, 8).relu().view(-1, 16),
        "a row for each picture",
    ),
    "a negative divisor": (
        lambda net, values: values + net.pool(values),
        "pool .AvgPool2d with a negative divisor_override",
    ),
    "a negative divisor of a function": (
        lambda net, values: values + F.avg_pool2d(values, 2, divisor_override=-1),
        "avg_pool2d with a negative divisor_override",
    ),
    "dropout that is on": (lambda net, values: F.dropout(values), "dropout that is always on"),
    "a sum with a number": (lambda net, values: values + 3, "no bounds are known for add"),
    "a branch": (lambda net, values: values if values.sum() > 0 else -values, "its path depends on its input"),
    "a function of its own": (lambda net, values: values.tanh(), "no bounds are known for tanh"),
    "a shape of other sizes": (
        lambda net, values: values.view(values.size(0), values.size(1), -1),
        "no bounds are known for (size|view)",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_ways_to_write_a_network(name: str) -> None:
    classifier, images, eps = Classifier.from_module(Net(RIGHT[name]).eval(), size=2), pictures(3, 2), 0.05
    labels = classifier.logits(images).argmax(1)
    drawn = Random("inside", list(range(300))).uniform(3, 3, 2, 2) * 2 - 1
    logits = torch.stack([classifier.logits(one) for one in (images + eps * drawn.sign()).clamp(0, 1)])
    own = nn.functional.one_hot(labels, 3).bool().expand_as(logits)
    margin = logits[own].view(300, 3) - logits.masked_fill(own, -torch.inf).amax(2)
    for method in METHODS:
        found = certify_by_bounds(classifier, images, labels, eps=eps, method=method).margin
        assert (margin.amin(0) >= found - 1e-6).all()


@pytest.mark.parametrize("name", WRONG)
def test_networks_that_bounds_would_be_wrong_of(name: str) -> None:
    between, words = WRONG[name]
    classifier = Classifier.from_module(Net(between).eval(), size=2)
    with pytest.raises((LayerError, ModelError), match=words):
        certify_by_bounds(classifier, pictures(1, 2), torch.tensor([0]), eps=0.1)


def test_hooks_and_forwards_of_ones_own_are_refused() -> None:
    net = Net(lambda net, values: values.relu())
    classifier = Classifier.from_module(net, size=2)
    with (
        net.conv.register_forward_hook(lambda module, inputs, output: -output),
        pytest.raises(ModelError, match=r"conv \(Conv2d\) has hooks"),
    ):
        certify_by_bounds(classifier, pictures(1, 2), torch.tensor([0]), eps=0.1)
    net.conv.forward = lambda values: values.tanh()[:, :1].expand(-1, 4, -1, -1)  # type: ignore[method-assign]
    with pytest.raises(LayerError, match=r"conv \(Conv2d with a forward of its own\)"):
        certify_by_bounds(classifier, pictures(1, 2), torch.tensor([0]), eps=0.1)


def test_a_layer_without_known_bounds_is_named() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2), nn.Tanh())
    with pytest.raises(LayerError, match=r"no bounds are known for 2 \(Tanh\)"):
        certify_by_bounds(Classifier.from_module(net, size=2), pictures(1, 2), torch.tensor([0]), eps=0.1)


def test_no_pictures_have_no_margins() -> None:
    found = certify_by_bounds(network(0), pictures(3)[:0], torch.tensor([], dtype=torch.int64), eps=0.1)
    assert found.margin.shape == (0,)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "milp"}, UsageError, "expected ibp or crown"),
        ({"eps": 8}, UsageError, "looks like the scale 0..255"),
        ({"labels": torch.tensor([0, 1, 5])}, InputError, "labels from 0 to 5"),
        ({"labels": torch.tensor([0])}, InputError, r"expected int64 \[3\]"),
    ],
)
def test_wrong_questions(options: dict[str, Any], error: type[Exception], words: str) -> None:
    asked: dict[str, Any] = {"labels": torch.tensor([0, 1, 2]), "eps": 0.1} | options
    with pytest.raises(error, match=words):
        certify_by_bounds(network(0), pictures(3), **asked)
