"""`explain --data`: the document, the files, and wrong use told before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from backlight.table import Table
from tests.cli.running import CommandLine

DATA = "shapes:n=6,size=32,classes=3"


def test_the_document_and_the_files(backlight: CommandLine, small_model: str, tmp_path: Path) -> None:
    words = [
        "explain",
        "--model",
        small_model,
        "--data",
        DATA,
        "--split",
        "all",
        "--methods",
        "gradcam",
        "--out",
        tmp_path,
    ]
    ran = backlight(*words, "--score", "--limit", 4, "--json")
    assert ran.status == 0
    assert ran.json["n"] == 4
    assert ran.json["skipped"] == []
    assert {"n", "methods", "table", "skipped", "seconds"} <= set(ran.json)
    entry = ran.json["methods"]["gradcam"]["deletion"]
    assert {"mean", "standard_error", "random", "edges"} <= set(entry)
    table = Table.read(ran.json["table"])
    assert {"id", "label", "target", "gradcam.deletion", "random.deletion", "edges.deletion"} <= set(table.names)
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "class-averages.npz").is_file()
    assert len(list((tmp_path / "maps").glob("*-gradcam.png"))) == 4
    assert backlight(*words).status == 2  # nothing is replaced unasked
    again = backlight(*words, "--limit", 4, "--resume")
    assert again.status == 0
    assert "a random map" in again.out


def test_a_broken_picture_is_named_and_the_exit_says_so(
    backlight: CommandLine, small_model: str, photographs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "cats"
    folder.mkdir(parents=True)
    (folder / "good.png").write_bytes((photographs / "chelsea.png").read_bytes())
    (folder / "bad.png").write_bytes(b"nonsense")
    ran = backlight(
        "explain", "--model", small_model, "--data", tmp_path / "data", "--split", "all", "--methods", "gradcam",
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert ran.status == 1
    assert "bad.png" in ran.err
    assert ran.json["skipped"][0]["path"].endswith("bad.png")
    assert "bad.png" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "neither pictures nor --data"),
        (["cat.jpg", "--data", DATA], "pictures and --data"),
        (["cat.jpg", "--score"], "--data DATA"),
        (["--data", DATA, "--methods", "gradcan"], "gradcam"),
        (["--data", DATA, "--methods", "captum:DeepLyft"], "DeepLift"),
        (["--data", "nowhere"], "no such file"),
    ],
)
def test_wrong_use_is_told_before_any_work(
    backlight: CommandLine, small_model: str, tmp_path: Path, words: list[str], said: str
) -> None:
    ran = backlight("explain", "--model", small_model, "--out", tmp_path / "none", *words)
    assert ran.status in (1, 2)
    assert said in ran.err
    assert not (tmp_path / "none").exists()
