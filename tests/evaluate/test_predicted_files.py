"""Predictions of many files as a table: what is told of the same files without blocks, to the last bit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.core.escaping import as_text
from backlight.evaluate import predict, predict_files
from backlight.evaluate.predicting import Predicted, Prediction
from backlight.evaluate.samples import Samples
from backlight.images import write_png
from backlight.images.cover import Square
from backlight.sweep import cost
from backlight.testing import small_net

LABELS = ("crane", "dog", "fox", "owl")


class SometimesNan(nn.Module):
    """A small network that has no prediction for pictures that are bright in a corner."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_net().eval()

    def forward(self, images: Tensor) -> Tensor:
        return torch.where(images[:, :1, 0, 0] > 0.9, torch.nan, self.net(images))


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "SECONDS", 1e-9)
    monkeypatch.setattr(cost, "_FEWEST_VALUES", 4 * 3 * 8 * 8)


def classifier_of(outputs: str | None = None) -> Classifier:
    return Classifier.from_module(SometimesNan(), size=8, labels=LABELS, outputs=outputs)


def files(folder: Path, count: int = 23) -> list[Path]:
    """Write pictures, of which some cannot be read and some have no prediction."""
    paths = [folder / f"{number:02}.png" for number in range(count)]
    for number, path in enumerate(paths):
        write_png(path, torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(number)))
    for path in (*paths[4:6], *paths[17:18]):
        path.write_text("not a picture")
    return paths


def told(found: Samples) -> list[Predicted]:
    """Read the table as what is told of each file."""
    rows = found.table.rows()
    for row in rows:
        assert (row["prediction"], row["confidence"]) == (row["top.prediction"][0], row["top.probability"][0])
    return [
        Predicted(
            row["id"],
            tuple(
                Prediction(LABELS[index], index, probability, logit)
                for index, probability, logit in zip(row["top.prediction"], row["top.probability"], row["top.logit"])
            ),
            LABELS[row["label"]] if "label" in row else None,
        )
        for row in rows
    ]


@pytest.mark.parametrize("outputs", [None, "multilabel"])
@pytest.mark.parametrize(("batch_size", "blocks"), [(3, 4), (4, 6), (8, 3), (32, 1)])
def test_the_table_says_what_is_told_without_blocks(
    tmp_path: Path, batch_size: int, blocks: int, outputs: str | None
) -> None:
    classifier, paths, square = classifier_of(outputs), files(tmp_path), Square(0.7, 0.5, 0.4)
    alone = predict(classifier, paths, top=3, batch_size=batch_size, cover=square)
    assert 3 < len(alone.failed) < 15  # those that cannot be read, and some without a prediction
    kept = tmp_path / "blocks"
    for _ in range(2):  # made, then read
        found = predict_files(classifier, paths, top=3, batch_size=batch_size, cover=square, folder=kept)
        assert told(found) == list(alone.done)
        assert found.failed == alone.failed
        assert len(list(kept.glob("*.parquet"))) == blocks


def test_the_label_is_that_of_the_folder_where_all_are_named_as_classes_are(tmp_path: Path) -> None:
    classifier = Classifier.from_module(small_net().eval(), size=8, labels=LABELS)
    paths = [*files(tmp_path / "dog", 3), *files(tmp_path / "fox", 3)]
    found = predict_files(classifier, paths, batch_size=4)
    assert found.table.names[:3] == ["id", "label", "prediction"]
    assert found.table["label"].tolist() == [1] * 3 + [2] * 3
    assert told(found) == list(predict(classifier, paths, batch_size=4))


def test_what_decides_about_the_numbers_makes_other_blocks(tmp_path: Path) -> None:
    classifier, paths, kept = classifier_of(), files(tmp_path, 3), tmp_path / "blocks"

    def count(**options: object) -> int:
        predict_files(classifier, paths, folder=kept, **options)  # type: ignore[arg-type]
        return len(list(kept.glob("*.parquet")))

    assert [count(), count(), count(top=2), count(cover=Square(0.5, 0.5, 0.5))] == [1, 1, 2, 3]
    write_png(paths[1], torch.zeros(3, 8, 8))
    assert count() == 4


def test_a_file_named_twice_has_a_row_and_strange_names_are_text(tmp_path: Path) -> None:
    plain, strange = tmp_path / "a.png", Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    for path in (plain, strange):
        write_png(path, torch.zeros(3, 8, 8))
    found = predict_files(classifier_of(), [strange, plain, strange], folder=tmp_path / "blocks")
    assert found.table.ids == [as_text(strange), str(plain)]


def test_nothing_that_can_be_read_is_an_empty_table_and_nonsense_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not a picture")
    found = predict_files(classifier_of(), [tmp_path / "a.png"], folder=tmp_path / "blocks")
    assert (len(found.table), [one.path for one in found.failed]) == (0, [str(tmp_path / "a.png")])
    with pytest.raises(InputError, match="top 0"):
        predict_files(classifier_of(), [tmp_path / "a.png"], top=0)
    with pytest.raises(InputError, match="size 0"):
        predict_files(classifier_of(), [tmp_path / "a.png"], batch_size=0)
