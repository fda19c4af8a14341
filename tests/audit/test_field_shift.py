"""Shift as findings: blur is seen and shown, a lacking class is named, two halves of one set are silent."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backlight.audit import Examined, Finding, Kept, run_checks
from backlight.audit.field_labels import CARDS as LABEL_CARDS
from backlight.audit.field_shift import CARDS
from backlight.audit.passing import look_once
from backlight.data.shapes import Shapes
from backlight.images.blur import gaussian_blur
from tests.audit.nets import shapes_data, train_on

EVERY = (*CARDS, *LABEL_CARDS)
FIVE = ("property_shift", "prediction_shift", "feature_shift", "domain_shift", "label_shift")


def findings(data: Kept, against: Kept, seed: int = 0) -> dict[str, Finding]:
    found = run_checks(Examined.of(data, against=against, seed=seed, depth="quick"), EVERY).findings
    return {one.name: one for one in found}


def world(count: int, seed: int, *, classes: int = 4, lacking: float = 0.0, labeled: bool = True) -> Kept:
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    labels = labels[(labels != 1) | (draw.random(count) > lacking)]
    means = 2 * np.random.default_rng(99).normal(size=(classes, 12))
    features = means[labels] + draw.normal(size=(len(labels), 12))
    properties = {name: draw.normal(size=len(labels)) for name in ("brightness", "sharpness", "hue")}
    return Kept.of(
        features @ means.T / 4, labels=labels if labeled else None, features=features, ids=None, **properties
    )


def test_two_halves_of_one_set_are_alike_in_19_of_20() -> None:
    alarms = []
    for seed in range(40):
        whole = world(400, seed)
        order = np.random.default_rng(seed).permutation(400)
        found = findings(whole.take(order[:200]), whole.take(order[200:]), seed)
        alarms += [seed] if any(found[name].judgement != "good" for name in FIVE) else []
    assert len(alarms) <= 2, alarms


@pytest.mark.parametrize("labeled", [True, False])
def test_a_fifth_of_one_class_removed_is_seen(labeled: bool) -> None:
    found = findings(world(12_000, 0), world(12_000, 1, lacking=0.2, labeled=labeled))["label_shift"]
    assert found.judgement == "look"
    assert found.sentence.startswith(f"By {'labels' if labeled else 'predictions'}, 1 goes from ")
    (table,) = found.tables.values()
    place = table["class"].index("1")
    assert table["low"][place] < 0.2 / 0.95 < table["high"][place] < 0.25  # a fifth of a quarter is gone
    assert found.interval is not None
    assert found.interval[0] > 0


def test_blur_is_seen_and_its_pictures_are_shown() -> None:
    shapes = Shapes(n=1000, size=32, classes=3)
    drawn = shapes.draw(torch.arange(1000))
    classifier = train_on(drawn.images[:400], drawn.labels[:400], shapes.label_names)
    other = shapes.draw(torch.arange(400, 700))
    soft = (gaussian_blur(other.images.float() / 255, 2.0) * 255).round().to(torch.uint8)
    half = other._replace(images=torch.cat([soft[:150], other.images[150:]]))
    known = look_once(classifier, shapes_data(shapes.draw(torch.arange(700, 1000)), shapes, 700)).kept
    found = findings(known, look_once(classifier, shapes_data(half, shapes)).kept)
    assert found["property_shift"].judgement == "bad"
    assert "sharpness" in found["property_shift"].sentence
    assert found["feature_shift"].judgement == "look"
    assert found["domain_shift"].judgement in ("look", "bad")
    shown = [int(one.id) for one in found["domain_shift"].pictures]
    assert len(shown) == 12
    assert all(one.source == "against" for one in found["domain_shift"].pictures)
    assert np.mean([one < 150 for one in shown]) >= 0.9


def test_estimated_accuracy_comes_with_its_warning() -> None:
    found = findings(world(800, 0), world(800, 1, labeled=False))["estimated_accuracy"]
    assert found.judgement == "good"
    assert "guesses without labels" in found.sentence
    assert found.value == pytest.approx(1.0, abs=0.1)


def test_a_confusion_that_cannot_be_inverted_is_said() -> None:
    data = world(300, 0)
    blind = Kept.of(np.zeros((300, 4)), labels=data.labels, features=np.asarray(data.features))
    found = findings(blind, Kept.of(np.zeros((300, 4)), features=np.asarray(data.features)))["label_shift"]
    assert "ill-conditioned" in found.sentence
