"""Linear models with a box: robust accuracy and smallest distances are known exactly."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import Challenge, ThreatModel
from backlight.attack.auto import apgd, apgd_t, fab, fab_t, square
from backlight.attack.curve import join, reach_of
from backlight.attack.gradient import fgm, pgd
from backlight.attack.minimum_norm import carlini_wagner, ddn, deepfool, fmn
from backlight.attack.stages import STANDARD, Stage, autoattack
from backlight.classifier import Classifier
from backlight.pixels.geometry import length

SIZE = 3 * 4 * 4


class Linear:
    """A linear classifier with weights over two orders of magnitude, images with exact 0 and 1 among them."""

    def __init__(self, classes: int, seed: int = 0, count: int = 40, scale: float = 1.0) -> None:
        draw = torch.Generator().manual_seed(seed)
        kind = {"generator": draw, "dtype": torch.float64}
        spread = torch.logspace(-1.5, 0.5, SIZE, dtype=torch.float64)
        self.weight = scale * torch.randn(classes, SIZE, **kind) * spread
        self.bias = scale * 0.1 * torch.randn(classes, **kind)
        net = nn.Sequential(nn.Flatten(), nn.Linear(SIZE, classes).double())
        with torch.no_grad():
            net[1].weight.copy_(self.weight)
            net[1].bias.copy_(self.bias)
        self.classifier = Classifier.from_module(net, size=4)
        self.images = (1.2 * torch.rand(count, 3, 4, 4, **kind) - 0.1).clamp(0, 1)
        self.labels = self.classifier.logits(self.images).argmax(1)

    def distance_to(self, rival: int, norm: str) -> Tensor:
        """The smallest distance to where `rival` beats the label, by bisection on the size of the change."""
        weight = self.weight[rival] - self.weight[self.labels]
        gap = -((weight * self.images.flatten(1)).sum(1) + self.bias[rival] - self.bias[self.labels])
        room = torch.where(weight > 0, 1 - self.images.flatten(1), self.images.flatten(1))
        low, high = torch.zeros(len(gap), 1).double(), torch.full((len(gap), 1), 1e4).double()
        for _ in range(80):
            middle = (low + high) / 2
            change = torch.minimum(middle * (weight.abs() if norm == "l2" else 1.0), room)
            enough = ((weight.abs() * change).sum(1) >= gap)[:, None]
            low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
        change = torch.minimum(high * (weight.abs() if norm == "l2" else 1.0), room)
        reached = (weight.abs() * change).sum(1) >= gap - 1e-9
        return torch.where(reached & (self.labels != rival), length(change, norm), torch.inf)

    def distances(self, norm: str) -> Tensor:
        return torch.stack([self.distance_to(rival, norm) for rival in range(len(self.bias))]).amin(0)

    def challenge(self, norm: str, eps: float | None) -> Challenge:
        return Challenge.of(self.classifier, self.images, threat=ThreatModel(norm, eps))


EXACT = [
    (partial(fgm), 2, "linf"),
    *((partial(pgd, steps=25), 2, norm) for norm in ("linf", "l2")),
    *((partial(apgd, steps=40), 2, norm) for norm in ("linf", "l2")),
    (partial(apgd, steps=40, objective="dlr"), 2, "linf"),
    *((apgd_t, 5, norm) for norm in ("linf", "l2")),
    *((partial(fab_t, steps=15), 5, norm) for norm in ("linf", "l2")),
    *((partial(fab, steps=15), 2, norm) for norm in ("linf", "l2")),
]


@pytest.mark.parametrize(("function", "classes", "norm"), EXACT)
def test_robust_accuracy_is_exact(function, classes: int, norm: str) -> None:
    linear = Linear(classes)
    distances = linear.distances(norm)
    eps = float(distances.quantile(0.5))
    clear = (distances / eps - 1).abs() > (0.02 if norm == "l2" else 0.01)
    assert clear.sum() > 30
    result = function(linear.challenge(norm, eps))
    assert torch.equal(result.success[clear], (distances < eps)[clear])


def test_square_never_claims_too_much_and_finds_much() -> None:
    linear = Linear(3)
    distances = linear.distances("linf")
    eps = float(distances.quantile(0.5))
    result = square(linear.challenge("linf", eps), steps=400)
    assert not result.success[distances > eps * 1.000001].any()
    assert result.success[distances < 0.5 * eps].all()
    assert int(result.backwards.sum()) == 0


NEAREST = {
    "ddn": (partial(ddn, steps=200), ("l2",)),
    "fmn": (partial(fmn, steps=200), ("l2", "linf")),
    "fab-t": (partial(fab_t, steps=30), ("l2", "linf", "l1")),
    "deepfool": (deepfool, ("l2", "linf")),
    "cw": (partial(carlini_wagner, steps=200), ("l2",)),
}
CASES = [
    pytest.param(name, norm, marks=[pytest.mark.slow] if name == "cw" else [])
    for name, (_, norms) in NEAREST.items()
    for norm in norms
]


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_the_smallest_distance_is_found_within_one_percent(name: str, norm: str) -> None:
    linear = Linear(2, count=16)
    challenge = linear.challenge(norm, None)
    result = NEAREST[name][0](challenge)
    ratio = challenge.threat.distance(result.images, linear.images) / exact(linear, norm)
    assert result.success.all()
    assert (ratio > 1 - 1e-9).all()
    assert (ratio < 1.01).all()


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_among_many_classes_the_distance_is_never_too_small_and_mostly_exact(name: str, norm: str) -> None:
    linear = Linear(4, count=12)
    challenge = linear.challenge(norm, None)
    result = NEAREST[name][0](challenge)
    ratio = challenge.threat.distance(result.images, linear.images) / exact(linear, norm)
    assert result.success.all()
    assert (ratio > 1 - 1e-9).all()
    assert ratio.median() < 1.01


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_among_six_classes_the_distance_to_the_nearest_is_found_within_one_percent(name: str, norm: str) -> None:
    # DDN and FMN descend to one class and stay with it, so they are told which is nearest; logits of ten times the
    # size leave the distances as they are and keep the other classes out of DDN's cross-entropy.
    linear = Linear(6, count=12, scale=10.0)
    challenge = linear.challenge(norm, None)
    if name in ("ddn", "fmn"):
        nearest = torch.stack([linear.distance_to(rival, norm) for rival in range(6)]).argmin(0).tolist()
        challenge = Challenge.of(linear.classifier, linear.images, threat=ThreatModel(norm, None), target=nearest)
    result = NEAREST[name][0](challenge)
    ratio = challenge.threat.distance(result.images, linear.images) / exact(linear, norm)
    assert result.success.all()
    assert (ratio > 1 - 1e-9).all()
    assert (ratio < 1.01).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_robust_accuracy_of_autoattack_is_exact(classes: int, norm: str) -> None:
    linear = Linear(classes)
    distances = linear.distances(norm)
    eps = float(distances.quantile(0.5))
    clear = (distances / eps - 1).abs() > (0.02 if norm == "l2" else 0.01)
    short = {"square": {"steps": 30}, "fab-t": {"steps": 15}}
    plan = [Stage(one.name, partial(one.function, **short.get(one.name, {"steps": 40}))) for one in STANDARD]
    result = autoattack(linear.challenge(norm, eps), plan=plan)
    assert torch.equal(result.success[clear], (distances < eps)[clear])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_curve_of_a_linear_model_is_exact(norm: str) -> None:
    linear = Linear(3)
    distances = linear.distances(norm)
    middles = distances.sort().values
    sizes = [float((middles[row] * middles[row + 1]).sqrt()) for row in (5, 15, 25, 35)]
    clear = all(float((distances / size - 1).abs().min()) > 1e-3 for size in sizes)
    reach = reach_of(linear.challenge(norm, None), sizes, steps=200)
    accuracy = join([reach], sizes, norm, [str(row) for row in range(40)]).accuracy
    assert clear
    assert list(accuracy) == [float((distances > size).double().mean()) for size in sizes]


def exact(linear: Linear, norm: str) -> Tensor:
    if norm != "l1":
        return linear.distances(norm)
    return torch.stack([fill_largest_first(linear, rival) for rival in range(len(linear.bias))]).amin(0)


def fill_largest_first(linear: Linear, rival: int) -> Tensor:
    found = []
    for image, label in zip(linear.images.flatten(1), linear.labels):
        weight = linear.weight[rival] - linear.weight[label]
        if not weight.any():
            found.append(torch.inf)
            continue
        gap = float(-(weight @ image + linear.bias[rival] - linear.bias[label]))
        spent = 0.0
        for place in weight.abs().argsort(descending=True):
            room = float(1 - image[place] if weight[place] > 0 else image[place])
            need = gap / float(weight[place].abs())
            if need <= room:
                spent, gap = spent + need, 0.0
                break
            spent, gap = spent + room, gap - room * float(weight[place].abs())
        found.append(spent if gap == 0 and label != rival else torch.inf)
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_bound_turns_far_answers_into_failures(norm: str) -> None:
    linear = Linear(3)
    distances = linear.distances(norm)
    eps = float(distances.median())
    result = fmn(linear.challenge(norm, eps), steps=200)
    assert not result.success[distances > eps * 1.001].any()
    assert result.success[distances < eps * 0.9].all()


def test_in_two_dimensions_attacks_find_what_a_grid_finds() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    with torch.no_grad():
        net[1].weight *= 6
        net[3].weight *= 4
    classifier = Classifier.from_module(net, size=(1, 2), mean=(0.0,), std=(1.0,))
    images = torch.rand(25, 1, 1, 2, dtype=torch.float64)
    labels = classifier.logits(images).argmax(1)
    axis = torch.linspace(0, 1, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis).view(-1, 1, 1, 2)
    classes = classifier.logits(grid).argmax(1)
    for norm in ("linf", "l2"):
        apart = torch.cdist(images.flatten(1), grid.flatten(1), p=torch.inf if norm == "linf" else 2.0)
        nearest = torch.where(classes[None] != labels[:, None], apart, torch.inf).amin(1)
        eps = float(nearest[nearest.isfinite()].median())
        clear = (nearest / eps - 1).abs() > 0.03
        challenge = Challenge.of(classifier, images, threat=ThreatModel(norm, eps))
        found = apgd_t(challenge, steps=40, after=apgd(challenge, steps=40))
        result = square(challenge, steps=200, after=fab_t(challenge, steps=20, after=found))
        assert torch.equal(result.success[clear], (nearest < eps)[clear])
