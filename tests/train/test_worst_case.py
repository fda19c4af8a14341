"""Certified training against closed forms, plain lines and what lies in the box."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backlight.bounds import input_box, propagate, steps_of
from backlight.certify import certify_by_bounds
from backlight.classifier import Classifier
from backlight.core.errors import LayerError
from backlight.core.random import Random
from backlight.data.load import load_data
from backlight.runs.folder import RunFolder
from backlight.runs.history import read_history
from backlight.train import fit, read_adversary
from backlight.train.adversary import Adversary
from backlight.train.augment import Augmentation
from backlight.train.recipe import Recipe
from backlight.train.start import start_classifier
from backlight.train.trainer import Trainer
from backlight.train.worst_case import WorstCase, WorstCaseLoss, worst_logits
from tests.train.nets import BATCH, IMAGES, KEYS, LABELS, PLAIN, QUIET, doubled, network, pictures

EPS = 8 / 255
cross_entropies = partial(F.cross_entropy, reduction="none")


def linear() -> tuple[Classifier, Tensor, Tensor]:
    """Return a linear classifier with its weights and biases as pixels in [0,1] see them."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        layer = nn.Linear(192, 3).double()
    classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), layer), size=8, mean=(0.3,) * 3, std=(0.4,) * 3)
    weight = layer.weight.detach() / 0.4
    return classifier, weight, layer.bias.detach() - 0.3 * weight.sum(1)


def whole_loss(classifier: Classifier, worst: WorstCase, strength: float = 1.0) -> Tensor:
    """Give the losses of the pictures, with the module in the mode in which it is."""
    logits = classifier.module(classifier.normalize(IMAGES))
    return WorstCaseLoss(classifier, worst).of(logits, IMAGES, cross_entropies, strength=strength)(logits, LABELS)


# ---- the loss


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("strength", [1.0, 0.25])
def test_of_a_linear_model_the_loss_is_its_closed_form(beta: float, strength: float) -> None:
    classifier, weight, bias = linear()
    found = whole_loss(classifier, WorstCase(EPS, kappa=(0.9, 0.3), beta=(beta, beta)), strength).detach()
    kappa, size = 0.9 + (0.3 - 0.9) * strength, EPS * strength
    for row, (image, label) in enumerate(zip(IMAGES.flatten(1), LABELS.tolist(), strict=True)):
        clean, worst = weight @ image + bias, torch.zeros(3, dtype=torch.float64)
        for other in {0, 1, 2} - {label}:
            gap = weight[other] - weight[label]
            room = torch.where(gap > 0, 1 - image, image).clamp(max=size)
            worst[other] = gap @ image + bias[other] - bias[label] + gap.abs() @ room
        expected = kappa * (clean.logsumexp(0) - clean[label]) + (1 - kappa) * (worst.logsumexp(0) - worst[label])
        assert float(found[row]) == pytest.approx(float(expected), abs=1e-10)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_without_eps_the_loss_is_that_of_the_picture(beta: float) -> None:
    classifier = doubled()
    classifier.module.train()
    found = whole_loss(classifier, WorstCase(0.0, kappa=(0.2, 0.2), beta=(beta, beta)))
    expected = F.cross_entropy(classifier.module(classifier.normalize(IMAGES)), LABELS, reduction="none")
    assert torch.allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_in_the_box_is_worse_than_the_worst_logits(beta: float, training: bool) -> None:
    classifier = doubled()
    module = classifier.module.train(training)
    loss = WorstCaseLoss(classifier, WorstCase(EPS))
    logits = module(classifier.normalize(IMAGES))
    with torch.no_grad():
        loss.of(logits, IMAGES, cross_entropies, strength=1.0)
        intervals = propagate(loss.steps, input_box(classifier, IMAGES, EPS))
        worst = worst_logits(loss.steps, intervals, LABELS, beta)
    attack = read_adversary("pgd:eps=8/255,steps=10")
    near = [(IMAGES + EPS * one).clamp(0, 1) for one in Random("near", range(100)).normal(6, 3, 8, 8).sign().double()]
    near.append(attack.attack(classifier, IMAGES, LABELS, Random(0, KEYS)))
    normed = copy.deepcopy(module)
    if training:  # what the batch was normalized by
        values = module[0](classifier.normalize(IMAGES)).detach()
        normed[1].running_mean, normed[1].running_var = values.mean((0, 2, 3)), values.var((0, 2, 3), unbiased=False)
    for images in near:
        seen = normed.eval()(classifier.normalize(images)).detach()
        assert bool((seen - seen.gather(1, LABELS[:, None]) <= worst + 1e-9).all())


