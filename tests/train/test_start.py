"""What training starts from: a network made for the data, or published weights with another head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backlight.classifier import Classifier
from backlight.core.errors import DataError, ModelError
from backlight.data.load import load_data
from backlight.models import load
from backlight.models.speed_cnn import SpeedCNN
from backlight.train.start import start_classifier
from tests.data.samples import write_folder


def shapes(size: int, classes: int = 5) -> Classifier:
    data = load_data(f"shapes:n=20,size={size},classes={classes}")
    return start_classifier("efficientnet_lite0", data, pretrained=True)


def test_the_normalization_that_a_run_settles_is_not_called_assumed() -> None:
    started = start_classifier("classic_cnn", load_data("shapes:n=20,size=32,classes=5"))
    started.trained = True
    assert started.passport.warnings() == ()
    assert started.passport.source("mean") == "run"
    assert shapes(300).passport.source("mean") == "library"


def test_a_pretrained_model_keeps_all_but_its_head() -> None:
    published, started = load(), shapes(300)
    before, after = (dict(one.module.named_parameters()) for one in (published, started))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {after[name].shape[0] for name in changed} == {5}
    assert len(changed) == 2
    assert started.mean == published.mean
    assert started.resize == published.resize


def test_nothing_is_cut_off_pictures_that_have_to_be_enlarged() -> None:
    small, border = shapes(32), torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    border[..., 0] = 255  # the outermost column: an eighth of the picture would be cut off with it
    assert small.resize is not None
    assert small.size == (224, 224)
    data = load_data("shapes:n=20,size=32,classes=5").relabeled(small.labels or ())
    framed = data.of(border, [0], data.label_names).resized(small.resize)
    assert framed[:1].images[0, :, :, 0].min() > 0.9


def test_a_new_network_depends_on_its_seed_alone() -> None:
    data = load_data("shapes:n=20,size=16,classes=3")
    weights = [start_classifier("classic_cnn", data, seed=seed).module.state_dict() for seed in (1, 1, 2)]
    same = [all(torch.equal(weights[0][name], other[name]) for name in other) for other in weights[1:]]
    assert same == [True, False]


def test_what_cannot_be_started() -> None:
    data = load_data("shapes:n=20,size=16,classes=3")
    with pytest.raises(ModelError, match="pretrained"):
        start_classifier("classic_cnn", data, pretrained=True)
    with pytest.raises(DataError, match="no labeled pictures"):
        start_classifier("classic_cnn", data.take(torch.arange(0)))


def test_whitening_looks_everywhere_at_few_pictures_and_at_no_broken_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path, {"a": 40, "b": 40}, size=8)
    (tmp_path / "a" / "0.png").write_bytes(b"no picture")
    data = load_data(tmp_path, split="all")
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(SpeedCNN, "whiten", lambda _, images: seen.append(images))
    start_classifier("speed_cnn", data, size=(32, 32))
    assert seen[0].shape == (79, 3, 32, 32)
    monkeypatch.setattr("backlight.train.start._WHITENING_VALUES", 10 * 3 * 32 * 32)
    classifier = start_classifier("speed_cnn", data, size=(32, 32))
    assert classifier.resize is not None
    last = classifier.normalize(data.resized(classifier.resize)[[79]].images)
    assert len(seen[1]) == 9
    assert torch.equal(seen[1][-1:], last)
    for path in tmp_path.glob("*/*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="can be read"):
        start_classifier("speed_cnn", data, size=(32, 32))
