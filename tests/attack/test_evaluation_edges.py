"""Evaluations at their edges: few classes, nothing to break, nothing to climb, what cannot be meant, and progress."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backlight.attack.evaluation import evaluate_robustness
from backlight.attack.request import RobustnessRequest
from backlight.attack.robustness import Robustness
from backlight.classifier import Classifier
from backlight.core.errors import DataError, InputError
from backlight.data.dataset import Dataset
from backlight.report.robustness import robustness_section
from tests.attack.nets import pictures, sharp_net

PGD = RobustnessRequest("pgd", eps="2/255", options={"steps": 4}, checks=False)


def names(count: int) -> list[str]:
    return [f"class {number}" for number in range(count)]


def classifier_of(classes: int = 5, net: nn.Module | None = None) -> Classifier:
    return Classifier.from_module(net or sharp_net(classes), size=16, labels=names(classes))


def data(classifier: Classifier, count: int = 12, shift: int = 0) -> Dataset:
    images = (pictures(count) * 255).round().to(torch.uint8)
    labels = (classifier.logits(images.float() / 255).argmax(1) + shift) % classifier.classes
    return Dataset.of(images, labels, names(classifier.classes))


def page(found: Robustness) -> str:
    return str(robustness_section(found).html)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("attack", ["pgd", "apgd-ce", "apgd-t", "fab-t", "square", "fmn", "ddn", "deepfool"])
def test_two_and_three_classes(attack: str, classes: int, tmp_path: Path) -> None:
    classifier = classifier_of(classes)
    options = {} if attack == "deepfool" else {"steps": 20}
    nearest = attack in ("fmn", "ddn", "deepfool")
    request = RobustnessRequest(attack, eps=None if nearest else "8/255", options=options, checks=False)
    found = evaluate_robustness(classifier, data(classifier), request, cache=tmp_path)
    assert found.clean_accuracy == 1
    assert found.robust_accuracy < (1 if attack == "square" else 0.5)
    assert found.robust_top5 == 1
    assert (found.median_smallest is not None) == nearest
    assert "nan" not in page(found)


def test_where_everything_is_misclassified_nothing_is_attacked(tmp_path: Path) -> None:
    classifier = classifier_of()
    found = evaluate_robustness(classifier, data(classifier, shift=1), replace(PGD, curve=True), cache=tmp_path)
    assert (found.clean_accuracy, found.robust_accuracy) == (0, 0)
    assert int(found.table["forwards"].sum()) == 0
    assert found.survival is None
    assert found.pictures is None
    assert found.curve is not None
    assert set(found.curve.accuracy) == {0.0}
    assert "nan" not in page(found)


class Constant(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).sum(1, keepdim=True) * 0 + torch.tensor([[2.0, 0.0, 0.0, 0.0, 0.0]])


def test_constant_logits_withstand_and_are_doubted(tmp_path: Path) -> None:
    classifier = classifier_of(5, Constant())
    found = evaluate_robustness(classifier, data(classifier), replace(PGD, checks=True, curve=True), cache=tmp_path)
    assert found.robust_accuracy == 1
    doubts = {verdict.name for verdict in found.verdicts}
    assert {"zero gradients", "unbounded attack fails", "quantized model"} <= doubts
    assert found.median_smallest == torch.inf
    assert "nan" not in page(found)


def test_labels_that_the_model_does_not_have_are_refused() -> None:
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(DataError, match="class 5"):
        evaluate_robustness(classifier_of(5), Dataset.of(images, [0, 5], names(6)), PGD)
    with pytest.raises(DataError, match="labels 0..1"):
        Dataset.of(images, [0, 7], names(2))


def test_a_target_that_is_the_label_is_refused() -> None:
    classifier = classifier_of()
    rows = data(classifier)
    target = int(rows.labels[0])
    with pytest.raises(InputError, match="the target is the label"):
        evaluate_robustness(classifier, rows, replace(PGD, target=target))


def test_a_targeted_run_counts_what_the_target_was_not_reached_for(tmp_path: Path) -> None:
    classifier = classifier_of()
    request = replace(PGD, target="least-likely", eps="4/255")
    found = evaluate_robustness(classifier, data(classifier), request, cache=tmp_path)
    reached = found.table["attacked_prediction"] == found.table["target"]
    assert (~reached).tolist() == found.table["robust"].tolist()
    markup = page(found)
    assert "least likely" in markup
    assert "aimed at" in markup


class Notes:
    """Keeps what is told while the work goes on."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.count = 0

    def start(self, total: int, description: str) -> None:
        self.notes.append(description)

    def advance(self, count: int = 1, note: str = "") -> None:
        self.count += count
        self.notes.append(note)

    def announce(self, text: str) -> None:
        self.notes.append(text)

    def done(self) -> None:
        self.notes.append("done")


def test_running_values_are_told_while_it_works() -> None:
    classifier, notes = classifier_of(), Notes()
    found = evaluate_robustness(classifier, data(classifier), PGD, progress=notes, block=5)
    assert notes.count == 12
    assert notes.notes[1] == "now 5 of 5 stand unattacked"
    assert "of 5 stand after pgd" in notes.notes[2]
    assert notes.notes[-2].startswith("clean 100.0%, robust ")
    assert f"robust {100 * found.robust_accuracy:.1f}%" in notes.notes[-2]
    assert notes.notes[4].startswith("clean ")
    assert "; now 5 of 5 stand unattacked" in notes.notes[4]
