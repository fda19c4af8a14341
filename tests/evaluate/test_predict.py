"""Predictions on picture files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.classifier.predictions import top_classes
from backlight.core.errors import InputError
from backlight.evaluate import predict
from backlight.images import open_picture, to_tensor, write_png
from backlight.testing import CALLERS, caller, small_net, unchanged


def _classifier() -> Classifier:
    return Classifier.from_module(small_net().eval(), size=8, labels=["a", "b", "<script>", "d"])


def _pictures(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{i}.png" for i in range(count)]
    for i, path in enumerate(paths):
        write_png(path, torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(i)))
    return paths


def test_every_number_is_the_softmax_of_the_logits(tmp_path: Path) -> None:
    classifier = _classifier()
    paths = _pictures(tmp_path, 5)
    for row, path in zip(predict(classifier, paths, top=4), paths, strict=True):
        from PIL import Image

        with torch.no_grad():
            logits = classifier.logits(to_tensor(Image.open(path))[None])[0]
        assert row.path == str(path)
        assert [one.index for one in row.predictions] == sorted(range(4), key=lambda i: -float(logits[i]))
        for one in row.predictions:
            assert one.logit == pytest.approx(float(logits[one.index]), abs=1e-6)
            assert one.probability == pytest.approx(float(logits.softmax(0)[one.index]), abs=1e-6)
            assert one.label == classifier.labels[one.index]


def test_broken_files_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    good = _pictures(tmp_path, 3)
    text = tmp_path / "note.jpg"
    text.write_text("not a picture")
    found = predict(_classifier(), [good[0], text, tmp_path / "absent.png", *good[1:]], batch_size=2)
    assert [row.path for row in found] == [str(path) for path in good]
    assert [row.path for row in found.failed] == [str(text), str(tmp_path / "absent.png")]
    assert all(set(row) == {"path", "error"} for row in found.to_json()[3:])
    assert str(text) not in found.failed[0].error


@pytest.mark.promises
@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_the_batch_size_does_not_matter(tmp_path: Path, batch_size: int) -> None:
    classifier, paths = _classifier(), _pictures(tmp_path, 7)
    whole, parts = predict(classifier, paths, batch_size=32), predict(classifier, paths, batch_size=batch_size)
    for left, right in zip(whole, parts, strict=True):
        assert [one.index for one in left.predictions] == [one.index for one in right.predictions]
        assert left.best.logit == pytest.approx(right.best.logit, abs=1e-5)


@pytest.mark.parametrize("state", CALLERS)
def test_the_model_is_left_as_it_was(tmp_path: Path, state: str) -> None:
    net = small_net()
    classifier = Classifier.from_module(net, size=8)
    paths = _pictures(tmp_path, 2)
    with caller(net, state), unchanged(net):
        assert len(predict(classifier, paths)) == 2


def test_no_more_classes_than_there_are_and_ties_in_order() -> None:
    classifier = Classifier.from_module(nn.Flatten(), labels=["a", "b", "c"])
    rows = top_classes(classifier, torch.tensor([[1.0, 1.0, 2.0]]), 5)
    assert [one.label for one in rows[0]] == ["c", "a", "b"]


def test_no_pictures_and_nonsense() -> None:
    assert predict(_classifier(), []).to_json() == []
    with pytest.raises(InputError, match="top 0"):
        predict(_classifier(), [], top=0)
    with pytest.raises(InputError, match="chunk size 0"):
        predict(_classifier(), ["a.png"], batch_size=0)


def test_a_picture_without_a_prediction_is_named_and_a_masked_class_is_not_missed(tmp_path: Path) -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_net().eval()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = self.net(images)
            logits = logits.index_fill(1, torch.tensor([3]), -torch.inf)
            return torch.where((images[:, :1, 0, 0] > 0.5), torch.nan, logits)

    paths = _pictures(tmp_path, 4)
    dark = [float(to_tensor(open_picture(path))[0, 0, 0]) <= 0.5 for path in paths]
    assert 0 < sum(dark) < 4
    found = predict(Classifier.from_module(Masked(), size=8), paths, top=4)
    assert [one.path for one in found] == [str(path) for path, known in zip(paths, dark) if known]
    assert [one.path for one in found.failed] == [str(path) for path, known in zip(paths, dark) if not known]
    assert all("NaN or infinite" in one.error for one in found.failed)
    for one in found:
        assert one.predictions[-1].index == 3
        assert one.predictions[-1].probability == 0
        assert sum(each.probability for each in one.predictions) == pytest.approx(1)


def test_labels_of_a_multilabel_model_keep_their_own_probabilities(tmp_path: Path) -> None:
    classifier = Classifier.from_module(small_net().eval(), size=8, labels=list("abcd"), outputs="multilabel")
    paths = _pictures(tmp_path, 2)
    for one, path in zip(predict(classifier, paths, top=4), paths, strict=True):
        sigmoids = classifier.probabilities(to_tensor(open_picture(path))[None])[0]
        assert [each.probability for each in one.predictions] == sorted(sigmoids.tolist(), reverse=True)
