"""Every picture walks on its own: in the box, within its budget, the same in any batch and order."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import Challenge, ThreatModel
from backlight.attack.black_box.estimates import nes, spsa
from backlight.attack.black_box.geoda import geoda
from backlight.attack.black_box.hop_skip_jump import hop_skip_jump
from backlight.attack.black_box.queries import ask
from backlight.attack.black_box.rays import rays
from backlight.attack.black_box.simba import simba
from backlight.attack.black_box.sparse_rs import sparse_rs
from backlight.attack.black_box.surfree import surfree
from backlight.classifier import Classifier
from backlight.core.chunks import Chunk
from tests.attack.nets import fixed_images, fixed_net

ATTACKS = {
    "hopskipjump": (hop_skip_jump, ("l2", "linf")),
    "rays": (rays, ("linf",)),
    "surfree": (surfree, ("l2",)),
    "geoda": (geoda, ("l2", "linf")),
    "simba": (simba, ("l2", "linf")),
    "simba-dct": (partial(simba, basis="dct"), ("l2", "linf")),
    "nes": (nes, ("l2", "linf")),
    "spsa": (spsa, ("l2", "linf")),
    "sparse-rs": (sparse_rs, ("l0",)),
    "sparse-rs-patch": (partial(sparse_rs, kind="patch"), ("l0",)),
    "sparse-rs-frame": (partial(sparse_rs, kind="frame"), ("l0",)),
}
CASES = [(name, norm) for name, (_, norms) in ATTACKS.items() for norm in norms]
EPS = {"l2": 0.3, "linf": 0.04, "l0": 36}


def challenge_of(rows: Tensor, norm: str, **changes) -> Challenge:
    classifier = Classifier.from_module(fixed_net(), size=4)
    ids = [f"picture {row}" for row in rows.tolist()]
    threat = ThreatModel(norm, **({"eps": EPS[norm]} | changes))
    images = (fixed_images() * 255).round() / 255
    return Challenge.of(classifier, images[rows], threat=threat, ids=ids)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_results_are_the_same_in_any_batch_and_order(name: str, norm: str) -> None:
    function, everyone = partial(ATTACKS[name][0], queries=70), challenge_of(torch.arange(6), norm)
    state = torch.get_rng_state()
    whole = function(everyone)
    assert torch.equal(torch.get_rng_state(), state)
    for rows in (torch.tensor([5, 3, 0]), torch.tensor([2])):
        challenge = challenge_of(rows, norm)
        challenge.__dict__["chunk"] = Chunk(2)
        part = function(challenge)
        assert torch.equal(part.success, whole.success[rows])
        assert torch.equal(part.forwards, whole.forwards[rows])
        assert torch.allclose(part.images, whole.images[rows], atol=1e-9)


@pytest.mark.parametrize(("name", "norm"), CASES)
@pytest.mark.parametrize("lattice", [False, True])
def test_answers_stay_in_the_box_the_mask_and_the_budget(name: str, norm: str, lattice: bool) -> None:
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[0] = False
    challenge = challenge_of(torch.arange(6), norm, lattice=lattice, mask=mask)
    asked = []
    hook = challenge.search.module.register_forward_pre_hook(lambda _, given: asked.append(given[0]))
    result = ATTACKS[name][0](challenge, queries=50)
    hook.remove()
    verdict = challenge.referee.judge(result.images)
    assert torch.equal(verdict.success, result.success)
    assert verdict.inside[result.success].all()
    assert (result.forwards <= 50).all()
    assert result.backwards.sum() == 0
    assert all(bool(((one >= -3) & (one <= 3)).all()) for one in asked)
    assert torch.equal(result.images[..., 0, :], challenge.images[..., 0, :])
    if lattice:
        assert torch.allclose((result.images * 255).round() / 255, result.images, atol=1e-9)


def test_a_picture_leaves_at_its_first_answer_and_batches_stay_full() -> None:
    class Bright(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            sizes.append(len(images))
            return torch.stack([torch.zeros(len(images)), images.mean((1, 2, 3)) - 0.5], 1)

    def brighter(place):
        level = place.original
        while True:
            level = level + 0.01
            yield level[None]

    sizes: list[int] = []
    levels = 0.455 + 0.01 * torch.arange(4.0)
    images = levels[:, None, None, None].expand(4, 3, 2, 2).contiguous()
    classifier = Classifier.from_module(Bright(), size=2, mean=(0.0,) * 3, std=(1.0,) * 3)
    challenge = Challenge.of(classifier, images, threat=ThreatModel("linf", 0.1))
    challenge.__dict__["chunk"] = Chunk(4)
    sizes.clear()
    result = ask(challenge, "brighter", brighter, queries=20)
    assert result.success.all()
    assert result.forwards.tolist() == [5, 4, 3, 2]
    assert [size for size in sizes if size <= 4] == [4, 4, 3, 2, 1]


def test_a_claim_that_the_referee_denies_does_not_end_the_walk() -> None:
    class Shifted(nn.Module):
        def __init__(self, bound: float) -> None:
            super().__init__()
            self.bound = bound

        def forward(self, images: Tensor) -> Tensor:
            return torch.stack([torch.zeros(len(images)), images.mean((1, 2, 3)) - self.bound], 1)

    def brighter(place):
        for number in range(1, 9):
            yield (place.original + 0.01 * number)[None]

    judge, search = (
        Classifier.from_module(Shifted(bound), size=2, mean=(0.0,) * 3, std=(1.0,) * 3) for bound in (0.555, 0.525)
    )
    challenge = Challenge.of(judge, torch.full((1, 3, 2, 2), 0.5), threat=ThreatModel("linf", 0.1)).searching(search)
    result = ask(challenge, "brighter", brighter, queries=20)
    assert result.success.tolist() == [True]
    assert result.forwards.tolist() == [6]


def test_a_picture_without_a_prediction_close_by_leaves_alone() -> None:
    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            level = images.mean((1, 2, 3))
            return torch.stack([torch.zeros_like(level), torch.where(level > 0.6, torch.nan, level - 0.9)], 1)

    classifier = Classifier.from_module(Broken(), size=2, mean=(0.0,) * 3, std=(1.0,) * 3)
    images = torch.full((2, 3, 2, 2), 0.5)
    result = rays(Challenge.of(classifier, images, threat=ThreatModel("linf", None)), queries=30)
    assert result.reasons() == ("undefined", "undefined")
    assert not result.success.any()
