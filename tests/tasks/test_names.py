"""Pictures keep their label: pages call them by the data's class names, true and predicted, never by numbers."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight import tasks
from backlight.classifier import Classifier
from backlight.explain.request import Request
from backlight.tasks.loading import named
from tests.data.samples import write_folder

NAMES = ("heron", "lemming", "walrus")


@pytest.fixture
def bare() -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        return Classifier.from_module(nn.Sequential(*layers), size=16)


@pytest.fixture
def data(tmp_path: Path) -> tasks.DataRequest:
    write_folder(tmp_path / "data", dict.fromkeys(NAMES, 4), size=16)
    return tasks.DataRequest(str(tmp_path / "data"))


def test_maps_say_what_their_picture_is_and_was_taken_for(
    bare: Classifier, data: tasks.DataRequest, tmp_path: Path
) -> None:
    asked = Request(("saliency",), "top")
    request = tasks.ExplainDataRequest(data, bare, asked, metrics=("deletion",), out=tmp_path / "out")
    outcome = tasks.explain_data(request)
    page = next(path for path in outcome.files if path.suffix == ".html").read_text("utf-8")
    captions = re.findall(r"<figcaption><strong>(\w+)/\d\.png</strong> (\w+), (rightly|taken for (\w+)),", page)
    assert captions
    for folder, true, judged, taken in captions:
        assert folder == true
        assert judged == "rightly" or taken in set(NAMES) - {true}


def test_a_report_calls_its_pictures_by_the_names_of_the_data(
    bare: Classifier, data: tasks.DataRequest, tmp_path: Path
) -> None:
    picture = Path(str(data.data)) / "heron" / "0.png"
    request = tasks.ReportRequest((picture,), bare, data, ("saliency",), False, out=tmp_path / "page.html")
    tasks.report(request)
    page = re.sub(r"<(style|script).*?</\1>", " ", (tmp_path / "page.html").read_text("utf-8"), flags=re.DOTALL)
    assert not re.findall(r"<th[^>]*scope=.row.[^>]*>\s*[012]\s*</th>", page)
    assert all(name in page for name in NAMES)


def test_the_labels_of_a_classifier_are_its_own(bare: Classifier, data: tasks.DataRequest) -> None:
    own = bare.replace(labels=("a", "b", "c"))
    assert named(own, data.load()) is own
    assert named(bare, data.load()).labels == NAMES
    assert bare.labels == ()
    two = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), size=16)
    assert named(two, data.load()).labels == ()
