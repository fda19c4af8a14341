"""Looking at a data set under corruptions: the same for any batch, block and process, and what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import DataError
from backlight.core.random import Random
from backlight.corrupt import corrupt
from backlight.corrupt import evaluating as module
from backlight.corrupt.evaluating import evaluate_corruptions, other_resizes
from backlight.corrupt.registry import frost_card
from backlight.corrupt.request import CorruptionRequest
from backlight.corrupt.weather import frost_of
from backlight.data import load_data
from backlight.data.dataset import Dataset
from backlight.images.resize import Resize
from backlight.models import load
from backlight.table import Table
from backlight.tasks.exporting import export_classifier
from tests.corrupt.pictures import photographs
from tests.processes import run_processes


def brightness_classifier(side: int = 32) -> Classifier:
    """Return a classifier that is sure of class 1 where the mean is above one half: logits (0, 40 (mean - 0.5))."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        net[2].weight.copy_(torch.tensor([[0.0] * 3, [40 / 3] * 3]))
        net[2].bias.copy_(torch.tensor([0.0, -20.0]))
    return Classifier.from_module(net, size=side, labels=["dark", "light"])


def pictures(count: int = 6, side: int = 32) -> Dataset:
    """Return flat pictures from dark to light with their right classes."""
    levels = torch.linspace(40, 215, count).round().byte()
    images = levels.view(-1, 1, 1, 1).expand(-1, 3, side, side).contiguous()
    return Dataset.of(images, (levels > 127).long(), ["dark", "light"], ids=[f"p{row}" for row in range(count)])


def test_answers_are_those_for_the_pictures_corrupted_by_hand() -> None:
    classifier, data = brightness_classifier(), pictures()
    request = CorruptionRequest.of("brightness,gaussian_noise", severities=[1, 5])
    found = evaluate_corruptions(classifier, data, request, seed=3)
    images = data[:].images
    for kind in request.names:
        for place, severity in enumerate((1, 5)):
            by_hand = corrupt(images, kind, severity, random=Random(3, list(data.ids)))
            logits = classifier.logits(by_hand).detach()
            assert np.array_equal(found.table[f"{kind}.prediction"][:, place], logits.argmax(1))
            assert np.allclose(found.table[f"{kind}.confidence"][:, place], logits.softmax(1).amax(1), atol=1e-6)
    assert found.clean_accuracy == 1
    assert found.kinds["brightness"].accuracy[1] < 1  # dark pictures become light


def test_no_block_and_no_batch_changes_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, data = brightness_classifier(), pictures(7)
    request = CorruptionRequest.of("fog,impulse_noise", severities=[2], stability=True)
    whole = evaluate_corruptions(classifier, data, request).table
    monkeypatch.setattr(module, "_BATCH", 2)
    parts = [
        evaluate_corruptions(classifier, data.take(torch.tensor(rows)), request).table for rows in ([4, 2], [0, 1, 3])
    ]
    for part in parts:
        same = whole.at(part.ids)
        for name in part.names[1:]:
            assert np.allclose(part[name], same[name], atol=1e-6), name


def test_finished_blocks_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, data, request = brightness_classifier(), pictures(), CorruptionRequest.of("fog", severities=[2])
    first = evaluate_corruptions(classifier, data, request, cache=tmp_path)

    def refused(*args: object, **options: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr(module, "corrupt", refused)
    again = evaluate_corruptions(classifier, data, request, cache=tmp_path)
    assert again.table.rows() == first.table.rows()
    with pytest.raises(AssertionError, match="looked again"):
        evaluate_corruptions(classifier, data, request, cache=tmp_path, seed=1)


def test_stability_of_a_classifier_of_brightness() -> None:
    classifier, data = brightness_classifier(), pictures(8)
    found = evaluate_corruptions(classifier, data, CorruptionRequest.of("fog", severities=[1], stability=True))
    assert {"shift", "translate", "rotate", "scale", "brightness", "jpeg"} <= set(found.stability)
    # A flat picture looks the same however it is moved; light moves it.
    assert found.stability["rotate"].flip_share == 0
    assert found.stability["translate"].change == pytest.approx(0, abs=1e-4)
    assert found.stability["brightness"].change > 0.001


def test_photographs_are_also_resized_otherwise() -> None:
    data = Dataset.of((photographs(4, 200) * 255).byte(), [0, 1, 0, 1], ["dark", "light"])
    classifier = brightness_classifier(64)
    found = evaluate_corruptions(classifier, data, CorruptionRequest.of("fog", severities=[1], stability=True))
    assert {"resize_method", "crop"} <= set(found.stability)
    assert found.stability["crop"].change > 0


def test_other_resizes_keep_the_input_size() -> None:
    rules = other_resizes(Resize(256, (224, 224), "bilinear"))
    assert [one.interpolation for one in rules["resize_method"]] == ["bicubic", "lanczos", "box"]
    assert [one.shorter_side for one in rules["crop"]] == [243, 269]
    assert all(one.size == (224, 224) for several in rules.values() for one in several)
    assert other_resizes(None) == {}


def test_pictures_without_labels_are_refused() -> None:
    with pytest.raises(DataError, match="without labels"):
        evaluate_corruptions(brightness_classifier(), Dataset.of(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)))


