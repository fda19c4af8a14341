"""Sparse-RS against every change that there is, and where it may change anything."""

from __future__ import annotations

from itertools import combinations, product

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import Challenge, ThreatModel
from backlight.attack.black_box.queries import Place
from backlight.attack.black_box.regions import Pixels, share_at
from backlight.attack.black_box.sparse_rs import sparse_rs
from backlight.classifier import Classifier
from backlight.pixels.result import Stopped
from tests.attack.nets import fixed_images, fixed_net

SIDE = 3


def weighed(bound: float, seed: int = 0) -> Challenge:
    """A linear model of gray pictures of 3 px: class 1 where it sees more than a bound."""
    draw = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2)).double()
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([torch.zeros(9), torch.randn(9, generator=draw)]))
        net[1].bias.copy_(torch.tensor([1.0, 1.0 - bound]))
    images = 0.2 + 0.6 * torch.rand(3, 1, SIDE, SIDE, generator=draw, dtype=torch.float64)
    classifier = Classifier.from_module(net, size=SIDE, mean=(0.0,), std=(1.0,))
    return Challenge.of(classifier, images, torch.zeros(3, dtype=torch.int64), threat=ThreatModel("l0", 2))


def every_change(image: Tensor, count: int) -> Tensor:
    """All pictures in which `count` pixels became black or white."""
    found = []
    for places in combinations(range(SIDE * SIDE), count):
        for colors in product((0.0, 1.0), repeat=count):
            one = image.clone()
            one.view(-1)[list(places)] = torch.tensor(colors, dtype=one.dtype)
            found.append(one)
    return torch.stack(found)


def test_the_best_of_all_pairs_of_pixels_is_found() -> None:
    challenge = weighed(bound=50.0)
    result = sparse_rs(challenge, queries=250)
    assert not result.success.any()
    for row, image in enumerate(challenge.images):
        logits = challenge.classifier.logits(every_change(image, 2))
        assert float(result.score[row]) == pytest.approx(float((logits[:, 1] - logits[:, 0]).max()))


def test_what_some_pair_of_pixels_fools_is_fooled() -> None:
    challenge = weighed(bound=0.0)
    best = torch.stack([challenge.classifier.logits(every_change(one, 2))[:, 1].max() for one in challenge.images]) - 1
    bound = float(best.sort().values[:2].mean())
    challenge = weighed(bound)
    assert sparse_rs(challenge, queries=250).success.tolist() == (best > bound).tolist()


@pytest.mark.parametrize("kind", ["pixels", "patch", "frame"])
def test_no_query_changes_more_than_it_may(kind: str) -> None:
    classifier = Classifier.from_module(fixed_net(), size=4, mean=(0.0,) * 3, std=(1.0,) * 3)
    eps = {"pixels": 9, "patch": 14, "frame": 40}[kind]
    challenge = Challenge.of(classifier, fixed_images(1).clamp(0.1, 0.9), threat=ThreatModel("l0", eps))
    asked: list[Tensor] = []
    hook = challenge.search.module.register_forward_pre_hook(lambda _, given: asked.append(given[0]))
    found = sparse_rs(challenge, queries=60, kind=kind)
    hook.remove()
    changed = (torch.cat(asked) != challenge.images).any(1)
    most = {"pixels": 3, "patch": 4, "frame": 12}[kind]
    assert changed.flatten(1).sum(1).max() == most
    assert challenge.threat.distance(found.images, challenge.images).max() <= eps
    for one in changed[changed.flatten(1).any(1)]:
        rows, columns = one.nonzero().T
        if kind == "patch":
            assert int(rows.max() - rows.min()) < 2
            assert int(columns.max() - columns.min()) < 2
        if kind == "frame":
            assert not one[1:-1, 1:-1].any()


def test_all_pixels_may_change_where_eps_allows_it() -> None:
    classifier = Classifier.from_module(fixed_net(), size=4)
    challenge = Challenge.of(classifier, fixed_images(), threat=ThreatModel("l0", 1000))
    assert sparse_rs(challenge, queries=200).success.all()


def test_pixels_are_spent_within_the_mask_alone() -> None:
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[1, 1:] = True
    place = place_of(fixed_images(1)[0], mask.expand(3, 4, 4))
    draft = Pixels.begin(place, 2)
    for turn in range(1, 20):
        assert mask.flatten()[draft.places].all()
        assert len(draft.places.unique()) == 2
        draft = draft.changed(place, turn)


def place_of(image: Tensor, mask: Tensor | None = None) -> Place:
    keys = torch.tensor([3])
    return Place(image, "l0", 9.0, torch.tensor(-1.0), 100, (0, "test"), keys, mask)


def test_every_try_changes_something() -> None:
    image = torch.tensor([0.0, 1.0]).repeat(32).view(1, 8, 8)
    place = place_of(image)
    draft = Pixels.begin(place, 1)
    for turn in range(1, 30):
        after = draft.changed(place, turn)
        assert not torch.equal(after.picture(image), image)
        assert not torch.equal(after.picture(image), draft.picture(image))
        draft = after


def test_a_patch_finds_the_place_that_counts() -> None:
    class Corner(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            bright = images[:, 0, -3:, -3:].mean((1, 2)) + 0.1 * images[:, 0, -6:, -6:].mean((1, 2))
            return torch.stack([torch.zeros_like(bright), bright - 0.95], 1)

    classifier = Classifier.from_module(Corner(), size=12, mean=(0.0,), std=(1.0,))
    images = torch.zeros(2, 1, 12, 12)
    found = sparse_rs(Challenge.of(classifier, images, threat=ThreatModel("l0", 9)), queries=600, kind="patch")
    assert found.success.all()
    changed = (found.images != 0).flatten(1).sum(1)
    assert changed.tolist() == [9, 9]
    assert found.images[:, 0, -3:, -3:].eq(1).all()


def test_what_is_tried_shrinks_with_the_budget_that_is_spent() -> None:
    shares = [share_at(turn, 1000, 0.3) for turn in range(1000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 0.3
    assert shares[-1] == pytest.approx(0.015)
    assert share_at(500, 1000, 0.3) == share_at(5000, 10_000, 0.3)


def test_a_picture_whose_budget_ends_says_so() -> None:
    result = sparse_rs(weighed(bound=50.0), queries=7)
    assert result.stopped.tolist() == [Stopped.STEPS] * 3
    assert result.forwards.tolist() == [7] * 3
