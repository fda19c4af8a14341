"""Split hygiene: planted copies across parts are all found, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from backlight import Classifier, load_data
from backlight.audit import Examined, Finding, Kept, run_checks
from backlight.audit.passing import look_once
from backlight.audit.splits import CARDS
from backlight.data import Dataset
from tests.audit.test_health import draw, encoded
from tests.data.samples import DATA, needs_data

HOW = ("encoded", "cropped", "scaled", "exact")


def changed(picture: Image.Image, how: str) -> Image.Image:
    """Copy a picture as people do: encoded again, 2% cut off each side, scaled, as it is."""
    width, height = picture.size
    if how == "encoded":
        return encoded(picture, 60)
    if how == "cropped":
        cut = max(1, round(0.02 * min(picture.size)))
        return picture.crop((cut, cut, width - cut, height - cut))
    return picture.resize((width // 2, height // 2), Image.Resampling.BICUBIC) if how == "scaled" else picture


def classifier() -> Classifier:
    net = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2))
    return Classifier.from_module(net, size=32, labels=["cat", "dog"])


def look(pictures: list[Image.Image], folder: Path) -> Kept:
    (folder / "cat").mkdir(parents=True)
    for place, one in enumerate(pictures):
        one.save(folder / "cat" / f"{place:04d}.png")
    return look_once(classifier(), load_data(str(folder))).kept


def findings(kept: Kept, train: Kept) -> dict[str, Finding]:
    return {one.name: one for one in run_checks(Examined.of(kept, train=train), CARDS).findings}


def test_planted_copies_across_parts_are_found(tmp_path: Path) -> None:
    train, test = draw(60), draw(60, seed=1)
    for place in range(20):
        test[3 * place] = changed(train[2 * place], HOW[place % 4])
    kept = look(test, tmp_path / "test")
    found = findings(kept, look(train, tmp_path / "train"))["leaked_pictures"]
    here = {
        pair
        for pair, source in zip(found.tables["Pictures in both"]["picture"], found.tables["Pictures in both"]["data"])
        if source == "here"
    }
    assert here == {f"cat/{3 * place:04d}.png" for place in range(20)}
    assert (found.value, found.judgement) == (pytest.approx(1 / 3), "bad")
    first = [one for one in found.pictures if one.group == 0]
    assert [one.source for one in first] == ["data", "train"]


def test_parts_apart_are_good(tmp_path: Path) -> None:
    found = findings(look(draw(40, seed=1), tmp_path / "test"), look(draw(40), tmp_path / "train"))
    assert (found["leaked_pictures"].value, found["leaked_pictures"].judgement) == (0, "good")
    assert "accuracy_without_leaks" not in found


@needs_data
def test_planted_copies_among_real_pictures() -> None:
    images = load_data(str(DATA / "cifar10_jpeg.npz"), split="test", limit=2040).in_memory().pictures.read(range(2040))
    train, test = images[:1020], images[1020:].clone()
    resized = []
    for place in range(20):
        picture = changed(Image.fromarray(train[50 * place].permute(1, 2, 0).numpy()), HOW[place % 3]).resize(
            (32, 32), Image.Resampling.BICUBIC
        )
        test[50 * place] = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        resized.append(50 * place)
    names = ["cat", "dog"]
    parts = [look_once(classifier(), Dataset.of(one, [0] * len(one), names)).kept for one in (test, train)]
    groups = findings(*parts)["leaked_pictures"].tables["Pictures in both"]
    members: dict[int, list[int]] = {}
    for group, picture in zip(groups["group"], groups["picture"]):
        members.setdefault(group, []).append(int(picture))
    pairs = {(group[0], group[-1]) for group in members.values()}
    planted = {(one, one) for one in resized}
    assert planted <= pairs
    assert len(pairs - planted) <= 1


def kept_of(labels: list[int], right: list[bool], pixels: np.ndarray | None = None) -> Kept:
    logits = np.eye(3)[np.where(right, labels, (np.array(labels) + 1) % 3)]
    more = {} if pixels is None else {"thumbnails": pixels}
    return Kept.of(logits, labels=labels, label_names=["a", "b", "c"], **more)


def test_accuracy_without_the_leaked() -> None:
    kept = kept_of([0] * 40, [True] * 20 + [False] * 10 + [True] * 10)
    found = findings(kept, kept.take(np.arange(20)))
    assert found["leaked_pictures"].value == 0.5
    assert found["accuracy_without_leaks"].value == 0.5
    assert found["accuracy_without_leaks"].judgement == "look"
    assert "75.0%" in found["accuracy_without_leaks"].sentence


def test_classes_that_one_part_lacks() -> None:
    here, there = kept_of([0] * 8 + [2] * 2, [True] * 10), kept_of([0] * 5 + [1] * 5, [True] * 10)
    found = findings(here, there)["classes_without_training"]
    assert (found.value, found.judgement) == (pytest.approx(0.2), "bad")
    table = found.tables["Classes that one part lacks"]
    assert (table["class"], table["pictures here"], table["pictures in training"]) == (["c", "b"], [2, 0], [0, 5])
    assert findings(here, here)["classes_without_training"].judgement == "good"


def test_mean_pictures_differ_by_more_than_chance_or_not() -> None:
    random = np.random.default_rng(0)
    judged = []
    for _ in range(20):
        drawn = random.integers(60, 180, (200, 256), dtype=np.uint8)
        first, second = kept_of([0] * 100, [True] * 100, drawn[:100]), kept_of([0] * 100, [True] * 100, drawn[100:])
        judged.append(findings(first, second)["mean_picture_difference"].judgement)
    assert judged.count("good") >= 19
    brighter = kept_of([0] * 100, [True] * 100, drawn[100:] + np.uint8(12))
    found = findings(first, brighter)["mean_picture_difference"]
    assert (found.judgement, found.value) == ("look", pytest.approx(12, abs=3))


def test_a_few_leaked_pictures_change_the_accuracy_by_chance_only() -> None:
    kept = kept_of([0] * 50, [True] * 45 + [False] * 5)
    found = findings(kept, kept.take(np.arange(5)))
    assert found["leaked_pictures"].value == 0.1
    assert (found["accuracy_without_leaks"].judgement, found["accuracy_without_leaks"].next) == ("good", "")
