"""An assumed normalization that is wrong is doubted, with labels and without; a right one is not."""

from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.data import Dataset
from backlight.evaluate.normalization import check_normalization, doubt_normalization
from backlight.testing import unchanged

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Bright(nn.Module):
    """Tell dark from bright pictures, fed with ImageNet's normalization, and surely."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        brightness = images.mean((1, 2, 3))
        return torch.stack([-4 * brightness, 4 * brightness], 1)


def pictures(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(count) % 2
    draw = torch.Generator().manual_seed(0)
    return (0.2 + 0.5 * labels.view(-1, 1, 1, 1) + 0.1 * torch.rand(count, 3, 4, 4, generator=draw)), labels


def test_with_labels_the_accuracies_and_the_flags_are_named() -> None:
    images, labels = pictures()
    found = check_normalization(Classifier.from_module(Bright(), size=4), images, labels)
    by_name = {one.name: one for one in found.looks}
    assert by_name["the assumed"].accuracy == 0.5  # all are brighter than a mean of 0
    assert by_name["ImageNet's"].accuracy == 1.0
    assert found.better is not None
    assert found.better.accuracy == 1.0
    assert "50% of 40 pictures" in found.sentence()
    assert "did you mean --mean " in found.sentence()


def test_without_labels_surer_answers_are_a_doubt() -> None:
    images, _ = pictures()

    class Ramp(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            spread = values.std((1, 2, 3))
            return torch.stack([10 * spread, -10 * spread], 1)

    found = check_normalization(Classifier.from_module(Ramp(), size=4), images)
    assert found.better is not None
    assert found.better.name == "ImageNet's"
    assert found.better.accuracy is None
    assert "may be wrong" in found.sentence()
    right = check_normalization(Classifier.from_module(Ramp(), mean=MEAN, std=STD, size=4), images)
    assert right.better is None
    assert right.sentence() == ""
    assert right.to_json()["better"] is None


def test_a_right_normalization_is_not_doubted_and_few_pictures_prove_nothing() -> None:
    images, labels = pictures()
    right = Classifier.from_module(Bright(), mean=MEAN, std=STD, size=4)
    assert check_normalization(right, images, labels).better is None
    assert check_normalization(Classifier.from_module(Bright(), size=4), images[:4], labels[:4]).better is None
    with pytest.raises(InputError, match="no images"):
        check_normalization(right, images[:0])


def test_only_assumed_ones_are_looked_at_in_a_data_set() -> None:
    images, labels = pictures()
    data = Dataset.of((images * 255).to(torch.uint8), labels.tolist(), ["dark", "bright"])
    net = Bright()
    own = Classifier.from_module(net, size=4, labels=["bright", "dark"])
    with unchanged(net):
        found = doubt_normalization(own, data, limit=20)
    assert found is not None
    assert found.n == 20
    assert found.looks[0].accuracy == 0.5  # labels are matched by name: here all are wrong way round
    assert doubt_normalization(Classifier.from_module(net, mean=MEAN, std=STD, size=4), data) is None


def test_grey_models_are_checked_with_the_mean_of_the_channels() -> None:
    images, labels = pictures()
    grey = images.mean(1, keepdim=True)
    own = Classifier.from_module(Bright(), mean=(0.0,), std=(1.0,), size=4)
    found = {one.name: one for one in check_normalization(own, grey, labels).looks}
    assert found["ImageNet's"].mean == pytest.approx((0.449,))


def test_evaluate_says_it(tmp_path: Path) -> None:
    from backlight.tasks.evaluating import EvaluateRequest, evaluate
    from backlight.tasks.loading import DataRequest

    images, labels = pictures()
    data = Dataset.of((images * 255).to(torch.uint8), labels.tolist(), ["dark", "bright"])
    own = Classifier.from_module(Bright(), size=4, labels=["dark", "bright"])
    outcome = evaluate(EvaluateRequest(DataRequest(data), (own,), out=tmp_path))
    assert any("did you mean --mean" in text for text in outcome.warnings)
    assert any("did you mean --mean" in text for text in outcome.document["warnings"])
    assert outcome.document["normalization"]["n"] == 40
    assert "did you mean --mean" in (tmp_path / "report.html").read_text()
