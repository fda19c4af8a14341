"""A data set in the app: its numbers are the library's, a choice shows exactly its pictures, and no path is taken."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backlight import tasks
from backlight.app.asking import Asked
from backlight.app.jobs import Job
from backlight.app.routes import application
from backlight.app.security import Door
from backlight.app.serving import AppRequest, opened_session
from backlight.app.session import Session
from backlight.app.shelf import opened_name
from backlight.core.errors import UsageError
from backlight.runs.folder import RunFolder
from backlight.table import Table
from backlight.tasks.browsing import PAGE
from backlight.tasks.loading import DataRequest, ModelRequest, data_of_run
from tests.app.colors import EACH, MISTAKEN, write_colors
from tests.app.conftest import HOST, TOKEN, Asker, headers
from tests.cli.running import CommandLine


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return write_colors(tmp_path_factory.mktemp("colors"))


@pytest.fixture(scope="module")
def shelf(asked: tuple[str, str]) -> Iterator[Session]:
    model, data = asked
    session = opened_session(AppRequest((ModelRequest(model),), data=DataRequest(data)))
    session.worker.start()
    yield session
    session.worker.stop()


@pytest.fixture(scope="module")
def browser(shelf: Session) -> Iterator[Asker]:
    with Asker(application(shelf, Door("127.0.0.1", 8000, TOKEN)), f"http://{HOST}", headers=headers()) as asker:
        asker.answer("browse")
        yield asker


@pytest.fixture(scope="module")
def library(asked: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    model, data = asked
    request = tasks.EvaluateRequest(tasks.DataRequest(data), (model,), out=tmp_path_factory.mktemp("out"))
    return tasks.evaluate(request)


def ids(shown: dict[str, Any]) -> list[str]:
    return [one["id"] for one in shown["pictures"]]


def all_pages(browser: Asker, **words: str) -> list[dict[str, Any]]:
    first = browser.answer("show", **words)
    pages = -(-first["total"] // PAGE)
    rest = [browser.answer("show", **words, page=str(page)) for page in range(1, pages)]
    return [one for page in (first, *rest) for one in page["pictures"]]


def test_its_numbers_are_the_library_s(browser: Asker, library: Any) -> None:
    told, expected = browser.answer("browse"), library.document
    assert told["n"] == expected["n"] == 3 * EACH
    assert told["accuracy"] == expected["accuracy"]
    assert told["interval"] == expected["accuracy_interval"]
    matrix = np.array(expected["confusion"])
    assert [(one["n"], one["right"]) for one in told["classes"]] == list(zip(matrix.sum(1), np.diag(matrix)))
    assert {(one["true"], one["predicted"]): one["count"] for one in told["mistakes"]} == {
        (label, color): count for (color, label), count in MISTAKEN.items()
    }
    assert told["mistakes"][0]["names"] == ["green", "red"]


def test_a_confusion_cell_opens_its_pictures(browser: Asker, library: Any) -> None:
    table = library.result[0].table
    for true in range(3):
        for predicted in range(3):
            cell = (table["label"] == true) & (table["prediction"] == predicted)
            shown = all_pages(browser, true=str(true), predicted=str(predicted))
            assert {one["id"] for one in shown} == {table.ids[row] for row in np.flatnonzero(cell)}


@pytest.mark.parametrize("which", ["all", "right", "wrong"])
@pytest.mark.parametrize(
    ("order", "column", "sign"),
    [("highest-loss", "loss", -1), ("lowest-loss", "loss", 1), ("most-confident", "confidence", -1)],
)
def test_pages_follow_one_another_in_order(
    browser: Asker, library: Any, which: str, order: str, column: str, sign: int
) -> None:
    shown = all_pages(browser, which=which, order=order)
    table = library.result[0].table
    right = table["label"] == table["prediction"]
    kept = {"all": right | True, "right": right, "wrong": ~right}[which]
    assert sorted(one["id"] for one in shown) == sorted(np.array(table.ids)[kept])
    values = [one[column] for one in shown]
    assert values == sorted(values, key=lambda value: sign * value)
    assert values == pytest.approx([float(table[column][table.ids.index(one["id"])]) for one in shown])
    assert all(one["right"] == (which == "right") for one in shown) or which == "all"


@pytest.mark.parametrize("words", [{"true": "1", "predicted": "0"}, {"order": "stored", "which": "right", "page": "1"}])
def test_python_and_command_do_the_same_again(
    browser: Asker,
    words: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import shlex

    monkeypatch.chdir(tmp_path)
    shown = browser.answer("show", **words)
    lines, printed = shown["repeat"]["python"], io.StringIO()
    assert len(lines.splitlines()) == 5
    with contextlib.redirect_stdout(printed):
        exec(compile(lines, "the page", "exec"), {})  # noqa: S102
    assert [one["id"] for one in eval(printed.getvalue())] == ids(shown)  # noqa: S307
    _, *command = shlex.split(shown["repeat"]["command"])
    ran = CommandLine(capsys, monkeypatch)(*command, "--json", "--force")
    assert ran.json["accuracy"] == browser.answer("browse")["accuracy"]
    assert len(Table.read(tmp_path / "backlight-out" / "samples.parquet")) == 3 * EACH


def test_an_opened_picture_is_what_was_judged(browser: Asker) -> None:
    for one in browser.answer("show", which="wrong")["pictures"]:
        opened = browser.answer("open", row=str(one["row"]))
        assert opened["id"] == one["id"]
        data = base64.b64decode(opened["png"].partition("base64,")[2])
        (first, *_) = browser.answer("predict", data, name=opened["name"])["predictions"]
        assert first["index"] == one["prediction"]
        assert first["probability"] == pytest.approx(one["confidence"], abs=1e-6)


def test_small_pictures_show_the_pictures(browser: Asker) -> None:
    from PIL import Image

    for one in browser.answer("show", order="stored")["pictures"][:3]:
        small = np.asarray(Image.open(io.BytesIO(base64.b64decode(one["uri"].partition("base64,")[2]))))
        opened = browser.answer("open", row=str(one["row"]))["png"]
        whole = np.asarray(Image.open(io.BytesIO(base64.b64decode(opened.partition("base64,")[2]))))
        assert np.array_equal(small, whole)


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("open", {"row": "../../etc/passwd"}),
        ("open", {"row": "-1"}),
        ("open", {"row": "9" * 5000}),
        ("open", {"id": "0"}),
        ("show", {"true": "red"}),
        ("show", {"true": "-2"}),
        ("show", {"which": "other"}),
        ("show", {"order": "label"}),
        ("show", {"page": "-1"}),
        ("browse", {"data": "/etc"}),
        ("browse", {"report": "/etc/passwd"}),
    ],
)
def test_words_name_no_file_and_stay_within_bounds(browser: Asker, verb: str, words: dict[str, str]) -> None:
    assert browser.post(f"/api/{verb}", params=words).status_code == 422


def test_what_the_table_does_not_hold_is_said(browser: Asker) -> None:
    kind, told = browser.events("open", row=str(3 * EACH))[-1]
    assert (kind, told["error"]) == ("failed", "row 60; expected 0 to 59")
    assert browser.answer("show", page="1000")["pictures"] == []
    assert browser.answer("show", true="-1")["total"] == 0


def test_without_data_there_is_none(client: Asker) -> None:
    assert client.get("/api/state").json()["data"] is None
    kind, told = client.events("browse")[-1]
    assert kind == "failed"
    assert "--data" in told["error"]


def test_the_page_knows_the_data(browser: Asker) -> None:
    assert browser.get("/api/state").json()["data"] == {"name": "colors.npz (all)", "n": 60}


def test_nothing_is_shown_before_it_is_looked_at_and_a_cancelled_look_can_be_had_again(asked: tuple[str, str]) -> None:
    model, data = asked
    session = opened_session(AppRequest((ModelRequest(model),), data=DataRequest(data)))

    def run(verb: str, stop: bool = False) -> list[tuple[str, Any]]:
        job = Job(session.work(Asked.read(verb, {}), None, ""))
        job.tell(lambda: stop and job.events[-1][0] == "frame" and job.cancel())
        job.run()
        return [(kind, dict(told)) for kind, told in job.events]

    assert run("show")[-1] == ("failed", {"error": "nothing was looked at yet; try: open the data first"})
    assert run("browse", stop=True)[-1] == ("cancelled", {})
    assert run("show")[-1][0] == "failed"
    told = run("browse")
    assert [one["step"] for kind, one in told if kind == "frame"][-1] == 3 * EACH
    assert run("show")[-1][1]["total"] == 3 * EACH


def test_no_logits_are_kept(browser: Asker, shelf: Session) -> None:
    assert shelf.shelf is not None
    browser.answer("browse")
    assert shelf.shelf.looked[0].table.names == ["id", "label", "prediction", "confidence", "loss", "row"]


def test_the_report_is_the_normal_one(browser: Asker) -> None:
    page = browser.answer("browse", report="yes")["html"]
    assert page.startswith("<!doctype html>")
    assert "backlight evaluate --data" in page


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\nb.png", "-x", "<b>.jpg", "a\u202eb", "x" * 500, "", "...", "C:\\x.png"]
)
def test_the_name_of_an_opened_picture_is_no_path(name: str) -> None:
    given = opened_name(name)
    assert given.endswith(".png")
    assert not given.startswith(".")
    assert not set("/\\\n\u202e") & set(given)
    assert len(given) <= 120


def test_a_finished_run_names_its_data(tmp_path: Path) -> None:
    for name, info in (("run", {"data": {"name": "photos/"}}), ("old", {})):
        RunFolder(tmp_path / name).create({"model": "classic_cnn", **info}, {"counters": {}, "trainer": {}})
    assert data_of_run(tmp_path / "run") == DataRequest("photos/")
    for name in ("old", "none"):
        with pytest.raises(UsageError, match="--data"):
            data_of_run(tmp_path / name)


def test_a_model_without_names_takes_those_of_the_data(asked: tuple[str, str]) -> None:
    request = AppRequest(
        (ModelRequest("classic_cnn", random=True),), data=DataRequest("shapes:n=20,size=32,classes=10")
    )
    (loaded,) = opened_session(request).models
    assert loaded.classifier.labels[:2] == ("circle", "square")
