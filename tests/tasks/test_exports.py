"""Tables and figures that verbs write beside their pages: the library's numbers, the page's charts, in every form."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree

import pytest

from backlight import Classifier, load, tasks
from backlight.attack import PatchRequest, RobustnessRequest, TransferRequest
from backlight.certify import CertifyRequest
from backlight.core.errors import UsageError
from backlight.data import load_data
from backlight.explain.request import Request
from backlight.images import write_png
from backlight.page.figures import charts_of
from backlight.report import export_result
from backlight.table.statistics import wilson

DATA = "shapes:n=24,size=32,classes=10"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def model() -> Classifier:
    return load("classic_cnn", random=True, seed=0).replace(labels=())


def data() -> tasks.DataRequest:
    return tasks.DataRequest(DATA, "all")


def robustness(model: Classifier, out: Path) -> tasks.Outcome:
    asked = RobustnessRequest("fgsm", eps="2/255", checks=False)
    return tasks.robustness(tasks.RobustnessOfDataRequest(data(), model, asked, out=out))


def evaluate(model: Classifier, out: Path) -> tasks.Outcome:
    return tasks.evaluate(tasks.EvaluateRequest(data(), (model,), out=out))


def explain(model: Classifier, out: Path) -> tasks.Outcome:
    asked = Request(("saliency", "gradcam"), "top")
    few = tasks.DataRequest(DATA, "all", limit=4)
    request = tasks.ExplainDataRequest(few, model, asked, ("deletion", "average_increase"), out=out)
    return tasks.explain_data(request)


def corruptions(model: Classifier, out: Path) -> tasks.Outcome:
    request = tasks.CorruptionsRequest(
        data(), model, kinds="fog,brightness", severities="1,3", stability=True, out=out, pictures=False
    )
    return tasks.corruptions(request)


def transfer(model: Classifier, out: Path) -> tasks.Outcome:
    asked = TransferRequest.of("i-fgsm:steps=2,mi:steps=2", eps="8/255")
    return tasks.transfer(tasks.TransferOfDataRequest(data(), (model, model), asked, out=out, pictures=False))


def universal(model: Classifier, out: Path) -> tasks.Outcome:
    asked = PatchRequest(steps=5, pictures=4)
    return tasks.universal(tasks.UniversalOfDataRequest(data(), model, asked, out=out, pictures=False))


def certify(model: Classifier, out: Path) -> tasks.Outcome:
    asked = CertifyRequest("smoothing:n=30,n0=5")
    return tasks.certify(tasks.CertifyDataRequest(data(), model, asked, out=out))


def audit(model: Classifier, out: Path) -> tasks.Outcome:
    return tasks.audit(tasks.AuditRequest(data(), model, depth="quick", out=out, pictures=False))


def report(model: Classifier, out: Path) -> tasks.Outcome:
    return tasks.report(tasks.ReportRequest((), model, data(), out=out))


VERBS: dict[str, Callable[[Classifier, Path], tasks.Outcome]] = {
    "robustness": robustness,
    "evaluate": evaluate,
    "explain": explain,
    "corruptions": corruptions,
    "transfer": transfer,
    "universal": universal,
    "certify": certify,
    "audit": audit,
    "report": report,
}


@pytest.fixture(scope="module")
def made(model: Classifier, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, tasks.Outcome]]:
    found = {}
    for name, verb in VERBS.items():
        out = tmp_path_factory.mktemp(name)
        found[name] = (out, verb(model, out))
    return found


Made = dict[str, tuple[Path, tasks.Outcome]]


def rows(made: Made, verb: str, table: str = "summary") -> list[dict[str, str]]:
    with (made[verb][0] / f"{verb}-tables" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def numbers(row: dict[str, str], *names: str) -> list[float]:
    return [float(row[name]) for name in names]


@pytest.mark.parametrize("verb", VERBS)
def test_every_chart_of_the_page_is_an_svg_and_a_pdf(made: Made, verb: str) -> None:
    out, outcome = made[verb]
    charts = charts_of((out / "report.html").read_text("utf-8"))
    folder = out / f"{verb}-tables"
    svgs, pdfs = (sorted(folder.glob(f"*{suffix}")) for suffix in (".svg", ".pdf"))
    assert len(charts) == len(svgs) > 0
    assert [one.stem for one in svgs] == [one.stem for one in pdfs]
    titles = [ElementTree.fromstring(one.read_text("utf-8")).findtext(f"{SVG}title") for one in svgs]
    assert sorted(map(str, titles)) == sorted(title for title, _ in charts)
    words = {text.text for one in svgs for text in ElementTree.fromstring(one.read_text("utf-8")).iter(f"{SVG}text")}
    assert words >= {text.text for _, chart in charts for text in ElementTree.fromstring(chart).iter("text")}
    for one in pdfs:
        held = one.read_bytes()
        assert held.startswith(b"%PDF-")
        assert held.rstrip().endswith(b"%%EOF")
        assert len(re.findall(rb"/Type\s*/Page\b", held)) == 1
    assert set(folder.iterdir()) <= set(outcome.files)
    assert f"{verb}-tables/" in (out / "report.html").read_text("utf-8")
    assert str(folder) in "\n".join(outcome.lines)


@pytest.mark.parametrize("verb", VERBS)
def test_the_summary_is_the_same_in_every_form(made: Made, verb: str) -> None:
    folder, found = made[verb][0] / f"{verb}-tables", rows(made, verb)
    header, _, *body = (folder / "summary.md").read_text("utf-8").splitlines()
    names = [one.strip().replace("\\", "") for one in header.strip("|").split("|")]
    assert names == list(found[0])
    assert "id" not in names
    assert len(body) == len(found)
    latex = (folder / "summary.tex").read_text("utf-8")
    assert latex.startswith(r"\begin{tabular}")
    assert latex.count(r"\\") == len(found) + 1
    for line, row in zip(body, found):
        for cell, value in zip((one.strip().replace("\\", "") for one in line.strip("|").split("|")), row.values()):
            if re.fullmatch(r"-?[\d.]+(e-?\d+)?", value):
                assert float(cell) == pytest.approx(float(value), rel=1e-3)
            else:
                assert cell == value
            assert cell.replace("_", r"\_").replace("<", r"\textless{}").replace(">", r"\textgreater{}") in latex


def test_robustness_in_a_row(made: Made) -> None:
    found = made["robustness"][1].result
    (row,) = rows(made, "robustness")
    assert (row["attack"], row["norm"], row["bound"], int(row["n"])) == ("fgsm", "linf", "2/255", 24)
    assert float(row["eps"]) == 2 / 255
    assert numbers(row, "clean", "robust") == [found.clean_accuracy, found.robust_accuracy]
    assert numbers(row, "clean_from", "clean_to") == list(found.intervals["clean"])
    assert numbers(row, "from", "to") == list(found.interval)


def test_an_evaluation_in_rows(made: Made) -> None:
    document = made["evaluate"][1].document
    found = {row["metric"]: row for row in rows(made, "evaluate")}
    for metric in ("accuracy", "balanced_accuracy", "macro_f1", "top5", "loss", "ece"):
        assert float(found[metric]["mean"]) == pytest.approx(document[metric], abs=1e-12)
    assert numbers(found["accuracy"], "from", "to") == document["accuracy_interval"]
    assert numbers(found["top5"], "from", "to") == list(wilson(round(24 * document["top5"]), 24))
    low, high = numbers(found["loss"], "from", "to")
    assert low < document["loss"] < high
    assert found["ece"]["from"] == ""
    assert rows(made, "report") == rows(made, "evaluate")


def test_explanations_in_a_row_for_each_method_and_metric(made: Made) -> None:
    document = made["explain"][1].document["methods"]
    found = rows(made, "explain")
    assert [(row["method"], row["metric"]) for row in found] == [
        (method, metric) for method, metrics in document.items() for metric in metrics
    ]
    for row in found:
        entry: dict[str, Any] = document[row["method"]][row["metric"]]
        assert (row["better"], int(row["n"])) == (entry["better"], entry["n"])
        for name, value in (("mean", entry["mean"]), *((one, entry[one]["mean"]) for one in ("random", "edges"))):
            assert row[name] == "" if value is None else float(row[name]) == value
        if row["mean"] and row["from"]:
            assert float(row["from"]) <= float(row["mean"]) <= float(row["to"])


def test_corruptions_in_a_row_for_each_kind_and_severity(made: Made) -> None:
    study = made["corruptions"][1].result
    found = rows(made, "corruptions")
    assert [(row["kind"], row["severity"]) for row in found[:5]] == [
        ("clean", "0"), ("fog", "1"), ("fog", "3"), ("brightness", "1"), ("brightness", "3")
    ]  # fmt: skip
    fog = study.kinds["fog"]
    for row, mean, interval in zip(found[1:3], fog.accuracy, fog.interval):
        assert numbers(row, "mean", "from", "to") == [mean, *interval]
    changed = {row["kind"]: row for row in found if row["metric"] == "changed"}
    assert set(changed) == set(study.stability)
    for name, row in changed.items():
        assert numbers(row, "mean", "from", "to") == [study.stability[name].flip_share, *study.stability[name].interval]


def test_an_audit_in_a_row_for_each_finding(made: Made) -> None:
    findings = made["audit"][1].document["findings"]
    found = rows(made, "audit")
    assert [(row["finding"], row["judgement"]) for row in found] == [
        (one["name"], one["judgement"]) for one in findings
    ]
    for row, one in zip(found, findings):
        assert row["value"] in ("", "nan", "inf") if one["value"] is None else float(row["value"]) == one["value"]
        assert (row["from"] == "") == (one["interval"] is None)
    written = {path.stem for path in (made["audit"][0] / "audit-tables").glob("*.csv")}
    assert len(written) == 1 + sum(len(one.tables) for one in made["audit"][1].result.findings)


def test_a_calibration_in_rows_before_and_after(model: Classifier, tmp_path: Path) -> None:
    asked = tasks.CalibrateRequest(model, DATA, out=tmp_path)
    outcome = tasks.calibrate(asked)
    document, folder = outcome.document, tmp_path / "calibrate-tables"
    found = {
        row["metric"]: numbers(row, "before", "after") for row in rows({"calibrate": (tmp_path, outcome)}, "calibrate")
    }
    assert found["temperature"] == [1.0, document["temperature"]]
    assert found["loss"] == [document["loss_before"], document["loss_after"]]
    assert found["ece"] == [document["ece_before"], document["ece_after"]]
    assert set(folder.iterdir()) == set(outcome.files) - {tmp_path / "calibration.json"}
    assert sorted(path.name.split("-")[0] for path in folder.glob("*.svg")) == ["after", "before"]
    assert str(folder) in "\n".join(outcome.lines)
    (tmp_path / "calibration.json").unlink()
    with pytest.raises(UsageError, match="calibrate-tables exists already"):
        tasks.calibrate(asked)


def test_two_models_have_a_summary_each_and_their_difference(model: Classifier, tmp_path: Path) -> None:
    other = load("classic_cnn", random=True, seed=1).replace(labels=())
    done = tasks.evaluate(tasks.EvaluateRequest(data(), (model, other), out=tmp_path)).document
    made = {"evaluate": (tmp_path, tasks.Outcome())}
    accuracies = [float(rows(made, "evaluate", name)[0]["mean"]) for name in ("summary", "summary-second")]
    assert accuracies == [done["accuracy"], done["second"]["accuracy"]]
    (row,) = rows(made, "evaluate", "comparison")
    assert numbers(row, "difference", "from", "to") == [
        done["comparison"]["difference"], *done["comparison"]["interval"]
    ]  # fmt: skip


def test_a_curve_has_a_row_for_each_size(model: Classifier) -> None:
    from backlight.attack import evaluate_robustness

    asked = RobustnessRequest("fgsm", eps="2/255", curve=True, checks=False)
    found = evaluate_robustness(model, load_data("shapes:n=6,size=32,classes=10", split="all"), asked)
    assert found.curve is not None
    curve = [row for row in found.summary_table().rows() if row["attack"] == "smallest change"]
    assert [(row["eps"], row["robust"]) for row in curve] == list(zip(found.curve.eps, found.curve.accuracy))
    for row in curve:
        assert (row["from"], row["to"]) == wilson(round(6 * row["robust"]), 6)


def test_an_attack_on_several_pictures_says_what_share_it_fooled(model: Classifier, tmp_path: Path) -> None:
    paths = tuple(tmp_path / f"{row}.png" for row in range(3))
    for path, image in zip(paths, load_data(DATA, split="all")[list(range(3))].images):
        write_png(path, image)
    out = tmp_path / "out"
    done = tasks.attack(tasks.AttackRequest(paths, model, "fgsm", eps="4/255", out=out))
    with (out / "0-and-2-more-fgsm-tables" / "summary.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    fooled = [one for one in done.document if one["success"]]
    assert (row["attack"], row["norm"], row["bound"], int(row["n"])) == ("fgsm", "linf", "4/255", 3)
    assert numbers(row, "eps", "fooled") == [4 / 255, len(fooled) / 3]
    assert numbers(row, "from", "to") == list(wilson(len(fooled), 3))
    far = [one["distance"] for one in fooled]
    assert row["median_distance"] == ("" if not far else str(median(far)))
    assert {path.name for path in done.files if path.parent.name.endswith("-tables")} == {
        "summary.csv", "summary.md", "summary.tex"
    }  # fmt: skip
    alone = tasks.attack(tasks.AttackRequest(paths[:1], model, "fgsm", eps="4/255", out=tmp_path / "one"))
    assert not any(path.suffix == ".csv" for path in alone.files)


@pytest.mark.parametrize("verb", VERBS)
def test_what_lies_there_is_not_overwritten(model: Classifier, tmp_path: Path, verb: str) -> None:
    own = tmp_path / f"{verb}-tables" / "summary.csv"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        VERBS[verb](model, tmp_path)
    assert own.read_text() == "mine"


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "report"])
def test_the_same_files_in_python(made: Made, tmp_path: Path, verb: str) -> None:
    result = made[verb][1].result
    written = export_result(result[0] if isinstance(result, list) else result, tmp_path)
    theirs = {path.name: path.read_bytes() for path in (made[verb][0] / f"{verb}-tables").iterdir()}
    assert {path.suffix for path in written} == {".csv", ".md", ".tex", ".svg", ".pdf"}
    for path in written:
        assert path.read_bytes() == theirs[path.name]
