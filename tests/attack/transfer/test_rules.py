"""Rules of transfer attacks: arithmetic by hand, closed forms of linear models, and the loop of pixels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import Challenge, ThreatModel, attack
from backlight.attack.transfer.around import FlatMaximum, FlatSlopes, Variance
from backlight.attack.transfer.climbing import climb_to_transfer
from backlight.attack.transfer.parts import TRANSFER_PARTS, Joined, TransferPart, transfer_card
from backlight.attack.transfer.rules import Momentum, Nesterov, PreviousGradient, Turn
from backlight.attack.transfer.views import Dimmed
from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.pixels import Ball, Box, Pixels, Sign, cross_entropy, optimize
from tests.attack.nets import fixed_images, fixed_net

EPS = 16 / 255
NAMES = tuple(TRANSFER_PARTS.built_in)
RULES = {name: card.part for name, card in TRANSFER_PARTS.built_in.items() if card.is_rule}
JOINED = ("mi+dim+tim", "vmi+si", "ni+admix", "pgn+dim", "mef+tim")


def net() -> Classifier:
    return Classifier.from_module(fixed_net(), size=4)


def challenge_of(classifier: Classifier, images: Tensor, rows: Tensor | None = None, **more: object) -> Challenge:
    rows = torch.arange(len(images)) if rows is None else rows
    ids = [f"picture {row}" for row in rows.tolist()]
    return Challenge.of(classifier, images[rows], threat=ThreatModel("linf", EPS), ids=ids, **more)


def climb(name: str, challenge: Challenge, **options: object) -> Tensor:
    return transfer_card(name).run(challenge, **{"steps": 3, "samples": 3, **options}).images


def test_momentum_moves_as_the_loop_of_pixels_does() -> None:
    classifier, images = net(), fixed_images()
    labels = classifier.logits(images).argmax(1)
    for decay, name in ((1.0, "mi"), (0.0, "i-fgsm")):
        loop = optimize(
            classifier,
            cross_entropy(labels),
            Pixels(images),
            Sign(EPS / 10, momentum=decay),
            steps=10,
            constraint=Ball("linf", images, EPS) & Box(),
            keep="last",
        )
        assert torch.equal(loop.images, climb(name, challenge_of(classifier, images), steps=10))


def test_every_rule_climbs_a_linear_slope_to_the_corner_of_the_ball() -> None:
    draw = torch.Generator().manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(48, 2)).double()
    classifier = Classifier.from_module(linear, size=4)
    images = torch.rand(5, 3, 4, 4, generator=draw, dtype=torch.float64)
    labels = classifier.logits(images).argmax(1)
    slope = (linear[1].weight[1 - labels] - linear[1].weight[labels]).detach().view_as(images)
    corner = (images + EPS * slope.sign()).clamp(0, 1)
    for name in RULES:
        assert torch.allclose(climb(name, challenge_of(classifier, images), steps=4, samples=2), corner), name


def asked(rule: object, slope: Callable[[Tensor], Tensor], turns: int) -> tuple[list[list[Tensor]], list[Tensor]]:
    """Return the points that a rule looks at, for each turn, and its directions; the pictures stay where they are."""
    still, memory, seen, directions = torch.full((1, 1, 2, 2), 0.5), {}, [], []
    for t in range(turns):
        points: list[Tensor] = []

        def look(point: Tensor, number: int, points: list[Tensor] = points) -> Tensor:
            assert number == len(points)
            points.append(point)
            return slope(point)

        direction, memory = rule.direction(Turn(still, 0.01, 0.1, Random(0, [7], t), look), memory)
        seen.append(points)
        directions.append(direction)
        assert len(points) == rule.looks
    return seen, directions


def mean_one(values: Tensor) -> Tensor:
    return values / values.abs().mean()


def curved(point: Tensor) -> Tensor:
    return point.square() * torch.tensor([[1.0, -2.0], [3.0, 0.5]]) + 0.1


STILL = torch.full((1, 1, 2, 2), 0.5)
HERE = mean_one(curved(STILL))


def test_nesterov_looks_ahead_along_the_momentum() -> None:
    seen, directions = asked(Nesterov(), curved, 3)
    assert torch.equal(seen[0][0], STILL)
    assert torch.allclose(seen[1][0], STILL + 0.01 * HERE)
    assert torch.allclose(directions[1], HERE + mean_one(curved(seen[1][0])))
    assert torch.allclose(seen[2][0], STILL + 0.01 * directions[1])


def test_the_previous_gradient_is_looked_along_without_its_past() -> None:
    seen, directions = asked(PreviousGradient(), curved, 3)
    assert torch.allclose(seen[2][0], STILL + 0.01 * mean_one(curved(seen[1][0])))
    assert torch.allclose(directions[2], sum(mean_one(curved(points[0])) for points in seen))


def test_variance_is_that_of_the_step_before() -> None:
    seen, directions = asked(Variance(samples=4), curved, 2)
    assert torch.allclose(directions[0], HERE)
    assert all(float((near - STILL).abs().max()) <= 0.15 for near in seen[0][1:])
    around = torch.stack([curved(near) for near in seen[0][1:]]).mean(0)
    assert torch.allclose(directions[1], HERE + mean_one(curved(STILL) + around - curved(STILL)))
    assert not torch.equal(seen[0][1], seen[1][1])  # drawn anew in every step


def test_flat_slopes_look_twice_and_back() -> None:
    seen, directions = asked(FlatSlopes(samples=2), curved, 1)
    firsts, seconds = seen[0][0::2], seen[0][1::2]
    assert all(float((near - STILL).abs().max()) <= 0.3 for near in firsts)
    for near, back in zip(firsts, seconds):
        assert torch.allclose(back, near - 0.01 * mean_one(curved(near)))
    mean = torch.stack([(curved(one) + curved(two)) / 2 for one, two in zip(firsts, seconds)]).mean(0)
    assert torch.allclose(directions[0], mean_one(mean))


def test_flat_maximum_pushes_each_neighbor_by_its_own_memory() -> None:
    rule = FlatMaximum(samples=3)
    seen, directions = asked(rule, curved, 3)
    drawn = [[Turn(STILL, 0.01, 0.1, Random(0, [7], t), curved).nearby(0.2, k) for k in range(3)] for t in range(3)]
    pushes = [torch.zeros(1, 1, 2, 2)] * 3
    total = torch.zeros(1, 1, 2, 2)
    for t in range(3):
        expected = [near + 0.015 * push for near, push in zip(drawn[t], pushes)]
        assert all(torch.allclose(one, other) for one, other in zip(seen[t], expected))
        gradients = [curved(point) for point in expected]
        total = 0.5 * total + mean_one(torch.stack(gradients).mean(0))
        assert torch.allclose(directions[t], total)
        pushes = [mean_one(gradient) - 0.9 * push for gradient, push in zip(gradients, pushes)]


@pytest.mark.promises
@pytest.mark.parametrize("name", [*NAMES, *JOINED])
def test_a_picture_ends_where_it_would_alone(name: str) -> None:
    classifier, images, state = net(), fixed_images(5), torch.get_rng_state()
    together = climb(name, challenge_of(classifier, images))
    for rows in (torch.tensor([3]), torch.tensor([4, 0]), torch.tensor([2, 1, 3, 0])):
        assert torch.equal(climb(name, challenge_of(classifier, images, rows)), together[rows])
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(climb(name, challenge_of(classifier, images, seed=1)), together) or name in (
        *("i-fgsm", "mi", "ni", "pi", "tim", "si"),
    )


def test_nothing_depends_on_how_many_are_looked_at_together() -> None:
    classifier, images = net(), fixed_images(6)
    whole = climb("mi+dim+admix", challenge_of(classifier, images))
    for size in (1, 4):
        challenge = challenge_of(classifier, images)
        challenge.chunk.size = size
        assert torch.equal(climb("mi+dim+admix", challenge), whole)


@pytest.mark.parametrize("shape", [(3, 10, 13), (1, 8, 8)])
def test_every_part_works_at_other_sizes_inside_ball_box_and_levels(shape: tuple[int, int, int]) -> None:
    draw = torch.Generator().manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(shape[0], 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    )
    size = shape[1:]
    classifier = Classifier.from_module(module, size=size, mean=(0.4,) * shape[0], std=(0.2,) * shape[0])
    images = torch.randint(0, 256, (3, *shape), generator=draw) / 255
    for name in NAMES:
        found = attack(classifier, images, method=f"{name}:steps=2,samples=2", eps="16/255", lattice=True)
        levels = found.images * 255
        assert torch.allclose(levels, levels.round(), atol=1e-4), name
        assert float((found.images - images).abs().max()) <= EPS + 1e-6
        assert float((found.images - images).abs().max()) > 0.02
        assert found.images.min() >= 0
        assert found.images.max() <= 1


@pytest.mark.parametrize(
    ("name", "looks"),
    [("mi", 1), ("vmi", 21), ("pgn", 40), ("mef", 20), ("dim", 1), ("si", 5), ("admix", 15), ("bsr", 20), ("ssa", 20),
     ("vmi+si", 105), ("dim+tim+si", 5)],
)  # fmt: skip
def test_passes_are_those_published(name: str, looks: int) -> None:
    result = transfer_card(name).run(challenge_of(net(), fixed_images(2)), steps=2)
    assert (result.forwards == 2 * looks).all()
    assert (result.backwards == 2 * looks).all()
    assert f"{10 * looks} forwards" in transfer_card(name).passes


def test_no_picture_stops_when_the_surrogate_is_fooled() -> None:
    classifier, images = net(), fixed_images()
    found = attack(classifier, images, method="mi:steps=6", eps=0.5)
    assert found.success.all()
    assert (found.steps == 6).all()
    assert set(found.stopped) == {"steps"}


def test_targets_are_climbed_towards() -> None:
    classifier, images = net(), fixed_images()
    labels = classifier.logits(images).argmax(1)
    found = attack(classifier, images[labels != 2], method="mi+dim", eps=EPS, target=2, objective="logit")
    gained = classifier.logits(found.images) - classifier.logits(found.originals)
    assert (gained[:, 2] > 0).all()


def test_who_watches_sees_every_step_of_every_picture() -> None:
    turns = []
    attack(
        net(), fixed_images(3), method="mi:steps=4", watch=lambda run: turns.append((run.t, run.result.images.clone()))
    )
    assert [t for t, _ in turns] == [1, 2, 3, 4]
    assert not torch.equal(turns[0][1], turns[3][1])


def test_a_slope_without_numbers_leaves_the_picture_where_it_is() -> None:
    class Nowhere(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (images.flatten(1) @ torch.ones(48, 5).to(images)) * torch.nan

    images = fixed_images(2)
    challenge = challenge_of(net(), images).searching(Classifier.from_module(Nowhere()))
    result = climb_to_transfer(challenge, steps=3)
    assert torch.equal(result.images, challenge.images)
    assert (result.zero_grads == 3).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mi+dimm", "no part of a transfer attack 'dimm'"),
        ("mi+ni", "has the rules mi and ni"),
        ("dim+mi+dim", "dim twice"),
        ("mi+", "incomplete"),
        ("mi+dim:strength=3", "has no option 'strength'"),
        ("mi+pgd", "no part of a transfer attack 'pgd'"),
    ],
)
def test_what_cannot_be_joined_is_told(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("+", r"\+")):
        attack(net(), fixed_images(1), method=text)
    with pytest.raises(UsageError, match="linf"):
        attack(net(), fixed_images(1), method="mi+dim", norm="l2")


def test_parts_of_ones_own_join_the_others() -> None:
    def mirrored(images: Tensor, random: Random, draw: int) -> Tensor:
        return images.flip(3)

    card = TRANSFER_PARTS.find(mirrored)
    assert card.name == "mirrored"
    assert not card.is_rule
    own = partial(climb_to_transfer, rule=Momentum(), transforms=Joined((card.part, Dimmed())))
    found = attack(net(), fixed_images(2), method=own, steps=2)
    assert (found.backwards == 10).all()
    assert TransferPart("mine", Nesterov()).is_rule
