"""Models whose output is at times no number: such a picture is neither right, nor robust, nor fooled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight.attack import Challenge, RobustnessRequest, ThreatModel, attack, evaluate_robustness
from backlight.attack.checks import check_model
from backlight.classifier import Classifier
from backlight.data import Dataset
from tests.attack.nets import short_plan

LABELS = list("abcd")


class Then(nn.Module):
    """Small logits of an 8 px picture, changed by what went wrong."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net, self.function = nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images, self.net(images))


def bright(images: Tensor) -> Tensor:
    return (images.mean((1, 2, 3)) > 0.5)[:, None]


def data(net: Then) -> Dataset:
    """Draw four dark and four bright pictures, labeled as the network without its fault says."""
    draw = torch.Generator().manual_seed(0)
    dark = torch.randint(0, 100, (4, 3, 8, 8), generator=draw, dtype=torch.uint8)
    images = torch.cat([dark, dark + 150])
    return Dataset.of(images, net.net(images / 255).argmax(1), LABELS)


FAULTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "NaN": lambda x, z: torch.where(bright(x), torch.nan, z),
    "one NaN": lambda x, z: torch.where(bright(x), z.index_fill(1, torch.tensor([3]), torch.nan), z),
    "infinite": lambda x, z: torch.where(bright(x), z.index_fill(1, torch.tensor([0]), torch.inf), z),
    "all masked": lambda x, z: torch.where(bright(x), -torch.inf, z),
}


@pytest.mark.parametrize(
    ("fault", "attack_name"),
    [*((fault, name) for fault in FAULTS for name in ("pgd:steps=2", "fgsm", "square:steps=5")), ("NaN", "autoattack")],
)
def test_pictures_without_a_prediction_are_neither_right_nor_robust(
    fault: str, attack_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backlight.attack.request.PLANS", {"autoattack": short_plan()})
    net = Then(FAULTS[fault])
    classifier = Classifier.from_module(net, size=8, labels=LABELS)
    found = evaluate_robustness(classifier, data(net), RobustnessRequest(attack_name, eps="1/255"))
    assert found.clean_accuracy == 0.5
    assert found.robust_accuracy <= 0.5
    assert found.undefined.tolist() == [False] * 4 + [True] * 4
    assert found.table["prediction"].tolist()[4:] == [-1] * 4
    document = found.to_json()
    assert document["not_finite"] == found.table.ids[4:]
    assert [one.path for one in found.failed] == found.table.ids[4:]
    assert found.flows.sum() == 4
    assert np.isfinite([document["clean_accuracy"], document["robust_accuracy"], *document["interval"]]).all()


@pytest.mark.parametrize("fault", FAULTS)
def test_pictures_without_a_prediction_make_no_model_quantized(fault: str) -> None:
    net = Then(FAULTS[fault])
    images = data(net).read(range(8)) / 255
    challenge = Challenge.of(Classifier.from_module(net, size=8), images, threat=ThreatModel("linf", "8/255"))
    assert "quantized model" not in [doubt.name for doubt in check_model(challenge)]


def test_gradients_that_are_no_numbers_are_said_as_those_of_zero_are() -> None:
    net = Then(lambda x, z: z + (x - x).sum((1, 2, 3)).sqrt()[:, None])  # the slope of a root at 0
    pictures = data(net)
    classifier = Classifier.from_module(net, size=8, labels=LABELS)
    found = attack(classifier, pictures.read(range(8)) / 255, eps="8/255", steps=3)
    assert found.blind.sum() > 4
    assert (found.blind | found.success).all()
    robust = evaluate_robustness(classifier, pictures, RobustnessRequest("pgd:steps=3", eps="8/255"))
    assert "zero gradients" in [doubt.name for doubt in robust.verdicts]


@pytest.mark.parametrize("fault", FAULTS)
def test_no_attack_succeeds_on_a_picture_without_a_prediction(fault: str) -> None:
    net = Then(FAULTS[fault])
    images = data(net).read(range(8)) / 255
    found = attack(Classifier.from_module(net, size=8), images, method="pgd", eps="8/255", steps=3)
    assert not found.success[4:].any()
    assert found.label_after[4:].tolist() == [-1] * 4


def test_a_picture_beside_which_the_model_has_no_prediction_is_not_robust() -> None:
    """NaN everywhere but in the corner where the original lies, which no attack gets around."""

    def fault(images: Tensor, logits: Tensor) -> Tensor:
        untouched = ((images * 255).round() == images * 255).flatten(1).all(1)
        return torch.where(untouched[:, None], logits, logits * torch.nan)

    net = Then(fault)
    pictures = data(net)
    classifier = Classifier.from_module(net, size=8, labels=LABELS)
    found = evaluate_robustness(classifier, pictures, RobustnessRequest("pgd:steps=3", eps="0.5/255"))
    assert found.clean_accuracy == 1.0
    assert found.robust_accuracy == 0.0
    assert set(found.table["broken_by"]) == {"undefined"}
    assert found.undefined.all()
    assert found.by_attack == {"pgd": 0.0}


def test_a_masked_class_is_legal_and_hides_nothing() -> None:
    """The same model without the class has the same robust accuracy, up to pictures of that class."""
    plain, masked = Then(lambda x, z: z), Then(lambda x, z: z.index_fill(1, torch.tensor([3]), -torch.inf))
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (40, 3, 8, 8), generator=draw, dtype=torch.uint8)
    logits = plain.net(images / 255)
    labels = logits.argmax(1)
    request = RobustnessRequest("pgd:steps=10", eps="4/255")
    found = evaluate_robustness(
        Classifier.from_module(masked, size=8, labels=LABELS), Dataset.of(images, labels, LABELS), request
    )
    own = labels == 3
    assert 0 < int(own.sum()) < 40
    assert found.table["prediction"].tolist() == logits[:, :3].argmax(1).tolist()
    assert found.clean_accuracy == float((~own).double().mean())
    assert not found.undefined.any()
    # Linear logits: a picture withstands where no difference of two of the three classes turns within eps.
    weight = plain.net[1].weight
    gaps = torch.stack([logits.gather(1, labels[:, None])[:, 0] - logits[:, k] for k in range(3)], 1)
    reach = torch.stack([(weight[labels] - weight[k]).abs().sum(1) for k in range(3)], 1) * 4 / 255
    certain = ~own & (gaps >= reach).all(1)
    robust = torch.from_numpy(found.table["robust"].astype(bool))
    assert (robust | ~certain).all()
    assert not robust[own].any()
    assert 0 < found.robust_accuracy < found.clean_accuracy


def test_a_masked_class_makes_no_model_random() -> None:
    masked = Then(lambda x, z: z.index_fill(1, torch.tensor([3]), -torch.inf))
    images = data(masked).read(range(8)) / 255
    challenge = Challenge.of(Classifier.from_module(masked, size=8), images, threat=ThreatModel("linf", "8/255"))
    assert "randomized model" not in [doubt.name for doubt in check_model(challenge)]
    noisy = Then(lambda x, z: (z + torch.rand_like(z)).index_fill(1, torch.tensor([3]), -torch.inf))
    challenge = Challenge.of(Classifier.from_module(noisy, size=8), images, threat=ThreatModel("linf", "8/255"))
    assert check_model(challenge)[0].name == "randomized model"
    assert "nan" not in check_model(challenge)[0].found
