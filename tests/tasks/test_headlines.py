"""Each page's headline, which an index shows beside it, is the number that the verb's document holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backlight import Classifier, tasks
from backlight.explain.request import Request
from backlight.images import write_png
from backlight.page.sections import percent
from backlight.report.index import find_results
from backlight.tasks.explaining_data import scored
from tests.tasks.small import LABELS, SIDE, small_model, write_pictures

DATA = f"shapes:n=24,size={SIDE},classes=4"


@pytest.fixture(scope="module")
def model() -> Classifier:
    return small_model(LABELS)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def headline(folder: Path) -> str:
    (page,) = [one for one in find_results(folder) if one.page]
    return page.headline


def data() -> tasks.DataRequest:
    return tasks.DataRequest(DATA, "all")


def numbered(model: Classifier) -> Classifier:
    return model.replace(labels=())


def test_an_attack_says_how_many_it_fooled(model: Classifier, pictures: tuple[Path, ...], tmp_path: Path) -> None:
    done = tasks.attack(tasks.AttackRequest(pictures, model, eps="8/255", out=tmp_path)).document
    fooled = sum(one["success"] for one in done)
    assert headline(tmp_path) == f"{fooled} of 3 fooled"


def test_an_attack_on_one_picture_says_what_became_of_it(
    model: Classifier, pictures: tuple[Path, ...], tmp_path: Path
) -> None:
    (done,) = tasks.attack(tasks.AttackRequest(pictures[:1], model, eps="64/255", out=tmp_path)).document
    assert done["success"]
    assert headline(tmp_path).startswith(f"Fooled: it was {done['label_before']} (")
    assert f"now it is {done['label_after']} (" in headline(tmp_path)


def test_explained_pictures_say_how_far_their_maps_agree(
    model: Classifier, pictures: tuple[Path, ...], tmp_path: Path
) -> None:
    tasks.explain(tasks.ExplainRequest(pictures, model, methods=("saliency", "gradcam"), out=tmp_path / "two"))
    words = ("largely", "partly", "hardly")
    assert any(headline(tmp_path / "two").startswith(f"the maps of 3 pictures {word} agree") for word in words)
    (one,) = tasks.explain(
        tasks.ExplainRequest(pictures[:1], model, methods=("saliency",), out=tmp_path / "one")
    ).document
    assert headline(tmp_path / "one") == f"what speaks for {one['target']}"


def test_a_report_of_pictures_says_how_many_are_fooled(
    model: Classifier, pictures: tuple[Path, ...], tmp_path: Path
) -> None:
    tasks.report(tasks.ReportRequest(pictures, model, methods=("saliency",), out=tmp_path))
    cells = (tmp_path / "report.html").read_text("utf-8").count("still the same</td>")
    assert headline(tmp_path) == f"{3 - cells} of 3 fooled by a change that people cannot see"


def test_a_report_of_data_says_the_share_that_is_right(model: Classifier, tmp_path: Path) -> None:
    tasks.report(tasks.ReportRequest((), numbered(model), data(), out=tmp_path / "report"))
    found = tasks.evaluate(tasks.EvaluateRequest(data(), (numbered(model),), out=tmp_path / "evaluate")).document
    right = percent(found["accuracy"])
    assert headline(tmp_path / "report") == f"{right} right" == headline(tmp_path / "evaluate")


def test_explanations_of_data_say_which_method_says_most(model: Classifier, tmp_path: Path) -> None:
    asked = Request(("saliency", "gradcam"), "top")
    request = tasks.ExplainDataRequest(data(), numbered(model), asked, scored(True), out=tmp_path / "scored")
    methods = tasks.explain_data(request).document["methods"]
    better = {
        name: sum(
            all(
                (entry[one]["difference"] > 0) == (entry["better"] == "higher")
                and abs(entry[one]["difference"]) > 2 * entry[one]["standard_error"]
                for one in ("random", "edges")
            )
            for entry in metrics.values()
            if entry["judges"] and entry["random"]["difference"] is not None
        )
        for name, metrics in methods.items()
    }
    count = sum(entry["judges"] for entry in methods["saliency"].values())
    best = max(better, key=lambda name: better[name])
    said = headline(tmp_path / "scored")
    if better[best]:
        assert said == f"{best} is better than both controls by {better[best]} of {count} scores, the most of 2 methods"
    else:
        assert said == f"none of 2 methods is better than both controls by any of {count} scores"
    tasks.explain_data(tasks.ExplainDataRequest(data(), numbered(model), asked, out=tmp_path / "not"))
    assert headline(tmp_path / "not") == "24 pictures explained by 2 methods, not scored"


def test_an_inspected_data_set_says_what_it_holds(tmp_path: Path) -> None:
    found = tasks.inspect_data(tasks.InspectDataRequest(DATA, tmp_path)).document
    assert found["warnings"] == []
    assert headline(tmp_path) == "24 pictures of 4 classes, nothing amiss"
    folder = tmp_path / "own"
    for row, name in enumerate(("cat", "dog", "dog")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_png(folder / name / f"{row}.png", torch.full((3, 8, 8), 0.25))
    found = tasks.inspect_data(tasks.InspectDataRequest(str(folder), tmp_path / "page")).document
    assert found["warnings"]
    assert headline(tmp_path / "page") == f"3 pictures of 2 classes: {found['warnings'][0]}"