@pytest.mark.parametrize("beta", [0.0, 0.6])
def test_gradients_are_those_of_differences(beta: float) -> None:
    classifier = doubled()
    module = classifier.module.train()
    worst = WorstCase(EPS, kappa=(0.4, 0.4), beta=(beta, beta))
    slopes = torch.autograd.grad(whole_loss(classifier, worst).sum(), list(module.parameters()))
    for number, (parameter, slope) in enumerate(zip(module.parameters(), slopes, strict=True)):
        along = Random(("direction", number), [0]).normal(*parameter.shape, dtype=torch.float64)[0]
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * 1e-6 * along
                values.append(float(whole_loss(classifier, worst).sum()))
                parameter -= sign * 1e-6 * along
        assert float((slope * along).sum()) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-6)


def test_weights_go_with_eps_and_eps_grows_over_a_third_of_the_steps() -> None:
    adversary = read_adversary("crown-ibp")
    assert adversary.worst_case == WorstCase(2 / 255, kappa=(1.0, 0.5), beta=(1.0, 0.0))
    assert [adversary.strength(done) for done in (1 / 12, 1 / 6, 1 / 3, 1.0)] == pytest.approx([0.25, 0.5, 1, 1])
    assert [adversary.worst_case.weights(strength) for strength in (0.0, 0.5, 1.0)] == [(1, 1), (0.75, 0.5), (0.5, 0)]
    assert read_adversary("ibp:ramp=0.9,eps=8/255,kappa=0") == Adversary(
        worst_case=WorstCase(8 / 255, kappa=(1.0, 0.0)), ramp=0.9
    )


# ---- the step


def worst_by_hand(net: nn.Sequential, images: Tensor, eps: float) -> Tensor:
    """Carry both ends through convolution, ReLU, convolution and the linear layer, merged with the margin."""
    first, rectify, second, last = net[0], net[2], net[3], net[6]
    low, high = (images - eps).clamp(min=0), (images + eps).clamp(max=1)
    for layer in (first, second):
        positive, negative = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
        plain = partial(F.conv2d, padding=1)
        ends = [
            plain(one, positive) + plain(other, negative) + layer.bias[:, None, None]
            for one, other in ((low, high), (high, low))
        ]
        low, high = (rectify(one) for one in ends) if layer is first else ends
    worst = []
    for row, label in enumerate(LABELS.tolist()):
        gap = last.weight - last.weight[label]
        top = gap.clamp(min=0) @ high[row].flatten() + gap.clamp(max=0) @ low[row].flatten()
        worst.append(top + last.bias - last.bias[label])
    return torch.stack(worst)


@pytest.mark.parametrize("parts", [1, 4])
def test_a_step_by_hand(parts: int) -> None:
    classifier = doubled(norm=False)
    plain = copy.deepcopy(classifier.module)
    clean, worst = (F.cross_entropy(one, LABELS) for one in (plain(IMAGES), worst_by_hand(plain, IMAGES, EPS / 2)))
    loss = 0.75 * clean + 0.25 * worst
    expected = [
        one - 0.1 * grad for one, grad in zip(plain.parameters(), torch.autograd.grad(loss, list(plain.parameters())))
    ]
    recipe = replace(PLAIN, adversary="ibp:eps=8/255,ramp=1", accumulate=parts)
    outcome = Trainer(classifier, recipe, seed=0, total=4).step(BATCH, 1, 0.1)
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(classifier.module.parameters(), expected))
    assert float(outcome.loss) == pytest.approx(float(loss.detach()))


def test_the_recipes_loss_mixing_and_class_weights_hold_for_both_parts() -> None:
    """Without eps both parts are the plain loss, whatever it is."""
    others, own = (LABELS + 1) % 3, torch.linspace(0, 1, 6, dtype=torch.float64)
    weights = torch.tensor([0.1, 2.0, 1.0], dtype=torch.float64)
    ends = []
    for adversary in ("", "ibp:eps=0", "crown-ibp:eps=0,ramp=1"):
        classifier = doubled()
        recipe = replace(PLAIN, adversary=adversary, loss="focal:gamma=1")
        trainer = Trainer(classifier, recipe, seed=0, class_weights=weights, total=2)
        trainer.step(replace(BATCH, others=others, own=own), 0, 0.1)
        ends.append(classifier.module.state_dict())
    for other in ends[1:]:
        assert all(torch.allclose(one.double(), other[name].double(), atol=1e-10) for name, one in ends[0].items())


# ---- the rule of normalization


