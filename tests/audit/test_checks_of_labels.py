"""The checks of labels, calibration, sets, slices and gravest errors: each finds what was planted, else is silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from backlight.audit import CHECKS, Examined, Finding, Kept, LinearHead, run_checks
from backlight.classifier import Classifier
from backlight.data import Dataset
from tests.audit.test_calibration_error import drawn

NAMES = ("cat", "dog", "owl", "fox")


def findings(examined: Examined, *names: str) -> dict[str, Finding]:
    return {one.name: one for one in run_checks(examined, [CHECKS[name] for name in names]).findings}


def kept(count: int = 800, seed: int = 0, error: float = 0.1, **more: object) -> Kept:
    """Return pictures of four well-separated classes, of which a model gets a share wrong."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    features = (4 * rng.normal(size=(4, 16))[labels] + rng.normal(size=(count, 16))).astype(np.float16)
    answers = np.where(rng.random(count) < error, (labels + rng.integers(1, 4, count)) % 4, labels)
    # Confident by as much as it is right, so that calibration is silent.
    sure = np.log((1 - error) / error * 3)
    logits = sure * np.eye(4)[answers] + 0.01 * rng.normal(size=(count, 4))
    properties = {name: rng.random(count) for name in ("brightness", "contrast")}
    return Kept.of(logits, labels=labels, label_names=NAMES, features=features, **{**properties, **more})  # type: ignore[arg-type]


def relabeled(one: Kept, share: float, seed: int = 1) -> tuple[Kept, np.ndarray]:
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(one), int(share * len(one)), replace=False)
    labels = one.labels.copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, 4, len(wrong))) % 4
    return replace(one, labels=labels), wrong


def test_flipped_labels_are_found_named_and_counted() -> None:
    planted, wrong = relabeled(kept(2000), 0.05)
    found = findings(Examined.of(planted), "label_errors")["label_errors"]
    assert found.judgement == "look"
    assert found.interval is not None
    assert found.interval[0] < 0.05 < found.interval[1]
    table = found.tables["Labels that may be wrong"]
    named = {int(one) for one in table["id"]}
    assert len(named & set(wrong.tolist())) > 0.9 * len(wrong)
    assert len(named) < 1.3 * len(wrong)
    truth = kept(2000).labels
    right = [NAMES[truth[int(one)]] == suggested for one, suggested in zip(table["id"], table["suggested"])]
    assert np.mean(right) > 0.9
    assert found.pictures[0].id == table["id"][0]
    assert "of its neighbors" in found.pictures[0].caption
    first = [int(one) for one in table["id"][: len(wrong) // 2]]
    assert set(first) <= set(wrong.tolist())  # both opinions agree on those
    assert len(found.pictures) == 24


def test_right_labels_are_silent() -> None:
    found = findings(Examined.of(kept()), "label_errors")["label_errors"]
    assert (found.judgement, found.value, found.pictures, found.next) == ("good", 0.0, (), "")
    assert "it contradicts no label. No picture is suspected." in found.sentence


def test_many_wrong_labels_are_bad() -> None:
    found = findings(Examined.of(relabeled(kept(2000), 0.3)[0]), "label_errors")["label_errors"]
    assert found.judgement == "bad"


def test_what_a_weak_probe_contradicts_is_no_estimate_of_wrong_labels() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(1200) % 4
    # Right labels, and features that tell some pictures well and most of them hardly.
    clear = rng.random(1200) < 0.25
    features = (3 * clear + 0.5)[:, None] * np.eye(16)[labels] + rng.normal(size=(1200, 16))
    one = Kept.of(np.eye(4)[labels], labels=labels, label_names=NAMES, features=features)
    found = findings(Examined.of(one), "label_errors")["label_errors"]
    assert found.judgement in ("good", "look")
    assert found.sentence.startswith("At most about")
    assert "its own mistakes" in found.sentence


def test_features_that_have_seen_the_labels_are_said() -> None:
    one = kept()
    seen = replace(Examined.of(one), seen_labels="the run was trained on this data")
    assert "(the run was trained on this data)" in findings(seen, "label_errors")["label_errors"].sentence
    overlap = Examined.of(one, train=one)
    assert "800 of them are among the training pictures" in findings(overlap, "label_errors")["label_errors"].sentence
    apart = Examined.of(one, train=replace(one, digests=one.digests + np.uint64(10**6)))
    assert "have seen" not in findings(apart, "label_errors")["label_errors"].sentence


def test_of_one_picture_per_class_the_model_is_asked_unless_it_has_seen_them() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60)
    logits = 12 * np.eye(60)[labels] + rng.normal(size=(60, 60))
    logits[7] = 20 * np.eye(60)[11]
    one = Kept.of(logits, labels=labels, features=rng.normal(size=(60, 8)))
    found = findings(Examined.of(one), "label_errors")["label_errors"]
    assert found.tables["Labels that may be wrong"]["id"] == ["7"]
    assert found.tables["Labels that may be wrong"]["suggested"] == ["11"]
    assert "the model" in found.sentence
    seen = replace(Examined.of(one), seen_labels="trained on it")
    assert findings(seen, "label_errors")["label_errors"].judgement == "not judged"


def test_an_overconfident_model_is_found_and_its_temperature() -> None:
    logits, labels = drawn(3000, scale=2.0)
    planted = Examined.of(Kept.of(2 * logits, labels=labels, label_names=NAMES))
    found = findings(planted, "calibration")
    assert found["calibration_error"].judgement == "bad"
    assert "too much" in found["calibration_error"].sentence
    assert found["temperature"].value == pytest.approx(2, rel=0.03)
    assert found["temperature"].judgement in ("look", "bad")
    assert "backlight calibrate" in found["temperature"].next
    assert "<svg" in next(iter(found["calibration_error"].charts.values()))


def test_a_calibrated_model_is_silent() -> None:
    for seed in range(3):
        logits, labels = drawn(1000, scale=2.0, seed=seed)
        found = findings(Examined.of(Kept.of(logits, labels=labels, label_names=NAMES)), "calibration")
        assert [one.judgement for one in found.values()] == ["good", "good"]
        assert found["temperature"].next == ""


def test_pictures_without_a_prediction_are_left_out_of_calibration_and_sets() -> None:
    logits, labels = drawn(400)
    broken = logits.copy()
    broken[5] = np.nan
    with_broken = findings(Examined.of(Kept.of(broken, labels=labels)), "calibration", "prediction_sets")
    assert with_broken["calibration_error"].n == 399
    few = findings(Examined.of(Kept.of(logits[:20], labels=labels[:20])), "calibration", "prediction_sets")
    assert {one.judgement for one in few.values()} == {"not judged"}


def test_sets_hold_their_promise_and_name_hard_pictures() -> None:
    logits, labels = drawn(2000)
    found = findings(Examined.of(Kept.of(logits, labels=labels, label_names=NAMES)), "prediction_sets")
    coverage = found["set_coverage"]
    assert coverage.judgement == "good"
    assert coverage.value == pytest.approx(0.9, abs=0.03)
    assert coverage.tables["Sets by score"]["score"] == ["LAC", "RAPS", "APS", "LAC, by class"]
    assert found["set_size"].value > 1
    assert "the set is" in found["set_size"].pictures[0].caption
    sure = findings(Examined.of(kept(error=0.02)), "prediction_sets")["set_size"]
    assert (sure.judgement, sure.value) == ("good", 1.0)
    assert sure.pictures == ()


def test_a_weak_slice_of_dark_pictures_is_found_and_a_model_without_one_is_silent() -> None:
    one = kept(2000)
    dark = one.properties["brightness"] < 0.15
    logits = np.where((dark & (np.random.default_rng(3).random(2000) < 0.6))[:, None], one.logits[:, ::-1], one.logits)
    found = findings(Examined.of(replace(one, logits=logits)), "weak_slices")["weak_slices"]
    assert found.judgement == "bad"
    assert "brightness below 0.1" in found.sentence
    assert "brightness" in found.next
    assert len(found.pictures) == 12
    assert all("taken for" in picture.caption for picture in found.pictures)
    silent = [findings(Examined.of(kept(seed=seed)), "weak_slices")["weak_slices"] for seed in range(5)]
    assert {one.judgement for one in silent} == {"good"}
    assert {one.value for one in silent} == {0.0}


def test_a_column_of_a_list_is_a_slice() -> None:
    one = kept(1000)
    camera = {id_: "old" if int(id_) % 5 == 0 else "new" for id_ in one.ids}
    old = np.arange(1000) % 5 == 0
    logits = np.where((old & (np.random.default_rng(3).random(1000) < 0.5))[:, None], one.logits[:, ::-1], one.logits)
    examined = replace(Examined.of(replace(one, logits=logits)), groups={"camera": camera})
    found = findings(examined, "weak_slices")["weak_slices"]
    assert "camera = old" in found.sentence


def network(width: int = 4) -> Classifier:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4))
    return Classifier.from_module(net, size=8, labels=NAMES)


