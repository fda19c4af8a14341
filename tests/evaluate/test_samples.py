"""The table of a data set: every row by hand, any batch size, views at test time, and calibration on it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import DataError
from backlight.data.dataset import Dataset
from backlight.data.load import load_data
from backlight.evaluate import calibrate, evaluate
from backlight.evaluate.compare import compare_evaluations
from backlight.evaluate.samples import predict_dataset
from backlight.report.comparison import comparison_section
from backlight.report.evaluation import evaluation_sections
from backlight.testing import small_net, unchanged
from tests.processes import run_script

DATA = load_data("shapes:n=60,size=8,classes=4", split="all")


def _classifier(labels: tuple[str, ...] = DATA.label_names) -> Classifier:
    return Classifier.from_module(small_net().eval(), size=8, labels=labels)


def test_every_row_by_hand() -> None:
    classifier = _classifier()
    with unchanged(classifier.module):
        table = predict_dataset(classifier, DATA, batch_size=7).table
    assert table.ids == list(DATA.ids)
    with torch.no_grad():
        logits = classifier.logits(DATA[:].images)
    for i, row in enumerate(table.rows()):
        probabilities = logits[i].softmax(0)
        assert row["label"] == int(DATA.labels[i])
        assert row["prediction"] == int(logits[i].argmax())
        assert row["confidence"] == pytest.approx(float(probabilities.max()), abs=1e-5)
        assert row["loss"] == pytest.approx(-float(probabilities[row["label"]].log()), abs=1e-5)
        assert row["logits"] == pytest.approx(logits[i].tolist(), abs=1e-5)


def test_views_at_test_time_by_explicit_loop() -> None:
    classifier = _classifier()
    table = predict_dataset(classifier, DATA, tta=True).table
    images = DATA[:].images
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="reflect")
    total = torch.zeros(len(images), 4)
    with torch.no_grad():
        for weight, view in ((0.5, images), (0.25, padded[:, :, :8, :8]), (0.25, padded[:, :, 2:, 2:])):
            for side in (view, view.flip(3)):
                total += weight / 2 * classifier.logits(side)
    assert np.allclose(table["logits"], total.numpy(), atol=1e-5)


def test_evaluate_gives_the_whole_document() -> None:
    found = evaluate(_classifier(), DATA)
    document = found.to_json()
    assert {
        "n", "split", "accuracy", "accuracy_interval", "top5", "ece", "per_class", "confusion", "labels",
        "most_confused", "seconds",
    } <= set(document)  # fmt: skip
    assert document["n"] == 60 == sum(map(sum, document["confusion"]))
    assert document["accuracy"] == pytest.approx(np.trace(np.array(document["confusion"])) / 60)
    assert document["top5"] == 1
    low, high = document["accuracy_interval"]
    assert low < document["accuracy"] < high


def test_names_and_numbers_of_classes_must_agree() -> None:
    with pytest.raises(DataError, match="does not know"):
        evaluate(_classifier(("a", "b", "c", "<script>")), DATA)
    with pytest.raises(DataError, match="another order"):
        predict_dataset(_classifier(tuple(reversed(DATA.label_names))), DATA)
    with pytest.raises(DataError, match="no class 'owl'"):
        predict_dataset(Classifier.from_module(nn.Flatten(), labels=[*DATA.label_names, "owl"]), DATA)
    with pytest.raises(DataError, match="without labels"):
        evaluate(_classifier(), replace(DATA, labels=torch.full((60,), -1)))
    fewer = Dataset.of(DATA.read(slice(0, 2)), [0, 1], ["x", "y"])
    with pytest.raises(DataError, match="classes"):
        evaluate(Classifier.from_module(small_net().eval(), size=8), fewer)


@pytest.mark.promises
def test_labels_are_matched_by_name_whatever_their_order_and_number() -> None:
    plain = evaluate(_classifier(), DATA)
    order = [2, 0, 3, 1]
    shuffled = replace(DATA, label_names=tuple(DATA.label_names[i] for i in order), labels=_places(order)[DATA.labels])
    again = evaluate(_classifier(), shuffled)
    assert again.confusion.dense().tolist() == plain.confusion.dense().tolist()
    # The same terms in another order: not bit for bit.
    assert again.table["loss"].tolist() == pytest.approx(plain.table["loss"].tolist(), rel=1e-5)
    some = DATA.take(DATA.labels < 2)
    fewer = evaluate(_classifier(), replace(some, label_names=DATA.label_names[:2]))
    assert fewer.labels == DATA.label_names
    assert fewer.to_json()["per_class"][DATA.label_names[3]]["n"] == 0
    assert fewer.confusion.dense()[:2].tolist() == plain.confusion.dense()[:2].tolist()
    assert not fewer.confusion.dense()[2:].any()
    assert evaluation_sections(fewer, some)[0].anchor == "accuracy"


def test_models_that_number_their_classes_differently_are_compared_by_name() -> None:
    order = [2, 0, 3, 1]
    other = nn.Sequential(_classifier().module, Pick(order))
    labels = [DATA.label_names[i] for i in order]
    second = Classifier.from_module(
        nn.Sequential(other, nn.ConstantPad1d((0, 1), -9.0)), size=8, labels=[*labels, "owl"]
    )
    found = [evaluate(one, DATA) for one in (_classifier(), second)]
    assert found[1].confusion.totals.sum() == 60
    comparison = compare_evaluations(*found)
    assert (comparison.first, len(comparison.disagreements)) == (found[1].accuracy, 0)
    html = comparison_section(*found, comparison, DATA, ("one", "two")).html
    assert "the very same pictures" in html


class Pick(nn.Module):
    """Give the logits in another order."""

    def __init__(self, order: list[int]) -> None:
        super().__init__()
        self.order = order

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits[:, self.order]


def _places(order: list[int]) -> torch.Tensor:
    return torch.tensor(order).argsort()


def test_calibration_lowers_loss_and_keeps_predictions() -> None:
    classifier = _classifier()
    classifier.module[-1].weight.data *= 20
    table = predict_dataset(classifier, DATA).table
    found = calibrate(table)
    assert found.temperature > 2
    assert found.loss_after < found.loss_before
    assert found.ece_after < found.ece_before
    assert found.after["prediction"].tolist() == table["prediction"].tolist()
    assert found.to_json()["coverage"][-1]["accuracy"] == pytest.approx(
        float((table["label"] == table["prediction"]).mean())
    )
    with pytest.raises(DataError, match="logits"):
        calibrate(table.drop("logits"))


def test_finished_blocks_are_read_back_and_logits_are_left_out_where_they_are_too_many(tmp_path: Path) -> None:
    classifier = _classifier()
    plain = predict_dataset(classifier, DATA, batch_size=7).table
    kept = predict_dataset(classifier, DATA, batch_size=7, folder=tmp_path).table
    assert kept.rows() == plain.rows()
    calls = []
    classifier.module.register_forward_hook(lambda *_: calls.append(1))
    assert predict_dataset(classifier, DATA, batch_size=7, folder=tmp_path).table.rows() == plain.rows()
    assert not calls
    predict_dataset(classifier, DATA, batch_size=8, folder=tmp_path)  # other batches may end in other last bits
    assert calls
    without = predict_dataset(classifier, DATA, batch_size=7, logits=False).table
    assert without.rows() == plain.drop("logits").rows()
    found = evaluate(classifier, DATA, logits=False)
    assert found.top5 == evaluate(classifier, DATA).top5


_MANY = """
import resource, sys, torch
from torch import nn
from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.evaluate import evaluate
count, classes = 14_000, 5_000
names = [f"class {number}" for number in range(classes)]
generator = torch.Generator().manual_seed(0)
images = torch.randint(0, 256, (count, 3, 4, 4), generator=generator, dtype=torch.uint8)
data = Dataset.of(images, torch.randint(0, classes, (count,), generator=generator), names)
net = nn.Sequential(nn.Flatten(), nn.Linear(48, classes))
classifier = Classifier.from_module(net, size=4, labels=names)
evaluate(classifier, data.take(range(600)), logits=False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = evaluate(classifier, data)
document = found.to_json()
assert document["n"] == sum(count for _, _, count in document["confusion"]["pairs"]) == count
assert "logits" not in found.table
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_pictures_times_classes() -> None:
    ran = run_script(_MANY)
    assert ran.status == 0, ran.err
    more = int(ran.out) * (1 if sys.platform == "darwin" else 1024)
    assert more < 14_000 * 5_000 * 4 / 2  # logits alone would take twice that, the matrix as much again
