"""An assumed normalization that is wrong is doubted, with labels and without; a right one is not."""

from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.data import Dataset
from backlight.evaluate.doubts import doubt_normalization, doubt_normalization_on_files
from backlight.evaluate.normalization import check_normalization
from backlight.images import write_png
from backlight.tasks.evaluating import EvaluateRequest, evaluate
from backlight.tasks.loading import DataRequest
from backlight.tasks.predicting import PredictRequest, predict
from backlight.tasks.reporting import ReportRequest, report
from backlight.testing import unchanged

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Bright(nn.Module):
    """Tell dark from bright pictures, fed with ImageNet's normalization, and surely."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        brightness = images.mean((1, 2, 3))
        return torch.stack([-4 * brightness, 4 * brightness], 1)


class Ramp(nn.Module):
    """Be the surer, the more a picture's values differ; those of ImageNet's normalization differ more."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        spread = values.std((1, 2, 3))
        return torch.stack([10 * spread, -10 * spread], 1)


class Tall(nn.Module):
    """A network that a report can explain, as sure as `Ramp`."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return 1e-3 * self.layers(values).mean((2, 3)) + Ramp()(values)


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
    found = check_normalization(Classifier.from_module(Ramp(), size=4), images)
    assert found.better is not None
    assert found.better.name == "ImageNet's"
    assert found.better.accuracy is None
    assert "may be wrong" in found.sentence()
    assert check_normalization(Classifier.from_module(Ramp(), size=4), images[:7]).better is None
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


def files(folder: Path, count: int) -> tuple[Path, ...]:
    paths = tuple(folder / f"{place:02d}.png" for place in range(count))
    for path, image in zip(paths, pictures(count)[0]):
        write_png(path, image)
    return paths


def test_picture_files_are_looked_at_and_broken_ones_left_out(tmp_path: Path) -> None:
    paths = (tmp_path / "gone.png", *files(tmp_path, 40))
    found = doubt_normalization_on_files(Classifier.from_module(Ramp(), size=4), paths)
    assert found is not None
    assert (found.n, found.better is not None) == (31, True)
    assert doubt_normalization_on_files(Classifier.from_module(Ramp(), mean=MEAN, std=STD, size=4), paths) is None
    assert doubt_normalization_on_files(Classifier.from_module(Ramp(), size=4), paths[:1]) is None


def test_predict_and_report_say_it_of_the_persons_own_pictures(tmp_path: Path) -> None:
    own, paths = Classifier.from_module(Tall(), size=4, labels=["dark", "bright"]), files(tmp_path, 9)
    right = Classifier.from_module(Tall(), mean=MEAN, std=STD, size=4, labels=["dark", "bright"])
    for classifier, times in ((own, 1), (right, 0)):
        outcome = predict(PredictRequest(paths, classifier))
        assert sum("did you mean --mean" in text for text in outcome.warnings) == times
        page = tmp_path / f"{times}.html"
        asked = ReportRequest(paths, classifier, methods=("saliency",), with_pictures=False, out=page)
        assert sum("did you mean --mean" in text for text in report(asked).warnings) == times
        assert ("did you mean --mean" in page.read_text()) == bool(times)


def test_report_says_it_of_a_data_set_and_not_of_sample_photographs(tmp_path: Path) -> None:
    images, labels = pictures()
    data = Dataset.of((images * 255).to(torch.uint8), labels.tolist(), ["dark", "bright"])
    own = Classifier.from_module(Bright(), size=4, labels=["dark", "bright"])
    outcome = report(ReportRequest(data=DataRequest(data), model=own, out=tmp_path / "data.html"))
    assert any("of 32 pictures are right with it" in text for text in outcome.warnings)
    sample = ReportRequest(
        model=Classifier.from_module(Tall(), size=32), methods=("saliency",), out=tmp_path / "s.html"
    )
    assert not any("did you mean" in text for text in report(sample).warnings)


def test_evaluate_says_it(tmp_path: Path) -> None:
    images, labels = pictures()
    data = Dataset.of((images * 255).to(torch.uint8), labels.tolist(), ["dark", "bright"])
    own = Classifier.from_module(Bright(), size=4, labels=["dark", "bright"])
    outcome = evaluate(EvaluateRequest(DataRequest(data), (own,), out=tmp_path))
    assert any("did you mean --mean" in text for text in outcome.warnings)
    assert any("did you mean --mean" in text for text in outcome.document["warnings"])
    assert outcome.document["normalization"]["n"] == 40
    assert "did you mean --mean" in (tmp_path / "report.html").read_text()