def test_gravest_errors_come_with_a_map_their_neighbors_and_their_teachers() -> None:
    one = kept(60, error=0.3)
    head = LinearHead(np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32), np.zeros(4, np.float32))
    sure = replace(one, logits=3 * one.logits, head=head)
    train = replace(kept(50, error=0.2), ids=tuple(f"train/{row}" for row in range(50)))
    pictures = torch.randint(0, 256, (60, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = Dataset.of(pictures, one.labels.tolist(), NAMES)
    examined = Examined.of(sure, train=train, classifier=network(), data=data)
    found = findings(examined, "gravest_errors")["confident_mistakes"]
    assert found.judgement == "bad"
    groups = [[each for each in found.pictures if each.group == group] for group in range(8)]
    for group in groups:
        mistake, *beside = group
        row = int(mistake.id)
        assert not sure.right[row]
        assert mistake.map is not None
        assert mistake.map.shape == (8, 8)
        assert {each.source for each in beside} == {"train"}
        nearest = [each for each in beside if each.caption.startswith("nearest")]
        assert [train.labels[int(each.id.split("/")[1])] for each in nearest] == [
            sure.labels[row],
            sure.predictions[row],
        ]
        assert any(each.caption.startswith("taught") for each in beside)
    confidences = [sure.confidence[int(group[0].id)] for group in groups]
    assert confidences == sorted(confidences, reverse=True)


def test_without_training_data_neighbors_come_from_the_same_set_and_never_are_the_picture_itself() -> None:
    one = kept(60, error=0.3)
    found = findings(Examined.of(one), "gravest_errors")["confident_mistakes"]
    for group in range(8):
        mistake, *beside = [each for each in found.pictures if each.group == group]
        assert mistake.map is None
        assert beside
        assert mistake.id not in [each.id for each in beside]
        assert {each.source for each in beside} == {"data"}


def test_a_model_that_errs_only_in_doubt_is_silent() -> None:
    one = kept(300, error=0.0001)
    assert one.right.all()
    found = findings(Examined.of(one), "gravest_errors")["confident_mistakes"]
    assert (found.judgement, found.pictures, found.next) == ("good", (), "")
    assert "none is wrong" in found.sentence
