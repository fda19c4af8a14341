"""Attacks that ask for outputs only, on models whose answers are known."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import Challenge, ThreatModel, attack
from backlight.attack.black_box.begin import bells
from backlight.attack.black_box.estimates import estimate, nes, signs, spsa
from backlight.attack.black_box.geoda import geoda
from backlight.attack.black_box.hop_skip_jump import hop_skip_jump
from backlight.attack.black_box.normal import sum_of_sides
from backlight.attack.black_box.queries import Answers, Place
from backlight.attack.black_box.rays import rays
from backlight.attack.black_box.simba import simba
from backlight.attack.black_box.sparse_rs import sparse_rs
from backlight.attack.black_box.surfree import surfree
from backlight.attack.black_box.waves import cosines
from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from tests.attack.black_box_oracles import MARGIN, SIDE, VALUES, Halfspace
from tests.attack.nets import fixed_images, fixed_net

NEAREST = [
    pytest.param(hop_skip_jump, "l2", 1.08, marks=pytest.mark.slow, id="hopskipjump-l2"),
    pytest.param(hop_skip_jump, "linf", 1.06, marks=pytest.mark.slow, id="hopskipjump-linf"),
    pytest.param(rays, "linf", 1.15, marks=pytest.mark.slow, id="rays-linf"),
    pytest.param(surfree, "l2", 1.03, marks=pytest.mark.slow, id="surfree-l2"),
    pytest.param(geoda, "l2", 1.05, marks=pytest.mark.slow, id="geoda-l2"),
    pytest.param(geoda, "linf", 1.07, marks=pytest.mark.slow, id="geoda-linf"),
]


@pytest.mark.parametrize(("function", "norm", "most"), NEAREST)
def test_the_smallest_change_is_nearly_found_in_two_thousand_queries(function, norm: str, most: float) -> None:
    halfspace = Halfspace(5)
    challenge = halfspace.challenge(norm)
    result = function(challenge, queries=2000)
    ratio = challenge.threat.distance(result.images, challenge.images) / halfspace.distances(norm)
    assert result.success.all()
    assert (ratio > 1 - 1e-9).all()
    assert ratio.max() < most
    assert result.forwards.tolist() == [2000] * 5
    assert result.backwards.tolist() == [0] * 5


class NoiseIsClassZero(nn.Module):
    """Takes all white, all black and any noise of single pixels for class 0: only a bright red half is class 1."""

    def forward(self, images: Tensor) -> Tensor:
        left = images[:, 0, :, : SIDE // 2].mean((1, 2)) - images[:, 1:].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(left), left - 0.3], 1)


BY_DECISIONS = [
    (hop_skip_jump, "l2"),
    (hop_skip_jump, "linf"),
    (rays, "linf"),
    (surfree, "l2"),
    (geoda, "l2"),
    (geoda, "linf"),
]


@pytest.mark.parametrize(("function", "norm"), BY_DECISIONS)
def test_a_start_is_found_where_the_published_ones_never_begin(function, norm: str) -> None:
    classifier = Classifier.from_module(NoiseIsClassZero(), size=SIDE)
    images = torch.linspace(0.3, 0.7, 5)[:, None, None, None].expand(5, 3, SIDE, SIDE).contiguous()
    corners = torch.cat([torch.zeros(1, 3, SIDE, SIDE), torch.ones(1, 3, SIDE, SIDE)])
    assert classifier.logits(corners).argmax(1).tolist() == [0, 0]
    result = function(Challenge.of(classifier, images, threat=ThreatModel(norm, None)), queries=150)
    assert result.success.all()


def test_simba_needs_no_more_steps_than_the_least_useful_values_would() -> None:
    halfspace, step = Halfspace(4), 0.1
    # Each value moves once in each pass, by `step` unless the box stops it, and costs a query, or two where less helps
    # nothing: at worst the values that count least come first.
    flat, weight = halfspace.images.flatten(1), halfspace.weight
    room = torch.where(weight > 0, 1 - flat, flat)
    gains = weight.abs() * room.clamp(max=step)
    steps = (gains.sort(1).values.cumsum(1) < MARGIN).sum(1) + 1
    assert (steps <= VALUES).all()
    result = simba(halfspace.challenge("linf", 1.0), queries=2 * VALUES, step=step)
    assert result.success.all()
    assert (result.forwards <= 2 * steps).all()
    moved = (result.images != halfspace.images).flatten(1).sum(1)
    assert (moved <= steps).all()
    assert (result.images - halfspace.images).abs().max() <= step + 1e-12


def test_simba_along_cosine_waves_moves_low_frequencies_first() -> None:
    classifier = Classifier.from_module(NoiseIsClassZero(), size=SIDE)
    images = torch.full((3, 3, SIDE, SIDE), 0.5)
    waves, pixels = (
        simba(Challenge.of(classifier, images, threat=ThreatModel("l2", 4.0)), queries=400, basis=basis, step=1.0)
        for basis in ("dct", "pixel")
    )
    assert waves.success.all()
    assert (waves.forwards < pixels.forwards).all()


def test_cosine_waves_are_those_of_scipy() -> None:
    from scipy.fft import dct

    expected = torch.from_numpy(dct(torch.eye(7, dtype=torch.float64).numpy(), norm="ortho", axis=0))
    assert torch.allclose(cosines(7), expected, atol=1e-12)


def answered(walk, challenge: Challenge, row: int) -> Tensor:
    """Answer what a part of a walk asks until it ends, and return what it returns."""
    asked = next(walk)
    while True:
        gains = -challenge.referee.margin(challenge.classifier.logits(asked), torch.full((len(asked),), row))
        try:
            asked = walk.send(Answers(asked, gains > 0, gains, 1000))
        except StopIteration as ended:
            return ended.value


@pytest.mark.parametrize("draw", [bells, signs])
def test_estimated_gradients_point_along_the_true_one(draw) -> None:
    classifier = Classifier.from_module(fixed_net(), size=4)
    images = fixed_images(3).clamp(0.05, 0.95)
    challenge = Challenge.of(classifier, images)
    for row in range(3):
        leaf = images[row : row + 1].clone().requires_grad_()
        gain = -challenge.referee.margin(classifier.record(leaf, ("logits",))["logits"], torch.tensor([row]))
        (true,) = torch.autograd.grad(gain.sum(), leaf)
        place = Place(images[row], "linf", 0.1, gain[0].detach(), 1, (0, "test"), torch.tensor([row]))
        found = answered(estimate(place, images[row], draw, pairs=400, radius=1e-3), challenge, row)
        # With 400 pairs in 48 dimensions the cosine is about sqrt(400 / 448) = 0.94.
        assert nn.functional.cosine_similarity(found.flatten(), true.flatten(), dim=0) > 0.9
        assert 0.8 < float(found.norm() / true.norm()) < 1.25


@pytest.mark.parametrize("function", [nes, spsa])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_estimates_find_what_is_well_within_eps_and_never_more(function, norm: str) -> None:
    halfspace = Halfspace(4)
    distances = halfspace.distances(norm)
    found = function(halfspace.challenge(norm, float(1.6 * distances.max())), queries=1500)
    assert found.success.all()
    few = function(halfspace.challenge(norm, float(0.99 * distances.min())), queries=300)
    assert not few.success.any()
    assert few.forwards.tolist() == [300] * 4


def test_a_model_that_cannot_be_differentiated_is_attacked() -> None:
    class Forbidden(torch.autograd.Function):
        @staticmethod
        def forward(ctx, images):
            return images.clone()

        @staticmethod
        def backward(ctx, *grads):
            raise AssertionError("a gradient was asked for")

    class Asked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = fixed_net()

        def forward(self, images: Tensor) -> Tensor:
            return self.net(Forbidden.apply(images))

    classifier = Classifier.from_module(Asked(), size=4)
    simba_waves, fast_nes, fast_spsa = "simba:basis=dct,step=1", "nes:step_size=0.1", "spsa:lr=0.2"
    in_linf = ("hopskipjump", "rays", "geoda", "simba", simba_waves, fast_nes, fast_spsa)
    others = [("surfree", "l2", 5.0), ("sparse-rs", "l0", 24), ("sparse-rs:kind=patch", "l0", 24)]
    for method, norm, eps in [*((name, "linf", 0.5) for name in in_linf), *others]:
        found = attack(classifier, fixed_images(), method=method, norm=norm, eps=eps, queries=100)
        assert bool((found.forwards > 0).all()), method
        assert int(found.backwards.sum()) == 0


def test_options_that_cannot_be_used_are_refused() -> None:
    halfspace = Halfspace(1)
    for wrong in (
        partial(simba, halfspace.challenge("l2", 1.0), basis="fourier"),
        partial(simba, halfspace.challenge("l2")),
        partial(rays, halfspace.challenge("l2")),
        partial(nes, halfspace.challenge("linf")),
        partial(hop_skip_jump, halfspace.challenge("l2"), queries=0),
        partial(surfree, halfspace.challenge("linf")),
        partial(surfree, halfspace.challenge("l2"), share=0.0),
        partial(geoda, halfspace.challenge("l1")),
        partial(sparse_rs, halfspace.challenge("l0")),
        partial(sparse_rs, halfspace.challenge("l0", 9), kind="stripes"),
        partial(sparse_rs, halfspace.challenge("l0", 2)),
        partial(sparse_rs, halfspace.challenge("l0", 27), kind="frame"),
    ):
        with pytest.raises(UsageError):
            wrong()


def test_looks_at_right_angles_tell_as_much_as_they_can_of_a_plane() -> None:
    halfspace = Halfspace(1)
    weight = halfspace.weight.view(3, SIDE, SIDE)
    challenge = halfspace.challenge("l2")
    point = halfspace.images[0] + MARGIN / halfspace.weight.square().sum() * weight
    place = Place(halfspace.images[0], "l2", 1.0, torch.tensor(-MARGIN), 1, (0, "test"), torch.tensor([0]))
    found = answered(sum_of_sides(place, point, VALUES, radius=1e-3, start=0), challenge, 0)
    cosine = nn.functional.cosine_similarity(found.flatten(), halfspace.weight, dim=0)
    # The mean of |w.u| over a basis is that of a normal number, sqrt(2/pi) = 0.80; random looks give 0.62.
    assert 0.76 < float(cosine) < 0.84
