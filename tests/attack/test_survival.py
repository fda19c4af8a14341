"""What is said of files is what attacks on files do: on the 8-bit lattice, of so many, with an interval."""

from dataclasses import replace

import pytest
import torch

from backlight.attack import RobustnessRequest, attack, evaluate_robustness
from backlight.attack.survival import Survival, as_jpeg
from backlight.data import Dataset
from backlight.table.statistics import wilson
from tests.attack.test_margin import linear

REQUEST = RobustnessRequest("pgd", eps="8/255", options={"steps": 10}, checks=False)


def test_survivors_are_those_of_an_attack_on_the_lattice() -> None:
    classifier, images, labels = linear()
    data = Dataset.of((images * 255).round().byte(), labels, list("abcd"))
    found = evaluate_robustness(classifier, data, REQUEST)
    broken = torch.tensor(~found.table["robust"])
    assert 3 < int(broken.sum()) < 30
    ids = [name for name, gone in zip(data.ids, broken) if gone]
    exact = attack(
        classifier, images[broken], labels[broken], method="pgd", eps="8/255", steps=10, lattice=True, ids=ids
    )
    jpegs = torch.stack([as_jpeg(image) for image in exact.images])
    fooled = (classifier.logits(jpegs).argmax(1) != labels[broken]) & exact.success
    assert found.survival == Survival(int(broken.sum()), int(exact.success.sum()), int(fooled.sum()))
    # A picture that stopped at its first success rounds back to the right side of the boundary.
    assert found.survival.png > found.table["png_fools"].sum()


def test_shares_come_with_their_intervals_and_their_number() -> None:
    told = Survival(n=15, png=14, jpeg=6).to_json()
    assert told == {
        "n": 15,
        "png": 14 / 15,
        "jpeg": 6 / 15,
        "png_interval": list(wilson(14, 15)),
        "jpeg_interval": list(wilson(6, 15)),
    }


@pytest.mark.parametrize("change", [{"budget": 1e9}, {"eps": "0.01/255"}])
def test_where_nothing_was_attacked_as_a_file_nothing_is_said(change: dict[str, object]) -> None:
    classifier, images, labels = linear()
    data = Dataset.of((images * 255).round().byte(), labels, list("abcd"))
    found = evaluate_robustness(classifier, data, replace(REQUEST, **change))
    assert found.survival is None
    assert found.to_json()["survival"] is None