def test_bounds_are_normalized_by_the_batch_and_running_statistics_follow_clean_pictures() -> None:
    moved = []
    for text in ("", "ibp", "crown-ibp"):
        classifier = doubled()
        classifier.module[1].running_mean.fill_(100.0)  # nothing of it may reach the loss
        trainer = Trainer(classifier, replace(PLAIN, adversary=text), seed=0)
        outcome = trainer.step(BATCH, 0, 0.1)
        assert float(outcome.loss) < 20
        moved.append(copy.deepcopy(classifier.module[1]))
    for other in moved[1:]:
        assert torch.equal(other.running_mean, moved[0].running_mean)
        assert torch.equal(other.running_var, moved[0].running_var)
        assert int(other.num_batches_tracked) == 1


def test_a_frozen_layer_bounds_by_its_running_statistics() -> None:
    classifier = doubled()
    norm = classifier.module[1]
    norm.running_mean.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(0))
    trainer = Trainer(classifier, replace(PLAIN, adversary="ibp:kappa=0,kappa_start=0,ramp=0", freeze=2), seed=0)
    fixed = copy.deepcopy(classifier.module).eval()
    steps = steps_of(fixed)
    worst = worst_logits(steps, propagate(steps, input_box(classifier, IMAGES, 2 / 255)), LABELS, 0.0)
    outcome = trainer.step(BATCH, 0, 0.1)
    assert float(outcome.loss) == pytest.approx(float(F.cross_entropy(worst, LABELS).detach()), abs=1e-10)


def test_dropout_is_for_the_clean_picture_alone() -> None:
    classifier = doubled(norm=False, dropout=0.9)
    worst = WorstCaseLoss(classifier, WorstCase(EPS, kappa=(0.0, 0.0)))
    found = []
    for training in (True, False):
        logits = classifier.module.train(training)(classifier.normalize(IMAGES))
        found.append(worst.of(logits, IMAGES, cross_entropies, strength=1.0)(logits, LABELS))
    assert torch.equal(*found)


# ---- what cannot be bounded


def test_an_unknown_layer_is_named_before_anything_is_made(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(144, 3))
    classifier = Classifier.from_module(net, size=8, labels=pictures().label_names)
    with pytest.raises(LayerError, match=r"no bounds are known for 1 \(GELU\)"):
        fit(
            classifier,
            pictures(),
            pictures(split="val"),
            tmp_path / "run",
            recipe=Recipe(adversary="ibp"),
            runtime=QUIET,
        )
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    "name", ["classic_cnn", "residual_cnn", "strided_cnn", "simple_net", "simple_net_bn", "deep_net"]
)
def test_our_networks_without_attention_can_be_bounded(name: str) -> None:
    classifier = start_classifier(name, load_data("shapes:n=12,size=16,classes=3"))
    WorstCaseLoss(classifier, WorstCase(EPS))


# ---- which epoch is kept


def test_no_epoch_is_the_best_before_eps_has_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.9, 0.8, 0.4, 0.6, 0.6, 0.5])
    monkeypatch.setattr("backlight.train.fitting.accuracy", lambda table: next(scores))
    recipe = Recipe(epochs=6, batch_size=16, adversary="ibp:ramp=0.5", patience=3)
    found = fit(network(), pictures(), pictures(), tmp_path / "run", recipe=recipe, runtime=QUIET)
    history = read_history(tmp_path / "run")
    assert (found.best_epoch, found.val_accuracy, history.chosen["epoch"]) == (4, 0.6, 4)
    assert [line.get("growing", False) for line in history.epochs] == [True, True, False, False, False, False]
    best, last = (RunFolder(tmp_path / "run").load_weights(name) for name in ("best", "epoch-04"))
    assert all(torch.equal(one, last[name]) for name, one in best.items())
    assert replace(history, epochs=history.epochs[:2]).chosen["epoch"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ibp", "crown-ibp"])
def test_a_network_learns_to_be_certified(name: str, tmp_path: Path) -> None:
    """The same training without an adversary gets more pictures right, of which not one is certified."""
    val, shares = pictures(400, split="val"), []
    for adversary in ("", f"{name}:eps=2/255"):
        recipe = Recipe(8, 16, lr=0.01, label_smoothing=0.0, adversary=adversary, augment=Augmentation())
        run = tmp_path / (adversary[:3] or "plain")
        found = fit(network(dropout=0.0), pictures(400), val, run, recipe=recipe, runtime=QUIET)
        certified = certify_by_bounds(found.classifier, val[:].images, val.labels, eps="2/255", method="ibp")
        shares.append(certified.share[0])
    assert shares[0] < 0.05
    assert shares[1] > 0.15
