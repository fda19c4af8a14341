"""Every verb's task called directly, as a notebook does: a request in, files and a document out, nothing printed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight import Classifier, tasks
from backlight.attack import (
    PatchRequest,
    PerturbationRequest,
    RobustnessRequest,
    TransferRequest,
    UniversalRequest,
    read_change,
)
from backlight.certify import CertifyRequest
from backlight.core.errors import UsageError
from backlight.data import Dataset, load_data
from backlight.explain.request import Request
from backlight.images import write_png
from backlight.tasks.outcome import Outcome

LABELS = ("circle", "square", "triangle")
DATA = "shapes:n=40,size=16,classes=3"


@pytest.fixture(scope="module")
def model() -> Classifier:
    """Give a small network of fixed weights that is loaded already."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3),
        )  # fmt: skip
    return Classifier.from_module(net, size=16, labels=LABELS, name="small")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Give two pictures and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = torch.Generator().manual_seed(0)
    for name in ("a.png", "b.png"):
        write_png(folder / name, torch.rand(3, 20, 24, generator=draw))
    (folder / "broken.png").write_text("no picture")
    return folder / "a.png", folder / "b.png", folder / "broken.png"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def check(outcome: Outcome, capsys: pytest.CaptureFixture[str], *, failed: int = 0) -> Outcome:
    """Hold what every outcome promises."""
    assert outcome.status == (1 if failed else 0)
    assert len(outcome.failures) == failed
    assert outcome.lines
    assert all(path.exists() for path in outcome.files)
    assert json.loads(json.dumps(outcome.document, allow_nan=False)) == outcome.document
    if isinstance(outcome.document, list) and failed:
        assert [one["path"] for one in outcome.document if "error" in one] == [one.path for one in outcome.failures]
    about_a_model = isinstance(outcome.document, dict) and not {"contact_sheet", "target"} & set(outcome.document)
    if about_a_model:
        assert {"name", "weights", "mean", "std", "labels", "sources"} <= set(outcome.document["model"])
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
    return outcome


def test_predict(model: Classifier, pictures: tuple[Path, ...], capsys: pytest.CaptureFixture[str]) -> None:
    outcome = check(tasks.predict(tasks.PredictRequest(pictures, model, top=2)), capsys, failed=1)
    image = torch.stack([model.read(path).image for path in pictures[:2]])
    best = model.logits(image).argmax(1).tolist()
    assert [one["predictions"][0]["index"] for one in outcome.document[:2]] == best


