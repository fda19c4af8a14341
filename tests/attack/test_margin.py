"""The margin has one sign: the right class minus the best other, below 0 where an attack has won."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from backlight.attack import RobustnessRequest, attack, evaluate_robustness
from backlight.attack.saved import save_adversarial
from backlight.classifier import Classifier
from backlight.data import Dataset
from backlight.page.glossary import GLOSSARY
from backlight.pixels import margin


def linear() -> tuple[Classifier, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(48, 4)), size=4, labels=list("abcd"))
    images = torch.randint(0, 256, (30, 3, 4, 4)) / 255
    return classifier, images, classifier.logits(images).argmax(1)


def test_a_fooled_picture_has_a_negative_margin_in_results_and_files(tmp_path: Path) -> None:
    classifier, images, labels = linear()
    found = attack(classifier, images, labels, eps="10/255", lattice=True)
    assert 0 < int(found.success.sum()) < 30
    assert torch.equal(found.margin < 0, found.success)
    logits = classifier.logits(found.images).sort(1, descending=True).values
    assert torch.allclose(found.margin.abs(), logits[:, 0] - logits[:, 1], atol=1e-5)
    saved = save_adversarial(found, [tmp_path / f"{row}.png" for row in range(30)])
    assert [one.margin < 0 for one in saved] == [one.success for one in saved]


def test_with_a_target_it_is_negative_once_the_target_is_reached() -> None:
    classifier, images, labels = linear()
    found = attack(classifier, images, labels, eps="60/255", target="least-likely")
    assert 0 < int(found.success.sum()) < 30
    assert torch.equal(found.margin < 0, found.success)


def test_tables_and_measures_have_the_same_sign() -> None:
    classifier, images, labels = linear()
    data = Dataset.of((images * 255).round().byte(), labels, list("abcd"))
    table = evaluate_robustness(classifier, data, RobustnessRequest("pgd", eps="10/255", checks=False)).table
    assert 0 < int(table["robust"].sum()) < 30
    assert np.array_equal(table["margin"] > 0, table["robust"])
    assert (table["clean_margin"] > 0).all()
    assert (margin(labels).evaluate(classifier, images) > 0).all()


def test_the_glossary_explains_that_sign() -> None:
    assert "right class lies above the best other one" in GLOSSARY["margin"]
    assert "won when it is below zero" in GLOSSARY["margin"]
