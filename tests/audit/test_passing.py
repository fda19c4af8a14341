"""The pass of an audit: the same logits as an evaluation, kept and read back, and what it makes of odd data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photographs
from torch import Tensor, nn

from backlight import Classifier, load_data
from backlight.audit import Kept, gathering
from backlight.audit.passing import look_once
from backlight.core.errors import DataError, FileError, ModelError
from backlight.data import Dataset
from backlight.evaluate import predict_dataset
from backlight.images import Resize
from backlight.table import Table


def classifier(channels: int = 3, **options: object) -> Classifier:
    layers = [nn.Conv2d(channels, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)]
    given: dict[str, object] = {"size": 24, "labels": ["cat", "dog"]}
    if channels == 1:
        given |= {"mean": (0.5,), "std": (0.2,)}
    net = nn.Sequential(*layers)
    random = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random)
    return Classifier.from_module(net, **(given | options))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs of several sizes and kinds, one of them broken."""
    whole = [photographs.astronaut(), photographs.chelsea(), photographs.coffee(), photographs.rocket()]
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    for place, one in enumerate(whole):
        picture = Image.fromarray(one[place : 200 + 10 * place, : 150 + 30 * place])
        picture.save(tmp_path / "photos" / ("cat", "dog")[place % 2] / f"{place}.{('jpg', 'png')[place // 2]}")
    Image.fromarray(whole[0][..., 0]).save(tmp_path / "photos" / "cat" / "grey.png")
    (tmp_path / "photos" / "dog" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "photos"


@pytest.mark.parametrize("channels", [1, 3])
def test_logits_are_those_of_an_evaluation(folder: Path, channels: int) -> None:
    model, data = classifier(channels), load_data(str(folder))
    part = look_once(model, data, batch_size=4)
    assert model.resize is not None
    table = predict_dataset(model, data.with_channels(channels).resized(model.resize), batch_size=4).table
    assert list(part.kept.ids) == table.ids
    np.testing.assert_array_equal(part.kept.logits, table["logits"])
    np.testing.assert_array_equal(part.kept.predictions, table["prediction"])
    np.testing.assert_array_equal(part.kept.labels, table["label"])
    assert [Path(one.path).name for one in part.kept.failed] == ["broken.png"]
    assert part.data is not None
    assert part.data.ids == part.kept.ids
    assert part.data[[0]].images.shape == (1, channels, 24, 24)


def test_head_and_features_make_the_logits(folder: Path) -> None:
    kept = look_once(classifier(), load_data(str(folder))).kept
    assert kept.head is not None
    assert kept.features.dtype == np.float16
    np.testing.assert_allclose(kept.head.logits(kept.features), kept.logits, atol=5e-3)


def test_what_is_kept_of_pictures(folder: Path) -> None:
    kept = look_once(classifier(), load_data(str(folder))).kept
    named = {Path(one).name: row for row, one in enumerate(kept.ids)}
    assert kept.properties["width"][named["0.jpg"]] == 150
    assert kept.properties["jpeg_quality"][named["0.jpg"]] < 80 < kept.properties["jpeg_quality"][named["3.png"]]
    assert kept.properties["colorfulness"][named["grey.png"]] == 0
    assert len(set(kept.hashes.tolist())) == len(kept)


def test_a_second_audit_reads_the_first_back(folder: Path, tmp_path: Path) -> None:
    data, blocks, model = load_data(str(folder)), tmp_path / "blocks", classifier()
    first = look_once(model, data, folder=blocks).kept

    def fails(*_: Tensor) -> None:
        raise AssertionError("looked again")

    parts = sorted(blocks.glob("*.parquet"))
    before = [one.stat().st_mtime_ns for one in parts]
    again = look_once(classifier(), data, folder=blocks).kept
    assert sorted(blocks.glob("*.parquet")) == parts
    assert [one.stat().st_mtime_ns for one in parts] == before
    assert_same(first, again)
    other = classifier(resize=Resize(32, (24, 24)), size=None)
    look_once(other, data, folder=blocks)
    assert len(list(blocks.glob("*.parquet"))) > len(parts)
    Image.fromarray(photographs.coffee()).save(folder / "dog" / "3.png")
    changed = look_once(model, load_data(str(folder)), folder=blocks).kept
    assert (changed.logits != first.logits).any()


def assert_same(first: Kept, second: Kept) -> None:
    assert first.ids == second.ids
    for name in ("labels", "logits", "features", "digests", "hashes", "thumbnails"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for name, column in first.properties.items():
        np.testing.assert_array_equal(column, second.properties[name])


def test_blocks_do_not_change_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, model = load_data("shapes:n=23,size=24,classes=2"), classifier(labels=["circle", "square"])
    whole = look_once(model, data, batch_size=1).kept
    monkeypatch.setattr("backlight.sweep.runner.block_size", lambda cost, most: 5)
    monkeypatch.setattr(gathering, "IN_MEMORY", 100)
    cut = look_once(model, data, batch_size=1, folder=tmp_path).kept
    assert_same(whole, cut)
    assert isinstance(cut.features, np.memmap)
    assert isinstance(cut.logits, np.memmap)
    assert not cut.features.flags.writeable
    assert len(list(tmp_path.glob("*.parquet"))) == 5
    assert_same(whole, look_once(model, data, batch_size=1, folder=tmp_path).kept)


def test_pictures_without_labels() -> None:
    data = Dataset.of(torch.randint(0, 255, (5, 3, 24, 24), dtype=torch.uint8))
    kept = look_once(classifier(), data).kept
    assert not kept.labeled
    assert kept.label_names == ("cat", "dog")


def test_what_cannot_be_audited(tmp_path: Path) -> None:
    broken = tmp_path / "cat"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="no picture"):
        look_once(classifier(), load_data(str(tmp_path)))
    many = classifier(outputs="multilabel")
    with pytest.raises(ModelError, match="question per label"):
        look_once(many, load_data("shapes:n=4,size=24,classes=2"))
    with pytest.raises(DataError, match="does not know"):
        look_once(classifier(), load_data("shapes:n=4,size=24,classes=2"))


def test_large_features_stay_finite() -> None:
    model = classifier()
    model.module[0].weight.data *= 1e6  # type: ignore[union-attr, operator]
    data = Dataset.of(torch.randint(0, 255, (5, 3, 24, 24), dtype=torch.uint8))
    assert np.isfinite(look_once(model, data).kept.features.astype(np.float32)).all()


def odd_blocks() -> dict[str, Callable[[Table], Table]]:
    return {
        "no usable column 'hue'": lambda table: table.drop("hue"),
        "no usable column 'logits'": lambda table: table.with_columns(logits=[1.0] * len(table)),
        "no usable column 'label'": lambda table: table.with_columns(label=["cat"] * len(table)),
        "labels of no class": lambda table: table.with_columns(label=np.full(len(table), 7)),
        "not of 2 classes": lambda table: table.with_columns(logits=np.ones((len(table), 3), np.float32)),
        "other pictures": lambda table: Table(
            table.arrow.set_column(0, "id", [[f"{row}" for row in range(len(table))]])
        ),
    }


@pytest.mark.parametrize("found", odd_blocks())
def test_blocks_that_no_pass_left_are_refused_in_one_sentence(folder: Path, tmp_path: Path, found: str) -> None:
    blocks, data = tmp_path / "blocks", load_data(str(folder))
    look_once(classifier(), data, folder=blocks)
    for path in blocks.glob("*.parquet"):
        table = Table.read(path)
        changed = odd_blocks()[found](Table(table.arrow.replace_schema_metadata()))
        Table(changed.arrow.replace_schema_metadata(table.arrow.schema.metadata)).write(path)
    with pytest.raises((DataError, FileError), match=found):
        look_once(classifier(), data, folder=blocks)


def test_blocks_of_several_forms_are_refused(folder: Path, tmp_path: Path) -> None:
    blocks, data = tmp_path / "blocks", load_data(str(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backlight.sweep.runner.block_size", lambda cost, most: 2)
        look_once(classifier(), data, folder=blocks)
    path = min(blocks.glob("*.parquet"))
    table = Table.read(path)
    Table(table.drop("hue").arrow.replace_schema_metadata(table.arrow.schema.metadata)).write(path)
    with pytest.raises(DataError, match="several forms"):
        look_once(classifier(), data, folder=blocks)
