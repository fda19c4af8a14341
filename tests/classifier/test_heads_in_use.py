"""Binary and multi-label heads in every verb: answers are those of their sigmoids, gradients those of their logits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight.attack import RobustnessRequest, attack, evaluate_robustness
from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.data import Dataset
from backlight.evaluate import evaluate
from backlight.explain import explain
from backlight.pixels import View, confidence, cross_entropy, logit, predicted, probability
from backlight.visualize import class_image, fooling_image

IMAGES = torch.linspace(0, 1, 4 * 3 * 8 * 8).view(4, 3, 8, 8).roll(7, 3)
LABELS = ["sea", "sky", "sun"]


def network(classes: int, *tail: nn.Module) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, classes)
        )
        with torch.no_grad():
            net[4].weight *= 20
            net[4].bias -= net(IMAGES).mean(0)
    return nn.Sequential(*net, *tail).double()


def z_of(net: nn.Module, images: Tensor) -> Tensor:
    """Compute the logits before any tail."""
    return net[:5](images.double())


def gradient(net: nn.Module, column: int) -> Tensor:
    images = IMAGES.double().requires_grad_(True)
    return torch.autograd.grad(z_of(net, images)[:, column].sum(), images)[0]


@pytest.fixture(params=["logit", "sigmoid"])
def binary(request: pytest.FixtureRequest) -> Classifier:
    tail = (nn.Sigmoid(),) if request.param == "sigmoid" else ()
    return Classifier.from_module(network(1, *tail), size=8, labels=["dry", "wet"], outputs="binary")


@pytest.fixture(params=["logits", "sigmoids"])
def many(request: pytest.FixtureRequest) -> Classifier:
    tail = (nn.Sigmoid(),) if request.param == "sigmoids" else ()
    return Classifier.from_module(network(3, *tail), size=8, labels=LABELS, outputs="multilabel")


def test_both_classes_of_a_binary_model_are_explained_by_its_logit(binary: Classifier) -> None:
    expected = gradient(binary.module, 0)
    for target, sign in (("wet", 1), ("dry", -1)):
        found = explain(binary, IMAGES, target, methods=["saliency", "integrated_gradients", "gradcam"])
        assert torch.allclose(found["saliency"].attributions, sign * expected, atol=1e-8)
        assert found["integrated_gradients"].attributions.abs().sum() > 0
    p = z_of(binary.module, IMAGES).sigmoid().detach()
    assert torch.allclose(found.probabilities, torch.cat([1 - p, p], 1))
    score = explain(binary, IMAGES, "dry", methods=["occlusion"], quantity="probability").score
    assert torch.allclose(score, 1 - p[:, 0])


def test_a_binary_model_is_attacked_measured_and_drawn(binary: Classifier) -> None:
    answers = (z_of(binary.module, IMAGES)[:, 0] > 0).long()
    assert 0 < int(answers.sum()) < 4
    found = attack(binary, IMAGES, answers, eps="64/255", steps=20)
    after = (z_of(binary.module, found.images)[:, 0] > 0).long()
    assert torch.equal(found.success, after != answers)
    assert found.success.any()
    for method in ("fmn", "deepfool", "autoattack"):
        options = {"eps": "64/255"} if method == "autoattack" else {}
        assert attack(binary, IMAGES, answers, method=method, **options).success.any()
    data = Dataset.of((IMAGES * 255).round().to(torch.uint8), answers, ["dry", "wet"])
    assert evaluate(binary, data).to_json()["top5"] == 1
    robust = evaluate_robustness(binary, data, RobustnessRequest("pgd:steps=5", eps="64/255"))
    assert robust.robust_accuracy < robust.clean_accuracy
    made = class_image(binary, ["dry", "wet"], steps=8)
    z = z_of(binary.module, made.images)[:, 0]
    assert z[0] < z[1]


@pytest.mark.parametrize("label", LABELS)
def test_each_label_is_explained_on_its_own(many: Classifier, label: str) -> None:
    column = LABELS.index(label)
    expected, z = gradient(many.module, column), z_of(many.module, IMAGES)[:, column].detach()
    found = explain(many, IMAGES, label, methods=["saliency"])
    assert torch.allclose(found["saliency"].attributions, expected, atol=1e-7)
    assert torch.allclose(found.probabilities[:, column], z.sigmoid(), atol=1e-9)
    for quantity, value in (("probability", z.sigmoid()), ("loss", F.softplus(-z))):
        assert torch.allclose(explain(many, IMAGES, label, methods=["rise:samples=2"], quantity=quantity).score, value)


@pytest.mark.parametrize("label", LABELS)
def test_an_attack_turns_the_answer_for_one_label(many: Classifier, label: str) -> None:
    column = LABELS.index(label)
    before = z_of(many.module, IMAGES)[:, column] > 0
    found = attack(many, IMAGES, target=label, eps="64/255", steps=20)
    after = z_of(many.module, found.images)[:, column] > 0
    assert torch.equal(found.success, before != after)
    assert found.success.any()
    assert torch.equal(found.label_before, before.long())
    same = attack(many.question(label), IMAGES, eps="64/255", steps=20)
    assert torch.equal(same.images, found.images)
    with pytest.raises(InputError, match="a question per label.*question"):
        attack(many, IMAGES)


def test_pictures_that_show_or_fool_a_label(many: Classifier) -> None:
    made = class_image(many, LABELS, steps=10)
    z = z_of(many.module, made.images)
    assert (z.diagonal() > z_of(many.module, torch.full((1, 3, 8, 8), 0.5))[0]).all()
    fooled = fooling_image(many, IMAGES[:2], "sky", confidence=0.6)
    p = z_of(many.module, fooled.images)[:, 1].sigmoid()
    assert torch.equal(fooled.success, p >= 0.6)
    assert fooled.success.any()


def test_measures_ask_one_label(many: Classifier) -> None:
    view = View(many, IMAGES, layers=["logits"])
    z = z_of(many.module, IMAGES).detach()
    assert torch.allclose(logit(1)(view), z[:, 1], atol=1e-9)
    assert torch.allclose(probability(1)(view), z[:, 1].sigmoid(), atol=1e-9)
    assert torch.allclose(cross_entropy(1)(view), F.softplus(-z[:, 1]), atol=1e-9)
    assert torch.allclose(confidence()(view), z.sigmoid().amax(1), atol=1e-9)
    assert torch.equal(predicted(1)(view), z[:, 1] > 0)
