"""What any search fooled within eps counts, everywhere and once: headline, curve, distances, classes, pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from backlight.attack import RobustnessRequest, evaluate_robustness
from backlight.attack.robustness import Robustness
from backlight.classifier import Classifier
from backlight.data import Dataset

LABELS = tuple("abcde")


def steep_net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 8, 3, 2), nn.Tanh(), nn.Conv2d(8, 8, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(72, 5)]
        net = nn.Sequential(*layers).eval()
        for layer in (net[0], net[2], net[5]):
            layer.weight.data *= 8
    return net


def evaluated(request: RobustnessRequest, count: int = 48, cache: Path | None = None) -> Robustness:
    net = steep_net()
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=draws)
    labels = net(images / 255).argmax(1)
    labels[0] = (labels[0] + 1) % 5  # one is wrong before any attack
    classifier = Classifier.from_module(net, size=16, labels=LABELS)
    return evaluate_robustness(classifier, Dataset.of(images, labels, LABELS), request, cache=cache)


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Robustness:
    request = RobustnessRequest("fgsm", eps="6/255", curve=True, checks=False)
    return evaluated(request, cache=tmp_path_factory.mktemp("blocks"))


def test_headline_curve_and_distances_agree(weak: Robustness) -> None:
    assert weak.curve is not None
    size = weak.request.threat.size
    assert "curve" in weak.by_attack
    assert weak.robust_accuracy == dict(zip(weak.curve.eps, weak.curve.accuracy))[size]
    assert weak.robust_accuracy == list(weak.by_attack.values())[-1] < weak.by_attack["fgsm"]
    known = weak.smallest
    assert known is not None
    assert [known[name] > size for name in weak.table.ids] == weak.table["robust"].tolist()
    assert weak.curve.accuracy[0] == weak.clean_accuracy


def test_the_rows_are_those_of_the_pictures_that_fooled(weak: Robustness) -> None:
    broken = weak.table.where(weak.table["broken_by"].astype(str) == "curve")
    assert len(broken)
    assert (broken["margin"] < 0).all()
    assert (broken["attacked_prediction"] != broken["label"]).all()
    assert (broken["distance"] <= weak.request.threat.size * (1 + 1e-5) + 1e-6).all()


def test_the_pictures_shown_are_those_that_the_rows_tell_of(weak: Robustness) -> None:
    assert weak.pictures is not None
    rows = {row["id"]: row for row in weak.table.rows()}
    for place, name in enumerate(weak.pictures.ids):
        assert int(weak.pictures.after[place].argmax()) == rows[name]["attacked_prediction"]
        far = (weak.pictures.images[place] - weak.pictures.originals[place]).abs().max()
        assert float(far) == pytest.approx(rows[name]["distance"], abs=1e-6)


def test_it_is_said_once_and_bounds_nothing_twice(weak: Robustness) -> None:
    doubts = [one for one in weak.verdicts if one.name == "attack too weak"]
    assert len(doubts) == 1
    assert "at most" not in doubts[0].found


def test_what_restarts_of_the_checks_fool_counts_too() -> None:
    request = RobustnessRequest("fgsm", eps="4/255")
    plain, checked = evaluated(replace(request, checks=False)), evaluated(request)
    more = (checked.table["broken_by"].astype(str) == "checks").sum()
    assert more > 0
    assert checked.robust_accuracy == pytest.approx(plain.robust_accuracy - more / len(plain.table))


@pytest.mark.slow
def test_with_another_norm_and_by_targets_they_agree_as_well() -> None:
    for request in (
        RobustnessRequest("pgd", norm="l2", eps=0.3, curve=True, checks=False, options={"steps": 2}),
        RobustnessRequest("fgsm", eps="8/255", target="least-likely", curve=True, checks=False),
        RobustnessRequest("fmn", norm="linf", curve=True, checks=False, options={"steps": 5}),
    ):
        found = evaluated(request, count=16)
        assert found.curve is not None
        at = dict(zip(found.curve.eps, found.curve.accuracy))
        if found.request.threat.eps is not None:
            assert found.robust_accuracy == at[found.request.threat.size]
        assert np.array_equal([far == np.inf for far in found.curve.distances.values()], found.table["robust"]) or (
            found.request.threat.eps is not None
        )
