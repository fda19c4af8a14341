"""A list with several labels a picture is evaluated by average precision, as scikit-learn computes it."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight import tasks
from backlight.attack import RobustnessRequest, evaluate_robustness
from backlight.classifier import Classifier
from backlight.core.errors import ModelError, UsageError
from backlight.data import Dataset, load_data
from backlight.page.sections import percent
from backlight.tasks.exporting import export_classifier
from backlight.train import fit
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
    summary = tmp_path / "out" / "evaluate-tables" / "summary.csv"
    assert outcome.files == (*(summary.with_suffix(suffix) for suffix in (".csv", ".md", ".tex")), page)
    with summary.open(encoding="utf-8", newline="") as file:
        means = {row["metric"]: float(row["mean"]) for row in csv.DictReader(file)}
    assert means == {name: outcome.document[name] for name in ("mean_average_precision", "all_right")}
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


def many_labels(classes: int = 3, outputs: str = "multilabel") -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        pool = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * 16, classes))
    names = ["circle", "square", "triangle"][: 2 if outputs == "binary" else classes]
    return Classifier.from_module(pool, mean=(0.5,) * 3, std=(0.1,) * 3, size=32, labels=names, outputs=outputs)


def several(count: int = 12) -> Dataset:
    draw = torch.Generator().manual_seed(2)
    pixels = torch.randint(0, 256, (count, 3, 32, 32), generator=draw).byte()
    # The columns of marks are in another order than the model's labels.
    marks = torch.rand(count, 3, generator=draw) > 0.5
    return replace(Dataset.of(pixels, label_names=["triangle", "circle", "square"]), targets=marks)


def test_robustness_of_one_label_is_that_of_its_question(tmp_path: Path) -> None:
    many, data = many_labels(), several()
    asked = RobustnessRequest("fgsm", eps="4/255", target="square", checks=False)
    out = tmp_path / "out"
    outcome = tasks.robustness(tasks.RobustnessOfDataRequest(tasks.DataRequest(data), many, asked, out=out))
    assert data.targets is not None
    with torch.no_grad():
        yes = many.logits(data[:].images)[:, 1] > 0
    assert outcome.document["clean_accuracy"] == pytest.approx(float((yes == data.targets[:, 2]).float().mean()))
    two = replace(data, labels=data.targets[:, 2].long(), label_names=("not square", "square"), targets=None)
    alone = evaluate_robustness(many.question("square"), two, replace(asked, target=None))
    assert outcome.document["robust_accuracy"] == alone.robust_accuracy
    assert outcome.document["robust_accuracy"] < outcome.document["clean_accuracy"]
    assert "not square" in (out / "report.html").read_text("utf-8")
    assert json.loads((out / "robustness.json").read_text("utf-8"))["request"]["target"] == "square"


@pytest.mark.parametrize("asked", [RobustnessRequest("fgsm"), RobustnessRequest("pgd:target=square")])
def test_robustness_of_all_labels_at_once_is_refused_with_the_way_out(asked: RobustnessRequest, tmp_path: Path) -> None:
    request = tasks.RobustnessOfDataRequest(tasks.DataRequest(several()), many_labels(), asked, out=tmp_path / "out")
    with pytest.raises(UsageError, match=r"--target circle \| square \| triangle"):
        tasks.robustness(request)


def test_corruptions_and_calibration_take_one_class_a_picture(tmp_path: Path) -> None:
    shapes = "shapes:n=30,size=32,classes={},seed=0"
    many, data = many_labels(), tasks.DataRequest(shapes.format(3))
    with pytest.raises(ModelError, match="a question per label"):
        tasks.corruptions(tasks.CorruptionsRequest(data, many, kinds="fog", severities="1", out=tmp_path / "a"))
    with pytest.raises(ModelError, match="a question per label"):
        tasks.calibrate(tasks.CalibrateRequest(many, shapes.format(3), out=tmp_path / "b"))
    binary = many_labels(1, "binary")
    found = tasks.calibrate(tasks.CalibrateRequest(binary, shapes.format(2), out=tmp_path / "c")).document
    assert found["loss_after"] <= found["loss_before"]


@pytest.mark.parametrize("kind", ["onnx", "state-dict"])
def test_heads_of_one_and_of_several_questions_are_exported_as_logits(kind: str, tmp_path: Path) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
    for classifier in (many_labels(), many_labels(1, "binary")):
        found = export_classifier(classifier, tmp_path / f"{classifier.outputs}.file", kind=kind)
        assert found.difference < 1e-5
    ended = nn.Sequential(many_labels().module, nn.Sigmoid())
    with pytest.raises(ModelError, match="multilabel, through a sigmoid.*without its last sigmoid"):
        export_classifier(Classifier.from_module(ended, size=32, outputs="multilabel"), tmp_path / "c", kind=kind)


def test_a_head_without_logits_is_not_trained(tmp_path: Path) -> None:
    train, val = (load_data("shapes:n=20,size=32,classes=2", split=part) for part in ("train", "val"))
    with pytest.raises(ModelError, match="returns binary; expected logits, for training"):
        fit(many_labels(1, "binary"), train, val, tmp_path / "run")
