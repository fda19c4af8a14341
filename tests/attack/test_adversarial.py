"""The one call: what it returns, what it refuses, and that what is printed is what the file does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import ATTACKS, Challenge, ThreatModel, attack, save_adversarial
from backlight.attack.gradient import pgd
from backlight.classifier import Classifier
from backlight.core.errors import InputError, ModelError, UsageError
from backlight.core.random import Random
from backlight.images import open_picture, to_tensor
from backlight.pixels import Uniform
from backlight.testing import CALLERS, caller, small_net, unchanged
from tests.attack.nets import pictures, sharp_net
from tests.kernels import all_convolution


def plain_pgd(net: nn.Module, x: Tensor, y: Tensor, start: Tensor, eps: float, step: float, steps: int) -> Tensor:
    low, high = (x - eps).clamp(0, 1), (x + eps).clamp(0, 1)
    adversarial, running = torch.minimum(torch.maximum(start, low), high), torch.ones(len(x), dtype=torch.bool)
    for _ in range(steps):
        leaf = adversarial.clone().requires_grad_(True)
        logits = net(leaf)
        running &= logits.argmax(1) == y
        loss = nn.functional.cross_entropy(logits, y, reduction="sum")
        (grad,) = torch.autograd.grad(loss, leaf)
        moved = torch.minimum(torch.maximum(adversarial + step * grad.sign(), low), high)
        adversarial = torch.where(running[:, None, None, None], moved, adversarial)
    return adversarial


@pytest.mark.promises
def test_a_plain_pgd_gives_the_same_pixels() -> None:
    net, x = all_convolution(sharp_net().double()), pictures(12).double()
    challenge = Challenge.of(Classifier.from_module(net, size=16), x, threat=ThreatModel("linf", "8/255"))
    result = pgd(challenge, steps=7, step_size=2 / 255)
    start = Uniform("linf", 8 / 255)(x, torch.arange(12), Random(((0, ("pgd", 0)), "start"), torch.arange(12)))
    expected = plain_pgd(net, x, net(x).argmax(1), start, 8 / 255, 2 / 255, 7)
    fooled = result.success
    assert fooled.any()
    assert torch.equal(result.images[fooled], expected[fooled])


@pytest.mark.parametrize("state", CALLERS)
@pytest.mark.parametrize("method", ["fgsm", "fgm", "pgd", "targeted_l2"])
def test_the_model_is_left_as_it_was(method: str, state: str) -> None:
    net = small_net()
    classifier = Classifier.from_module(net, size=16)
    x = pictures(3)
    with caller(net, state), unchanged(net):
        target = "least-likely" if ATTACKS[method].targeted == "always" else None
        result = attack(classifier, x, method=method, target=target)
    assert len(result) == 3
    assert torch.equal(result.originals, x)


@pytest.mark.parametrize("method", ["fgsm", "pgd:steps=12,stop=false", "apgd-ce:steps=12"])
def test_a_fast_copy_that_is_kept_gives_the_same_as_a_private_one(method: str) -> None:
    classifier, x = Classifier.from_module(sharp_net(), size=16), pictures(4)
    kept, private = (attack(classifier, x, method=method, search=one) for one in (classifier.fast(), None))
    assert torch.equal(kept.images, private.images)
    assert torch.equal(kept.margin, private.margin)


def test_the_copy_that_is_handed_in_is_what_is_searched_on() -> None:
    classifier, x = Classifier.from_module(sharp_net(), size=16), pictures(2)
    search, passes = classifier.fast(), list[int]()
    search.module.register_forward_pre_hook(lambda _, given: passes.append(len(given[0])))
    attack(classifier, x, method="pgd:steps=12,stop=false", search=search)
    assert len(passes) == 13
    attack(classifier, x, method="fgsm", search=search)
    assert len(passes) == 13  # one step is looked for on the classifier itself, as without a copy


def test_the_model_is_left_as_it_was_after_an_exception() -> None:
    net = small_net()
    classifier = Classifier.from_module(net, size=16)
    calls = 0

    def fail(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise RuntimeError("in the middle")

    handle = net[4].register_forward_hook(fail)
    with unchanged(net), pytest.raises(ModelError, match="the model itself failed.*in the middle"):
        pgd(Challenge.of(classifier, pictures(2)), steps=5)
    handle.remove()


def test_what_is_printed_is_what_the_file_does(tmp_path: Path) -> None:
    classifier, x = Classifier.from_module(sharp_net(), size=16), pictures(20)
    result = attack(classifier, x, lattice=True, eps="8/255")
    assert result.success.any()
    saved = save_adversarial(result, [tmp_path / f"{row}.png" for row in range(20)])
    for row, one in enumerate(saved):
        again = to_tensor(open_picture(one.path))
        assert int(classifier.logits(again[None]).argmax(1)) == one.label_after
        assert (again - x[row]).abs().max() <= 8 / 255 + 1e-6
        assert one.success == (one.label_after != one.label_before)
        assert one.success == bool(result.success[row])
        assert one.distance <= 8 / 255 + 1e-6


def test_a_success_that_rounding_undoes_is_none(tmp_path: Path) -> None:
    classifier, x = Classifier.from_module(sharp_net(), size=16), pictures(20)
    result = attack(classifier, x, eps=0.9 / 255)
    assert result.success.any()
    saved = save_adversarial(result, [tmp_path / f"{row}.png" for row in range(20)])
    assert not any(one.success for one in saved)
    assert all(one.distance == 0 for one in saved)


def slow_if_whole(method: str) -> Any:
    return pytest.param(method, marks=pytest.mark.slow) if method.startswith("autoattack") else method


@pytest.mark.parametrize("method", [slow_if_whole(method) for method in sorted(ATTACKS)])
def test_eps_zero_changes_nothing(method: str) -> None:
    card = ATTACKS[method]
    classifier, x = Classifier.from_module(sharp_net(), size=16), pictures(4)
    target = "random" if card.targeted == "always" else None
    options = {name: count for name, count in (("steps", 3), ("queries", 60)) if name in card.options}
    result = attack(classifier, x, method=method, eps=0.0, target=target, **options)
    assert not result.success.any()
    assert bool((result.distance == 0).all()) or card.minimum_norm


def test_targets_are_reached_and_named() -> None:
    classifier, x = Classifier.from_module(sharp_net(), size=16), pictures(10)
    before = classifier.logits(x)
    for target, expected in (("least-likely", before.argmin(1)), ("random", None), (3, torch.full((10,), 3))):
        keep = before.argmax(1) != 3 if target == 3 else torch.ones(10, dtype=torch.bool)
        result = attack(classifier, x[keep], eps=0.2, target=target, steps=20)
        assert expected is None or torch.equal(result.targets, expected[keep])
        assert result.success.all()
        assert torch.equal(result.label_after, result.targets)
        assert not (result.targets == result.label_before).any()


def test_a_target_list_gives_one_per_image() -> None:
    classifier, x = Classifier.from_module(sharp_net(), size=16), pictures(2)
    labels = classifier.logits(x).argmax(1)
    wanted = [int((label + 1) % 5) for label in labels]
    assert attack(classifier, x, target=wanted, eps=0.2).label_after.tolist() == wanted


def test_everything_already_misclassified_is_a_success_at_once() -> None:
    classifier, x = Classifier.from_module(sharp_net(), size=16), pictures(5)
    labels = (classifier.logits(x).argmax(1) + 1) % 5
    result = attack(classifier, x, labels)
    assert result.success.all()
    assert torch.equal(result.images, x)
    assert int(result.forwards.sum()) == 0
    assert result.distance.tolist() == [0.0] * 5


def test_targets_need_another_class_than_the_label() -> None:
    classifier, x = Classifier.from_module(sharp_net(), size=16), pictures(3)
    with pytest.raises(InputError, match="target is the label for images \\[0, 1, 2\\]"):
        attack(classifier, x, target=classifier.logits(x).argmax(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": 8}, "0..255"),
        ({"eps": "8"}, "0..255"),
        ({"eps": -0.1}, "negative"),
        ({"method": "pdg"}, "pgd"),
        ({"norm": "l3"}, "linf"),
        ({"method": "fgsm", "norm": "l2"}, "linf"),
        ({"method": "fgsm", "steps": 4}, "no option 'steps'"),
        ({"steps": 0}, "1 or more"),
        ({"objective": "hinge"}, "objective"),
        ({"method": "targeted_l2"}, "without a target"),
    ],
)
def test_wrong_options_are_refused_with_words(options: dict, message: str) -> None:
    classifier = Classifier.from_module(sharp_net(), size=16)
    with pytest.raises(UsageError, match=message):
        attack(classifier, pictures(2), **options)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 5]), "0 to 4"),
        (torch.tensor([-1, 0]), "0 to 4"),
        (torch.tensor([0]), "labels of shape"),
        (torch.tensor([0.0, 1.0]), "no integers"),
    ],
)
def test_wrong_labels_are_refused_before_any_work(labels: Tensor, message: str) -> None:
    classifier = Classifier.from_module(sharp_net(), size=16)
    with pytest.raises(InputError, match=message):
        attack(classifier, pictures(2), labels)


def test_normalized_images_are_refused() -> None:
    classifier = Classifier.from_module(sharp_net(), size=16)
    with pytest.raises(InputError, match="ImageNet-normalized"):
        attack(classifier, pictures(2) * 4 - 2)


@pytest.mark.parametrize("objective", ["cross-entropy", "logit", "probability", "margin", "dlr"])
@pytest.mark.parametrize("target", [None, "random"])
def test_every_objective_fools(objective: str, target: str | None) -> None:
    classifier, x = Classifier.from_module(sharp_net(), size=16), pictures(6)
    result = attack(classifier, x, objective=objective, target=target, eps=0.2)
    assert result.success.all()


def test_no_images_give_an_empty_result(tmp_path: Path) -> None:
    result = attack(Classifier.from_module(sharp_net(), size=16), pictures(0))
    assert len(result) == 0
    assert save_adversarial(result, []) == []
