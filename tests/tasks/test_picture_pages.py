"""`attack` and `explain` on pictures: the page and the sheet say what the files do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from backlight import Classifier, tasks
from backlight.core.errors import UsageError
from backlight.images import open_picture, to_tensor
from backlight.page.sections import percent
from backlight.report import attacked as attacked_page
from backlight.tasks import joint_page
from tests.report.reading import read, stored
from tests.tasks.small import LABELS, SIDE, small_model, write_pictures


@pytest.fixture(scope="module")
def model() -> Classifier:
    return small_model(LABELS[:3])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = write_pictures(folder)
    (folder / "broken.png").write_text("no picture")
    return (*paths, folder / "broken.png")


def of(classifier: Classifier, path: str) -> list[float]:
    with torch.no_grad():
        return classifier.logits(to_tensor(open_picture(path))[None]).softmax(1)[0].tolist()


def test_the_attacks_page_shows_the_files_and_says_what_they_do(
    model: Classifier, pictures: tuple[Path, ...], tmp_path: Path
) -> None:
    request = tasks.AttackRequest(pictures, model, "pgd", eps="64/255", out=tmp_path, command="backlight attack <x>")
    done = tasks.attack(request).document
    page = read(tmp_path / "a-and-3-more-pgd.html")
    fooled = set()
    for place, one in enumerate(done[:3], 1):
        assert one["html"] == str(tmp_path / "a-and-3-more-pgd.html")
        assert to_tensor(stored(page, f"picture-{place}-result")).equal(to_tensor(open_picture(one["png"])))
        before, after = of(model, one["path"]), of(model, one["png"])
        first, now = (max(range(3), key=values.__getitem__) for values in (before, after))
        said = f"it was {LABELS[first]} ({percent(before[first])} sure)"
        verdict = f"Fooled: {said}, now it is {LABELS[now]} ({percent(after[now])} sure)."
        still = f"Not fooled: {said} and still is ({percent(after[first])} sure)."
        assert (verdict if one["success"] else still) in page.text
        fooled.add(one["success"])
    assert True in fooled
    assert "10 times stronger" in page.text
    assert "64/255" in page.text
    assert "backlight attack <x>" in page.text
    assert "broken.png" in page.text
    assert str(tmp_path.parent) not in page.text.replace(request.command, "")
    with Image.open(done[0]["sheet"]) as sheet:
        assert sheet.width == 3 * SIDE + 4 * 4
        assert sheet.height > 3 * SIDE


def test_without_a_page_the_pictures_and_what_is_said_of_them_are_the_same(
    model: Classifier, pictures: tuple[Path, ...], tmp_path: Path
) -> None:
    def attacked(name: str, **how: Any) -> tuple[list[dict[str, object]], dict[str, bytes]]:
        request = tasks.AttackRequest(pictures[:2], model, "pgd", eps="4/255", steps=12, out=tmp_path / name, **how)
        done = tasks.attack(request, search=model.fast() if how else None).document
        told = [{key: value for key, value in one.items() if name not in str(value)} for one in done]
        return told, {path.name: path.read_bytes() for path in request.out.iterdir() if path.suffix == ".png"}

    (said, files), (told, few) = attacked("a page"), attacked("no page", with_page=False)
    assert told == [{**one, "html": None, "sheet": None} for one in said]
    assert few == {name: data for name, data in files.items() if "sheet" not in name}
    assert len(few) == 4
    assert not list((tmp_path / "no page").glob("*.html"))


def test_a_wish_that_is_not_met_is_said(model: Classifier, pictures: tuple[Path, ...], tmp_path: Path) -> None:
    request = tasks.AttackRequest(pictures[:1], model, "pgd", eps="0.1/255", target="least-likely", out=tmp_path)
    done = tasks.attack(request).document[0]
    page = read(Path(done["html"]))
    assert not done["success"]
    assert f"still is ({percent(max(of(model, done['png'])))} sure), not {done['target']}." in page.text


def test_rounding_that_eats_an_even_change_is_said_on_the_page(
    model: Classifier, pictures: tuple[Path, ...], tmp_path: Path
) -> None:
    request = tasks.AttackRequest(pictures[:1], model, "pgd", norm="l2", eps=0.01, out=tmp_path)
    done = tasks.attack(request).document[0]
    assert "rounding to a file takes away" in done["note"]
    assert done["note"] in read(Path(done["html"])).text


def test_the_explanations_page_names_the_class_that_was_asked_for(
    model: Classifier, pictures: tuple[Path, ...], tmp_path: Path
) -> None:
    methods = ("saliency", "gradcam")
    request = tasks.ExplainRequest(pictures, model, methods, target="least-likely", layer=("0",), out=tmp_path)
    done = tasks.explain(request).document
    page = read(tmp_path / "a-and-3-more-explained.html")
    for place, one in enumerate(done[:3], 1):
        values = of(model, one["path"])
        best, least = max(range(3), key=values.__getitem__), min(range(3), key=values.__getitem__)
        assert one["target"] == LABELS[least]
        assert f"What it says: {LABELS[best]}" in page.text
        assert f"speak for {LABELS[least]}?" in re.sub(r"\s+", " ", page.text)
        assert stored(page, f"picture-{place}-crop").size == (SIDE, SIDE)
    assert len([one for one in page.all("img") if one.get("class") == "layer heat"]) == 3 * len(methods)
    with Image.open(done[0]["sheet"]) as sheet:
        assert sheet.width == 3 * SIDE + 4 * 4  # the original and two maps


def test_what_is_there_is_not_replaced(model: Classifier, pictures: tuple[Path, ...], tmp_path: Path) -> None:
    (tmp_path / "a-fgsm.html").write_text("mine")
    with pytest.raises(UsageError, match="a-fgsm.html"):
        tasks.attack(tasks.AttackRequest(pictures[:1], model, "fgsm", out=tmp_path))
    assert (tmp_path / "a-fgsm.html").read_text() == "mine"
    assert not (tmp_path / "a-fgsm.png").exists()


def test_many_pictures_keep_a_page_small_and_it_says_so(
    model: Classifier, pictures: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joint_page, "MOST_SHOWN", 2)
    assert attacked_page.MOST_SHOWN >= 24
    done = tasks.attack(tasks.AttackRequest(pictures[:3], model, "fgsm", out=tmp_path)).document
    page = read(Path(done[0]["html"]))
    assert "the first 2 of 3" in page.text
    assert "picture-2" in page.ids
    assert "picture-3" not in page.ids
    assert all(Path(one["png"]).is_file() for one in done)
