"""The inner attack of adversarial training: what it finds, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from backlight.classifier import Classifier
from backlight.classifier.targets import resolve_targets
from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.testing import small_net, unchanged
from backlight.train import fit
from backlight.train.adversaries import read_adversary
from backlight.train.augment import Augmentation
from backlight.train.recipe import Recipe
from backlight.train.trunk import cached_head
from tests.kernels import all_convolution
from tests.train.nets import QUIET, network, pictures

KEYS = torch.arange(6)


def _problem() -> tuple[Classifier, Tensor, Tensor]:
    return Classifier.from_module(small_net(), size=8), Random(0, KEYS).uniform(3, 8, 8), KEYS % 4


@pytest.mark.promises
def test_pgd_by_twelve_plain_lines() -> None:
    classifier, images, labels = _problem()
    adversary = read_adversary("pgd:eps=0.1,steps=3")
    random = Random((5, "adversary"), KEYS, 7)
    found = adversary.attack(classifier, images, labels, random)
    with classifier.guard():
        offset = 2 * Random(((random.seed, "start", 7), "start"), KEYS).uniform(3, 8, 8) - 1
        moved = (images + 0.1 * offset).clamp(images - 0.1, images + 0.1).clamp(0, 1)
        for _ in range(3):
            leaf = moved.clone().requires_grad_()
            loss = F.cross_entropy(classifier.logits(leaf), labels, reduction="sum")
            moved = moved + adversary.inner.ascent.step_size * torch.autograd.grad(loss, leaf)[0].sign()
            moved = moved.clamp(images - 0.1, images + 0.1).clamp(0, 1)
    assert torch.equal(found, moved)


@pytest.mark.parametrize(
    "text",
    ["pgd:steps=2", "fgsm:eps=4/255", "pgd:steps=2,norm=l2,eps=0.3,target=random", "pgd:target=least-likely,steps=1"],
)
def test_the_model_is_left_as_it_was(text: str) -> None:
    classifier, images, labels = _problem()
    adversary = read_adversary(text)
    with unchanged(classifier.module):
        found = adversary.attack(classifier, images, labels, Random(0, KEYS))
    assert found.shape == images.shape
    assert not torch.equal(found, images)
    length = (found - images).flatten(1).norm(p=torch.inf if adversary.inner.ascent.norm == "linf" else 2, dim=1)
    assert float(length.max()) <= adversary.inner.ascent.eps + 1e-6
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_every_step_starts_anew() -> None:
    classifier, images, labels = _problem()
    adversary = read_adversary("pgd:eps=0.1,steps=1,step_size=0")
    starts = [adversary.attack(classifier, images, labels, Random(0, KEYS, number)) for number in (0, 1)]
    assert not torch.equal(*starts)


@pytest.mark.parametrize("kind", ["random", "least-likely"])
def test_a_target_is_approached(kind: str) -> None:
    classifier, images, labels = _problem()
    random = Random(0, KEYS)
    with torch.no_grad(), classifier.guard():
        logits = classifier.logits(images)
        targets = resolve_targets(classifier, logits, kind, random=random, avoid=labels)
        moved = read_adversary(f"pgd:eps=0.1,steps=5,target={kind}").attack(classifier, images, labels, random)
        after = classifier.logits(moved)
    assert float(F.cross_entropy(after, targets)) < float(F.cross_entropy(logits, targets))


@pytest.mark.promises
def test_share_and_blend() -> None:
    # In float64 and without a linear layer, so that a part of the batch gives the bits that the whole gives.
    net, (_, images, labels) = all_convolution(small_net().double()), _problem()
    classifier, images = Classifier.from_module(net, size=8), images.double()
    whole = read_adversary("pgd:eps=0.1,steps=1").attack(classifier, images, labels, Random(0, KEYS))
    half = read_adversary("pgd:eps=0.1,steps=1,blend=0.5").attack(classifier, images, labels, Random(0, KEYS))
    assert torch.allclose(half, (whole + images) / 2)
    some = read_adversary("pgd:eps=0.1,steps=1,share=0.5").attack(classifier, images, labels, Random(0, KEYS))
    attacked = (some != images).flatten(1).any(1)
    assert 0 < int(attacked.sum()) < len(KEYS)
    assert torch.equal(some[attacked], whole[attacked])
    none = read_adversary("pgd:share=0").attack(classifier, images, labels, Random(0, KEYS))
    assert torch.equal(none, images)


@pytest.mark.promises
def test_the_attack_does_not_depend_on_the_batch() -> None:
    classifier, images, labels = _problem()
    classifier.module.double()
    adversary = read_adversary("pgd:eps=0.1,steps=2,share=0.7")
    whole = adversary.attack(classifier, images.double(), labels, Random(0, KEYS))
    part = adversary.attack(classifier, images[2:5].double(), labels[2:5], Random(0, KEYS[2:5]))
    assert torch.allclose(whole[2:5], part, atol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "cw",
        "pgd:eps=8",
        "pgd:steps=0",
        "pgd:norm=l3",
        "pgd:momentum=1,norm=l2",
        "pgd:blend=2",
        "pgd:share=2",
        "pgd:colour=red",
        "fgsm:steps=3",
        "pgd:target=cat",
    ],
)
def test_what_is_not_understood(text: str) -> None:
    with pytest.raises(UsageError):
        Recipe(adversary=text)


def test_momentum_and_l1_reach_the_adversary() -> None:
    classifier, images, labels = _problem()
    plain, pushed = (
        read_adversary(f"pgd:eps=0.1,steps=4{more}").attack(classifier, images, labels, Random(0, KEYS))
        for more in ("", ",momentum=1")
    )
    assert not torch.equal(plain, pushed)
    sparse = read_adversary("pgd:norm=l1,eps=5,steps=4").attack(classifier, images, labels, Random(0, KEYS))
    assert 1 < float((sparse - images).flatten(1).norm(p=1, dim=1).max()) <= 5 + 1e-4


def test_a_trunk_is_not_run_once_for_all_where_pictures_are_attacked() -> None:
    net, still = network().module, Augmentation()
    assert cached_head(net, Recipe(freeze=-1, augment=still)) == "6"
    assert cached_head(net, Recipe(freeze=-1, augment=still, adversary="pgd:eps=8/255,steps=1")) is None


def test_it_trains_on_attacked_pictures_and_statistics_see_one_pass(tmp_path: Path) -> None:
    train, val = pictures(split="train"), pictures(split="val")
    recipe = Recipe(epochs=1, batch_size=16, adversary="pgd:eps=16/255,steps=2")
    found = fit(network(), train, val, tmp_path / "hard", recipe=recipe, runtime=QUIET)
    steps = len(train) // 16
    assert int(found.classifier.module[1].num_batches_tracked) == steps
    plain = fit(network(), train, val, tmp_path / "plain", recipe=Recipe(epochs=1, batch_size=16), runtime=QUIET)
    assert not torch.equal(found.classifier.module[6].weight, plain.classifier.module[6].weight)