def test_inspect(model: Classifier, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = check(tasks.inspect(tasks.InspectRequest(model)), capsys)
    assert outcome.document["parameters"] == sum(one.numel() for one in model.module.parameters())


def test_report(model: Classifier, pictures: tuple[Path, ...], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = tasks.ReportRequest(pictures, model, tasks.DataRequest(DATA), ("saliency",), out=out)
    outcome = check(tasks.report(request), capsys, failed=1)
    assert out / "report.html" in outcome.files
    assert out / "report-tables" / "summary.csv" in outcome.files
    assert outcome.document["pictures"] == 2


def test_explain(model: Classifier, pictures: tuple[Path, ...], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = tasks.ExplainRequest(pictures, model, ("saliency", "gradcam"), target="square", out=out)
    outcome = check(tasks.explain(request), capsys, failed=1)
    assert len(outcome.files) == 2 * 2 * 2 + 2  # the page and the sheet
    assert {one["target"] for one in outcome.document[:2]} == {"square"}


def test_explain_data(model: Classifier, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = Request(("saliency",), "top")
    request = tasks.ExplainDataRequest(tasks.DataRequest(DATA, "val"), model, asked, ("deletion",), out=out)
    outcome = check(tasks.explain_data(request), capsys)
    assert outcome.document["n"] == len(outcome.result.table)
    assert "deletion" in outcome.document["methods"]["saliency"]


def test_attack(model: Classifier, pictures: tuple[Path, ...], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = check(tasks.attack(tasks.AttackRequest(pictures, model, "fgsm", eps="8/255", out=out)), capsys, failed=1)
    seen = tasks.predict(tasks.PredictRequest(tuple(Path(one["png"]) for one in outcome.document[:2]), model))
    after = [one["label_after"] for one in outcome.document[:2]]
    assert [one["predictions"][0]["label"] for one in seen.document] == after


def test_robustness(model: Classifier, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tasks.DataRequest(load_data(DATA, split="test"))
    request = tasks.RobustnessOfDataRequest(data, model, RobustnessRequest("fgsm", eps="8/255"), out=out)
    outcome = check(tasks.robustness(request), capsys)
    clean = tasks.evaluate(tasks.EvaluateRequest(data, (model,), out=out / "clean")).document["accuracy"]
    assert outcome.document["clean_accuracy"] == clean
    assert json.loads((out / "robustness.json").read_text())["n"] == outcome.document["n"]


def test_corruptions(model: Classifier, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tasks.DataRequest(load_data(DATA, split="test"))
    request = tasks.CorruptionsRequest(data, model, kinds="fog,jpeg", severities="1,5", stability=True, out=out)
    outcome = check(tasks.corruptions(request), capsys)
    clean = tasks.evaluate(tasks.EvaluateRequest(data, (model,), out=out / "clean")).document["accuracy"]
    assert outcome.document["clean_accuracy"] == clean
    assert set(outcome.document["kinds"]) == {"fog", "jpeg"}
    assert json.loads((out / "corruptions.json").read_text())["n"] == outcome.document["n"]


def test_transfer(model: Classifier, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tasks.DataRequest(load_data(DATA, split="test"))
    asked = TransferRequest.of("mi:steps=2,fgsm", eps="8/255")
    request = tasks.TransferOfDataRequest(data, (model, model), asked, out=out)
    outcome = check(tasks.transfer(request), capsys)
    clean = tasks.evaluate(tasks.EvaluateRequest(data, (model,), out=out / "clean")).document["accuracy"]
    assert set(outcome.document["clean_accuracy"].values()) == {clean}
    assert len(outcome.document["rates"]) == 8
    assert list(outcome.document["models"]) == list(outcome.document["clean_accuracy"])
    assert json.loads((out / "transfer.json").read_text())["n"] == outcome.document["n"]


@pytest.mark.parametrize("asked", [PerturbationRequest(epochs=1), PatchRequest(steps=2, target="square")])
def test_universal(asked: UniversalRequest, model: Classifier, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tasks.DataRequest(load_data(DATA, split="all"))
    request = tasks.UniversalOfDataRequest(data, model, asked, out=out)
    outcome = check(tasks.universal(request), capsys)
    clean = tasks.evaluate(tasks.EvaluateRequest(data, (model,), out=out / "clean")).document["accuracy"]
    assert outcome.document["clean_accuracy"] == clean
    assert outcome.document["kind"] == asked.kind
    assert set(outcome.document["fooling"]) == {"learned", "others"}
    assert read_change(outcome.document["files"]["exact"]).values.equal(outcome.result.change.values)
    assert json.loads((out / "universal.json").read_text())["n"] == outcome.document["n"]
    with pytest.raises(UsageError, match="exists already"):
        tasks.universal(request)


def test_universal_overwrites_no_change_that_lies_there(model: Classifier, out: Path) -> None:
    out.mkdir()
    (out / "patch-print.png").write_text("mine")
    data = tasks.DataRequest(load_data(DATA, split="all"))
    with pytest.raises(UsageError, match=r"patch-print\.png exists already"):
        tasks.universal(tasks.UniversalOfDataRequest(data, model, PatchRequest(steps=1), out=out))
    with pytest.raises(UsageError, match="is no printed size"):
        tasks.universal(
            tasks.UniversalOfDataRequest(data, model, PatchRequest(steps=1), print_size="10", out=out / "a")
        )


def test_certify(model: Classifier, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tasks.DataRequest(load_data(DATA, split="test"))
    request = tasks.CertifyDataRequest(data, model, CertifyRequest("smoothing:n=30,n0=5"), out=out)
    outcome = check(tasks.certify(request), capsys)
    clean = tasks.evaluate(tasks.EvaluateRequest(data, (model,), out=out / "clean")).document["accuracy"]
    assert outcome.document["clean_accuracy"] == clean
    shares = [one["share"] for one in outcome.document["certified_accuracy"].values()]
    assert shares == sorted(shares, reverse=True)
    assert json.loads((out / "certify.json").read_text())["n"] == outcome.document["n"]


def test_audit(model: Classifier, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tasks.DataRequest(load_data(DATA, split="all"))
    gate = tmp_path / "gate.toml"
    gate.write_text('[[gate]]\nmetric = "accuracy"\nmax = 1.0\n')
    request = tasks.AuditRequest(data, model, data, depth="quick", gates=tasks.GateRequest(gate), out=out)
    outcome = check(tasks.audit(request), capsys)
    assert json.loads((out / "audit.json").read_text()) == outcome.document
    found = {one["name"]: one for one in outcome.document["findings"]}
    clean = tasks.evaluate(tasks.EvaluateRequest(data, (model,), out=out / "clean")).document["accuracy"]
    assert found["accuracy"]["value"] == clean
    assert found["leaked_pictures"]["value"] == 1.0
    assert [one["passed"] for one in outcome.document["gates"]] == [True]
    assert (out / "audit-tables" / "worst-class-by-class.csv").exists() or "worst_class" not in found


def test_audit_of_two_models(model: Classifier, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tasks.DataRequest(load_data(DATA, split="all"))
    request = tasks.AuditRequest(data, model, depth="quick", out=out, second=model)
    outcome = check(tasks.audit(request), capsys)
    found = {one["name"]: one for one in outcome.document["findings"]}
    assert found["second_model_accuracy"]["value"] == 0.0
    assert "second" not in {one["section"] for one in outcome.document["findings"] if one["judgement"] != "good"}
    assert outcome.document["second"]["model"]["name"] == "small"
    gate = out / "gate.toml"
    gate.write_text('[[gate]]\nmetric = "accuracy"\nby = "class"\nmin = 0\n'
                    '[[gate]]\nmetric = "accuracy"\nagainst = "baseline"\nmax_drop = 0\n')  # fmt: skip
    asked = tasks.check(tasks.CheckRequest(out / "audit.json", tasks.GateRequest(gate, out / "audit.json")))
    assert [len(one["parts"]) for one in asked.document["gates"] if "parts" in one] == [3]
    assert asked.document["gates"][1]["against"]["test"] == "McNemar's exact test"


@pytest.mark.parametrize(
    ("what", "subjects"), [("class", ("circle", "square")), ("feature", ("0:1",)), ("invert", ()), ("dream", ())]
)
def test_visualize(
    model: Classifier,
    pictures: tuple[Path, ...],
    out: Path,
    capsys: pytest.CaptureFixture[str],
    what: str,
    subjects: tuple[str, ...],
) -> None:
    named = subjects or tuple(map(str, pictures))
    request = tasks.VisualizeRequest(what, named, model, layer="2", steps=2, longest=24, out=out)
    outcome = check(tasks.visualize(request), capsys, failed=0 if subjects else 1)
    assert all(Path(one["png"]) in outcome.files for one in outcome.document if "png" in one)


def test_fool(model: Classifier, pictures: tuple[Path, ...], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = check(tasks.fool(tasks.FoolRequest(pictures, "second", model, steps=2, out=out)), capsys, failed=1)
    assert {"distance", "success", "png"} <= set(outcome.document[0])


def test_style(model: Classifier, pictures: tuple[Path, ...], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = tasks.StyleRequest(pictures[0], pictures[1:2], model, blend=(1.0,), longest=24, steps=1, out=out)
    assert check(tasks.style(request), capsys).document[0]["losses"]


def test_denoise(pictures: tuple[Path, ...], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = tasks.DenoiseRequest(pictures, alpha=1.0, reference=pictures[0], sweep=True, out=out)
    outcome = check(tasks.denoise(request), capsys, failed=1)
    assert [one.name for one in outcome.files if "sweep" in one.name] == [
        "a-denoised-sweep.png",
        "b-denoised-sweep.png",
    ]


def test_train_calibrate_and_evaluate_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = "shapes:n=120,size=16,classes=3", tmp_path / "run"
    trained = check(tasks.train(tasks.TrainRequest(data, run, settings=("epochs=1",))), capsys)
    assert trained.document["run"] == str(run)
    calibrated = check(tasks.calibrate(tasks.CalibrateRequest(run)), capsys)
    assert calibrated.document["own_val"] is True
    request = tasks.EvaluateRequest(tasks.DataRequest(data, "val"), (str(run),), out=tmp_path / "out", calibrated=True)
    found = check(tasks.evaluate(request), capsys)
    assert found.document["loss"] == pytest.approx(calibrated.document["loss_after"], abs=1e-5)


def test_evaluate_two_models(model: Classifier, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = tasks.EvaluateRequest(tasks.DataRequest(DATA, "all"), (model, model), table=True, out=out)
    outcome = check(tasks.evaluate(request), capsys)
    assert outcome.document["comparison"]["difference"] == 0
    names = {path.name for path in outcome.files}
    assert {"samples.parquet", "report.html", "summary.csv", "summary-second.csv", "comparison.csv"} <= names
    assert "How good small (1) is beside small (2), and where it fails" in (out / "report.html").read_text("utf-8")


def test_an_evaluation_copies_no_model(model: Classifier, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copied(*_: object, **__: object) -> None:
        raise AssertionError("attacks look for changes on a copy, and there is no attack")

    monkeypatch.setattr(Classifier, "fast", copied)
    tasks.evaluate(tasks.EvaluateRequest(tasks.DataRequest(DATA, "all"), (model,), out=out))
    assert "fast copy" not in (out / "report.html").read_text("utf-8")


def test_export(model: Classifier, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = check(tasks.export(tasks.ExportRequest(model, "state-dict", out)), capsys)
    assert outcome.document["difference"] == 0


def test_data_sets(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = check(tasks.inspect_data(tasks.InspectDataRequest(DATA, out)), capsys)
    assert outcome.files == (out / "contact-sheet.png", out / "inspection.html")
    outcome = check(tasks.convert_data(tasks.ConvertDataRequest(DATA, tmp_path / "shapes.npz", (8, 8))), capsys)
    assert load_data(tmp_path / "shapes.npz", split="all").read([0]).shape == (1, 3, 8, 8)
    assert outcome.document["pictures"] == 40


def test_check(model: Classifier, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `evaluate` writes and says is what gates read: a model against itself has not dropped."""
    request = tasks.EvaluateRequest(tasks.DataRequest(DATA, "all"), (model,), table=True, out=out)
    result, gate = out / "evaluate.json", out / "gate.toml"
    result.write_text(json.dumps(tasks.evaluate(request).document))
    gate.write_text('[[gate]]\nmetric = "accuracy"\nmin = 0\nby = "class"\n')
    junit, page = out / "gates.xml", out / "gates.md"
    told = tasks.GateRequest(gate, junit=junit, markdown=page)
    outcome = check(tasks.check(tasks.CheckRequest(result, told)), capsys)
    assert outcome.files == (junit, page)
    again = check(tasks.check(tasks.CheckRequest(result, tasks.GateRequest(baseline=result))), capsys)
    assert again.document["gates"][0]["against"]["test"] == "McNemar's exact test"


def test_models_and_methods(capsys: pytest.CaptureFixture[str]) -> None:
    check(tasks.models(tasks.ModelsRequest("vit")), capsys)
    check(tasks.methods(tasks.MethodsRequest()), capsys)
    assert any(line.startswith("@misc{") for line in tasks.methods(tasks.MethodsRequest(bibtex=True)).lines)


def test_index(model: Classifier, out: Path) -> None:
    command = "backlight evaluate --data x"
    tasks.evaluate(tasks.EvaluateRequest(tasks.DataRequest(DATA), (model,), out=out / "first", command=command))
    found = tasks.index(tasks.IndexRequest(out))
    (entry,) = found.document["results"]
    assert entry["verb"] == "evaluate"
    assert found.files == (out / "index.html",)
    assert "first/report.html" in found.files[0].read_text("utf-8")


def test_every_request_is_frozen_and_every_verb_is_tested_here() -> None:
    requests = [getattr(tasks, name) for name in tasks.__all__ if name.endswith("Request")]
    assert all(one.__dataclass_params__.frozen for one in requests if dataclasses.is_dataclass(one))
    verbs = {name for name in tasks.__all__ if name[0].islower()}
    source = Path(__file__).read_text("utf-8")
    assert [name for name in sorted(verbs) if f"tasks.{name}(" not in source] == []


def test_jobs_tells_of_the_blocks_of_a_verb(model: Classifier, out: Path) -> None:
    tasks.evaluate(tasks.EvaluateRequest(tasks.DataRequest(DATA), (model,), out=out))
    told = tasks.jobs(tasks.JobsRequest(out))
    assert told.document["blocks"] == told.document["done"] > 0
    assert told.document.keys() == {"tasks", "blocks", "done", "running", "failed", "images_per_second", "left_s"}
    assert "nobody at work" in told.lines[0]


def test_a_data_set_that_is_loaded_is_taken_as_it_is(model: Classifier, out: Path) -> None:
    data = Dataset.of(torch.zeros(3, 3, 16, 16, dtype=torch.uint8), [0, 1, 2], LABELS)
    found = tasks.evaluate(tasks.EvaluateRequest(tasks.DataRequest(data, limit=2), (model,), out=out))
    assert found.document["n"] == 2


def test_an_assumed_normalization_is_a_warning_and_a_measuring_verb_says_whose_it_is(out: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3))
    assumed = Classifier.from_module(net, size=16, labels=LABELS)
    given = Classifier.from_module(net, size=16, labels=LABELS, mean=(0.5,) * 3, std=(0.5,) * 3)
    for model, warned in ((assumed, True), (given, False)):
        request = tasks.EvaluateRequest(tasks.DataRequest(DATA), (model,), out=out, force=True)
        found = tasks.evaluate(request)
        assert any("ASSUMED" in text for text in found.warnings) is warned
        assert "normalization mean" in found.lines[0]
        assert found.document["model"]["sources"]["mean"] == ("assumed" if warned else "given")
