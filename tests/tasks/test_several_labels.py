"""A list with several labels a picture is evaluated by average precision, as scikit-learn computes it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from backlight import tasks
from backlight.classifier import Classifier
from backlight.core.errors import ModelError, UsageError
from backlight.data import load_data
from backlight.page.sections import percent
from tests.data.samples import write_folder

ROWS = ["x/0.png,cat;dog", "x/1.png,dog", "x/2.png,owl;cat", "x/3.png,cat", "x/4.png,owl", "x/gone.png,owl"]


def model(outputs: str) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    return Classifier.from_module(net, size=8, labels=["owl", "cat", "dog"], outputs=outputs)


@pytest.fixture
def listed(tmp_path: Path) -> tasks.DataRequest:
    write_folder(tmp_path, {"x": 5})
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(ROWS) + "\n")
    return tasks.DataRequest(str(tmp_path / "list.csv"))


def test_average_precision_of_a_list(listed: tasks.DataRequest, tmp_path: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    many = model("multilabel")
    outcome = tasks.evaluate(tasks.EvaluateRequest(listed, (many,), out=tmp_path / "out"))
    data = load_data(str(listed.data)).relabeled(many.labels)
    with torch.no_grad():
        scores = many.probabilities(data[:].images)
    assert data.targets is not None
    for place, name in enumerate(many.labels):
        right = metrics.average_precision_score(data.targets[:, place].numpy(), scores[:, place].numpy())
        assert outcome.document["per_class"][name]["average_precision"] == pytest.approx(right)
    assert (outcome.document["n"], outcome.document["split"], outcome.status) == (5, "all", 1)
    assert [one.path for one in outcome.failures] == ["x/gone.png"]


def test_evaluate_and_report_have_a_page_of_labels(listed: tasks.DataRequest, tmp_path: Path) -> None:
    many = model("multilabel").replace(labels=("owl", "cat", "dog"))
    outcome = tasks.evaluate(tasks.EvaluateRequest(listed, (many,), out=tmp_path / "out"))
    page = tmp_path / "out" / "report.html"
    assert outcome.document["html"] == str(page)
    assert outcome.files == (page,)
    tasks.report(tasks.ReportRequest(data=listed, model=many, out=tmp_path / "page.html"))
    for path in (page, tmp_path / "page.html"):
        text = path.read_text("utf-8")
        section = text[text.index('id="labels"') :]
        for name, score in outcome.document["per_class"].items():
            row = section[section.index(f'<th scope="row">{name}</th>') :].partition("</tr>")[0]
            assert percent(score["average_precision"]) in row
        order = sorted(many.labels, key=lambda name: outcome.document["per_class"][name]["average_precision"])
        places = [section.index(f'<th scope="row">{name}</th>') for name in order]
        assert places == sorted(places)
        assert "x/gone.png" in text
    with pytest.raises(UsageError, match="exists already"):
        tasks.evaluate(tasks.EvaluateRequest(listed, (many,), out=tmp_path / "out"))


def test_what_does_not_go_with_several_labels(listed: tasks.DataRequest, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="one class per picture"):
        tasks.evaluate(tasks.EvaluateRequest(listed, (model("logits"),), out=tmp_path / "out"))
    with pytest.raises(UsageError, match="several labels"):
        tasks.evaluate(tasks.EvaluateRequest(listed, (model("multilabel"),), tta=True, out=tmp_path / "out"))
