"""Pictures for which a model has no prediction: wrong, out of loss and calibration, and named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.data import Dataset
from backlight.evaluate import Evaluation, evaluate
from backlight.evaluate.calibration import coverage_curve
from backlight.evaluate.compare import compare_evaluations
from backlight.evaluate.temperature import calibrate
from backlight.page.sections import Section
from backlight.report.tables import table_sections

LABELS = list("abc")


class Then(nn.Module):
    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.net, self.function = nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images, self.net(images))


def data() -> Dataset:
    draw = torch.Generator().manual_seed(0)
    return Dataset.of(
        torch.randint(0, 256, (60, 3, 4, 4), generator=draw, dtype=torch.uint8), torch.arange(60) % 3, LABELS
    )


def bright(images: Tensor) -> Tensor:
    return images[:, :1, 0, 0] > 0.6


FAULTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "NaN": lambda x, z: torch.where(bright(x), torch.nan, z),
    "NaN of one class": lambda x, z: torch.where(bright(x), z.index_fill(1, torch.tensor([2]), torch.nan), z),
    "infinite": lambda x, z: torch.where(bright(x), z.index_fill(1, torch.tensor([1]), torch.inf), z),
    "all masked": lambda x, z: torch.where(bright(x), -torch.inf, z),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("tta", [False, True])
def test_every_number_is_that_of_the_other_pictures_with_these_wrong(fault: str, tta: bool) -> None:
    net, pictures = Then(FAULTS[fault]), data()
    found = evaluate(Classifier.from_module(net, size=4, labels=LABELS), pictures, tta=tta)
    lost = found.table["prediction"] < 0
    count = int(lost.sum())
    assert 0 < count < 60
    if not tta:
        assert lost.tolist() == bright(pictures.read(range(60)) / 255)[:, 0].tolist()
    rest = evaluate(
        Classifier.from_module(Then(lambda x, z: z), size=4, labels=LABELS),
        pictures.take(torch.from_numpy(np.flatnonzero(~lost))),
        tta=tta,
    )
    right = round(rest.accuracy * (60 - count))
    assert found.accuracy == pytest.approx(right / 60, abs=1e-12)
    document, other = found.to_json(), rest.to_json()
    assert document["n"] == 60
    assert document["loss"] == pytest.approx(other["loss"], rel=1e-6)
    assert document["ece"] == pytest.approx(other["ece"], rel=1e-6)
    assert document["top5"] == pytest.approx((60 - count) / 60)
    assert document["confusion"] == other["confusion"]
    assert document["not_finite"] == [name for name, gone in zip(found.table.ids, lost) if gone]
    assert [one.path for one in found.failed] == document["not_finite"]
    assert sum(score["n"] for score in document["per_class"].values()) == 60
    assert document["suspected_label_errors"] == other["suspected_label_errors"]
    assert [row["id"] for row in document["top_losses"]] == [row["id"] for row in other["top_losses"]]
    json.dumps(document, allow_nan=False)
    coverage, accuracy = coverage_curve(found.table)
    assert np.isfinite(accuracy).all()
    assert accuracy[coverage.argmax()] == pytest.approx(found.accuracy)
    assert compare_evaluations(found, found).difference == 0
    assert calibrate(found.table).temperature == pytest.approx(calibrate(rest.table).temperature, rel=1e-3)


def test_a_masked_class_is_never_predicted_and_all_else_is_as_it_was() -> None:
    masked, plain = (
        Classifier.from_module(Then(function), size=4, labels=LABELS)
        for function in (lambda x, z: z.index_fill(1, torch.tensor([2]), -torch.inf), lambda x, z: z)
    )
    found, other = evaluate(masked, data()), evaluate(plain, data())
    two = np.asarray(other.table["logits"])[:, :2].argmax(1)
    assert found.table["prediction"].tolist() == two.tolist()
    assert found.accuracy == float((two == found.table["label"]).mean())
    document = found.to_json()
    assert document["not_finite"] == []
    assert found.failed == ()
    # The loss of the masked class's own pictures is infinite, and no mean.
    assert np.isinf(found.table["loss"]).tolist() == (found.table["label"] == 2).tolist()
    assert math.isfinite(document["loss"])
    assert math.isfinite(calibrate(found.table).temperature)


def test_a_model_without_any_prediction_has_no_loss_and_no_accuracy() -> None:
    found = evaluate(Classifier.from_module(Then(lambda x, z: z * torch.nan), size=4, labels=LABELS), data())
    assert found.accuracy == 0
    assert math.isnan(found.to_json()["loss"])
    assert len(found.failed) == 60
    assert "prediction for no picture" in calibration_section(found).html


def test_the_page_on_calibration_is_that_of_the_pictures_with_a_prediction() -> None:
    whole = evaluate(Classifier.from_module(Then(FAULTS["NaN"]), size=4, labels=LABELS), data())
    known = np.flatnonzero(whole.table["prediction"] >= 0)
    plain = Classifier.from_module(Then(lambda x, z: z), size=4, labels=LABELS)
    rest = evaluate(plain, data().take(torch.from_numpy(known)))
    assert calibration_section(whole).html == calibration_section(rest).html


def calibration_section(found: Evaluation) -> Section:
    (section,) = (one for one in table_sections(found.table, found.labels, "data") if one.anchor == "calibration")
    return section
