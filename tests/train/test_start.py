"""What training starts from: a network made for the data, or published weights with another head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backlight.classifier import Classifier
from backlight.core.errors import DataError, ModelError, UsageError
from backlight.data import Dataset
from backlight.data.load import load_data
from backlight.models import load
from backlight.models.speed_cnn import SpeedCNN
from backlight.train import Recipe, fit
from backlight.train.start import start_classifier
from tests.data.samples import write_folder
from tests.train.nets import QUIET


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


def trained_run(folder: Path, data: Dataset) -> Classifier:
    """Write a run of one epoch on a data set and return what it came to."""
    fit(start_classifier("classic_cnn", data), data, data, folder, recipe=Recipe(epochs=1), runtime=QUIET)
    return load(folder)


def test_a_run_is_gone_on_from_with_its_head_and_its_classes_in_the_order_of_the_data(tmp_path: Path) -> None:
    data = load_data("shapes:n=30,size=16,classes=3")
    before = trained_run(tmp_path / "run", data)
    again = start_classifier(str(tmp_path / "run"), data)
    assert unequal(before, again) == set()
    assert (again.labels, again.mean, again.name) == (before.labels, before.mean, "classic_cnn")
    turned = start_classifier(str(tmp_path / "run"), data.relabeled(data.label_names[::-1]))
    images = data[:4].images
    assert torch.equal(turned.logits(images), before.logits(images).flip(1))
    others = replace(data, label_names=("a", "b", "c"))
    assert {after.shape[0] for name, after in new_parts(before, start_classifier(str(tmp_path / "run"), others))} == {3}


def test_a_file_of_weights_is_gone_on_from_in_its_own_normalization(tmp_path: Path) -> None:
    data = load_data("shapes:n=30,size=16,classes=3")
    trained_run(tmp_path / "run", data)
    file = tmp_path / "weights.safetensors"
    file.write_bytes((tmp_path / "run" / "best.safetensors").read_bytes())
    start = start_classifier("classic_cnn", data, weights=file, mean=0.5, std=(0.5, 0.25, 0.5), size=(16, 16))
    assert (start.mean, start.std, start.labels) == ((0.5,) * 3, (0.5, 0.25, 0.5), data.label_names)
    assert unequal(load(tmp_path / "run"), start) == set()
    assert start.passport.source("mean") == "given"
    with pytest.raises(UsageError, match="one of them"):
        start_classifier("classic_cnn", data, weights=file, pretrained=True)
    with pytest.raises(UsageError, match="a normalization without weights"):
        start_classifier("classic_cnn", data, mean=0.5)


def unequal(before: Classifier, after: Classifier) -> set[str]:
    return {name for name, _ in new_parts(before, after)}


def new_parts(before: Classifier, after: Classifier) -> list[tuple[str, torch.Tensor]]:
    known = before.module.state_dict()
    return [(name, one) for name, one in after.module.state_dict().items() if not torch.equal(known[name], one)]