class Blind(nn.Module):
    """Logits that are no numbers for pictures lighter than three quarters."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean((1, 2, 3))
        logits = torch.stack([torch.zeros_like(mean), mean - 0.5], 1)
        return torch.where((mean > 0.75)[:, None], torch.nan, logits)


def test_pictures_without_a_prediction_are_wrong_and_named() -> None:
    classifier = Classifier.from_module(Blind(), size=32, labels=["dark", "light"])
    found = evaluate_corruptions(classifier, pictures(), CorruptionRequest.of("brightness", severities=[5]))
    assert found.table["prediction"].tolist()[-1] == -1
    assert found.clean_accuracy == pytest.approx(5 / 6)
    assert "no well-defined prediction" in {one.path: one.error for one in found.failed}["p5"]
    assert np.isfinite(found.kinds["brightness"].ece).all()


def test_answers_are_those_of_the_logits_where_probabilities_are_too_close_to_differ() -> None:
    class Tiny(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            mean = images.mean((1, 2, 3))
            return torch.stack([0.5 - mean, mean - 0.5], 1) * 1e-30

    classifier = Classifier.from_module(Tiny(), size=32, labels=["dark", "light"])
    found = evaluate_corruptions(classifier, pictures(), CorruptionRequest.of("jpeg", severities=[1]))
    assert found.clean_accuracy == 1


def test_a_model_without_a_prediction_is_not_stable() -> None:
    class Undefined(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            mean = images.mean((1, 2, 3))
            return torch.stack([0.5 - mean, mean - 0.5], 1).where(mean[:, None] < 0.5, torch.nan)

    classifier = Classifier.from_module(Undefined(), size=32, labels=["dark", "light"])
    found = evaluate_corruptions(classifier, pictures(), CorruptionRequest.of("jpeg", stability=True))
    assert found.stability
    for one in found.stability.values():
        assert one.flip_share >= 0.5
        assert one.change >= 0


def frosted() -> CorruptionRequest:
    """Return a request for all nineteen kinds, frost by photographs, and small shifts."""
    ice = torch.rand(3, 80, 90, generator=torch.Generator().manual_seed(0))
    request = CorruptionRequest.of("all", severities=[1, 4], stability=True, frost=frost_card(frost_of([ice, 1 - ice])))
    assert len(request.names) == 19
    return request


def small_photographs() -> Dataset:
    """Return seven photographs of two classes, which are resized before anybody looks."""
    images = (photographs(4, 200)[:, :, ::4, ::4] * 255).byte().repeat(2, 1, 1, 1)[:7]
    images = (images + torch.arange(7, dtype=torch.uint8).view(-1, 1, 1, 1)).contiguous()
    return Dataset.of(images, [0, 1, 0, 1, 0, 1, 0], ["dark", "light"], ids=[f"p{row}" for row in range(7)])


def test_all_kinds_and_shifts_are_the_same_for_any_batch_and_order(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, data, request = brightness_classifier(), small_photographs(), frosted()
    whole = evaluate_corruptions(classifier, data, request, seed=1).table
    monkeypatch.setattr(module, "_BATCH", 2)
    turned = evaluate_corruptions(classifier, data.take([6, 2, 0, 5, 3, 1, 4]), request, seed=1).table
    same = whole.at(turned.ids)
    assert len(turned.names) == 4 + 2 * 19 + 2 * 8
    for name in turned.names[1:]:
        assert np.allclose(turned[name], same[name], atol=1e-5), name


_TOGETHER = """
import pathlib
import backlight.sweep.cost
backlight.sweep.cost.SECONDS = backlight.sweep.cost._FEWEST_VALUES = 0  # a picture a block
from backlight.core.processes import make_engine
from backlight.corrupt import evaluate_corruptions
from tests.corrupt.test_evaluating import brightness_classifier, frosted, small_photographs
engine = make_engine("cpu")
folder = {folder!r} and pathlib.Path({folder!r})
found = evaluate_corruptions(
    brightness_classifier(), small_photographs(), frosted(), seed=1, engine=engine, cache=folder or None
)
if engine.is_main:
    found.table.write(pathlib.Path({out!r}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_all_kinds_and_shifts_are_the_same_for_any_number_of_processes(kept: bool, tmp_path: Path) -> None:
    tables = []
    for world in (1, 2):
        folder = str(tmp_path / f"blocks{world}") if kept else ""
        out = tmp_path / f"{world}.parquet"
        run_processes(_TOGETHER.format(folder=folder, out=str(out)), world=world)
        tables.append(Table.read(out))
        assert not kept or len(list(Path(folder).glob("**/*.parquet"))) == 7
    assert tables[0].rows() == tables[1].rows()


def test_small_changes_need_no_labels() -> None:
    data = Dataset.of(small_photographs()[:].images.mul(255).byte())
    request = CorruptionRequest.of("none", stability=True)
    found = evaluate_corruptions(brightness_classifier(), data, request)
    assert found.stability["rotate"].flip_share >= 0
    assert found.clean_accuracy is None
    assert found.to_json()["mean_accuracy"] is None
    with pytest.raises(DataError, match="--kinds none --stability"):
        evaluate_corruptions(brightness_classifier(), data, CorruptionRequest.of("fog", stability=True))


@pytest.mark.parametrize("size", [(17, 23), (1, 5), (97, 33)])
def test_pictures_of_odd_sizes(size: tuple[int, int]) -> None:
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    free = Classifier.from_module(net, labels=["dark", "light"])
    data = Dataset.of(torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8), [0, 1], ["dark", "light"])
    found = evaluate_corruptions(free, data, CorruptionRequest.of("all", severities=[5], stability=True))
    assert found.size == size
    assert not found.failed
    assert len(found.kinds) == 19


def test_pictures_of_several_sizes_reach_the_input_size(tmp_path: Path) -> None:
    for row, size in enumerate([(64, 48), (31, 90), (7, 5)]):
        path = tmp_path / ("dark" if row else "light") / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", size, (100 + row, 60, 20)).save(path)
    data = load_data(tmp_path)
    found = evaluate_corruptions(
        brightness_classifier(24), data, CorruptionRequest.of("all", severities=[3], stability=True)
    )
    assert (len(found.table), found.size, found.failed) == (3, (24, 24), ())


def test_a_binary_head_is_asked_as_two_classes() -> None:
    two = brightness_classifier()
    one = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    with torch.no_grad():
        one[2].weight.fill_(40 / 3)
        one[2].bias.fill_(-20.0)
    binary = Classifier.from_module(one, size=32, labels=["dark", "light"], outputs="binary")
    request = CorruptionRequest.of("brightness,shot_noise", severities=[1, 5], stability=True)
    tables = [evaluate_corruptions(model, pictures(), request).table for model in (two, binary)]
    for name in tables[0].names[1:]:
        assert np.allclose(tables[0][name], tables[1][name], atol=1e-6), name


def test_an_onnx_file_is_only_asked(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    classifier, request = brightness_classifier(), CorruptionRequest.of("fog,jpeg", severities=[1, 5], stability=True)
    export_classifier(classifier, tmp_path / "net.onnx", kind="onnx")
    asked = load(f"onnx:{tmp_path / 'net.onnx'}")
    tables = [evaluate_corruptions(model, pictures(), request).table for model in (classifier, asked)]
    for name in tables[0].names[1:]:
        assert np.allclose(tables[0][name], tables[1][name], atol=1e-4), name
